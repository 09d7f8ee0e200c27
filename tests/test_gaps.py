"""Gaps and their intervals against published values, exact enumeration, the metrics, and properties that must hold."""

from __future__ import annotations

import numpy as np
import pytest
from fairbench_metrics.demographic_parity import demographic_parity_difference
from fairbench_metrics.equalized_odds import equal_opportunity_difference, equalized_odds_difference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts, count
from fairbench.analysis.gaps import (
    GAPS,
    UNDEFINED_DRAWS,
    Direction,
    Gap,
    accuracy_interval,
    debiased,
    gap,
    gap_interval,
    newcombe,
    rate_variances,
    row_spread,
    row_variance,
    wilson,
)
from fairbench.data.rows import Predictions, Samples, Schema
from fairbench.errors import Undefined
from fairbench.running.truth import Truth

DP, EO, EOPP = "demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"
METRICS = {DP: demographic_parity_difference, EO: equalized_odds_difference, EOPP: equal_opportunity_difference}


def two(selected, rows):
    """Return counts of two groups whose rows all have y = 1."""
    pair = np.array([[0, rows[0]], [0, rows[1]]], dtype=float)
    return Counts(("a", "b"), pair, np.array([[0, selected[0]], [0, selected[1]]], dtype=float))


def people(groups, seed, rows=80):
    """Return random rows and decisions that depend on group and label."""
    draw = np.random.default_rng(seed)
    group, y = draw.integers(0, groups, rows), draw.integers(0, 2, rows)
    samples = Samples(np.zeros((rows, 0)), group, Schema((), tuple(f"g{g}" for g in range(groups)), 0), y)
    chance = 0.2 + 0.3 * y + 0.4 * group / groups
    return samples, Predictions((draw.random(rows) < chance).astype(int)), Predictions.from_decision(chance, seed=0)


# Newcombe (1998), Statistics in Medicine 17, table II, method 10; the first row and 33/46, 84/104 worked by hand too.
PUBLISHED = [
    ((56, 70), (48, 80), (0.0524, 0.3339)),
    ((9, 10), (3, 10), (0.1705, 0.8090)),
    ((6, 7), (2, 7), (0.0582, 0.8062)),
    ((5, 56), (0, 29), (-0.0381, 0.1926)),
    ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ((0, 10), (0, 10), (-0.2775, 0.2775)),
    ((10, 10), (0, 20), (0.6791, 1.0)),
    ((10, 10), (0, 10), (0.6075, 1.0)),
    ((33, 46), (84, 104), (-0.2469, 0.0489)),
]


@pytest.mark.parametrize(("first", "second", "limits"), PUBLISHED)
def test_the_interval_of_a_signed_difference_is_newcombes(first, second, limits):
    selected, rows = zip(first, second)
    assert newcombe(selected, rows) == pytest.approx(limits, abs=5e-5)
    found = gap_interval(two(selected, rows), DP)
    assert found.signed == pytest.approx(limits, abs=5e-5)
    low, high = limits
    folded = (0, max(-low, high)) if low < 0 < high else sorted((abs(low), abs(high)))
    assert (found.low, found.high) == pytest.approx(tuple(folded), abs=5e-5)


