"""Fronts, their hulls, heights, areas and attainment, against worked numbers and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from fairbench.analysis.fronts import area_skill, attainment, gap_at, heights, hull, pareto
from fairbench.errors import Undefined

COIN = np.array([(0.0, 0.5), (0.2, 0.7)])
ATTAINABLE = np.array([(0.0, 0.5), (0.1, 0.8), (0.2, 0.8)])


def cloud(seed: int, size: int = 12) -> np.ndarray:
    """Return points whose coordinates repeat, so that there are ties."""
    return np.random.default_rng(seed).integers(0, 8, (size, 2)) / 10


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_dominates(seed):
    points = cloud(seed)
    front = pareto(points)
    for index, (gap, accuracy) in enumerate(points):
        beaten = any(g <= gap and a >= accuracy and (g, a) != (gap, accuracy) for g, a in points)
        first = not any(np.array_equal(points[index], other) for other in points[:index])
        assert (index in front) == (not beaten and first)
    assert [points[index][0] for index in front] == sorted(points[index][0] for index in front)


@pytest.mark.parametrize("seed", range(20))
def test_the_hull_is_the_best_mixture_of_two_points(seed):
    points = cloud(seed)
    grid = np.linspace(0, 1, 41)
    best = np.full(len(grid), -np.inf)
    for one in points:
        for other in points:
            for share in np.linspace(0, 1, 101):
                gap, accuracy = share * one + (1 - share) * other
                best = np.where(gap <= grid + 1e-12, np.maximum(best, accuracy), best)
    found = heights(hull(points), list(grid))
    assert np.array_equal(np.isinf(best), np.isinf(found))
    known = np.isfinite(best)
    assert (found[known] >= best[known] - 1e-12).all()
    assert found[known] == pytest.approx(best[known], abs=0.02)  # of the hundred shares


@pytest.mark.parametrize("seed", range(20))
def test_a_hull_rises_is_concave_and_its_own_hull(seed):
    vertices = hull(cloud(seed), constant=0.3)
    slopes = np.diff(vertices[:, 1]) / np.diff(vertices[:, 0])
    assert vertices[0, 0] == 0
    assert (slopes > 0).all()
    assert (np.diff(slopes) < 0).all()
    assert np.array_equal(hull(vertices), vertices)


def test_a_line_is_read_in_both_directions():
    vertices = hull(np.array([(0.1, 0.6), (0.3, 0.8), (0.2, 0.65), (0.4, 0.7)]))
    assert vertices.tolist() == [[0.1, 0.6], [0.3, 0.8]]
    assert heights(vertices, [0.05, 0.1, 0.2, 0.9]) == pytest.approx([-np.inf, 0.6, 0.7, 0.8])
    assert gap_at(vertices, 0.7) == pytest.approx(0.2)
    assert gap_at(vertices, 0.5) == 0.1
    assert gap_at(vertices, 0.81) is None
    assert gap_at(hull(np.empty((0, 2))), 0.5) is None
    assert np.isinf(heights(hull(np.empty((0, 2))), [0.1])).all()


def test_area_skill_by_hand():
    """Over gaps of 0 to .2, the lines enclose .01 + .015; the front through (.1, .7) encloses .005 + .005."""
    found = area_skill(np.array([(0.1, 0.7)]), COIN, ATTAINABLE, 0.2)
    assert found.room == pytest.approx(0.025 / 0.2)
    assert (found.gained, found.lost) == (pytest.approx(0.01 / 0.2), 0.0)
    assert found.share == pytest.approx(0.4)


def test_what_lies_below_the_coin_is_a_loss_apart():
    """A constant alone loses the coin's triangle; a front that crosses the coin gains and loses."""
    nothing = area_skill(np.empty((0, 2)), COIN, ATTAINABLE, 0.2)
    assert (nothing.gained, nothing.lost) == (0.0, pytest.approx(0.02 / 0.2))
    # The front is flat at .6 from .05 on: above the coin up to .1, below it from there on.
    crossing = area_skill(np.array([(0.05, 0.6)]), COIN, ATTAINABLE, 0.2)
    assert crossing.gained == pytest.approx((0.05 * 0.05 / 2 + 0.05 * 0.05 / 2) / 0.2)
    assert crossing.lost == pytest.approx(0.1 * 0.1 / 2 / 0.2)


@pytest.mark.parametrize("seed", range(20))
def test_areas_are_those_of_a_fine_grid(seed):
    points = np.random.default_rng(seed).random((6, 2)) * (0.2, 0.4) + (0, 0.45)
    found = area_skill(points, COIN, ATTAINABLE, 0.2)
    grid = list(np.linspace(0, 0.2, 20_001))
    over = heights(hull(points, 0.5), grid) - heights(COIN, grid)
    assert found.gained == pytest.approx(np.maximum(over, 0).mean(), abs=1e-4)
    assert found.lost == pytest.approx(np.maximum(-over, 0).mean(), abs=1e-4)


def test_the_lines_themselves_have_skill_1_and_0():
    assert area_skill(ATTAINABLE, COIN, ATTAINABLE, 0.2).share == pytest.approx(1)
    own = area_skill(COIN, COIN, ATTAINABLE, 0.2)
    assert (own.gained, own.lost) == (0, 0)


def test_without_room_or_gap_there_is_no_area():
    with pytest.raises(Undefined, match="no room"):
        area_skill(COIN, COIN, COIN, 0.2)
    with pytest.raises(Undefined, match="the baseline has no gap"):
        area_skill(COIN, COIN, ATTAINABLE, 0.0)


def test_attainment_is_the_kth_best_of_the_repeats():
    repeats = [hull(np.array([(gap, accuracy)])) for gap, accuracy in ((0.1, 0.9), (0.2, 0.8), (0.3, 0.7))]
    found = attainment(repeats, [0.1, 0.2, 0.3])
    assert {k: list(level) for k, level in found.items()} == {
        1: [0.9, 0.9, 0.9],
        2: [-np.inf, 0.8, 0.8],
        3: [-np.inf, -np.inf, 0.7],
    }
    assert list(attainment(repeats[:1], [0.1])) == [1]
    assert attainment([], [0.1]) == {}
