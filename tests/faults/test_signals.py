"""Runs that are told to stop at any moment: a summary, the documented status, no process left, and nothing lost."""

from __future__ import annotations

import re
import signal
import sys
import time
from random import Random

import pytest
from fault_helpers import CELLS, GRID, PROCESSES, ROUNDS, SERIAL, reported, stored, wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="the tests read /proc"),
]


EARLY = ROUNDS[:15]  # in these rounds a run cannot end before it is told to stop


def some_moment(nursery, permits, folder, number):
    """Start a run; return it when it has just begun, has run some cells, or, in most later rounds, is about to end."""
    chance, early = Random(number), number in EARLY
    pause, cells = chance.uniform(0, 0.02), chance.choice([0, 1, 3, 8, 15]) if early else CELLS
    if number % 4 == 3:
        pause, cells = chance.uniform(0, 0.5), 0
    executor = PROCESSES if number % 5 == 4 else SERIAL
    run = nursery.start([*GRID, *executor], folder, **permits.settings if early else {})
    wait_until((folder / "begun").exists)
    if early:
        permits.let(run, cells)
    elif cells:
        wait_until(lambda: run.ended or len(reported(folder)) == CELLS)
    time.sleep(pause)
    return run


def says_how_it_ended(run, status, earlier):
    """Check what a run that was told to stop has said, and its status in a shell, which is returned.

    It may have come to its end just before. Earlier runs have finished so many cells.
    """
    assert "Traceback" not in run.err, run.err
    in_a_shell = run.status if run.status >= 0 else 128 - run.status
    assert in_a_shell in (0, status), run.err
    done, summed_up = len(stored(run.folder)), re.search(r"200 cells: (\d+) done", run.err)
    if summed_up:
        assert int(summed_up[1]) == done
    assert summed_up or "interrupted" in run.err, run.err
    assert summed_up or done == earlier or "to continue, give the same command with --out r" in run.err, run.err
    run.wait_until_nothing_is_left()
    return in_a_shell


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_run_that_is_told_to_stop_sums_up_and_leaves_no_child(nursery, permits, tally, tmp_path, name, status):
    count, kept, statuses = tally(name), {}, []
    for number in ROUNDS:
        run = some_moment(nursery, permits, tmp_path, number)
        run.signal_all(getattr(signal, name))
        run.wait()
        statuses.append(says_how_it_ended(run, status, len(kept)))
        kept = count.round(tmp_path, kept)
    assert set(statuses[: len(EARLY)]) == {status}
    assert nursery.run([*GRID, *SERIAL], tmp_path).status == 0
    assert count.look(tmp_path, kept).keys() == count.truth.keys()
    assert count.sound()


def test_a_second_ctrl_c_is_as_harmless_as_the_first(nursery, permits, tally, tmp_path):
    count, kept = tally("Ctrl-C twice"), {}
    for number in ROUNDS:
        run, chance = some_moment(nursery, permits, tmp_path, number), Random(number)
        run.signal_all(signal.SIGINT)
        time.sleep(chance.choice([0, chance.uniform(0, 0.01), chance.uniform(0, 0.2)]))
        run.signal_all(signal.SIGINT)
        run.wait()
        says_how_it_ended(run, 130, len(kept))
        kept = count.round(tmp_path, kept)
    assert nursery.run([*GRID, *SERIAL], tmp_path).status == 0
    assert count.look(tmp_path, kept).keys() == count.truth.keys()
    assert count.sound()