# Newcombe (1998), Statistics in Medicine 17, "Two-sided confidence intervals for the single proportion", method 3.
@pytest.mark.parametrize(
    ("selected", "rows", "limits"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_the_interval_of_a_rate_is_wilsons(selected, rows, limits):
    assert wilson(selected, rows) == pytest.approx(limits, abs=5e-5)


# n of two groups, true rates, coverage of the folded interval in per cent and mean gap, both from 3,000 simulations.
SETTINGS = [
    (10, 140, 0.75, 0.75, 96.1, 0.115),
    (10, 140, 0.50, 0.75, 96.5, 0.259),
    (46, 104, 0.75, 0.75, 95.4, 0.061),
    (46, 104, 0.70, 0.80, 97.6, 0.107),
    (46, 104, 0.55, 0.85, 94.8, 0.301),
    (30, 270, 0.05, 0.05, 95.3, 0.035),
    (30, 270, 0.05, 0.15, 99.9, 0.100),
    (129, 171, 0.50, 0.50, 95.1, 0.046),
    (129, 171, 0.65, 0.40, 95.0, 0.251),
    (476, 450, 0.45, 0.45, 95.0, 0.026),
    (476, 450, 0.45, 0.50, 97.9, 0.052),
    (2200, 4584, 0.20, 0.20, 95.0, 0.008),
    (2200, 4584, 0.08, 0.26, 94.9, 0.180),
]


def outcomes(n, rate):
    """Return the numbers of selected rows that can occur, and their probabilities."""
    low, high = binom.ppf([1e-8, 1 - 1e-8], n, rate)
    x = np.arange(low, high + 1)
    return x, binom.pmf(x, n, rate)


@pytest.mark.parametrize(("n1", "n0", "p1", "p0", "coverage", "mean"), SETTINGS)
def test_the_interval_covers_as_often_as_enumeration_says(n1, n0, p1, p0, coverage, mean):
    (x1, w1), (x0, w0) = outcomes(n1, p1), outcomes(n0, p0)
    weight = w1[:, None] * w0
    low, high = newcombe((x1[:, None], x0), (n1, n0))
    inside = (np.maximum(np.maximum(low, -high), 0) <= abs(p1 - p0) + 1e-12) & (
        np.maximum(-low, high) >= abs(p1 - p0) - 1e-12
    )
    assert 100 * weight[inside].sum() == pytest.approx(coverage, abs=1.2)  # three standard errors of 3,000 simulations
    assert 100 * weight[inside].sum() >= 94.5
    assert (weight * np.abs(x1[:, None] / n1 - x0 / n0)).sum() == pytest.approx(mean, abs=0.003)


def test_percentiles_of_the_gap_itself_would_never_cover_fairness():
    """The reason for the signed interval: a bootstrap of the absolute value is above 0 in nearly every draw."""
    counts = two((33, 84), (46, 104))
    draw = np.random.default_rng(0)
    naive = np.abs(draw.binomial(46, 33 / 46, 4000) / 46 - draw.binomial(104, 84 / 104, 4000) / 104)
    assert np.quantile(naive, 0.025) > 0
    assert gap_interval(counts, DP).low == 0


def test_the_less_biased_gap_is_as_biased_as_measured():
    expected = {(0.75, 0.75): (0.061, 0.027), (0.70, 0.80): (0.107, 0.075)}
    for (p1, p0), (plain, mended) in expected.items():
        (x1, w1), (x0, w0) = outcomes(46, p1), outcomes(104, p0)
        (x1, w1), (x0, w0) = ((x[w > 1e-5], w[w > 1e-5]) for x, w in ((x1, w1), (x0, w0)))
        made = [[two((a, b), (46, 104)) for b in x0] for a in x1]
        weight = w1[:, None] * w0
        assert (weight * [[gap(c, DP).value for c in row] for row in made]).sum() == pytest.approx(plain, abs=0.002)
        assert (weight * [[debiased(c, DP) for c in row] for row in made]).sum() == pytest.approx(mended, abs=0.003)


@settings(max_examples=150)
@given(
    groups=st.integers(2, 5), seed=st.integers(0, 10**6), rows=st.integers(2, 60), metric=st.sampled_from(list(METRICS))
)
def test_a_gap_is_the_metric_where_that_is_defined(groups, seed, rows, metric):
    samples, plain, randomised = people(groups, seed, rows)
    for predictions in (plain, randomised):
        counts = count(Truth.of(samples), predictions)
        found = gap(counts, metric)
        if found.value is None:
            with pytest.raises(Undefined):
                METRICS[metric](samples, predictions)
            continue
        assert found.value == pytest.approx(METRICS[metric](samples, predictions), abs=1e-12)
        rates = counts.rates(found.direction.rate)
        assert rates[found.direction.above] - rates[found.direction.below] == pytest.approx(found.value, abs=1e-12)


@settings(max_examples=100)
@given(
    rows=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=5),
    metric=st.sampled_from(list(GAPS)),
    data=st.data(),
)
def test_an_interval_holds_its_gap_and_knows_no_order_of_groups(rows, metric, data):
    selected = [[data.draw(st.integers(0, n)) for n in pair] for pair in rows]
    names = tuple(f"g{place}" for place in range(len(rows)))
    counts = Counts(names, np.array(rows, float), np.array(selected, float))
    found = gap_interval(counts, metric)
    if found.value is None:
        assert (found.low, found.high) == (None, None)
        assert found.missing
        return
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1 + 1e-12
    order = data.draw(st.permutations(range(len(rows))))
    moved = gap_interval(Counts(names, counts.rows[order], counts.selected[order]), metric)
    assert (moved.value, moved.low, moved.high) == pytest.approx((found.value, found.low, found.high), abs=1e-12)
    if metric == DP:  # selecting the others instead changes nothing
        other = gap_interval(Counts(names, counts.rows, counts.rows - counts.selected), metric)
        assert (other.low, other.high) == pytest.approx((found.low, found.high), abs=1e-12)


def test_a_maximum_takes_its_lower_end_with_bonferronis_correction():
    rows, selected = np.array([[0, 60], [0, 50], [0, 40]], float), np.array([[0, 48], [0, 20], [0, 16]], float)
    found = gap_interval(Counts(("a", "b", "c"), rows, selected), DP)
    pairs = [((48, 20), (60, 50)), ((48, 16), (60, 40)), ((20, 16), (50, 40))]
    assert found.high == pytest.approx(max(max(map(abs, newcombe(*pair))) for pair in pairs), abs=1e-12)
    strict = [newcombe(*pair, level=1 - 0.05 / 3) for pair in pairs]
    assert found.low == pytest.approx(max(max(low, -high, 0) for low, high in strict), abs=1e-12)
    assert found.low < max(max(low, -high, 0) for low, high in (newcombe(*pair) for pair in pairs))
    assert found.signed is None


def test_equalized_odds_is_a_maximum_of_two_rates():
    counts = Counts(("a", "b"), np.array([[40.0, 60], [30, 80]]), np.array([[4.0, 40], [9, 70]]))
    true_positive, false_positive = newcombe((40, 70), (60, 80)), newcombe((4, 9), (40, 30))
    found = gap_interval(counts, EO)
    assert found.high == pytest.approx(max(-true_positive[0], -false_positive[0]), abs=1e-12)
    narrow = [newcombe((40, 70), (60, 80), 0.975), newcombe((4, 9), (40, 30), 0.975)]
    assert found.low == pytest.approx(max(max(-high, 0) for _, high in narrow), abs=1e-12)
    assert gap(counts, EO) == Gap(pytest.approx(70 / 80 - 40 / 60), Direction(TRUE_POSITIVE, 1, 0))


def test_a_partial_gap_says_what_is_missing():
    counts = Counts(
        ("a", "b", "c", "d"), np.array([[5.0, 5], [0, 4], [6, 6], [0, 0]]), np.array([[1.0, 4], [0, 4], [3, 3], [0, 0]])
    )
    missing = ("group 'd' has no row in the test part", "group 'b' has no row with y = 0 in the test part")
    found = gap_interval(counts, EO)
    assert found.missing == missing
    assert found.value == pytest.approx(0.5)  # TPR: 1.0 of b against 0.5 of c
    assert gap(counts, DP).missing == missing[:1]
    alone = Counts(("a", "b"), np.array([[3.0, 2], [0, 0]]), np.zeros((2, 2)))
    nothing = gap_interval(alone, DP)
    assert (nothing.value, nothing.low, nothing.missing) == (None, None, ("group 'b' has no row in the test part",))
    assert (debiased(alone, DP), row_variance(alone, DP), row_spread([alone], DP)) == (None, None, None)


def test_groups_of_equal_rates_have_a_direction_all_the_same():
    found = gap(two((0, 0), (5, 9)), DP)
    assert found.value == 0
    assert found.direction.above != found.direction.below


def test_randomised_decisions_enter_in_expectation():
    """Who is selected with the same chance everywhere has no gap, whatever the rows: the interval is a point."""
    samples, _, _ = people(2, 1)
    even = count(Truth.of(samples), Predictions.from_decision(np.full(80, 0.3), seed=0))
    found = gap_interval(even, EO)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert rate_variances(even, SELECTION) == pytest.approx([0, 0], abs=1e-12)


def test_the_interval_of_randomised_decisions_is_that_of_drawn_rows():
    samples, _, randomised = people(2, 3, 400)
    found = gap_interval(count(Truth.of(samples), randomised), DP, draws=20_000)
    draw = np.random.default_rng(0)
    differences = []
    for _ in range(4000):
        rows = draw.integers(0, 400, 400)
        group, decision = samples.group[rows], randomised.decision[rows]
        differences.append(decision[group == 0].mean() - decision[group == 1].mean())
    assert found.signed == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.002)
    assert found.value == pytest.approx(demographic_parity_difference(samples, randomised), abs=1e-12)


