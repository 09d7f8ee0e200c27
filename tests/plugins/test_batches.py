"""Items that are sent in batches: which are sent again, which has crashed, and what runs a batch elsewhere."""

from __future__ import annotations

import os

import pytest
from fairbench_executors import _batches
from fairbench_executors._batches import Batches, OtherVersion, run_batch, stop_idle
from process_helpers import wait_until_gone

from fairbench.api import CRASHED, NO_LIMITS, RAISED, RETURNED


@pytest.fixture(autouse=True)
def _nothing_is_left(tasks):
    yield
    stop_idle()


def numbers(batch):
    return [number for number, _ in batch.items]


def test_batches_shrink_towards_the_end_and_hold_every_item_once(tasks):
    batches, sizes, seen = Batches(tasks.square, range(100), NO_LIMITS, 16, 1.0), [], []
    while (batch := batches.take(receivers=2)) is not None:
        sizes.append(len(batch.items))
        seen += numbers(batch)
    assert seen == list(range(100))
    assert sizes[0] == 16
    assert sizes[-4:] == [1, 1, 1, 1]
    assert sizes == sorted(sizes, reverse=True)


def test_items_without_an_answer_are_sent_again_in_their_order(tasks):
    batches = Batches(tasks.square, range(6), NO_LIMITS, 4, 3600.0)
    batch = batches.take()
    batches.answered(batch, [(number, answer) for number, answer in run_batch(batch) if number in (0, 2)])
    assert [(end.item, end.result) for end in batches.finished()] == [(0, 0), (2, 4)]
    assert numbers(batches.take()) == [1, 3, 4, 5]


def test_of_a_lost_batch_each_item_is_sent_alone_and_only_the_culprit_has_crashed(tasks):
    batches = Batches(tasks.square, range(4), NO_LIMITS, 3, 1.0)
    batches.lost(batches.take(), "the host went away", retries=1)
    alone = [batches.take() for _ in range(3)]
    assert [numbers(batch) for batch in alone] == [[0], [1], [2]]
    batches.answered(alone[0], run_batch(alone[0]))
    batches.answered(alone[2], run_batch(alone[2]))
    batches.lost(alone[1], "the host went away", retries=1)
    again = batches.take()
    assert numbers(again) == [1]
    batches.lost(again, "the host went away again", retries=1)
    ends = {end.item: end for end in batches.finished()}
    assert {item: end.how for item, end in ends.items()} == {0: RETURNED, 1: CRASHED, 2: RETURNED}
    assert str(ends[1].error) == "the host went away again"
    assert numbers(batches.take()) == [3]
    assert batches.take() is None


def test_an_item_that_cannot_be_sent_has_raised_and_the_rest_is_sent(tasks):
    batches = Batches(tasks.square, [1, lambda: None, 3], NO_LIMITS, 8, 1.0)
    assert numbers(batches.take()) == [0, 2]
    (end,) = batches.finished()
    assert end.how == RAISED


def test_a_worker_stays_warm_between_batches_and_ends_when_it_is_told(tasks):
    batches = Batches(tasks.pid, range(4), NO_LIMITS, 2, 60.0)
    first, second = (run_batch(batches.take()) for _ in range(2))
    assert len({outcome.payload for _, outcome in [*first, *second]}) == 1
    ((_, _, pool),) = _batches._idle
    warden = pool.workers[0].leash.warden
    assert os.path.exists(f"/proc/{warden}")
    stop_idle()
    wait_until_gone([warden])


def test_a_batch_brings_what_has_ended_when_its_time_is_up(tasks, tmp_path):
    batch = Batches(tasks.square, range(5), NO_LIMITS, 5, 0.0).take()
    assert [number for number, _ in run_batch(batch)] == [0]


def test_a_batch_that_is_no_longer_wanted_is_stopped_in_the_middle_of_an_item(tasks, tmp_path):
    batch = Batches(tasks.quick_or_long, ["quick", str(tmp_path)], NO_LIMITS, 5, 60.0).take()
    answers = run_batch(batch, wanted=lambda: not list(tmp_path.iterdir()))
    assert [number for number, _ in answers] == [0]  # the other would take an hour
    wait_until_gone(tmp_path.iterdir())


def test_a_batch_of_another_version_is_refused(tasks):
    batch = Batches(tasks.square, range(5), NO_LIMITS, 5, 0.0).take()._replace(version="0.0.7")
    with pytest.raises(OtherVersion, match=r"is installed, and the run was started by fairbench 0\.0\.7"):
        run_batch(batch)
