"""Gaps and ratios if some groups lack a label: the value over the others, with the list of what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairbench.analysis.values import estimate
from fairbench.api import Metric, Partial, Predictions, Samples, Schema, Undefined, no_rows
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import measure
from fairbench.testing import Nonconforming
from fairbench.testing.components import metric_is_a_pure_function

REGISTRY = load_plugins()[0]
NAMES = ("a", "b", "c", "d")
EO, EO_RATIO, EOPP = (
    REGISTRY.metric(f"equal{name}") for name in ("ized_odds_difference", "ized_odds_ratio", "_opportunity_difference")
)


def people(group, y, names=NAMES[:3]) -> Samples:
    return Samples(np.zeros((len(group), 0)), np.array(group), Schema((), names, 0), np.array(y))


def decided(decision) -> Predictions:
    return Predictions((np.array(decision) >= 0.5).astype(int), decision=np.array(decision, dtype=float))


# group a: TPR 1/2, FPR 1/2; b: TPR 1, FPR 0; c: FPR 1, and no row with y = 1
GROUP, Y = [0, 0, 0, 0, 1, 1, 1, 2, 2], [1, 1, 0, 0, 1, 0, 0, 0, 0]
MADE = decided([1, 0, 1, 0, 1, 0, 0, 1, 1])
NO_POSITIVES = "group 'c' has no row with y = 1 in the test part"


def test_a_group_without_a_label_is_left_out_of_that_rate_alone():
    samples = people(GROUP, Y)
    odds, ratio, opportunity = (metric(samples, MADE) for metric in (EO, EO_RATIO, EOPP))
    assert (odds, opportunity) == (
        1.0,
        0.5,
    )  # the false positive rates of b and c differ by 1; the TPR of a and b by .5
    assert ratio == 0.0  # of false positive rates: 0 of b over 1 of c
    assert odds.lacking == ratio.lacking == opportunity.lacking == NO_POSITIVES


def test_a_group_without_negatives_counts_for_true_positives():
    samples = people(GROUP, [1 - y for y in Y])
    odds, opportunity = EO(samples, MADE), EOPP(samples, MADE)
    assert odds.lacking == "group 'c' has no row with y = 0 in the test part"
    assert not isinstance(opportunity, Partial)
    assert opportunity == 1.0


def test_all_that_is_missing_is_listed():
    group, y = [0, 0, 1, 1, 2, 2, 3, 4, 5], [0, 1, 0, 1, 0, 0, 0, 1, 0]
    found = EO(people(group, y, (*NAMES, "e", "f")), decided([0] * 9))
    assert found.lacking == (
        "groups 'c', 'd' and 'f' have no row with y = 1 in the test part; "
        "group 'e' has no row with y = 0 in the test part"
    )


@pytest.mark.parametrize("metric", [EO, EO_RATIO, EOPP])
def test_with_fewer_than_two_groups_left_there_is_no_value_and_each_group_is_named_with_its_count(metric):
    samples = people([0, 0, 1, 1, 2], [0, 1, 0, 0, 0])
    with pytest.raises(Undefined) as caught:
        metric(samples, decided([1, 1, 0, 0, 1]))
    assert str(caught.value) == "group 'b' has no row with y = 1 (0 of 2); group 'c' has no row with y = 1 (0 of 1)"


def test_the_value_is_stored_with_the_list_and_is_not_whole():
    values = {value.metric: value for value in measure(people(GROUP, Y), MADE, [EO, REGISTRY.metric("accuracy")])}
    odds = values["equalized_odds_difference"]
    assert (odds.value, odds.reason, odds.whole, odds.lacking) == (1.0, NO_POSITIVES, None, NO_POSITIVES)
    assert type(odds.value) is float
    assert values["accuracy"].reason == ""


def test_groups_without_rows_and_groups_without_a_label_are_listed_together():
    (odds,) = measure(people(GROUP, Y, NAMES), MADE, [EO])
    assert odds.reason == f"group 'd' has no row in the test part; {NO_POSITIVES}"
    assert odds.value == 1.0


def test_partial_values_are_averaged_only_among_themselves_if_they_lack_the_same():
    def of(group, y):
        return measure(people(group, y), decided([1.0] + [0.0] * (len(y) - 1)), [EO])[0]

    whole, partial, longer = of([*GROUP, 2], [*Y, 1]), of(GROUP, Y), of([*GROUP, 2, 2], [*Y, 0, 0])
    mixed = estimate([whole, partial])
    assert (mixed.mean, mixed.n, mixed.partial, mixed.lacking) == (whole.value, 1, 1, NO_POSITIVES)
    both = estimate([partial, longer])  # counts differ, what is missing does not
    assert (both.fewer, both.n) == (True, 2)
    other = of(GROUP, [1 - y for y in Y])
    assert estimate([partial, other]).mean is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_equalized_odds_are_the_gaps_of_the_groups_that_have_the_label(rows):
    group, y, decision = map(np.array, zip(*rows))
    gaps = []
    for label in (1, 0):
        here = [decision[(group == g) & (y == label)] for g in range(4)]
        rates = [part.mean() for part in here if part.size]
        assume(len(rates) >= 2)
        gaps.append(max(rates) - min(rates))
    found = EO(people(group, y, NAMES), decided(decision))
    assert math.isclose(found, max(gaps), abs_tol=1e-12)
    lacks = any((group == g).any() and len(np.unique(y[group == g])) < 2 for g in range(4))
    assert isinstance(found, Partial) == lacks


def test_partial_is_a_number_that_says_what_it_leaves_out():
    value = Partial(0.25, no_rows(["c"], label=1))
    assert (value, value + 1, value.lacking) == (0.25, 1.25, NO_POSITIVES)
    with pytest.raises(ValueError, match="say which groups the value leaves out"):
        Partial(0.25, " ")


def test_a_partial_that_is_not_finite_is_undefined():
    (value,) = measure(people(GROUP, Y), MADE, [Metric("m", lambda samples, predictions: Partial(math.nan, "c"))])
    assert (value.value, value.reason) == (None, "the metric returned nan")


def test_a_lacking_text_that_cannot_be_written_is_made_writable():
    (value,) = measure(people(GROUP, Y), MADE, [Metric("m", lambda samples, predictions: Partial(0.5, "c\udc80"))])
    assert value.reason == "c\\udc80"


def test_the_check_refuses_a_partial_value_of_whole_rows():
    with pytest.raises(Nonconforming, match="Partial, though every group has rows with both labels"):
        metric_is_a_pure_function(Metric("m_gap", lambda samples, predictions: Partial(0.5, "someone")))


@pytest.mark.parametrize("label", [0, 1])
def test_the_check_tries_groups_without_a_label(label):
    def out_of_range_without(samples, predictions):
        third = samples.y[samples.group == 2]
        return 0.5 if (third == label).any() else 2.0

    with pytest.raises(Nonconforming, match=r"2\.0 is outside the range"):
        metric_is_a_pure_function(Metric("m_gap", out_of_range_without))
