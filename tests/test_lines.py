"""The coin against an explicit mixture of decisions, and points above it against published numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from fairbench_metrics.accuracy import accuracy
from fairbench_metrics.demographic_parity import demographic_parity_difference
from fairbench_metrics.equalized_odds import equalized_odds_difference
from hypothesis import given
from hypothesis import strategies as st

from fairbench.analysis.intervals import NO_INTERVAL
from fairbench.analysis.lines import (
    ABOVE,
    BELOW,
    OPEN,
    AboveLine,
    Line,
    Vertex,
    against_coin,
    best_constant,
    coin,
    constant_accuracy,
    published_above_coin,
)
from fairbench.data.coin import coin_accuracy
from fairbench.data.rows import Predictions, Samples, Schema

RATIO = 0.15 / 0.70
DIFFERENCES = (demographic_parity_difference, equalized_odds_difference)


def above_coin(accuracy, gap, baseline_accuracy, baseline_gap, constant, ratio) -> AboveLine:
    """Return how far a method lies above the coin, from sequences over the same repeats."""
    parts = (np.asarray(part, dtype=float) for part in (accuracy, gap, baseline_accuracy, baseline_gap, constant))
    a, g, a_b, g_b, a_c = parts
    return coin(Vertex(g_b, a_b), a_c).above(g, a, ratio)


def people(groups: int, seed: int) -> Samples:
    """Return 60 rows for each group, whose groups differ in base rate."""
    draw = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), 60)
    y = (draw.random(len(group)) < 0.25 + 0.5 * group / groups).astype(int)
    return Samples(np.zeros((len(group), 0)), group, Schema((), tuple(f"g{code}" for code in range(groups)), 0), y)


def mixture(samples: Samples, chosen: np.ndarray, constant: int, share: float) -> Predictions:
    """Return the decisions of a coin: the baseline with probability ``share``, else the constant."""
    return Predictions.from_decision(share * chosen + (1 - share) * constant, seed=0)


@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_mixture_with_a_constant_is_linear_in_accuracy_and_differences(groups, constant, share):
    samples = people(groups, seed=groups)
    chosen = np.random.default_rng(9).integers(0, 2, len(samples)) * (samples.group != 0) + samples.y // 2
    baseline, mixed = Predictions(chosen), mixture(samples, chosen, constant, share)
    level = accuracy(samples, Predictions(np.full(len(samples), constant)))
    expected = share * accuracy(samples, baseline) + (1 - share) * level
    assert accuracy(samples, mixed) == pytest.approx(expected, abs=1e-12)
    for difference in DIFFERENCES:
        assert difference(samples, mixed) == pytest.approx(share * difference(samples, baseline), abs=1e-12)


@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_mixture_with_the_better_constant_lies_on_the_line(groups, share):
    samples = people(groups, seed=groups)
    noise = np.random.default_rng(3).random(len(samples)) < 0.15
    chosen = np.where(noise, 1 - samples.y, samples.y)
    level = max(samples.y.mean(), 1 - samples.y.mean())
    constant = int(samples.y.mean() >= 0.5)
    mixed = mixture(samples, chosen, constant, share)
    for difference in DIFFERENCES:
        baseline = Predictions(chosen)
        line = coin_accuracy(
            difference(samples, mixed), accuracy(samples, baseline), difference(samples, baseline), level
        )
        assert line == pytest.approx(accuracy(samples, mixed), abs=1e-12)


def test_the_line_is_concave_ends_at_the_baseline_and_never_falls_below_the_constant():
    gaps = np.linspace(0, 0.5, 101)
    line = np.array([coin_accuracy(gap, 0.7, 0.2, 0.55) for gap in gaps])
    assert (np.diff(line, 2) <= 1e-12).all()
    assert line[0] == 0.55
    assert line[gaps >= 0.2] == pytest.approx(0.7)
    assert (line >= 0.55).all()


@pytest.mark.parametrize("gap", [0.0, 0.1, 0.4])
def test_a_baseline_no_better_than_the_constant_makes_the_line_flat(gap):
    assert coin_accuracy(gap, 0.5, 0.2, 0.55) == 0.55


def test_a_baseline_without_a_gap_is_itself_the_line():
    assert coin_accuracy(0.0, 0.7, 0.0, 0.55) == pytest.approx(0.7)


def test_the_constant_is_chosen_by_the_mean_over_repeats():
    assert best_constant([0.52, 0.49, 0.51]) == pytest.approx([0.52, 0.49, 0.51])
    assert best_constant([0.2, 0.6]) == pytest.approx([0.8, 0.4])


def repeats(seed: int, n: int = 8) -> np.ndarray:
    """Return accuracy, gap, baseline's accuracy and gap, and constant's accuracy (5, n)."""
    draw = np.random.default_rng(seed)
    return np.array([[0.62], [0.08], [0.68], [0.2], [0.55]]) + draw.normal(scale=0.01, size=(5, n))


def test_the_interval_is_that_of_the_difference_where_the_line_does_not_move():
    """With a constant line, V is accuracy minus slope times gap: a plain corrected t of a linear combination."""
    z = repeats(1)
    z[2], z[3], z[4] = 0.68, 0.2, 0.55
    found = above_coin(*z, RATIO)
    linear = z[0] - 0.55 - 0.13 / 0.2 * z[1]
    width = 2.364624 * linear.std(ddof=1) * np.sqrt(1 / 8 + 0.15 / 0.7)  # t of 7 degrees of freedom at 97.5%
    assert found.value == pytest.approx(linear.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((linear.mean() - width, linear.mean() + width), abs=1e-7)


@pytest.mark.parametrize("shift", [(0, 0, 0, 0, 0), (0, 0.2, 0, 0, 0), (0, 0, -0.2, 0, 0)])
def test_the_gradient_is_that_of_the_value(shift):
    """Below and beyond the baseline's gap, and under a useless baseline: central differences agree."""
    z = repeats(2) + np.array(shift)[:, None]
    found, means, step = above_coin(*z, RATIO), z.mean(axis=1), 1e-6

    def value(point):
        return point[0] - coin_accuracy(point[1], point[2], point[3], point[4])

    gradient = [(value(means + step * unit) - value(means - step * unit)) / (2 * step) for unit in np.eye(5)]
    linear = np.array(gradient) @ z
    assert found.high - found.value == pytest.approx(2.364624 * linear.std(ddof=1) * np.sqrt(1 / 8 + RATIO), rel=1e-5)


