"""What a cell or a run may use: options, and what becomes of cells that use more, in real processes."""

from __future__ import annotations

import csv
import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import fairbench as door
from fairbench.cells import Cell, Choice
from fairbench.cli.running import exit_status
from fairbench.errors import SuiteError
from fairbench.plugins.executing import RETURNED, Ended
from fairbench.quantities import bytes_of, duration, retries_of, seconds_of
from fairbench.records import DONE, FAILED, OUT_OF_MEMORY, TIMED_OUT, Parts, Record, Results
from fairbench.running.budget import Budget
from fairbench.running.cell import Measured
from fairbench.running.estimate import estimate
from fairbench.running.finished import Finished
from fairbench.running.grid import Availability, run_cells
from fairbench.running.store import Store

PLUGIN = '''"""Methods that end badly."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import hookimpl


@dataclass(frozen=True)
class Stuck:
    """Never come back from C, and let no other thread of Python run."""

    name = "stuck"

    def fit(self, train, validation, *, seed):
        Path(os.environ["BEGUN"]).touch()
        ctypes.PyDLL(None).sleep(100000)


@dataclass(frozen=True)
class Hungry:
    """Ask for more memory than there is."""

    name = "hungry"

    def fit(self, train, validation, *, seed):
        raise MemoryError("Unable to allocate 7 TiB")


@dataclass(frozen=True)
class Eater:
    """Hold a gigabyte, and ask for nothing more."""

    name = "eater"

    def fit(self, train, validation, *, seed):
        held = bytearray(2**30)
        held[::4096] = bytes(len(held[::4096]))
        ctypes.PyDLL(None).sleep(100000)


@hookimpl
def fairbench_methods():
    return [Stuck, Hungry, Eater]
'''
GRID = ["--datasets", "synthetic[rows=300]", "--metrics", "accuracy", "--workers", "1", "--plugin", "bad.py"]


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Return a file that is there when what takes for ever has begun."""
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    return tmp_path / "begun"


@pytest.fixture
def run(fairbench, begun, tmp_path):
    (tmp_path / "bad.py").write_text(PLUGIN)
    return lambda *arguments: fairbench("run", *GRID, *arguments)


@pytest.fixture
def _hour(monkeypatch, begun):
    """Let an hour of a budget pass when what takes for ever has begun."""
    ahead = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 * begun.exists())
    monkeypatch.setattr("fairbench.running.budget.time", ahead)


def statuses(fairbench, path):
    rows = csv.DictReader(io.StringIO(fairbench("export", path)[1]))
    return {(row["method"], int(row["repeat"])): (row["status"], row["reason"]) for row in rows}


@pytest.mark.long
def test_cells_that_exceed_a_limit_are_stopped_and_told_apart(run, fairbench):
    status, out, err = run("--methods", "stuck", "--repeats", "1", "--timeout", "1", "--out", "t")
    assert status == 3
    assert "1 cell: 0 done, 0 skipped, 0 failed, 1 timed out; everything is in t; " in err
    assert "1 cell timed out (stuck on synthetic[rows=300] by group): stopped after 1 s, which is the limit" in out
    status, out, err = run("--methods", "eater,hungry", "--repeats", "1", "--memory-limit", "900M", "--out", "m")
    assert status == 4
    assert "2 cells: 0 done, 0 skipped, 0 failed, 2 out of memory; everything is in m; " in err
    assert "1 cell ran out of memory (hungry on synthetic[rows=300] by group): MemoryError: Unable to" in out
    found = statuses(fairbench, "m")
    assert found["eater", 0][0] == found["hungry", 0][0] == "out of memory"
    assert "the limit is 900 MiB" in found["eater", 0][1]


@pytest.mark.parametrize(("kinds", "status"), [((TIMED_OUT, OUT_OF_MEMORY), 1), ((TIMED_OUT, DONE), 3), ((DONE,), 0)])
def test_failures_of_several_kinds_have_the_status_of_any_trouble(kinds, status):
    records = [Record(cell("x", repeat), kind) for repeat, kind in enumerate(kinds)]
    ended = Finished(Results(records, {}, len(records), {}), Path("r"), None, "", 0)
    assert exit_status(ended) == status


LOADING = """
import multiprocessing
import os
import time
from pathlib import Path

