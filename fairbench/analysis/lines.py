"""Reference lines: the accuracy that is to be had for nothing, or at best, at every gap between groups.

A line is the upper-left hull of points (gap, accuracy): no mixture of them is more accurate at a smaller gap, and every
point on it is reached by mixing two of them at random, row by row and regardless of the group. Mixing makes accuracy
and every largest difference between groups fall together on a straight segment. The *coin*, the trivial line, mixes a
baseline with a constant prediction; the *common threshold* moves one threshold for everybody over the baseline's
scores; the *attainable* line is the hull of an optimal post-processing that knows the group. Ratios between groups are
not linear in the share of a mixture, and have a rule of their own (``ratios``).

The coin was used before by Hort et al. (2021), "Fairea: a model behaviour mutation approach to benchmarking bias
mitigation methods" (ESEC/FSE), who mix predictions with a constant or with random labels and classify mitigation
methods by the resulting line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

import numpy as np

from fairbench.analysis.intervals import LEVEL, NO_INTERVAL, half_width
from fairbench.analysis.spread import mean_of, moments
from fairbench.data.coin import coin_accuracy
from fairbench.data.rows import Floats

ABOVE, BELOW, OPEN = "above the coin", "below the coin", "not told apart from the coin"
ROUNDING = 1e-9  # a point on a line lies on it but for the last bits
BEND = 0.999  # level at which a method's gap must differ from a bend's, for the segments behind it to be ruled out


def best_constant(share_of_ones: Sequence[float]) -> Floats:
    """Return for each repeat the accuracy (J,) of the constant, 0 or 1, that is better on average over the repeats.

    Choosing by the training majority would be biased for balanced classes: the majority of the training part is then
    the minority of the test part.

    Args:
        share_of_ones: share of the label 1 in the test part of each repeat (J,).
    """
    ones = np.asarray(share_of_ones, dtype=np.float64)
    return ones if ones.mean() >= 0.5 else 1 - ones


def constant_accuracy(accuracy: Mapping[int, float], selected: Mapping[int, float]) -> dict[int, float]:
    """Return by repeat the accuracy of the better of the two constant predictions; empty if there are no repeats.

    Args:
        accuracy: by repeat, of a method that predicts one of the two constants; the accuracies of both add up to 1.
        selected: the method's selection rate by repeat, which says which of the two constants it predicted.
    """
    repeats = sorted(accuracy.keys() & selected.keys())
    ones = [accuracy[repeat] if selected[repeat] == 1 else 1 - accuracy[repeat] for repeat in repeats]
    return dict(zip(repeats, best_constant(ones).tolist())) if repeats else {}


@dataclass(frozen=True, eq=False)
class Vertex:
    """A point that a line can go through, over J repeats: ``gap`` (J,) and ``accuracy`` (J,), fractions."""

    gap: Floats
    accuracy: Floats

    @cached_property
    def mean(self) -> tuple[float, float]:
        """Return the means of gap and accuracy over the repeats."""
        return mean_of(self.gap), mean_of(self.accuracy)


@dataclass(frozen=True)
class AboveLine:
    """Accuracy above a line at the method's own gap, as a fraction, with its interval if there is one.

    ``value`` is over ``n`` repeats; ``low`` and ``high`` are None if no interval is valid.
    """

    value: float
    low: Optional[float]
    high: Optional[float]
    n: int

    @property
    def side(self) -> Optional[int]:
        """Return 1 if the interval lies above 0, -1 if below, 0 if it holds 0, None if there is none."""
        if self.low is None or self.high is None:
            return None
        return 1 if self.low > ROUNDING else -1 if self.high < -ROUNDING else 0

    @property
    def reading(self) -> str:
        """Return on which side of the coin the interval lies."""
        return NO_INTERVAL if self.side is None else (OPEN, ABOVE, BELOW)[self.side]


@dataclass(frozen=True, eq=False)
class Line:
    """A concave line that rises from a constant's accuracy at gap 0 and is flat after its last vertex.

    The hull is taken over means: the slope from a single split explodes if the baseline's gap is noise.

    Args:
        vertices: of the hull, by rising gap; the first has gap 0.
    """

    vertices: tuple[Vertex, ...]

    @classmethod
    def through(cls, constant: Floats, points: Sequence[Vertex]) -> Line:
        """Return the hull of ``points`` and the better constant prediction, whose accuracy (J,) is ``constant``."""
        hull: list[Vertex] = []
        start = Vertex(np.zeros_like(constant), constant)
        for vertex in [start, *sorted(points, key=lambda vertex: (vertex.mean[0], -vertex.mean[1]))]:
            gap, accuracy = vertex.mean
            if hull and accuracy <= hull[-1].mean[1]:
                continue
            while hull and (gap <= hull[-1].mean[0] or (len(hull) > 1 and _turns_up(hull[-2], hull[-1], vertex))):
                hull.pop()
            hull.append(vertex)
        return cls(tuple(hull))

    def at(self, gap: float) -> float:
        """Return the line's accuracy at a ``gap``, a fraction."""
        means = [vertex.mean for vertex in self.vertices]
        return float(np.interp(gap, [x for x, _ in means], [y for _, y in means]))

    def above(self, gap: Floats, accuracy: Floats, ratio: Optional[float], level: float = LEVEL) -> AboveLine:
        """Return how far a method lies above the line, from its values and the vertices' over the same J repeats.

        The line is the lowest of its segments, prolonged, so the height above it is the largest of the heights above
        segments. Each has an interval, the corrected t of its linearisation at the means, which includes the spread of
        the vertices and their correlation with the method. Segments that meet in a vertex whose gap is not told apart
        from the method's all count: the upper end is the largest of theirs, the lower end the largest at the level
        that Bonferroni asks for. Without this, a method equal to the baseline would lie above the coin by chance,
        because the coin bends there.

        Args:
            gap: of the method (J,).
            accuracy: of the method (J,).
            ratio: the splits' ratio, see ``intervals.overlap_correction``; None if no interval is valid.
            level: confidence level of the interval.
        """
        g, n = mean_of(gap), len(gap)
        value = mean_of(accuracy) - self.at(g)
        if n < 2 or ratio is None:
            return AboveLine(value, None, None, n)
        heights = [accuracy - self.linear(gap, place) for place in self._segments(gap, ratio)]
        known = [moments(height) for height in heights]
        strict = 1 - (1 - level) / len(known)
        low = max(mean - half_width(sd, n, ratio, strict) for mean, sd in known)
        high = max(mean + half_width(sd, n, ratio, level) for mean, sd in known)
        return AboveLine(value, min(low, value), max(high, value), n)

    def _segments(self, gap: Floats, ratio: float) -> list[int]:
        """Return the segments that the method may lie over."""
        n, last = len(gap), len(self.vertices)
        here = self._segment(mean_of(gap))
        found = {here}
        for place in {here - 1, here} & set(range(1, last)):  # vertices between two segments
            mean, sd = moments(gap - self.vertices[place].gap)
            if abs(mean) <= half_width(sd, n, ratio, BEND):
                found |= {place, place + 1}
        return sorted(found)

    def linear(self, gap: Floats, place: Optional[int] = None) -> Floats:
        """Return a linearisation (J,) of the line's height at a method's mean gap, whose mean is that height.

        Args:
            gap: of the method (J,), over the repeats of the vertices.
            place: the segment that is prolonged; by default the one under the mean gap.
        """
        mean = mean_of(gap)
        here = self._segment(mean) if place is None else place
        if here == len(self.vertices):
            return self.vertices[-1].accuracy
        left, right = self.vertices[here - 1], self.vertices[here]
        (x, y), (x_end, y_end) = left.mean, right.mean
        share, slope = (mean - x) / (x_end - x), (y_end - y) / (x_end - x)
        height = (1 - share) * left.accuracy + share * right.accuracy
        return np.asarray(height + slope * (gap - (1 - share) * left.gap - share * right.gap))

    def _segment(self, gap: float) -> int:
        """Return the segment over a gap: place i ends in vertex i; the last is the flat one."""
        last = len(self.vertices)
        return next((place for place in range(1, last) if gap < self.vertices[place].mean[0]), last)