def test_the_baseline_is_not_told_apart_from_its_own_coin():
    z = repeats(3)
    found = above_coin(z[2], z[3], z[2], z[3], z[4], RATIO)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.reading == OPEN


def test_readings_follow_the_interval():
    z = repeats(4)
    assert above_coin(z[0] + 0.2, *z[1:], RATIO).reading == ABOVE
    assert above_coin(z[0] - 0.2, *z[1:], RATIO).reading == BELOW
    assert above_coin(*z[:, :1], RATIO).reading == NO_INTERVAL
    unknown = above_coin(z[0] + 0.2, *z[1:], None)
    assert (unknown.low, unknown.high, unknown.reading) == (None, None, NO_INTERVAL)
    assert unknown.value == above_coin(z[0] + 0.2, *z[1:], RATIO).value


def test_a_published_row_has_no_interval_where_none_is_valid():
    row = (0.6, 0.02), (0.05, 0.01), (0.68, 0.2), 0.55, 5
    assert published_above_coin(*row, RATIO).low is not None
    assert published_above_coin(*row, None) == AboveLine(published_above_coin(*row, RATIO).value, None, None, 5)


# Accuracy in per cent with its spread in points, then the two differences with theirs: Malik & Mopuri, table 1. The
# expected points above the coin and half-widths were computed apart from this code, with 2.776 for t of 4 degrees.
CONSTANT = {"compas": 54.5, "adult": 75.2, "communities": 50.6, "german": 70.0}
BASELINE = {
    "compas": (67.37, 24, 25),
    "adult": (82.86, 21, 30),
    "communities": (70.22, 14, 12),
    "german": (71.47, 15, 18),
}
FAALGRAD = {
    "compas": [(59.33, 2, 7, 6, 7, 5), (60.21, 2, 6, 2, 7, 2), (57.55, 2, 4, 5, 4, 4), (59.30, 2, 4, 3, 4, 3)],
    "adult": [(67.05, 7, 8, 5, 11, 5), (52.58, 7, 10, 6, 7, 4), (64.58, 6, 7, 7, 7, 12), (60.57, 8, 9, 4, 12, 5)],
    "communities": [(59.80, 3, 6, 4, 6, 3), (63.25, 6, 7, 8, 8, 11), (58.59, 3, 6, 6, 7, 5), (62.00, 8, 8, 4, 6, 5)],
    "german": [(70.70, 4, 4, 4, 4, 3), (70.00, 5, 3, 1, 7, 2), (70.67, 1, 3, 3, 4, 3), (71.00, 1, 2, 1, 4, None)],
}
EXPECTED = {
    ("compas", "dp"): ([1.1, 2.5, 0.9, 2.7], [6.8, 4.1, 6.0, 4.6]),
    ("compas", "eo"): ([1.2, 2.1, 1.0, 2.8], [5.8, 4.0, 5.1, 4.5]),
    ("adult", "dp"): ([-11.1, -26.3, -13.2, -17.9], [12.9, 13.1, 11.6, 14.5]),
    ("adult", "eo"): ([-11.0, -24.4, -12.4, -17.7], [12.7, 12.6, 12.0, 14.5]),
    ("communities", "dp"): ([0.8, 2.8, -0.4, 0.2], [11.4, 22.7, 16.0, 17.5]),
    ("communities", "eo"): ([-0.6, -0.4, -3.5, 1.6], [10.3, 33.9, 15.6, 20.4]),
    ("german", "dp"): ([0.3, -0.3, 0.4, 0.8], [7.2, 8.9, 1.9, 1.8]),
    ("german", "eo"): ([0.4, -0.6, 0.3, 0.7], [7.2, 8.9, 1.8, None]),
}