if multiprocessing.parent_process():  # in a worker
    Path(os.environ["BEGUN"]).touch()
    while Path(os.environ["BEGUN"]).stat().st_size == 0:
        time.sleep(0.05)
"""


@pytest.mark.long
def test_what_a_worker_takes_to_load_plugins_is_not_the_time_of_a_cell(run, begun, tmp_path, monkeypatch):
    """More than the limit, but not what a worker may take to start, passes while the worker loads the plugin."""
    looks = []

    def clock():
        if not begun.exists():
            return time.monotonic()
        looks.append(1)
        if len(looks) == 9:
            begun.write_text("and go on")
        return time.monotonic() + 120

    monkeypatch.setattr("fairbench_executors._pool.time", SimpleNamespace(monotonic=clock))
    (tmp_path / "bad.py").write_text(LOADING + PLUGIN)
    status, _, err = run("--methods", "constant", "--repeats", "1", "--no-reference", "--timeout", "100")
    assert (status, "1 cell: 1 done" in err) == (0, True), err


@pytest.mark.long
def test_a_probe_runs_one_cell_of_each_kind_and_keeps_nothing(run, tmp_path):
    grid = ("--methods", "constant,hungry", "--repeats", "9", "--timeout", "9m", "--executor", "serial")
    assert run(*grid, "--dry-run", "--probe")[0] == 2  # serial cannot keep that limit
    status, out, err = run(*grid[:4], "--timeout", "9m", "--dry-run", "--probe", "--json")
    assert (status, len(out.splitlines())) == (0, 18)
    assert "trying 2 cells, each for at most 9 min\n" in err
    assert "18 cells to run with 1 worker: about " in err
    assert "from 1 earlier cell; 9 cells without history\n" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
@pytest.mark.usefixtures("_hour")
def test_a_budget_stops_cells_that_never_return_and_the_same_command_continues(run):
    assert run("--methods", "constant", "--repeats", "2", "--out", "r")[0] == 0
    grid = ("--methods", "constant,stuck", "--repeats", "2", "--out", "r")
    status, out, err = run(*grid, "--budget", "1h")
    assert status == 1
    assert "4 cells: 2 done, 0 skipped, 0 failed, 2 not run (0 of 2 repeats complete); everything is in r; " in err
    assert err.endswith("stopped: the budget of 1 h is used up; to continue, give the same command with --out r\n")
    assert "2 of 4 cells not run yet (0 of 2 repeats complete)" in out
    status, _, err = run(*grid, "--timeout", "1")
    assert status == 3, err
    assert "2 of 4 cells were finished before\n" in err
    assert "4 cells: 2 done, 0 skipped, 0 failed, 2 timed out; everything is in r; " in err


@pytest.mark.parametrize("executor", ["serial", pytest.param("processes[workers=1]", marks=pytest.mark.long)])
def test_the_first_failure_ends_a_run_that_fails_fast(run, fairbench, executor):
    grid = ("--methods", "constant,hungry,coin", "--repeats", "2", "--executor", executor, "--out", "r")
    status, _, err = run(*grid, "--fail-fast")
    assert status == 4
    assert "; stopped at the first failure: hungry on synthetic[rows=300] by group, repeat 0, out of memory: " in err
    assert "6 cells: 1 done, 0 skipped, 0 failed, 1 out of memory, 4 not run (0 of 2 repeats complete)" in err
    status, _, err = run(*grid)
    assert "1 of 6 cells were finished before\n" in err
    assert "6 cells: 4 done, 0 skipped, 0 failed, 2 out of memory; everything is in r" in err


def test_limits_that_an_executor_cannot_keep_are_refused_before_anything_runs(run, tmp_path):
    for more in ((), ("--dry-run",)):
        status, out, err = run("--methods", "constant", "--executor", "serial", "--timeout", "5", *more, "--out", "r")
        assert (status, out) == (2, "")
        assert err == (
            "fairbench: the executor serial cannot stop an item in its own process; use processes for limits\n"
        )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--timeout", "5x", "--timeout is '5x'; it must be a number of seconds, or a duration such as 45s, 10m or 2h"),
        ("--budget", "-3", "--budget is '-3'; it must be a number of seconds"),
        ("--memory-limit", "2", "--memory-limit is '2'; it must be an amount of memory with its unit, such as 500M"),
        ("--retries", "-1", "-1 is not in the range x>=0"),
    ],
)
def test_a_limit_that_is_none_is_refused_kindly(run, option, value, words):
    status, _, err = run("--methods", "constant", option, value)
    assert status == 2
    assert words in err


def test_python_has_the_same_limits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(PLUGIN)
    grid = {"methods": "hungry,constant", "datasets": "synthetic[rows=300]", "metrics": "accuracy", "plugins": "bad.py"}
    made = door.run(**grid, repeats=1, workers=1, fail_fast=True, quiet=True)
    assert made.interrupted
    assert not made.complete
    assert "1 out of memory, 1 not run" in made.summary
    assert "stopped at the first failure: hungry" in made.summary
    for name, value in (("timeout", 0), ("memory_limit", "much"), ("retries", 1.5), ("budget", True)):
        with pytest.raises(SuiteError, match=f"{name} is "):
            door.run(**grid, **{name: value}, quiet=True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5m", 90), ("2h", 7200), ("1h30m", 5400), ("45S", 45), (7, 7), (None, None)]
)
def test_durations_are_seconds(text, seconds):
    assert seconds_of("x", text) == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "0", "0s", "1e3", "5 m 3", "30m1h", "nan", "inf", float("nan"), 1e300, [], True]
)
def test_other_texts_are_no_durations(text):
    with pytest.raises(SuiteError, match="x is "):
        seconds_of("x", text)


def test_amounts_of_memory_have_units_of_1024():
    texts = ("500M", "2G", "1.5gib", "10kb")
    assert [bytes_of("x", text) for text in texts] == [500 * 2**20, 2 * 2**30, 3 * 2**29, 10240]
    assert bytes_of("x", 2**31) == 2**31
    for text in ("5", "", "G", "0G", "-1G", "5X", "nanG"):
        with pytest.raises(SuiteError, match="x is "):
            bytes_of("x", text)
    with pytest.raises(SuiteError, match="retries is -1; it must be a whole number, at least 0"):
        retries_of(-1)
    assert [duration(seconds) for seconds in (0.2, 59.1, 61, 7200, 9000)] == ["1 s", "60 s", "2 min", "2 h", "2.5 h"]


def wait(budget):
    with budget.interrupts():
        while True:
            pass


def test_a_budget_interrupts_its_block_and_nothing_after_it():
    budget = Budget(0.05)
    with pytest.raises(KeyboardInterrupt):
        wait(budget)
    assert budget.stopped
    assert budget.used_up
    late, threads = Budget(3600), threading.enumerate()
    with late.interrupts():
        (watching,) = (thread for thread in threading.enumerate() if thread not in threads)
    late.end = 0.0
    watching.join()
    assert late.used_up
    assert not late.stopped
    assert not Budget(None).used_up


SLOW = """
import os
import time
from dataclasses import dataclass
from pathlib import Path
from fairbench.api import DataError, hookimpl

