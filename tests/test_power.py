"""The smallest gap that can be shown against the table of the specification, enumeration and simulation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts
from fairbench.analysis.gaps import newcombe
from fairbench.analysis.power import (
    Detectable,
    accuracy_view,
    detectable,
    detectable_accuracy,
    detectable_gap,
    power_view,
    repeats_factor,
    too_small,
)
from fairbench.analysis.sizes import GroupSizes, group_sizes
from fairbench.cells import Cell, Choice
from fairbench.data.rows import Dataset
from fairbench.errors import NotApplicable
from fairbench.records import FRESH, POOL, UNKNOWN, Parts

RATIO = 0.15 / 0.70
DP, EO, EOPP = "demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"
FPR = "false_positive_rate_difference"


def sizes(rows, groups="ab", overlap=POOL):
    total = int(np.sum(rows))
    parts = Parts(round(total / 15 * 70), total, total, overlap)
    return GroupSizes(tuple(groups), np.array(rows, float), 0.5, (parts,) * 3)


def at(pairs, metric, rate):
    return [pair for pair in pairs if (pair.metric, pair.rate) == (metric, rate)]


# Rows of the two groups with y = 0 and with y = 1; the pooled rates (selection, TPR, FPR), which the table leaves out
# and its gaps at one level imply, so that its floors and its gaps at the other level are the test; and the table: floor
# and gap for DP, gap for TPR and for FPR, and for TPR and FPR within EO.
TABLE = {
    "compas": (((227, 249), (277, 172)), (0.42, 0.58, 0.25), (0.026, 0.090, 0.136, 0.107, 0.150, 0.118)),
    "adult": (((1954, 250), (3148, 1431)), (0.205, 0.62, 0.08), (0.009, 0.030, 0.093, 0.022, 0.103, 0.024)),
    "communities": (((50, 78), (101, 70)), (0.50, 0.705, 0.205), (0.046, 0.163, 0.208, 0.200, 0.229, 0.220)),
    "german": (((16, 30), (29, 75)), (0.79, 0.884, 0.50), (0.057, 0.207, 0.208, 0.420, 0.228, 0.460)),
}


@pytest.mark.parametrize("dataset", TABLE)
def test_the_specifications_table_comes_out(dataset):
    rows, rates, (floor, dp, tpr, fpr, eo_tpr, eo_fpr) = TABLE[dataset]
    pairs = power_view(sizes(rows), dict(zip((SELECTION, TRUE_POSITIVE, FALSE_POSITIVE), rates)), [1])
    found = {(pair.metric, pair.rate): pair for pair in pairs}
    expected = {
        (DP, SELECTION): dp,
        (EOPP, TRUE_POSITIVE): tpr,
        (FPR, FALSE_POSITIVE): fpr,
        (EO, TRUE_POSITIVE): eo_tpr,
        (EO, FALSE_POSITIVE): eo_fpr,
    }
    assert found[DP, SELECTION].floor == pytest.approx(floor, abs=0.0015)
    assert {key: pair.smallest[1].value for key, pair in found.items()} == pytest.approx(expected, abs=0.0025)
    for (_, rate), pair in found.items():  # the table's "down only": women cannot have the higher TPR by that much
        assert (pair.smallest[1].up is None) == (dataset == "german" and rate == TRUE_POSITIVE)
        assert pair.smallest[1].down is not None


@pytest.mark.parametrize(("n1", "n0", "rate"), [(46, 104, 0.79), (129, 171, 0.5), (476, 450, 0.42)])
@pytest.mark.parametrize("direction", [1, -1])
def test_newcombes_test_has_the_power_promised(n1, n0, rate, direction):
    """Exact enumeration: at the smallest gap the interval excludes 0 in 80% of the test parts, at no gap in 5%."""
    found = detectable(rate, n1, n0)
    gap = direction * (found.up if direction > 0 else found.down)
    low, high = newcombe((np.arange(n1 + 1)[:, None], np.arange(n0 + 1)), (n1, n0))
    excluded = (low > 0) | (high < 0)

    def chance(p1, p0):
        weight = binom.pmf(np.arange(n1 + 1), n1, p1)[:, None] * binom.pmf(np.arange(n0 + 1), n0, p0)
        return weight[excluded].sum()

    assert chance(rate + gap * n0 / (n1 + n0), rate - gap * n1 / (n1 + n0)) == pytest.approx(0.80, abs=0.025)
    assert chance(rate, rate) == pytest.approx(0.05, abs=0.005)


def test_the_smallest_gap_solves_its_equation():
    found = detectable(0.3, 200, 100)
    for gap, n1, n0 in ((found.up, 200, 100), (found.down, 100, 200)):
        high, low = 0.3 + gap * n0 / 300, 0.3 - gap * n1 / 300
        null = math.sqrt(0.21 * (1 / 200 + 1 / 100))
        other = math.sqrt(high * (1 - high) / n1 + low * (1 - low) / n0)
        assert gap == pytest.approx(1.959964 * null + 0.841621 * other, abs=1e-6)
    swapped = detectable(0.3, 100, 200)
    assert (swapped.up, swapped.down) == (found.down, found.up)


def test_a_direction_that_would_leave_the_range_is_not_reachable():
    assert detectable(0.9, 30, 75) == Detectable(None, pytest.approx(0.1956, abs=1e-4), pytest.approx(0.1956, abs=1e-4))
    mirrored = detectable(0.1, 30, 75)  # rejecting instead of selecting
    assert (mirrored.up, mirrored.down) == (pytest.approx(0.1956, abs=1e-4), None)
    small = detectable(0.9, 2, 3)
    assert (small.up, small.down, small.value) == (None, None, None)
    for rate in (0.0, 1.0):
        assert detectable(rate, 50, 50).value is None


def test_repeats_shrink_the_smallest_gap_by_the_corrected_factor():
    assert [repeats_factor(n, RATIO) for n in (1, 5, 10)] == pytest.approx([1, 0.644, 0.561], abs=5e-4)
    assert repeats_factor(10**6, RATIO) == pytest.approx(0.463, abs=5e-4)  # never below the root of the ratio
    assert repeats_factor(4, 0.0) == 0.5
    assert [repeats_factor(n, None) for n in (1, 2)] == [1, None]
    one, ten = detectable(0.5, 46, 104), detectable(0.5, 46, 104, factor=0.56)
    assert (ten.up, ten.down) == pytest.approx((0.56 * one.up, 0.56 * one.down))
    assert detectable(0.9, 30, 75, factor=0.56).up is not None  # a smaller gap stays within the range


def test_two_methods_are_told_apart_by_the_rows_that_they_decide_differently():
    assert detectable_accuracy(0.1, 150) == pytest.approx(2.80 * math.sqrt(0.1 / 150), rel=0.001)
    draw = np.random.default_rng(0)
    gap, share, rows = detectable_accuracy(0.1, 2000), 0.1, 2000
    right = draw.multinomial(rows, [(share + gap) / 2, (share - gap) / 2, 1 - share], 4000)  # McNemar's table
    z = (right[:, 0] - right[:, 1]) / np.sqrt(right[:, 0] + right[:, 1])
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)
    view = accuracy_view(sizes([[40, 35], [40, 35]]), 0.1, [1, 10])
    assert view == {1: detectable_accuracy(0.1, 150), 10: pytest.approx(0.561 * view[1], rel=1e-3)}


def test_many_groups_are_given_by_their_easiest_and_hardest_pair():
    rates = dict.fromkeys((SELECTION, TRUE_POSITIVE, FALSE_POSITIVE), 0.4)
    pairs = power_view(sizes([[200, 200], [150, 150], [20, 20], [5, 0]], "abcd"), rates, [1, 5])
    easy, hard = at(pairs, DP, SELECTION)
    assert (easy.groups, hard.groups) == (("a", "b"), ("c", "d"))
    assert easy.smallest[1].value == pytest.approx(detectable(0.4, 400, 300, 0.05 / 6).value)
    assert easy.smallest[1].value < hard.smallest[1].unbounded
    assert easy.floor == hard.floor > 0
    easy, hard = at(pairs, EO, TRUE_POSITIVE)  # nobody in d has y = 1: 3 pairs, and 6 of the false positive rate
    assert (easy.groups, hard.groups) == (("a", "b"), ("b", "c"))
    assert easy.smallest[1].value == pytest.approx(detectable(0.4, 200, 150, 0.05 / 9).value)


def test_the_floor_given_is_that_of_drawn_test_parts():
    draw = np.random.default_rng(1)
    rows = np.array([[60, 60], [50, 40], [30, 20]])
    selected = draw.binomial(rows, [0.2, 0.7], size=(4000, 3, 2)) / rows
    rates = {SELECTION: 0.4, TRUE_POSITIVE: 0.7, FALSE_POSITIVE: 0.2}
    pairs = power_view(sizes(rows, "abc"), rates, [1])
    expected = np.ptp(selected, axis=1).max(axis=1).mean()
    for pair in at(pairs, EO, TRUE_POSITIVE) + at(pairs, EO, FALSE_POSITIVE):
        assert pair.floor == pytest.approx(expected, abs=0.005)


def test_one_group_alone_has_no_view():
    rates = dict.fromkeys((SELECTION, TRUE_POSITIVE, FALSE_POSITIVE), 0.4)
    assert power_view(sizes([[10, 10], [0, 0]]), rates, [1]) == []
    only_selection = power_view(sizes([[10, 0], [0, 10]]), rates, [1])
    assert {pair.metric for pair in only_selection} == {DP}


def test_repeats_without_a_valid_interval_show_nothing():
    rates = dict.fromkeys((SELECTION, TRUE_POSITIVE, FALSE_POSITIVE), 0.4)
    (pair,) = at(power_view(sizes([[40, 35], [40, 35]], overlap=UNKNOWN), rates, [1, 5]), DP, SELECTION)
    assert pair.smallest[1] is not None
    assert pair.smallest[5] is None
    (fresh,) = at(power_view(sizes([[40, 35], [40, 35]], overlap=FRESH), rates, [4]), DP, SELECTION)
    assert fresh.smallest[4].value == pytest.approx(pair.smallest[1].value / 2)
    assert accuracy_view(sizes([[40, 35], [40, 35]], overlap=UNKNOWN), 0.1, [5]) == {5: None}


def test_small_groups_are_named():
    found = sizes([[40, 35], [4, 5], [30, 3], [2, 50]], ("a", "tiny", "no luck", "lucky")).few
    assert found == ("'tiny' has 9", "'no luck' has 3 with y = 1", "'lucky' has 2 with y = 0")


def test_a_methods_smallest_gap_is_that_of_its_own_rates():
    rows = np.array([[16.0, 30], [29, 75]])
    repeats = [
        Counts(("a", "b"), rows, np.array([[8.0, 27], [15, 66]])),
        Counts(("a", "b"), rows, np.array([[9.0, 25], [13, 68]])),
    ]
    found = detectable_gap(repeats, DP, RATIO)
    pooled = (8 + 27 + 15 + 66 + 9 + 25 + 13 + 68) / 300
    assert found == detectable(pooled, 104, 46, factor=math.sqrt(1 / 2 + RATIO))  # b is selected more often
    assert detectable_gap(repeats[:1], EO, None).value is not None  # a single repeat needs no overlap
    assert detectable_gap(repeats, DP, None) is None
    odds = detectable_gap(repeats[:1], EO, None)  # the true positive rate differs more: one of two tests
    assert odds == detectable(93 / 105, 30, 75, 0.05 / 2)
    three = Counts(("a", "b", "c"), np.array([[0.0, 90], [0, 80], [0, 70]]), np.array([[0.0, 60], [0, 40], [0, 20]]))
    assert detectable_gap([three], DP, None) == detectable(120 / 240, 90, 70, 0.05 / 3)
    alone = Counts(("a", "b"), np.array([[3.0, 2], [0, 0]]), np.zeros((2, 2)))
    assert detectable_gap([alone], DP, RATIO) is None


def test_a_small_gap_that_was_shown_is_not_too_small():
    smallest = Detectable(0.2, 0.21, 0.21)
    assert too_small(0.15, 0.0, smallest)
    assert not too_small(0.15, 0.01, smallest)
    assert not too_small(0.25, 0.0, smallest)
    assert too_small(0.25, 0.0, Detectable(None, None, math.inf))


def dataset(rows=400, **more):
    draw = np.random.default_rng(0)
    y, women = draw.integers(0, 2, rows), draw.random(rows) < 0.3
    attributes = pd.DataFrame({"sex": np.where(women, "F", "M"), "age": np.where(y == 1, "old", "young")})
    X = pd.DataFrame({"x": draw.normal(size=rows)})
    return Dataset("own", X, y, attributes, {"sex": "F", "age": "old"}, **more)


def cells(group="sex"):
    return [Cell(Choice("own"), Choice("any"), group, repeat) for repeat in range(4)]


def test_sizes_are_those_of_the_harness_splits():
    from fairbench.data.preparation import split_dataset

    made = dataset()
    found = group_sizes(made, cells())
    expected = np.zeros((2, 2))
    for cell in cells():
        test = split_dataset(made, group="sex", seed=cell.seed("split"), preparation=cell.preparation).test
        expected += np.bincount(test.group * 2 + test.y, minlength=4).reshape(2, 2) / 4
    assert found.groups == ("F", "M")
    assert np.abs(found.rows - expected).max() < 1
    assert found.rows.sum() == 60
    assert (found.rows == np.floor(found.rows)).all()
    assert found.parts == (Parts(280, 60, 60),) * 4
    assert found.correction.ratio == pytest.approx(60 / 280)
    assert found.base_rate == made.y.mean()


def test_a_datasets_own_partition_counts():
    parts = [np.arange(0, 200), np.arange(200, 250), np.arange(250, 400)]
    found = group_sizes(dataset(partition=lambda seed: parts), cells("sex,age"))
    assert found.rows.sum() == 150
    assert found.correction.ratio is None
    assert len(found.groups) == 4


def test_an_unknown_attribute_is_refused():
    with pytest.raises(NotApplicable, match="no sensitive attribute 'race'; it has: sex, age"):
        group_sizes(dataset(), cells("race"))