@pytest.mark.parametrize(("dataset", "gap"), EXPECTED)
def test_published_rows_lie_where_a_calculation_by_hand_puts_them(dataset, gap):
    place = {"dp": 0, "eo": 1}[gap]
    base = BASELINE[dataset]
    values, widths = EXPECTED[dataset, gap]
    for row, value, width in zip(FAALGRAD[dataset], values, widths):
        sizes = row[2 + 2 * place : 4 + 2 * place]
        found = published_above_coin(
            (row[0] / 100, row[1] / 100),
            (sizes[0] / 100, None if sizes[1] is None else sizes[1] / 100),
            (base[0] / 100, base[1 + place] / 100),
            CONSTANT[dataset] / 100,
            5,
            RATIO,
        )
        # the constants by hand have one digit more than what is given here: half a tenth of a point, on both sides
        assert 100 * found.value == pytest.approx(value, abs=0.1)
        if width is None:
            assert found.reading == NO_INTERVAL
        else:
            assert 100 * (found.high - found.value) == pytest.approx(width, abs=0.1)


def test_the_better_constant_is_told_by_repeat_from_a_method_that_shows_either():
    # the shares of ones are .45, .4 and .45: predicting 0 is better on average, and right in 1 - share
    accuracy, selected = {2: 0.55, 0: 0.55, 1: 0.4, 7: 0.9}, {0: 0.0, 1: 1.0, 2: 0.0, 8: 1.0}
    found = constant_accuracy(accuracy, selected)
    assert list(found) == [0, 1, 2]
    assert found == pytest.approx({0: 0.55, 1: 0.6, 2: 0.55})
    assert constant_accuracy({0: 0.7}, {0: 1.0}) == {0: 0.7}
    assert constant_accuracy({0: 0.7}, {1: 1.0}) == {}


def test_a_method_is_held_against_the_coin_over_the_repeats_that_all_parts_have():
    parts = [{0: 0.8, 1: 0.7, 2: 0.9}, {2: 0.1, 1: 0.2, 0: 0.1}, {0: 0.85, 2: 0.85, 1: 0.8, 5: 0}, {0: 0.3, 2: 0.2}]
    constant = {2: 0.6, 0: 0.5, 9: 0.1}
    found = against_coin(*parts, constant, RATIO)
    assert found == above_coin([0.8, 0.9], [0.1, 0.1], [0.85, 0.85], [0.3, 0.2], [0.5, 0.6], RATIO)
    assert against_coin(*parts, {1: 0.6}, RATIO) is None
    assert against_coin(*parts, constant, None) == AboveLine(pytest.approx(found.value), None, None, 2)


