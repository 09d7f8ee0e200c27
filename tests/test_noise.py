"""The noise floor against exact enumeration, and how often fairness is called unfair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts, count
from fairbench.analysis.gaps import Direction, gap
from fairbench.analysis.noise import FAIR, NOT_FAIR, NoiseFloor, floor_over_repeats, gap_of_mean, noise_floor
from fairbench.data.rows import Predictions
from fairbench.running.truth import Truth

DP, EO, EOPP = "demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"


def two(selected, rows):
    """Return counts of two groups whose rows all have y = 1."""
    pair = np.array([[0, rows[0]], [0, rows[1]]], dtype=float)
    return Counts(("a", "b"), pair, np.array([[0, selected[0]], [0, selected[1]]], dtype=float))


def fair_gaps(n1, n0, rate):
    """Return every gap that two groups with the same rate can show, with its probability."""
    first, second = np.arange(n1 + 1), np.arange(n0 + 1)
    weight = binom.pmf(first, n1, rate)[:, None] * binom.pmf(second, n0, rate)
    return np.abs(first[:, None] / n1 - second / n0), weight


# Column "floor" of the specification's table: rows, rates, and the closed form at the expected pooled rate.
@pytest.mark.parametrize(
    ("rows", "rates", "floor"),
    [
        ((10, 140), (0.75, 0.75), 0.113),
        ((46, 104), (0.75, 0.75), 0.061),
        ((46, 104), (0.55, 0.85), 0.060),
        ((129, 171), (0.65, 0.40), 0.046),
        ((476, 450), (0.45, 0.50), 0.026),
        ((2200, 4584), (0.08, 0.26), 0.008),
    ],
)
def test_the_floor_of_two_groups_is_the_closed_form(rows, rates, floor):
    found = noise_floor(two([n * p for n, p in zip(rows, rates)], rows), DP)
    assert found.mean == pytest.approx(floor, abs=0.003)
    pooled = np.dot(rows, rates) / sum(rows)
    sd = np.sqrt(pooled * (1 - pooled) * (1 / rows[0] + 1 / rows[1]))
    if min(rows) * min(pooled, 1 - pooled) >= 5:
        assert found.mean == pytest.approx(np.sqrt(2 / np.pi) * sd, rel=1e-9)
        assert found.quantile == pytest.approx(norm.ppf(0.975) * sd, rel=1e-6)
        assert found.p == pytest.approx(2 * norm.sf(abs(rates[0] - rates[1]) / sd), rel=1e-6)


@pytest.mark.parametrize(("n1", "n0", "rate"), [(46, 104, 27 / 150), (8, 60, 0.25), (5, 95, 0.1)])
def test_the_floor_is_the_mean_gap_without_a_gap(n1, n0, rate):
    """By the normal approximation and, for small groups, by draws: both agree with enumeration."""
    gaps, weight = fair_gaps(n1, n0, rate)
    found = noise_floor(two((rate * n1, rate * n0), (n1, n0)), DP)
    assert found.mean == pytest.approx((weight * gaps).sum(), abs=0.003)
    beyond = (weight * (gaps > found.quantile + 1e-9)).sum()
    assert beyond <= 0.056  # 5%, and three standard errors of 4,000 draws or what the approximation lacks


@pytest.mark.parametrize(
    ("n1", "n0", "rate"), [(46, 104, 0.75), (10, 40, 0.5), (10, 40, 0.1), (5, 60, 0.03), (16, 29, 0.5)]
)
def test_fairness_is_called_unfair_as_rarely_as_promised(n1, n0, rate):
    """Every outcome that matters is enumerated: false alarms of the p-value at .05 and of the reading."""
    _, weight = fair_gaps(n1, n0, rate)
    alarms = readings = 0.0
    for place in np.argwhere(weight > 1e-5):
        found = noise_floor(two(place, (n1, n0)), DP)
        alarms += weight[tuple(place)] * (found.p <= 0.05)
        readings += weight[tuple(place)] * (found.reading == NOT_FAIR)
    assert max(alarms, readings) <= 0.06


@pytest.mark.parametrize("groups", [2, 4])
def test_fair_equalized_odds_is_called_unfair_as_rarely_as_promised(groups):
    draw = np.random.default_rng(groups)
    rows, rates = np.array([(16, 30), (30, 75), (20, 20), (40, 10)][:groups]), np.array([0.4, 0.8])
    names = tuple("abcd"[:groups])
    found = [noise_floor(Counts(names, rows.astype(float), draw.binomial(rows, rates) * 1.0), EO) for _ in range(300)]
    assert np.mean([floor.p <= 0.05 for floor in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean([floor.value for floor in found]) == pytest.approx(np.mean([f.mean for f in found]), abs=0.015)


def test_two_groups_with_many_rows_need_no_draws():
    """The largest of two independent differences: mean, quantile and p-value against numerical integration."""
    rows = np.array([[300.0, 250], [200, 260]])
    counts = Counts(("a", "b"), rows, rows * [[0.35, 0.5], [0.4, 0.6]])
    sds = []
    for label in (0, 1):
        p = counts.selected[:, label].sum() / rows[:, label].sum()
        sds.append(np.sqrt(p * (1 - p) * (1 / rows[:, label]).sum()))
    grid = np.linspace(0, 1, 200_001)
    inside = (2 * norm.cdf(grid / sds[0]) - 1) * (2 * norm.cdf(grid / sds[1]) - 1)
    found = noise_floor(counts, EO)
    assert found.mean == pytest.approx(np.sum(1 - inside) * grid[1], abs=1e-5)
    assert found.quantile == pytest.approx(grid[np.searchsorted(inside, 0.95)], abs=1e-5)
    assert found.p == pytest.approx(1 - np.interp(0.1, grid, inside), abs=1e-6)


def test_a_large_gap_is_told_apart_and_a_small_one_is_not():
    assert noise_floor(two((20, 95), (46, 104)), DP).reading == NOT_FAIR == "told apart from fair"
    small = noise_floor(two((33, 84), (46, 104)), DP)
    assert small.reading == FAIR == "not told apart from fair"
    assert small.p > 0.05


def test_equalized_odds_pools_within_each_label():
    """Equal rates within each label are no gap, though groups of unequal base rates are selected unequally."""
    rows = np.array([[900.0, 100], [100, 900]])
    counts = Counts(("a", "b"), rows, rows * [0.1, 0.8])
    assert noise_floor(counts, DP).reading == NOT_FAIR
    found = noise_floor(counts, EO)
    assert (found.value, found.reading) == (pytest.approx(0, abs=1e-12), FAIR)
    sds = [np.sqrt(p * (1 - p) * (1 / 900 + 1 / 100)) for p in (0.1, 0.8)]
    assert np.sqrt(2 / np.pi) * max(sds) < found.mean < np.sqrt(2 / np.pi) * sum(sds)


def test_the_largest_of_many_differences_has_a_higher_floor():
    rows = np.array([[0.0, 50]] * 6)
    floors = [noise_floor(Counts(tuple("abcdef"[:n]), rows[:n], rows[:n] * 0.4), DP).mean for n in (2, 3, 6)]
    assert floors[0] < floors[1] < floors[2]


def test_randomised_decisions_have_a_lower_floor():
    draw = np.random.default_rng(0)
    truth = Truth(draw.integers(0, 2, 400), draw.integers(0, 2, 400), ("a", "b"))
    chances = draw.uniform(0.4, 0.6, 400)  # 400 different ones
    randomised = count(truth, Predictions.from_decision(chances, seed=0))
    tossed = Counts(randomised.groups, randomised.rows, randomised.selected)
    for metric in (DP, EO):
        floor, other = noise_floor(randomised, metric), noise_floor(tossed, metric)
        assert floor.mean == pytest.approx(other.mean * chances.std() / 0.5, rel=0.1)


def test_everybody_decided_alike_is_never_a_gap():
    for selected in ((0, 0), (46, 104)):
        found = noise_floor(two(selected, (46, 104)), DP)
        assert (found.value, found.mean, found.quantile, found.p, found.reading) == (0, 0, 0, 1, FAIR)
    truth = Truth(np.tile([0, 1], 60), np.repeat([0, 1], 60), ("a", "b"))
    even = count(truth, Predictions.from_decision(np.full(120, 0.3), seed=0))
    assert [noise_floor(even, metric).reading for metric in (DP, EO)] == [FAIR, FAIR]
    assert noise_floor(even, DP).p == 1


def test_the_same_seed_gives_the_same_floor():
    counts = Counts(("a", "b"), np.array([[9.0, 30], [25, 60]]), np.array([[2.0, 20], [5, 45]]))
    assert noise_floor(counts, EO, seed=1) == noise_floor(counts, EO, seed=1) != noise_floor(counts, EO, seed=2)


def test_one_group_alone_has_no_floor():
    alone = Counts(("a", "b"), np.array([[3.0, 2], [0, 0]]), np.zeros((2, 2)))
    assert noise_floor(alone, DP) is None
    assert floor_over_repeats([alone], DP) is None


def test_floors_are_averaged_over_repeats():
    first, second = noise_floor(two((33, 84), (46, 104)), DP), noise_floor(two((20, 90), (46, 104)), DP)
    found = floor_over_repeats([two((33, 84), (46, 104)), two((20, 90), (46, 104))], DP)
    means = [(getattr(first, name) + getattr(second, name)) / 2 for name in ("value", "mean", "quantile")]
    assert found == NoiseFloor(*map(pytest.approx, means), None)
    assert floor_over_repeats([two((33, 84), (46, 104))], DP) == first


def test_the_gap_of_the_mean_is_the_systematic_part():
    """Two repeats whose gaps point in opposite directions: the mean gap is large, the gap of the mean is 0."""
    repeats = [two((60, 40), (100, 100)), two((40, 60), (100, 100))]
    assert np.mean([gap(counts, DP).value for counts in repeats]) == pytest.approx(0.2)
    assert gap_of_mean(repeats, DP).value == pytest.approx(0, abs=1e-12)
    assert gap_of_mean(repeats[:1], DP) == gap(repeats[0], DP)
    assert gap_of_mean([two((60, 40), (100, 100))] * 2, DP).direction == Direction(SELECTION, 0, 1)


def test_a_group_that_some_repeat_lacks_is_left_out_of_the_mean():
    full = Counts(("a", "b", "c"), np.full((3, 2), 10.0), np.array([[1.0, 5], [3, 8], [9, 1]]))
    lacking = Counts(full.groups, np.array([[10.0, 10], [10, 10], [10, 0]]), np.array([[1.0, 5], [3, 8], [9, 0]]))
    found = gap_of_mean([full, lacking], EO)
    assert found.missing == ("group 'c' has no row with y = 1 in the test part",)
    assert found.direction == Direction(FALSE_POSITIVE, 2, 0)
    assert gap_of_mean([full, lacking], EOPP).value == pytest.approx(0.3)  # of b and a alone
    assert gap_of_mean([full], EOPP).direction.rate == TRUE_POSITIVE


def test_the_mean_has_no_gap_where_the_metric_has_none():
    full = Counts(("a", "b"), np.full((2, 2), 10.0), np.array([[1.0, 5], [9, 8]]))
    lacking = Counts(full.groups, np.array([[10.0, 0], [10, 10]]), np.array([[1.0, 0], [9, 8]]))
    found = gap_of_mean([full, lacking], EO)
    assert (found.value, found.direction) == (None, None)  # although false positive rates differ
    assert found.missing == ("group 'a' has no row with y = 1 in the test part",)