@dataclass(frozen=True)
class Slow:
    \"\"\"It takes for ever to load.\"\"\"
    name = "slow"
    files = ()
    sensitive_features = ("sex",)
    def load(self, files):
        Path(os.environ["BEGUN"]).touch()
        time.sleep(100000)
        Path("loaded").touch()
        raise DataError("it is loaded")

@hookimpl
def fairbench_datasets():
    return [Slow]
"""


@pytest.mark.usefixtures("_hour")
def test_a_budget_covers_the_loading_of_data(fairbench):
    Path("slow.py").write_text(SLOW)
    grid = ("--methods", "constant", "--datasets", "slow", "--plugin", "slow.py")
    status, _, err = fairbench("run", *grid, "--budget", "1h", "--out", "r")
    assert status == 2
    assert "the budget of 1 h was used up while data were loaded, before any cell ran; give a longer one" in err
    assert not Path("loaded").exists()
    assert not Path("r").exists()


def cell(method, repeat=0, dataset="small", **more):
    return Cell(Choice(dataset), Choice(method), "sex", repeat, metrics=("accuracy",), **more)


class Keeper:
    """An executor that keeps the order in which it is given cells."""

    name = "keeper"

    def map(self, function, items, limits):
        self.items = items
        yield from (Ended(item, RETURNED, Measured(Record(item, FAILED, "no"), {})) for item in items)


class NoCheckpoints:
    partial = None

    def checkpoint(self, cell):
        return None


def test_cells_are_handed_out_repeat_by_repeat_and_those_of_a_split_together(tmp_path):
    plan = [cell(method, repeat, data) for data in ("a", "b") for repeat in range(2) for method in ("x", "y")]
    keeper = Keeper()
    with Store(tmp_path / "s.sqlite", create=True) as store:
        assert len(list(run_cells(plan, Availability(), NoCheckpoints(), keeper, store))) == 8
    assert [(item.repeat, item.dataset.name, item.method.name) for item in keeper.items] == [
        (repeat, data, method) for repeat in range(2) for data in ("a", "b") for method in ("x", "y")
    ]


def test_results_say_how_many_repeats_are_whole():
    records = [Record(cell("x", 0), DONE), Record(cell("y", 0), DONE), Record(cell("x", 1), DONE)]
    results = Results(records, {"suite": {"repeats": 3}}, 6, {})
    assert results.unfinished == "3 of 6 cells not run yet (1 of 3 repeats complete)"
    assert replace(results, planned=7).unfinished == "4 of 7 cells not run yet"
    assert replace(results, planned=3).whole_repeats == ""


def took(seconds, method, dataset="small", rows=100, repeat=0, status=DONE):
    return Record(cell(method, repeat, dataset), status, seconds=seconds, parts=Parts(rows - 20, 10, 10))


def test_an_estimate_rests_on_the_same_cells_then_on_other_rows_then_on_other_methods():
    records = [
        *(took(seconds, "x", repeat=repeat) for repeat, seconds in enumerate((1.0, 2.0, 6.0))),
        took(10.0, "y", "large", 1000),
        took(999.0, "x", status=FAILED),
    ]
    same = estimate([cell("x", repeat) for repeat in range(10)], records, 2)
    assert (same.low, same.middle, same.high, same.same) == (5.0, 10.0, 30.0, 10)
    assert str(same) == "10 cells to run with 2 workers: about 10 s (5 s to 30 s), from 4 earlier cells"
    scaled = estimate([cell("y")], records, 1)  # a tenth of the rows
    assert (scaled.low, scaled.middle, scaled.high, scaled.scaled) == (0.5, 1.0, 2.0, 1)
    unknown = estimate([cell("x"), cell("z")], records, 1)
    assert (unknown.middle, unknown.unknown) == (4.0, 1)
    assert str(unknown).endswith("from 4 earlier cells; 1 cell without history")
    alone = estimate([cell("x", repeat) for repeat in range(2)], records, 8)
    assert alone.middle == 2.0  # no shorter than its longest cell
    assert str(estimate([cell("z")], [], 1)) == (
        "1 cell to run with 1 worker: how long it takes is not known, since no such cell has run here; "
        "--probe tries some"
    )
    assert str(estimate([], records, 1)) == "nothing is left to run"


def test_a_dry_run_says_what_its_estimate_rests_on(run, tmp_path):
    grid = ("--methods", "constant", "--executor", "serial", "--out", "r")
    assert "is not known, since no such cell has run here" in run(*grid, "--repeats", "2", "--dry-run")[2]
    run(*grid, "--repeats", "2")
    assert run(*grid, "--repeats", "2", "--dry-run")[2].endswith("nothing is left to run\n")
    assert "3 cells to run with 1 worker: about " in run(*grid, "--repeats", "5", "--dry-run")[2]
    for alone in ("--probe", "--json"):
        status, _, err = run(*grid, alone)
        assert status == 2
        assert f"'{alone}': it belongs to --dry-run; give both" in err