# ------------------------------------------------------------------------- lines


# Gaps are quotients of counts, so two of them are equal or further apart than this: a slope never overflows.
gaps = st.floats(0, 1).map(lambda gap: round(gap, 12))
points = st.lists(st.tuples(gaps, st.floats(0, 1)), min_size=1, max_size=8)


def vertices(pairs) -> list[Vertex]:
    return [Vertex(np.array([gap]), np.array([accuracy])) for gap, accuracy in pairs]


@given(points, st.floats(0.3, 0.9))
def test_a_line_is_concave_rises_and_lies_on_or_above_every_point_and_the_constant(pairs, level):
    line = Line.through(np.array([level]), vertices(pairs))
    grid = np.linspace(0, 1, 41)
    heights = np.array([line.at(gap) for gap in grid])
    assert (heights >= level - 1e-12).all()
    assert (np.diff(heights) >= -1e-12).all()
    assert (np.diff(heights, 2) <= 1e-9).all()
    assert all(line.at(gap) >= accuracy - 1e-12 for gap, accuracy in pairs)


@given(points, st.floats(0.3, 0.9), gaps)
def test_every_height_of_a_line_is_a_mixture_of_two_of_its_points(pairs, level, gap):
    """The hull by brute force: the best mixture of two points whose gap is at most this one."""
    line, every = Line.through(np.array([level]), vertices(pairs)), [(0.0, level), *pairs]
    best = max(accuracy for x, accuracy in every if x <= gap)
    for x, y in every:
        for x2, y2 in every:
            if x <= gap < x2:
                best = max(best, y + (y2 - y) * (gap - x) / (x2 - x))
    assert line.at(gap) == pytest.approx(best, abs=1e-9)


def test_a_method_equal_to_its_baseline_is_seldom_called_above_the_coin():
    """The coin bends at the baseline: without a correction there, chance alone lifts such a method above it.

    Repeats are independent here, so nothing but that correction keeps the share of false alarms low.
    """
    draw, trials, called = np.random.default_rng(0), 2000, 0
    for _ in range(trials):
        shared = draw.normal(scale=0.01, size=5)  # of the splits: both methods see them
        a, a_b = (0.75 + shared + draw.normal(scale=0.004, size=5) for _ in range(2))
        g, g_b = (0.1 + draw.normal(scale=0.02, size=5) for _ in range(2))
        called += coin(Vertex(g_b, a_b), np.full(5, 0.5)).above(g, a, 0.0).side == 1
    assert called / trials <= 0.035


def test_points_above_a_line_of_several_segments_are_measured_on_the_one_under_the_method():
    accuracy = np.array([0.7, 0.72, 0.74])
    line = Line.through(
        np.full(3, 0.5), [Vertex(np.full(3, 0.1), np.full(3, 0.7)), Vertex(np.full(3, 0.3), np.full(3, 0.8))]
    )
    assert [line.at(gap) for gap in (0, 0.05, 0.2, 0.5)] == pytest.approx([0.5, 0.6, 0.75, 0.8])
    gap = np.array([0.19, 0.2, 0.21])
    found = line.above(gap, accuracy, 0.0)
    linear = accuracy - 0.65 - 0.5 * gap
    assert found.value == pytest.approx(-0.03)
    assert found.high - found.value == pytest.approx(4.302653 * linear.std(ddof=1) / np.sqrt(3), rel=1e-6)


def test_the_spread_of_a_published_gap_beyond_the_baselines_does_not_matter():
    """The line is flat there, so the interval is that of the accuracy alone: t of 4 degrees of freedom."""
    found = published_above_coin((0.7, 0.01), (0.5, 0.3), (0.75, 0.2), 0.5, 5, RATIO)
    assert found.value == pytest.approx(-0.05)
    assert found.high - found.value == pytest.approx(2.776445 * 0.01 * np.sqrt(1 / 5 + RATIO), rel=1e-6)
