"""Impact ratios: counted by hand, against scipy and the textbook form, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats.contingency import relative_risk

from fairbench.analysis.impact import impact_ratios, ratio_limits
from fairbench.data.score_limits import wilson


def limits(x, n, y, m, level=0.95):
    low, high = ratio_limits((np.array(x), np.array(y)), (np.array(n), np.array(m)), level)
    return float(low), float(high)


def test_ratios_are_counted_by_hand():
    found = {one.category: one for one in impact_ratios(["a", "b", "c"], [30, 20, 8], [60, 80, 20])}
    assert [found[name].rate for name in "abc"] == [0.5, 0.25, 0.4]
    assert [found[name].ratio for name in "abc"] == [1.0, 0.5, 0.8]
    assert all(one.low <= one.ratio <= one.high <= 1 for one in found.values())


@pytest.mark.parametrize(("x", "n", "y", "m"), [(12, 40, 30, 50), (3, 7, 1, 10), (50, 50, 20, 50), (1, 200, 199, 200)])
def test_limits_are_those_of_newcombe(x, n, y, m):
    p, q = x / n, y / m
    (p_low, q_low), (p_high, q_high) = wilson(np.array([x, y]), np.array([n, m]))
    lower = (p * q - np.sqrt((p * q) ** 2 - p_low * q_high * (2 * p - p_low) * (2 * q - q_high))) / (
        q_high * (2 * q - q_high)
    )
    upper = (p * q + np.sqrt((p * q) ** 2 - p_high * q_low * (2 * p - p_high) * (2 * q - q_low))) / (
        q_low * (2 * q - q_low)
    )
    assert limits(x, n, y, m) == pytest.approx((lower, upper))
    back = limits(y, m, x, n)
    assert limits(x, n, y, m) == pytest.approx((1 / back[1], 1 / back[0]))


def test_limits_are_scipys_where_rows_are_many():
    theirs = relative_risk(21_000, 60_000, 20_000, 50_000).confidence_interval(0.95)  # Katz's, of the logarithm
    assert limits(21_000, 60_000, 20_000, 50_000) == pytest.approx((theirs.low, theirs.high), rel=1e-4)


def test_a_category_of_which_nobody_is_selected_has_limits():
    low, high = limits(0, 20, 10, 20)
    assert low == 0
    assert 0 < high < 1
    assert limits(10, 20, 0, 20)[1] == np.inf


@pytest.mark.parametrize(("p", "q"), [(0.2, 0.5), (0.5, 0.5), (0.05, 0.1), (0.9, 0.95)])
def test_limits_cover_a_ratio_in_every_possible_sample(p, q):
    n, m = 30, 40
    x, y = np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij")
    low, high = ratio_limits((x, y), (np.array(n), np.array(m)))
    chance = binom.pmf(x, n, p) * binom.pmf(y, m, q)
    assert 0.935 < chance[(low <= p / q) & (p / q <= high)].sum() < 0.995


@pytest.mark.parametrize("rates", [(0.4, 0.4, 0.4, 0.4, 0.4), (0.5, 0.2, 0.4, 0.5, 0.45)])
def test_intervals_cover_although_the_most_selected_category_is_a_matter_of_chance(rates):
    n, random = [60, 80, 100, 40, 120], np.random.default_rng(1)
    truth = np.array(rates) / max(rates)
    inside, below = np.zeros(len(n)), np.zeros(len(n))
    draws = 600
    for selected in random.binomial(n, rates, size=(draws, len(n))):
        found = impact_ratios("abcde", selected, n)
        inside += [one.low <= value <= one.high for one, value in zip(found, truth)]
        below += [one.high < value for one, value in zip(found, truth)]
    assert (inside / draws).min() > 0.94
    assert (below / draws).max() < 0.04  # 0.06 and more if the upper ends were not those of the stricter level


def test_the_ends_are_the_smallest_of_those_against_every_other_category():
    selected, rows, strict = [30, 50, 22], [60, 80, 50], 1 - 0.05 / 2
    for code, one in enumerate(impact_ratios("abc", selected, rows)):
        others = [other for other in range(3) if other != code]
        against = [(selected[code], rows[code], selected[other], rows[other]) for other in others]
        assert one.low == pytest.approx(min(1, *(limits(*counts)[0] for counts in against)))
        assert one.high == pytest.approx(min(1, *(limits(*counts, strict)[1] for counts in against)))


def test_a_category_that_may_be_the_most_selected_reaches_one():
    near, far = impact_ratios("ab", [48, 50], [100, 100])[0], impact_ratios("ab", [10, 50], [100, 100])[0]
    assert near.high == 1
    assert far.high < 0.5


def test_small_categories_can_be_left_out_and_are_then_not_the_most_selected():
    names, selected, rows = ["big", "other", "tiny"], [50, 40, 3], [100, 100, 3]
    included = {one.category: one for one in impact_ratios(names, selected, rows)}
    left_out = {one.category: one for one in impact_ratios(names, selected, rows, exclude_small=True)}
    assert included["tiny"].small
    assert included["big"].ratio == 0.5
    assert (left_out["big"].ratio, left_out["other"].ratio) == (1.0, 0.8)
    assert (left_out["tiny"].ratio, left_out["tiny"].rate) == (None, 1.0)
    assert left_out["tiny"].reason == "fewer than 2% of the rows"


def test_two_per_cent_is_not_small():
    assert [one.small for one in impact_ratios("abc", [50, 1, 1], [961, 20, 19])] == [False, False, True]


def test_without_anybody_selected_there_is_no_ratio():
    (one, other) = impact_ratios("ab", [0, 0], [10, 10])
    assert (one.ratio, one.low, one.high, one.four_fifths) == (None, None, None, "")
    assert "0/0" in other.reason


def test_the_four_fifths_rule_is_read_from_the_interval():
    found = impact_ratios(["most", "less", "open", "same"], [600, 300, 490, 590], [1000, 1000, 1000, 1000])
    assert [one.four_fifths for one in found] == ["above", "below", "open", "above"]