def _turns_up(first: Vertex, second: Vertex, third: Vertex) -> bool:
    """Return whether the second vertex lies on or below the segment from the first to the third."""
    (x, y), (x2, y2), (x3, y3) = first.mean, second.mean, third.mean
    return (y2 - y) * (x3 - x) <= (y3 - y) * (x2 - x)


def coin(baseline: Vertex, constant: Floats) -> Line:
    """Return the trivial line: mixtures of the ``baseline`` with the better ``constant`` (accuracy (J,)).

    It is flat if the baseline is no more accurate than the constant.
    """
    return Line.through(constant, [baseline])


def against_coin(
    accuracy: Mapping[int, float],
    gap: Mapping[int, float],
    baseline_accuracy: Mapping[int, float],
    baseline_gap: Mapping[int, float],
    constant: Mapping[int, float],
    ratio: Optional[float],
) -> Optional[AboveLine]:
    """Return how far a method lies above the coin, over the repeats that all quantities have; None if there are none.

    ``accuracy`` and ``gap`` are the method's by repeat, ``baseline_accuracy`` and ``baseline_gap`` the baseline's, and
    ``constant`` is the better constant's accuracy; ``ratio`` is the splits' ratio, None if no interval is valid.
    """
    parts = (accuracy, gap, baseline_accuracy, baseline_gap, constant)
    repeats = sorted(set(accuracy).intersection(*parts))
    if not repeats:
        return None
    a, g, a_b, g_b, a_c = (np.array([part[repeat] for repeat in repeats]) for part in parts)
    return coin(Vertex(g_b, a_b), a_c).above(g, a, ratio)


def published_above_coin(
    accuracy: tuple[float, Optional[float]],
    gap: tuple[float, Optional[float]],
    baseline: tuple[float, float],
    constant_accuracy: float,
    runs: int,
    ratio: Optional[float],
    level: float = LEVEL,
) -> AboveLine:
    """Return how far a published point lies above the coin through the published baseline.

    If both spreads are published, accuracy and gap are treated as uncorrelated and the baseline as exact; otherwise
    there is no interval.

    Args:
        accuracy: mean and standard deviation (None if not published) over the runs.
        gap: likewise.
        baseline: accuracy and gap, means.
        constant_accuracy: of the better constant.
        runs: how many runs the means are over.
        ratio: the splits' ratio, see ``intervals.overlap_correction``; None if no interval is valid.
        level: confidence level of the interval.
    """
    value = accuracy[0] - coin_accuracy(gap[0], *baseline, constant_accuracy)
    if accuracy[1] is None or gap[1] is None or ratio is None or runs < 2:
        return AboveLine(value, None, None, runs)
    rising = baseline[0] > constant_accuracy and gap[0] < baseline[1]
    slope = (baseline[0] - constant_accuracy) / baseline[1] if rising else 0.0
    width = half_width(math.hypot(accuracy[1], slope * gap[1]), runs, ratio, level)
    return AboveLine(value, value - width, value + width, runs)