def test_a_group_that_is_often_missing_from_the_draws_leaves_no_interval():
    group = np.array([0] * 97 + [1] * 3)
    samples = Samples(np.zeros((100, 0)), group, Schema((), ("a", "b"), 0), np.ones(100, int))
    predictions = Predictions.from_decision(np.linspace(0, 1, 100), seed=0)
    found = gap_interval(count(Truth.of(samples), predictions), DP)
    assert found.value is not None
    assert (found.low, found.high, found.reason) == (None, None, UNDEFINED_DRAWS)


def test_accuracy_has_wilsons_interval():
    counts = Counts(("a", "b"), np.array([[40.0, 60], [30, 80]]), np.array([[4.0, 40], [9, 70]]))
    right = 40 - 4 + 30 - 9 + 40 + 70
    found = accuracy_interval(counts)
    assert found.value == pytest.approx(right / 210, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(wilson(right, 210), abs=1e-12)
    empty = accuracy_interval(Counts(("a", "b"), np.zeros((2, 2)), np.zeros((2, 2))))
    assert (empty.value, empty.missing) == (None, ("groups 'a' and 'b' have no row in the test part",))


def test_variances_over_rows_are_those_of_drawn_rows():
    samples, plain, randomised = people(2, 5, 300)
    draw = np.random.default_rng(1)
    for predictions in (plain, randomised):
        counts = count(Truth.of(samples), predictions)
        direction = gap(counts, EO).direction
        label = {TRUE_POSITIVE: 1, FALSE_POSITIVE: 0}[direction.rate]
        accuracies, differences = [], []
        for _ in range(3000):
            rows = draw.integers(0, 300, 300)
            group, y, decision = samples.group[rows], samples.y[rows], predictions.decision[rows]
            accuracies.append(np.where(y == 1, decision, 1 - decision).mean())
            above, below = ((group == code) & (y == label) for code in direction[1:])
            differences.append(decision[above].mean() - decision[below].mean())
        assert row_variance(counts, "accuracy") == pytest.approx(np.var(accuracies), rel=0.1)
        assert row_variance(counts, EO) == pytest.approx(np.var(differences), rel=0.1)


def test_the_spread_over_rows_is_the_root_of_the_mean_variance():
    first, second = two((33, 84), (46, 104)), two((20, 90), (46, 104))
    variances = [row_variance(counts, DP) for counts in (first, second)]
    assert variances[0] == pytest.approx(33 * 13 / 46**3 + 84 * 20 / 104**3, abs=1e-12)
    found = row_spread([first, second], DP)
    assert found.sd == pytest.approx(np.sqrt(np.mean(variances)), abs=1e-12)
    assert found.half_width == pytest.approx(norm.ppf(0.975) * found.sd, abs=1e-9)
    assert found.n == 2
