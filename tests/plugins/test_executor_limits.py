"""Limits of time and memory of the executor processes, and workers that do not start, on real processes."""

from __future__ import annotations

import multiprocessing
import sys
import time
from types import SimpleNamespace

import pytest
from fairbench_executors import _pool
from fairbench_executors.processes import Processes
from fairbench_executors.serial import Serial

from fairbench.api import OUT_OF_MEMORY, RETURNED, TIMED_OUT, Limits, NotApplicable


@pytest.mark.long
def test_an_item_that_takes_too_long_is_stopped_and_costs_only_itself(tasks, tmp_path, hours_pass):
    hours_pass(tmp_path)
    results = Processes(workers=1).map(tasks.quick_or_long, [str(tmp_path), "quick"], Limits(1800))
    ended = {end.item: end for end in results}
    assert ended["quick"].how == RETURNED
    long = ended[str(tmp_path)]
    assert (long.how, str(long.error)) == (TIMED_OUT, "stopped after 1800 s, which is the limit")
    assert multiprocessing.active_children() == []


@pytest.mark.long
def test_an_item_that_lets_no_thread_run_is_stopped_too(tasks, tmp_path, hours_pass):
    hours_pass(tmp_path)
    ((end),) = Processes(workers=1).map(tasks.hold_the_interpreter, [str(tmp_path)], Limits(seconds=1800))
    assert end.how == TIMED_OUT


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process holds")
def test_an_item_that_takes_too_much_memory_is_stopped(tasks):
    ended = {end.item: end for end in Processes(workers=1).map(tasks.fill, [600, 1], Limits(memory=400 * 2**20))}
    assert (ended[1].how, ended[1].result) == (RETURNED, 1)
    assert ended[600].how == OUT_OF_MEMORY
    assert str(ended[600].error).endswith("MiB; the limit is 400 MiB")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process holds")
def test_the_memory_of_what_a_worker_has_started_counts_and_shared_memory_counts_once(tasks):
    limits = Limits(memory=400 * 2**20)
    (end,) = Processes(workers=1).map(tasks.fill_with_a_child, [300], limits)  # 300 MiB each
    assert end.how == OUT_OF_MEMORY
    (end,) = Processes(workers=1).map(tasks.share_with_a_fork, [300], limits)  # 300 MiB together
    assert (end.how, end.result) == (RETURNED, 300)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process holds")
def test_memory_is_watched_while_another_worker_answers_all_the_time(tasks):
    quick = [1] * 20_000  # which take minutes
    results = Processes(workers=2).map(tasks.fill, [600, *quick], Limits(memory=400 * 2**20))
    before = 0
    for end in results:
        if end.item == 600:
            break
        before += 1
    results.close()
    assert end.how == OUT_OF_MEMORY
    assert before < len(quick)


def test_this_process_keeps_no_limits_and_says_so(tasks):
    with pytest.raises(NotApplicable, match="use processes for limits"):
        next(Serial().map(tasks.square, [1], Limits(seconds=1)))


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"memory": -1}, {"seconds": float("nan")}])
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(ValueError, match="it must be above 0"):
        Limits(**limits)


class Burdensome:
    """A function whose loading does something in the worker: it exits, or takes a while."""

    def __init__(self, load, what):
        self.call = (load, (what,))

    def __reduce__(self):
        return self.call


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process holds")
def test_a_limit_below_what_a_worker_takes_to_start_does_not_blame_the_item(tasks):
    (end,) = Processes(workers=1).map(Burdensome(tasks.load, "long"), [5], Limits(memory=2**20))
    assert end.how == OUT_OF_MEMORY
    assert str(end.error).startswith("stopped when its worker, which had not begun it, held ")


def test_workers_that_die_while_they_start_end_the_run_and_blame_no_item(tasks):
    results = Processes(workers=2).map(Burdensome(tasks.load, "exit"), range(10_000))
    with pytest.raises(NotApplicable, match=r"[34] worker processes in a row .*exited with status 9"):
        next(results)
    assert multiprocessing.active_children() == []


def test_no_worker_is_started_while_others_work_if_starts_fail(tasks, tmp_path):
    mark = tmp_path / "first"  # only the worker that makes it starts
    ends = list(Processes(workers=2).map(Burdensome(tasks.load, str(mark)), range(40)))
    assert [end.how for end in ends] == [RETURNED] * 40
    assert len((tmp_path / "starts").read_text()) <= 1 + 2 * 3  # before the first one is ready, and after


@pytest.mark.long
def test_the_start_of_a_worker_does_not_count_towards_the_limit_of_an_item(tasks, tmp_path, monkeypatch):
    looks = iter(range(10**6))

    def clock():
        """Be later by two limits once the function is being loaded, which ends when this has been seen."""
        if not (tmp_path / "begun").exists():
            return time.monotonic()
        if next(looks) == 4:
            (tmp_path / "end").touch()
        return time.monotonic() + 200

    monkeypatch.setattr(_pool, "time", SimpleNamespace(monotonic=clock))
    (end,) = Processes(workers=1).map(Burdensome(tasks.load_until_told, str(tmp_path)), [5], Limits(seconds=100))
    assert (end.how, end.result) == (RETURNED, 25)
    assert next(looks) > 4


@pytest.mark.long
def test_a_worker_that_never_starts_is_stopped_where_time_is_limited(tasks, monkeypatch):
    monkeypatch.setattr(_pool, "START", 1.5)
    (end,) = Processes(workers=1).map(Burdensome(tasks.load, "long"), [5], Limits(seconds=1))
    assert (end.how, str(end.error)) == (TIMED_OUT, "its worker had not started after 1.5 s")
