"""Executors against real processes that die, raise, are stopped and are interrupted."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from fairbench_executors import _nursery, _pool
from fairbench_executors._pool import Pool, Task, WorkerDied, WorkerRaised
from fairbench_executors._worker import leave_children
from fairbench_executors.processes import Processes
from fairbench_executors.serial import Serial
from process_helpers import PATIENCE, is_gone, wait_until, wait_until_gone

from fairbench.api import CRASHED, NO_LIMITS, RETURNED, TIMED_OUT, Limits


def pairs(ended):
    """Yield each item with what the function returned, or what went wrong."""
    for end in ended:
        assert (end.how == RETURNED) == (end.error is None)
        yield end.item, end.result if end.error is None else end.error


@pytest.mark.parametrize("executor", [Serial(), Processes(workers=2)], ids=["serial", "processes"])
def test_every_item_comes_back_once_with_its_result(tasks, executor):
    results = list(pairs(executor.map(tasks.square, range(50))))
    assert sorted(results) == [(item, item**2) for item in range(50)]


@pytest.mark.parametrize("executor", [Serial(), Processes(workers=2)], ids=["serial", "processes"])
def test_no_items_give_no_results(tasks, executor):
    assert list(pairs(executor.map(tasks.square, []))) == []


@pytest.mark.parametrize("executor", [Serial(), Processes(workers=1)], ids=["serial", "processes"])
def test_exceptions_are_yielded_and_the_rest_goes_on(tasks, executor):
    results = dict(pairs(executor.map(tasks.fail, ["value", "exit", "fine"])))
    assert isinstance(results["value"], ValueError)
    assert str(results["value"]) == "no such luck"
    assert isinstance(results["exit"], SystemExit)
    assert results["fine"] == 4


def test_serial_runs_an_item_only_when_it_is_asked_for(tasks):
    seen = []
    results = pairs(Serial().map(seen.append, [1, 2, 3]))
    assert seen == []
    next(results)
    assert seen == [1]


def test_serial_lets_an_interrupt_through(tasks):
    with pytest.raises(KeyboardInterrupt):
        list(pairs(Serial().map(tasks.fail, ["interrupt"])))


def test_two_workers_share_many_items(tasks):
    results = list(pairs(Processes(workers=2).map(tasks.pid, range(300))))
    pids = {pid for _, pid in results}
    assert sorted(item for item, _ in results) == list(range(300))
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids
    wait_until_gone(pids)


def test_no_more_workers_are_started_than_there_are_items(tasks):
    results = pairs(Processes(workers=64).map(tasks.square, [3]))
    assert next(results) == (3, 9)
    assert len(multiprocessing.active_children()) == 1
    results.close()


def test_a_worker_uses_one_thread_and_our_environment_stays_as_it_was(tasks, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    assert dict(pairs(Processes(workers=1).map(tasks.threads, names))) == dict.fromkeys(names, "1")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_an_item_whose_worker_dies_once_is_tried_again(tasks, tmp_path):
    markers = [str(tmp_path / name) for name in "abc"]
    results = dict(pairs(Processes(workers=2).map(tasks.kill_self_once, markers)))
    assert set(results) == set(markers)
    for result in results.values():
        first, second = result.split(" then ")
        assert first != second


def test_an_item_that_kills_twice_costs_only_itself(tasks):
    results = dict(pairs(Processes(workers=2).map(tasks.kill_self, range(8))))
    died = results.pop(3)
    assert isinstance(died, WorkerDied)
    assert isinstance(died, RuntimeError)
    assert str(died) == "the worker process was killed by SIGKILL (out of memory?), 2 times"
    assert results == {item: item for item in range(8) if item != 3}


def test_an_exit_status_is_named(tasks):
    (end,) = Processes(workers=1).map(tasks.exit_with_status, [7])
    assert end.how == CRASHED
    died = end.error
    assert str(died) == "the worker process exited with status 7, 2 times"


def test_an_exception_brings_its_worker_traceback(tasks):
    ((_, error),) = pairs(Processes(workers=1).map(tasks.fail, ["value"]))
    assert isinstance(error.__cause__, WorkerRaised)
    assert "executor_tasks.py" in str(error.__cause__)


def test_what_cannot_be_pickled_is_an_exception_of_its_item(tasks):
    items = ["unpicklable", "two", "interrupt", "fine"]
    results = dict(pairs(Processes(workers=1).map(tasks.fail, items)))
    assert isinstance(results["unpicklable"], Exception)
    assert "lambda" in str(results["unpicklable"])  # what it was; Python 3.13 no longer says "pickle"
    assert isinstance(results["two"], WorkerRaised)
    assert "TwoPartError: here: this" in str(results["two"])
    assert isinstance(results["interrupt"], KeyboardInterrupt)
    assert results["fine"] == 4


def test_an_item_that_cannot_be_sent_is_an_exception_of_its_own(tasks):
    unsendable = lambda: None  # noqa: E731 - a function without an importable name is the point
    results = dict(pairs(Processes(workers=1).map(tasks.square, [2, unsendable, 3])))
    assert isinstance(results.pop(unsendable), Exception)
    assert results == {2: 4, 3: 9}


def test_large_results_and_items_pass_the_pipe(tasks):
    item = b"x" * 5_000_000  # far more than a pipe's buffer
    ((returned, _),) = pairs(Processes(workers=1).map(tasks.pid, [item]))
    assert returned == item


def test_closing_early_ends_busy_workers(tasks, tmp_path):
    results = Processes(workers=2).map(tasks.quick_or_long, ["quick", str(tmp_path), str(tmp_path)])
    assert next(results).result == "quick"
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    results.close()  # the items would take an hour
    assert multiprocessing.active_children() == []
    wait_until_gone(tmp_path.iterdir())


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import executor_tasks
from fairbench_executors.processes import Processes

if __name__ == "__main__":
    items = ["quick", {folder!r}, {folder!r}]
    for ended in Processes(workers=2).map(executor_tasks.quick_or_long, items):
        print(ended.result, flush=True)
"""


