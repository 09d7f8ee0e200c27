"""Runs that are killed, interrupted or denied a disk: nothing finished is lost, and the same command goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import pytest
from filelock import FileLock, Timeout

from fairbench.cli.signals import Terminated, sigterm_interrupts
from fairbench.errors import StoreError
from fairbench.running.budget import Budget
from fairbench.running.store import FILE_NAME, Store
from fairbench.system import output

GRID = [
    *("run", "--methods", "constant,mlp[epochs=30,patience=30],faalgrad[epochs=30,inner_steps=5]"),
    *("--datasets", "synthetic[rows=2000]", "--repeats", "4", "--out", "r"),
]
SLOW = Path(__file__).parent / "broken" / "slow.py"
SLOW_GRID = [
    *("run", "--methods", "slow[shift=0.0|0.1|0.2]", "--plugin", str(SLOW)),
    *("--datasets", "synthetic[rows=2000]", "--repeats", "4", "--out", "r"),
]


@pytest.fixture
def _few_plugins(monkeypatch):
    """Let the slow method's processes load what its runs need, which is half of the time that a process takes."""
    parts = ("datasets", "executors", "metrics", "reports", "scenarios")
    monkeypatch.setenv("FAIRBENCH_PLUGINS", ",".join(f"fairbench_{part}" for part in parts))
    return monkeypatch


@pytest.fixture
def unstick(_few_plugins):
    """Let two workers finish four cells and no more, each slow enough to be written at once; return what ends that."""
    _few_plugins.setenv("SLOW_SECONDS", "0.1")
    _few_plugins.setenv("STUCK_SHIFT", "0.2")

    def end():
        _few_plugins.delenv("SLOW_SECONDS")
        _few_plugins.delenv("STUCK_SHIFT")

    return end


def command(*arguments):
    return [sys.executable, "-m", "fairbench", *arguments]


def run(*arguments, cwd, **options):
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, check=False, **options)


