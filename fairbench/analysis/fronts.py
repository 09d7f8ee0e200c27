"""A method's operating points as a front: accuracy against the gap between groups, and its height above the coin.

Tossing a coin between two operating points gives their accuracies' mean, and a gap no larger than their gaps' mean, for
every largest difference between groups. So what a method attains is not the staircase of its points but their concave
hull; with a constant prediction, whose gap is 0, the hull begins at gap 0. Lines (the coin, the attainable line) are
given as such hulls too: vertices (v, 2) of gap and accuracy, rising and concave, flat after the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.data.rows import Floats
from fairbench.errors import Undefined

ROUNDING = 1e-12


def pareto(points: Floats) -> list[int]:
    """Return which ``points`` (n, 2), gap and accuracy, no other one matches in both and beats in one.

    They are given by their index, in the order of the gap; of equal points the first stays.
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1], index))
    front: list[int] = []
    for index in order:
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def hull(points: Floats, constant: Optional[float] = None) -> Floats:
    """Return the vertices (v, 2) of the concave upper-left hull of ``points`` (n, 2), gap and accuracy.

    ``constant`` is the accuracy of the better constant prediction, which adds a point of gap 0; None leaves it out.
    """
    every = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if constant is not None:
        every = np.concatenate([every, [[0.0, constant]]])
    vertices: list[Floats] = []
    for point in every[pareto(every)]:
        while len(vertices) > 1 and _turn(vertices[-2], vertices[-1], point) >= 0:
            vertices.pop()
        vertices.append(point)
    return np.array(vertices).reshape(-1, 2)


def _turn(first: Floats, second: Floats, third: Floats) -> float:
    """Return a number that is negative if the path over three points turns right."""
    one, other = second - first, third - second
    return float(one[0] * other[1] - one[1] * other[0])


def heights(vertices: Floats, gaps: Sequence[float]) -> Floats:
    """Return the accuracy (m,) at each of the ``gaps``; minus infinity left of the first of the ``vertices``."""
    if not len(vertices):
        return np.full(len(gaps), -np.inf)
    return np.asarray(np.interp(gaps, vertices[:, 0], vertices[:, 1], left=-np.inf), dtype=np.float64)


def gap_at(vertices: Floats, accuracy: float) -> Optional[float]:
    """Return the smallest gap at which the hull given by its ``vertices`` has this ``accuracy``; None if nowhere."""
    if not len(vertices) or accuracy > vertices[-1, 1] + ROUNDING:
        return None
    return float(np.interp(accuracy, vertices[:, 1], vertices[:, 0]))


def attainment(repeats: Sequence[Floats], gaps: Sequence[float]) -> dict[int, Floats]:
    """Return the accuracy (m,) that k of the J repeats attain at each of the ``gaps``, for k of 1, half of J and J.

    It is the k-th best of the repeats' heights, minus infinity where fewer than k repeats have a point.

    Args:
        repeats: for each repeat the vertices of its hull.
        gaps: where to read the heights.

    References:
        Fonseca, Fleming (1996), On the performance assessment and comparison of stochastic multiobjective optimizers.
    """
    if not repeats:
        return {}
    best_first = -np.sort(-np.array([heights(vertices, gaps) for vertices in repeats]), axis=0)  # (J, m)
    count = len(repeats)
    return {k: best_first[k - 1] for k in sorted({1, -(-count // 2), count})}


@dataclass(frozen=True)
class AreaSkill:
    """A front between the coin and the attainable line, from gap 0 to the baseline's gap; accuracies as fractions.

    Args:
        gained: mean height above the coin, where the front lies above it (0 elsewhere).
        lost: mean depth below the coin, where the front lies below it (0 elsewhere).
        room: mean height of the attainable line above the coin.
    """

    gained: float
    lost: float
    room: float

    @property
    def share(self) -> float:
        """Return the area between front and coin as a share of the area between the lines."""
        return self.gained / self.room


def area_skill(points: Floats, coin: Floats, attainable: Floats, baseline_gap: float) -> AreaSkill:
    """Return how much of the area between the coin and the attainable line lies under the hull of the ``points``.

    The constant prediction, where the coin begins, counts as one of the points.

    Args:
        points: (n, 2) gap and accuracy of a method's operating points.
        coin: vertices (v, 2) of the trivial line, from gap 0 on.
        attainable: vertices of the attainable line, likewise.
        baseline_gap: the gap up to which the area reaches.

    Raises:
        Undefined: the baseline has no gap, or there is no room between the lines.
    """
    if baseline_gap <= ROUNDING:
        raise Undefined("the baseline has no gap, so there is no area between the lines")
    front = hull(points, float(heights(coin, [0.0])[0]))
    gained, lost = _areas(front, coin, baseline_gap)
    above, below = _areas(attainable, coin, baseline_gap)
    room = above - below
    if room <= ROUNDING:
        raise Undefined("no room: the attainable line is not above the coin up to the baseline's gap")
    return AreaSkill(gained / baseline_gap, lost / baseline_gap, room / baseline_gap)


def _areas(upper: Floats, lower: Floats, end: float) -> tuple[float, float]:
    """Return the area in which one line lies above the other, and that in which it lies below, from gap 0 to ``end``.

    Both are linear between the vertices, so both areas are exact.
    """
    knots = np.unique(np.clip(np.concatenate([[0.0, end], upper[:, 0], lower[:, 0]]), 0.0, end))
    difference = heights(upper, list(knots)) - heights(lower, list(knots))
    first, second = difference[:-1], difference[1:]
    cross = np.flatnonzero(first * second < 0)
    crossings = knots[cross] + np.diff(knots)[cross] * first[cross] / (first[cross] - second[cross])
    knots = np.sort(np.concatenate([knots, crossings]))
    difference = heights(upper, list(knots)) - heights(lower, list(knots))
    areas = []
    for sign in (1, -1):
        height = np.maximum(sign * difference, 0)
        areas.append(float(((height[:-1] + height[1:]) / 2 * np.diff(knots)).sum()))
    return areas[0], areas[1]