@pytest.fixture
def busy_script(tmp_path):
    """Start a script, in a session of its own, whose two workers are in the middle of long items; return both.

    It has printed its first result.
    """
    folder = tmp_path / "pids"
    folder.mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), folder=str(folder)))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "quick\n"
        wait_until(lambda: len(list(folder.iterdir())) == 2)
        yield process, [int(path.name) for path in folder.iterdir()]
    finally:
        process.kill()
        process.communicate()


def test_an_interrupt_from_the_terminal_ends_the_workers_in_silence(busy_script):
    process, workers = busy_script
    os.killpg(process.pid, signal.SIGINT)  # a terminal signals every process of the group
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    assert out == ""
    assert err.count("Traceback") == 1  # the script's own; nothing catches the interrupt there
    assert err.rstrip().endswith("KeyboardInterrupt")
    wait_until_gone(workers)


def test_workers_end_when_their_parent_is_killed(busy_script):
    process, workers = busy_script
    process.kill()
    wait_until_gone(workers)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_workers_end_with_their_parent_even_while_an_item_holds_the_interpreter(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    script = tmp_path / "script.py"
    text = SCRIPT.replace("quick_or_long", "hold_the_interpreter").replace('"quick", ', "")
    script.write_text(text.format(tests=str(Path(__file__).parent), folder=str(folder)))
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True) as process:
        wait_until(lambda: len(list(folder.iterdir())) == 2)
        process.kill()
    wait_until_gone(folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands the children of the dead to an ancestor")
def test_what_workers_have_started_ends_when_their_parent_is_killed(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    script = tmp_path / "script.py"
    text = SCRIPT.replace("quick_or_long", "start_a_child").replace('"quick", {folder!r}, {folder!r}', "{folder!r}")
    script.write_text(text.format(tests=str(Path(__file__).parent), folder=f"{folder} long"))
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True) as process:
        wait_until(lambda: len(list(folder.iterdir())) == 1)
        process.kill()
    wait_until_gone(folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands the children of the dead to an ancestor")
@pytest.mark.parametrize("how", ["", " long"], ids=["ended", "stopped"])
def test_what_a_worker_has_started_ends_with_it(tasks, tmp_path, hours_pass, how):
    if how:
        hours_pass(tmp_path)
    (end,) = Processes(workers=1).map(tasks.start_a_child, [f"{tmp_path}{how}"], Limits(seconds=1800))
    assert end.how == (TIMED_OUT if how else RETURNED)
    wait_until_gone(tmp_path.iterdir())


@pytest.mark.parametrize("executor", [Serial(), Processes(workers=1)], ids=["serial", "processes"])
def test_an_item_may_start_processes_by_multiprocessing(tasks, executor):
    assert dict(pairs(executor.map(tasks.doubled_by_a_child, [1, 2]))) == {1: 2, 2: 4}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands the children of the dead to an ancestor")
def test_a_worker_does_not_wait_for_a_process_that_an_item_has_left(tasks, tmp_path):
    (end,) = Processes(workers=1).map(tasks.leave_a_child, [str(tmp_path)])
    assert end.how == RETURNED
    wait_until_gone(tmp_path.iterdir())


def test_a_worker_that_ends_still_ends_daemons():
    daemon, other = (multiprocessing.Process(target=signal.pause, daemon=kind) for kind in (True, False))
    for process in (daemon, other):
        process.start()
    leave_children(daemons=False)
    assert {daemon, other} & {*multiprocessing.active_children()} == {daemon}
    for process in (daemon, other):
        process.kill()
        process.join()


@pytest.mark.parametrize("executor", [Serial(), Processes(workers=1)], ids=["serial", "processes"])
def test_a_fork_that_comes_back_answers_for_nobody(tasks, executor, tmp_path):
    items = [str(tmp_path), *map(str, range(5))]
    results = dict(pairs(executor.map(tasks.fork_and_return, items)))
    assert set(results) == set(items)
    child, parent = map(int, results.pop(str(tmp_path)).split())
    assert child != parent
    assert results == dict.fromkeys(results, f"0 {parent}")
    wait_until(lambda: is_gone(child))


def test_a_child_that_holds_a_dead_workers_pipe_does_not_hold_up_the_run(tasks, tmp_path):
    results = dict(pairs(Processes(workers=1).map(tasks.die_and_leave_a_child, [str(tmp_path), "fine"])))
    wait_until_gone(tmp_path.iterdir())  # nor does it live on
    assert str(results[str(tmp_path)]) == "the worker process exited with status 3, 2 times"
    assert results["fine"] == "fine"


def test_an_answer_to_another_task_is_dropped():
    pool = Pool(b"", 1, NO_LIMITS)
    ours, theirs = multiprocessing.Pipe()
    worker = SimpleNamespace(pipe=ours, task=Task(0, "item"))
    theirs.send_bytes(pickle.dumps((1, RETURNED, pickle.dumps("forged"), "")))
    pool._collect(worker)
    assert not pool.finished
    assert worker.task is not None
    theirs.send_bytes(pickle.dumps((0, RETURNED, pickle.dumps("its own"), "")))
    pool._collect(worker)
    assert [(task.item, pickle.loads(outcome.payload)) for task, outcome in pool.finished] == [("item", "its own")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_a_worker_starts_leaves_none_behind(tasks, tmp_path, monkeypatch, number):
    def interrupt(*what):
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    start = _nursery.environment_of_a_worker

    @contextmanager
    def interrupted_start():
        with start():
            yield
        signal.raise_signal(number)  # the process is there, and nobody has made a note of it yet

    monkeypatch.setattr(_nursery, "environment_of_a_worker", interrupted_start)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(pairs(Processes(workers=2).map(tasks.work_long, [str(tmp_path)])))
    finally:
        signal.signal(number, before)
    assert multiprocessing.active_children() == []


def test_results_that_arrived_before_an_interrupt_are_yielded(tasks, monkeypatch):
    seen = []

    def interrupted_wait(ends, timeout):
        if seen:
            wait_until(lambda: all(end.poll() for end in ends if not isinstance(end, int)))
            raise KeyboardInterrupt  # as if the user pressed Ctrl-C when the worker had just answered
        return processes_wait(ends, timeout)

    processes_wait = _pool.wait
    monkeypatch.setattr(_pool, "wait", interrupted_wait)
    results = pairs(Processes(workers=1).map(tasks.square, range(10)))
    with pytest.raises(KeyboardInterrupt):
        seen.extend(results)  # a list keeps what it got before an error
    assert seen == [(0, 0), (1, 1)]  # one before the interrupt, and the answer that lay in the pipe
    assert multiprocessing.active_children() == []


def test_a_worker_does_not_run_the_script_that_began_the_run(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('begun')\n"
        "from math import sqrt\n"
        "from fairbench_executors.processes import Processes\n"
        "print([end.result for end in Processes(workers=1).map(sqrt, [4])])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("begun\n[2.0]\n", "")