@contextmanager
def started(*arguments, cwd):
    """Start a run in a process group of its own, as a shell does; whatever happens, it is gone afterwards."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(*arguments), cwd=cwd, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def finished(path: Path) -> dict[str, float]:
    """Return the seconds of every finished cell by its key."""
    try:
        with Store(path / "r" / FILE_NAME) as store:
            return {record.cell.key: record.seconds for record in store.records() if record.status == "done"}
    except StoreError:  # does not exist, or holds nothing yet
        return {}


def wait_for(what: Callable[[], bool], process: subprocess.Popen) -> None:
    for _ in range(6000):
        if what():
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("it has not come within five minutes")


def wait_for_cells(path: Path, count: int, process: subprocess.Popen) -> None:
    wait_for(lambda: len(finished(path)) >= count, process)


def tables(out: str) -> str:
    """Return a report without its last line, which names the day of the run."""
    rest, produced = out.rstrip().rsplit("\n", 1)
    assert produced.startswith("produced by fairbench")
    return rest


def values(exported):
    """Return every exported row without its time."""
    rows = list(csv.DictReader(io.StringIO(exported[1])))
    return sorted(tuple(value for name, value in row.items() if name != "seconds") for row in rows)


@pytest.mark.long
def test_killed_run_goes_on_with_the_same_command_and_ends_with_the_same_table(fairbench, tmp_path, unstick):
    with started(*SLOW_GRID, "--workers", "2", cwd=tmp_path) as process:
        wait_for_cells(tmp_path, 4, process)
        process.kill()
    before = finished(tmp_path)
    assert len(before) == 4
    unstick()
    again = run(*SLOW_GRID, "--workers", "2", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    after = finished(tmp_path)
    assert len(after) == 12
    assert {key: after[key] for key in before} == before  # their times are those of the first run: nothing was redone
    status, whole, _ = fairbench(*SLOW_GRID[:-1], "whole", "--workers", "1")
    assert (status, tables(whole)) == (0, tables(again.stdout))
    assert values(fairbench("export", "r")) == values(fairbench("export", "whole")) != []


@pytest.mark.long
def test_ctrl_c_keeps_finished_cells_and_exits_130_without_a_traceback(fairbench, tmp_path, unstick):
    with started(*SLOW_GRID, "--workers", "2", cwd=tmp_path) as process:
        wait_for_cells(tmp_path, 4, process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted: to continue, give the same command with --out r" in err
    assert len(finished(tmp_path)) == 4
    assert "8 of 12 cells not run yet" in " ".join(out.split())
    unstick()
    again = run(*SLOW_GRID, "--workers", "1", cwd=tmp_path)
    undisturbed = fairbench(*SLOW_GRID[:-1], "whole", "--workers", "1")
    assert (again.returncode, tables(again.stdout)) == (0, tables(undisturbed[1]))
    run_file = json.loads((tmp_path / "r" / "run.json").read_text())
    assert [bool(session["finished"]) for session in run_file["sessions"]] == [False, True]


@pytest.mark.long
@pytest.mark.usefixtures("unstick")
def test_sigterm_ends_a_run_as_ctrl_c_does_with_status_143(tmp_path):
    with started(*SLOW_GRID, "--workers", "2", cwd=tmp_path) as process:
        wait_for_cells(tmp_path, 4, process)
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert "interrupted: to continue, give the same command with --out r" in err
    assert len(finished(tmp_path)) == 4
    assert "8 of 12 cells not run yet" in " ".join(out.split())


@pytest.mark.long
def test_an_unfinished_dated_run_is_found_again_by_the_same_command(tmp_path, unstick):
    grid = SLOW_GRID[:-2]
    with started(*grid, "--workers", "1", cwd=tmp_path) as process:
        wait_for(lambda: any(tmp_path.glob("runs/*/run.json")), process)
    unstick()
    again = run(*grid, "--workers", "1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.usefixtures("_few_plugins")
def test_two_runs_do_not_write_to_one_directory(tmp_path):
    (tmp_path / "r").mkdir()
    with FileLock(str(tmp_path / "r" / ".lock")):  # what a run holds from its beginning to its end
        second = run(*SLOW_GRID, "--workers", "1", cwd=tmp_path)
    assert second.returncode == 2
    assert (
        "another run is writing to r; wait for it with --wait, or choose another directory with --out" in second.stderr
    )


def test_a_budget_that_is_used_up_before_its_block_leaves_ctrl_c_ignored_where_it_was(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)  # the interrupt comes while it starts
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background job
    try:
        with pytest.raises(KeyboardInterrupt), Budget(0.0).interrupts():
            pass
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def destroy_and_wait(number):
    """Send this process a signal while an object is destroyed, then wait for its effect."""
    thing = threading.Event()
    noticed = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    time.sleep(60)
    return noticed


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupt_that_comes_while_an_object_is_destroyed_is_not_lost(number, kind):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as interrupt, sigterm_interrupts():
            destroy_and_wait(number)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupt.type is kind


def test_an_interrupt_is_not_lost_where_streams_that_stood_for_others_are_destroyed(monkeypatch):
    closed = []
    monkeypatch.setattr(output._Open, "close", lambda self: closed.append(1))  # io hides its errors
    with output.output_on_stderr():
        print("shown")
    assert not closed


@pytest.mark.long
@pytest.mark.usefixtures("unstick")
def test_a_run_holds_its_directory_until_it_ends(tmp_path):
    with started(*SLOW_GRID, "--workers", "1", cwd=tmp_path) as process:
        wait_for_cells(tmp_path, 1, process)
        with pytest.raises(Timeout):
            FileLock(str(tmp_path / "r" / ".lock")).acquire(timeout=0)
    FileLock(str(tmp_path / "r" / ".lock")).acquire(timeout=300)


@pytest.mark.long
@pytest.mark.usefixtures("_few_plugins")
def test_a_full_disk_is_explained_and_keeps_finished_cells(tmp_path):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # bytes of any one file, as on a nearly full disk

    full = run(*SLOW_GRID, "--workers", "1", cwd=tmp_path, preexec_fn=little_room)
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert "cannot be written" in full.stderr
    assert "finished cells are kept" in full.stderr
    kept = finished(tmp_path)
    assert kept
    again = run(*SLOW_GRID, "--workers", "1", cwd=tmp_path)
    assert again.returncode == 0
    assert {key: finished(tmp_path)[key] for key in kept} == kept


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_explained(fairbench, tmp_path):
    (tmp_path / "r").mkdir(mode=0o555)
    status, _, err = fairbench(*GRID, "--workers", "1")
    assert status == 2
    assert "r cannot be written" in err


@pytest.mark.parametrize("place", ["file/r", "/sys/fairbench"])  # below a file; where even root may not write
def test_a_directory_that_cannot_be_made_is_explained(fairbench, tmp_path, place):
    (tmp_path / "file").write_text("")
    status, _, err = fairbench(*GRID[:-1], place, "--workers", "1")
    assert status == 2
    assert f"{place} cannot be written" in err
    assert "choose another run directory with --out" in err
