"""Counts by group; the rates are held against fairlearn in tests/plugins."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from fairbench.api import Predictions, Samples, Schema
from fairbench.data import counts
from fairbench.data.counts import group_rates, rows_by_group, supports


def test_supports_name_groups_without_rows_too():
    assert supports(np.array([2, 0, 2]), ("a", "b", "c")) == (("a", 1), ("b", 0), ("c", 2))
    assert supports(np.array([], dtype=int), ("a", "b")) == (("a", 0), ("b", 0))


@pytest.mark.parametrize("groups", [1, 2, 7, 40_000])
def test_rows_by_group_are_those_with_its_code_in_order(groups):
    codes = np.random.default_rng(0).integers(-1, groups, 500)  # -1: a group that is not known
    found = rows_by_group(codes, groups)
    assert len(found) == groups
    for code in {*range(min(groups, 10)), *codes[codes >= 0].tolist()}:
        assert found[code].tolist() == np.flatnonzero(codes == code).tolist()
    assert sum(map(len, found)) == (codes >= 0).sum()


def made_of(group, y):
    return Samples(np.zeros((len(y), 0)), np.array(group), Schema((), ("a", "b"), 0), np.array(y))


def test_rates_follow_the_rows_that_they_are_asked_of():
    predictions = Predictions(np.array([1, 1, 0, 0]))
    one, other = made_of([0, 0, 1, 1], [0, 1, 0, 1]), made_of([1, 0, 1, 0], [0, 1, 0, 1])
    assert [group_rates(rows, predictions).selection.tolist() for rows in (one, other, one)] == [
        [1, 0],
        [0.5, 0.5],
        [1, 0],
    ]
    more = Samples(one.X, one.group, Schema((), ("a", "b", "c"), 0), one.y)
    assert group_rates(more, predictions).n.tolist() == [2, 2, 0]


def test_other_predictions_for_the_same_rows_have_rates_of_their_own():
    rows = made_of([0, 0, 1, 1], [0, 1, 0, 1])
    for selected in ([1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]):
        rates = group_rates(rows, Predictions(np.array(selected)))
        assert rates.selection.tolist() == [sum(selected[:2]) / 2, sum(selected[2:]) / 2]


def test_what_one_metric_does_to_its_rates_reaches_no_other():
    rows, predictions = made_of([0, 0, 1, 1], [0, 1, 0, 1]), Predictions(np.array([1, 1, 0, 0]))
    for array in vars(group_rates(rows, predictions)).values():
        array[:] = 7
    assert vars(group_rates(rows, predictions))["n"].tolist() == [2, 2]
    assert group_rates(rows, predictions).positives.tolist() == [1, 1]
    assert group_rates(rows, predictions).true_positive.tolist() == [1, 0]


def test_metrics_share_one_pass_over_the_rows_and_nothing_is_kept_afterwards(monkeypatch):
    rows, predictions = made_of([0, 0, 1, 1], [0, 1, 0, 1]), Predictions(np.array([1, 1, 0, 0]))
    gc.collect()
    kept, passes = len(counts._known), []
    bincount = np.bincount
    monkeypatch.setattr(np, "bincount", lambda *given, **named: passes.append(1) or bincount(*given, **named))
    for _ in range(5):
        group_rates(rows, predictions)
    assert len(passes) == 2
    assert len(counts._known) == kept + 1
    del predictions
    gc.collect()
    assert len(counts._known) == kept
