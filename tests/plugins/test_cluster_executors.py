"""The executors dask and slurm on real schedulers of this machine, whose processes die, and whole runs under each."""

from __future__ import annotations

import csv
import importlib
import io
import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from process_helpers import PATIENCE, wait_until, wait_until_gone

from fairbench.api import CRASHED, OUT_OF_MEMORY, RAISED, RETURNED, TIMED_OUT, Limits, NotApplicable

pytestmark = pytest.mark.long
TESTS = str(Path(__file__).parent)


@pytest.fixture
def tasks(monkeypatch):
    """Return the tasks as a module that jobs and workers can import too."""
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setenv("PYTHONPATH", TESTS)
    return importlib.import_module("executor_tasks")


def dask(**options):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    return importlib.import_module("fairbench_executors.dask").Dask(**options)


def slurm(**options):
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    return importlib.import_module("fairbench_executors.slurm").Slurm(cluster="local", **options)


def test_a_cluster_of_this_machine_leaves_no_file(tasks, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert [ended.result for ended in dask(workers=1).map(tasks.square, [3])] == [9]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("executor", [dask, slurm])
def test_every_item_ends_as_it_would_under_processes(tasks, executor):
    options = {"workers": 1} if executor is dask else {"jobs": 1}
    items = ["a", "value", "kill", "two", "exit", "unpicklable", "fill", lambda: 1, "b"]
    limits = Limits(seconds=1800, memory=400 * 2**20)
    ended = {end.item: end for end in executor(**options).map(tasks.anything, items, limits)}
    assert len(ended) == len(items)
    assert [ended[item].result for item in ("a", "b")] == ["a", "b"]
    assert {item: ended[item].how for item in ("value", "two", "exit", "unpicklable", items[7])} == dict.fromkeys(
        ("value", "two", "exit", "unpicklable", items[7]), RAISED
    )
    assert (ended["kill"].how, ended["fill"].how) == (CRASHED, OUT_OF_MEMORY)
    assert str(ended["kill"].error) == "the worker process was killed by SIGKILL (out of memory?), 2 times"
    assert isinstance(ended["value"].error, ValueError)
    assert "executor_tasks.py" in str(ended["value"].error.__cause__)
    (long,) = executor(**options).map(tasks.anything, ["long"], Limits(seconds=1))
    assert long.how == TIMED_OUT


@contextmanager
def started(*arguments, **environment):
    command = [sys.executable, "-m", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={**os.environ, **environment}, **quiet) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def cluster(folder: Path, threads: int = 1):
    """Start a scheduler that gives up an item with its first worker, and a worker of so many threads."""
    address = folder / "scheduler.json"
    setting = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    common = ["--scheduler-file", str(address), "--no-dashboard"]
    with started("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common, **setting) as process:
        wait_until(lambda: address.exists() and "address" in address.read_text())
        (url,) = re.findall(r'"address": "(tcp:[^"]*)"', address.read_text())
        with started("distributed.cli.dask_worker", *common, "--nthreads", str(threads)):
            with importlib.import_module("distributed").Client(url, timeout=PATIENCE, set_as_default=False) as client:
                client.wait_for_workers(1, timeout=PATIENCE)  # the executor would not wait for long
            yield url, process


def test_an_item_with_which_workers_go_away_has_crashed_and_a_scheduler_that_goes_away_is_named(
    tasks, tmp_path, monkeypatch
):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr("fairbench_executors.dask.PATIENCE", 3600)  # nor does it wait for the scheduler to come back
    with cluster(tmp_path, threads=2) as (url, scheduler):
        executor = dask(scheduler=url, batch=1)  # so that a neighbour is always in the worker that is killed
        items = ["a", "b", "kill", "c"]
        ended = {end.item: end for end in executor.map(tasks.kill_the_dask_worker, items)}
        assert {item: end.how for item, end in ended.items()} == {
            **dict.fromkeys("abc", RETURNED),
            "kill": CRASHED,
        }
        assert "dask gave it up" in str(ended["kill"].error)
        folder = tmp_path / "pids"
        folder.mkdir()
        results = executor.map(tasks.quick_or_long, ["quick", *[str(folder)] * 9])
        assert next(results).result == "quick"
        wait_until(lambda: list(folder.iterdir()))
        scheduler.kill()
        with pytest.raises(NotApplicable, match="the dask scheduler went away; what has finished is kept"):
            list(results)
        wait_until_gone(folder.iterdir())


def test_a_scheduler_that_cannot_be_reached_and_a_worker_of_another_version_are_named(tasks, tmp_path, monkeypatch):
    with pytest.raises(NotApplicable, match="scheduler is 'here'; give an address such as tcp://host:8786"):
        list(dask(scheduler="here").map(tasks.square, [1]))
    module = importlib.import_module("fairbench_executors.dask")
    monkeypatch.setattr(module, "PATIENCE", 2)
    with pytest.raises(NotApplicable, match=r"the dask scheduler tcp://127\.0\.0\.1:9 cannot be reached"):
        list(dask(scheduler="tcp://127.0.0.1:9").map(tasks.square, [1]))
    monkeypatch.setattr(module, "PATIENCE", PATIENCE)
    monkeypatch.setattr(module, "installed", lambda: "9.9")
    with cluster(tmp_path) as (url, _), pytest.raises(NotApplicable, match=r"and this is 9\.9; install one"):
        list(dask(scheduler=url).map(tasks.square, [1]))


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import executor_tasks
from fairbench_executors.{name} import {kind}

if __name__ == "__main__":
    for ended in {kind}({options}).map(executor_tasks.quick_or_long, ["quick", {folder!r}]):
        print(ended.result, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [("dask", "Dask", "workers=2"), ("slurm", "Slurm", "cluster='local', jobs=2")],
    ids=["dask", "slurm"],
)
def test_nothing_is_left_of_a_run_that_is_stopped(tasks, tmp_path, name, kind, options, number):
    pytest.importorskip({"dask": "distributed", "slurm": "submitit"}[name])
    folder = tmp_path / "pids"
    folder.mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=TESTS, name=name, kind=kind, options=options, folder=str(folder)))
    out, err = tmp_path / "out", tmp_path / "err"
    with (
        out.open("w") as file,
        err.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(script)],
            stdout=file,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        ) as process,
    ):
        wait_until(lambda: list(folder.iterdir()) and "quick" in out.read_text())
        (private,) = tmp_path.glob("jobs-*") if name == "slurm" else [None]
        if private:
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
        process.send_signal(number)
        process.wait(PATIENCE)
    wait_until_gone(folder.iterdir())
    assert number == signal.SIGKILL or not list(tmp_path.glob("jobs-*"))
    assert "submitit" not in err.read_text()  # its processes end in silence


def rows(exported):
    """Return a table without the seconds that cells took."""
    assert exported[0] == 0
    return [{**row, "seconds": ""} for row in csv.DictReader(io.StringIO(exported[1]))]


def test_a_run_gives_the_same_values_under_every_executor(fairbench, monkeypatch):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    pytest.importorskip("submitit", reason="the extra slurm is not installed")
    parts = ("baselines", "datasets", "executors", "metrics", "reports", "scenarios")
    monkeypatch.setenv("FAIRBENCH_PLUGINS", ",".join(f"fairbench_{part}" for part in parts))
    grid = ("--methods", "constant,logistic", "--datasets", "synthetic[rows=400]", "--repeats", "2")
    tables = {}
    for executor in ("serial", "processes[workers=2]", "dask[workers=2]", "slurm[cluster=local,jobs=1]"):
        status, _, err = fairbench("run", *grid, "--executor", executor, "--out", executor[:4])
        assert status == 0, err
        tables[executor] = rows(fairbench("export", executor[:4]))
        assert sorted(os.listdir(executor[:4])) == sorted(os.listdir("seri"))
    assert len(tables["serial"]) > 50
    for executor, table in tables.items():
        assert table == tables["serial"], executor
