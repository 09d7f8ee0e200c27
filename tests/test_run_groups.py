"""Values that compare groups say so where the test part lacks a group of the dataset."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.api import Metric, Predictions, Samples, Schema
from fairbench.records import Value, compares_groups, no_rows
from fairbench.running.cell import measure


def people(group, names=("a", "b", "c")) -> Samples:
    """Return rows of these groups, every second with y = 1."""
    n = len(group)
    return Samples(np.zeros((n, 0)), np.array(group), Schema((), names, 0), np.arange(n) % 2)


def measured(group, *names: str) -> dict[tuple[str, str], Value]:
    """Return the values of metrics that are all 0.5 by (group, name)."""
    metrics = [Metric(name, lambda samples, predictions: 0.5, by_group=name.startswith("rate")) for name in names]
    values = measure(people(group), Predictions(np.zeros(len(group))), metrics)
    return {(value.group, value.metric): value for value in values}


@pytest.mark.parametrize(
    ("metric", "compares"),
    [
        ("demographic_parity_difference", True),
        ("equalized_odds_ratio", True),
        ("my_gap", True),
        ("worst_group_accuracy", True),
        ("accuracy", False),
        ("log_loss", False),
        ("ratio_of_ones", False),
    ],
)
def test_a_metrics_name_says_whether_it_compares_groups(metric, compares):
    assert compares_groups(metric) is compares


def test_a_gap_over_fewer_groups_is_marked_and_other_values_are_not():
    found = measured([0, 1, 0, 1], "dp_gap", "rate", "rate_ratio")
    gap = found["", "dp_gap"]
    assert (gap.value, gap.reason, gap.whole) == (0.5, "group 'c' has no row in the test part", None)
    assert [found[group, "rate"].whole for group in ("", "a", "b")] == [0.5] * 3
    assert [found[group, "rate_ratio"].whole for group in ("", "a", "b")] == [None, 0.5, 0.5]
    assert ("c", "rate") not in found


def test_with_all_groups_nothing_is_marked():
    gap = measured([0, 1, 2, 1], "dp_gap")["", "dp_gap"]
    assert (gap.reason, gap.whole) == ("", 0.5)


def test_several_groups_are_named_together():
    assert no_rows(["b", "c"]) == "groups 'b' and 'c' have no row in the test part"


def test_what_is_undefined_keeps_its_own_reason(eight_rows, eight_predictions):
    one = eight_rows.group == 0
    (metric,) = (Metric("x_gap", lambda samples, predictions: float("nan")),)
    (value,) = measure(eight_rows.select(one), eight_predictions.select(one), [metric])
    assert (value.value, value.whole) == (None, None)
    assert value.reason == "the metric returned nan"
