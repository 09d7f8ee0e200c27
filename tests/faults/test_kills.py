"""Coordinators and workers that are killed at any moment: what was finished stays, and no process lives on."""

from __future__ import annotations

import signal
import sys
import time
from random import Random

import pytest
from fault_helpers import (
    CELLS,
    GRID,
    PROCESSES,
    ROUNDS,
    SERIAL,
    WORKER_ROUNDS,
    descendants,
    exported,
    is_running,
    kill_a_worker,
    wait_until,
    workers,
)

from fairbench.running.store import FILE_NAME

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="the tests read /proc"),
]


def kill_at_some_moment(nursery, permits, folder, chance):
    """Start a run and kill it: after it has reported some cell, at a statement of SQL, or within a write."""
    command, store = [*GRID, *SERIAL], folder / "r" / FILE_NAME
    how = chance.choice(["after a cell", "at a statement", "in a write"])
    if how == "at a statement":
        return nursery.run(command, folder, die_at_statement=chance.randint(1, 80)).status
    if how == "in a write" and store.exists():
        return nursery.run(command, folder, die_at_size=store.stat().st_size + chance.randint(0, 20_000)).status
    run = nursery.start(command, folder, **permits.settings)
    permits.let(run, chance.randint(0, 8))
    time.sleep(chance.uniform(0, 0.01))
    run.signal(signal.SIGKILL)
    return run.wait()


def test_a_coordinator_that_is_killed_loses_no_finished_cell(nursery, permits, undisturbed, tally, tmp_path):
    count, statuses, kept = tally("kill -9 of the coordinator"), [], {}
    for number in ROUNDS:
        statuses.append(kill_at_some_moment(nursery, permits, tmp_path, Random(number)))
        kept = count.round(tmp_path, kept)
    assert set(statuses) <= {-signal.SIGKILL, -signal.SIGXFSZ}
    assert count.sound()
    assert 0 < len(kept) < CELLS
    goes_on_to_its_end(nursery, count, tmp_path, kept, undisturbed)


def goes_on_to_its_end(nursery, count, folder, kept, undisturbed):
    assert nursery.run([*GRID, *SERIAL], folder).status == 0
    assert count.look(folder, kept).keys() == count.truth.keys()
    assert count.sound()
    whole = [nursery.run(["export", "r"], place).out for place in (folder, undisturbed)]
    assert exported(whole[0]) == exported(whole[1]) != []


def test_no_child_of_a_killed_coordinator_lives_on(nursery, permits, undisturbed, tally, tmp_path):
    count, kept, seen = tally("kill -9 of a coordinator with workers"), {}, 0
    for number in WORKER_ROUNDS:
        chance, run = Random(number), nursery.start([*GRID, *PROCESSES], tmp_path, **permits.settings)
        run.wait_for_a_worker()
        permits.let(run, chance.choice([0, 0, 1]))
        time.sleep(chance.uniform(0, 0.2))
        seen += len(workers(run.pid))
        run.signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        run.wait_until_nothing_is_left()
        kept = count.round(tmp_path, kept)
    assert seen >= len(WORKER_ROUNDS)
    goes_on_to_its_end(nursery, count, tmp_path, kept, undisturbed)


@pytest.mark.parametrize(
    ("executor", "needed"),
    [("dask[workers=2,batch=4]", "distributed"), ("slurm[cluster=local,jobs=2,batch=4]", "submitit")],
)
def test_no_child_of_a_killed_coordinator_lives_on_under_other_executors(
    nursery, permits, undisturbed, tally, tmp_path, executor, needed
):
    pytest.importorskip(needed, reason=f"{needed} is not installed")
    count, kept = tally(f"kill -9 of a coordinator with {executor.partition('[')[0]} on its own machine"), {}
    for number in WORKER_ROUNDS[::3]:
        chance = Random(number)
        run = nursery.start([*GRID, "--executor", executor], tmp_path, **permits.settings)
        permits.let(run, chance.randint(1, 4))
        time.sleep(chance.uniform(0, 0.2))
        children = descendants(run.pid)
        assert children
        run.signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        wait_until(lambda left=children: not any(is_running(pid) for pid in left))
        kept = count.round(tmp_path, kept)
    goes_on_to_its_end(nursery, count, tmp_path, kept, undisturbed)


def test_workers_that_are_killed_cost_no_finished_cell(nursery, permits, undisturbed, tally, tmp_path):
    count, kept = tally("kill -9 of workers"), {}
    slow = {**permits.settings, "DRAWS_SECONDS": "0.05"}  # so that each cell is written at once
    run = nursery.start([*GRID, *PROCESSES], tmp_path, **slow)
    for number in WORKER_ROUNDS:
        chance = Random(number)
        permits.let(run, chance.randint(1, 2))
        time.sleep(chance.uniform(0, 0.1))
        if run.ended:
            run.wait()
            assert "worker processes in a row ended while they started" in run.err  # each was killed in a round
            run = nursery.start([*GRID, *PROCESSES], tmp_path, **slow)
        kill_a_worker(run, run.pid, chance)
        kept = count.round(tmp_path, kept)
    run.signal(signal.SIGINT)  # the rest can be quicker
    run.wait()
    goes_on_to_its_end(nursery, count, tmp_path, kept, undisturbed)
