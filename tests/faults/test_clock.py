"""A clock that jumps while cells run: nothing that is kept or decided depends on it."""

from __future__ import annotations

import json
from random import Random

import pytest
from fault_helpers import CELLS, GRID, PROCESSES, ROUNDS, SERIAL

pytestmark = pytest.mark.faults


def test_a_clock_that_jumps_changes_nothing(nursery, tally, tmp_path):
    count, kept = tally("clock that jumps"), {}
    for number in ROUNDS:
        stopped = {"die_at_statement": Random(number).randint(40, 120)}  # so that there are cells left for all rounds
        nursery.run([*GRID, *SERIAL], tmp_path, jumping_clock=number, **stopped)
        kept = count.round(tmp_path, kept)
    assert 0 < len(kept) < CELLS
    run = nursery.run([*GRID, *PROCESSES], tmp_path, jumping_clock=len(ROUNDS))
    assert run.status == 0, run.err
    kept = count.look(tmp_path, kept)
    assert kept.keys() == count.truth.keys()
    assert all(0 <= seconds < 3600 for _, seconds in kept.values())  # the clock has jumped by months
    assert count.sound()
    begun = [session["started"] for session in json.loads((tmp_path / "r" / "run.json").read_text())["sessions"]]
    assert begun != sorted(begun)  # it did jump
