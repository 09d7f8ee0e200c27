"""Two groups and one contrast, the usual case: the general search without its generality, at a fraction of its price.

It is for batches of which some rows, and not most, are at a bound. Where Newton's steps alone do not end on the exact
multiplier it gives up, and the general search takes over. Here too all totals are exact whole numbers (see ``cells``).
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.projection.backward import Pull, dot
from fairbench.projection.cells import Array, Box, Codes, check_scores, clip_whole, fixed_point, grid_unit
from fairbench.projection.root import ROUNDING
from fairbench.projection.scratch import SCRATCH

STEPS = 8  # of Newton's; three are usual
NO_BOUND = 2**62  # beyond all scores on the grid, by more than any shift that is tried
ONLY, NONE = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)


class Pair(NamedTuple):
    """Where a projection of two groups has ended.

    ``value`` (n,) are the outputs before they are clipped to the box, ``row`` (n,) is each row's weight in the
    contrast, None where the contrast is not active, and ``multiplier`` is that of the contrast.
    """

    value: Array
    row: Optional[Array]
    multiplier: float
    box: Box

    def pull_back(self, gradient: NDArray[np.floating]) -> Pull:
        """Return the vector-Jacobian product of the projection for a gradient by the outputs (n,).

        It is that of ``backward.pull_back``, for one constraint at most.
        """
        free = self.box.inside(self.value)
        through = np.empty(len(free))
        np.copyto(through, gradient)
        np.copyto(through, 0.0, where=~free)  # and not times 0: a loss may be infinitely steep at a bound
        if self.row is None:
            return Pull(through, np.zeros(0), NONE, np.zeros(0))
        moving = SCRATCH.take("row", len(free), np.float64)
        np.multiply(self.row, free, out=moving)
        size = dot(moving, moving)
        right = dot(moving, through) / size if size else 0.0
        moving *= right
        through -= moving
        return Pull(through, np.array([right]), ONLY, np.array([math.copysign(1.0, self.multiplier)]))


def solve_pair(
    score: NDArray[np.floating],
    code: Codes,
    epsilon: float,
    box: Box,
    weights: Optional[tuple[float, float]] = None,
    target: float = 0.0,
) -> Optional[Pair]:
    """Return the projection onto one contrast of two groups, or None if the general search has to find it.

    Args:
        score: (n,) finite scores.
        code: (n,) the groups, 0 and 1, as 64-bit numbers; with other codes, or rows of one only, the answer is None.
        epsilon: >= 0.
        box: where the outputs lie.
        weights: of a row of group 0 and of group 1; None stands for the mean of group 0 minus that of group 1.
        target: what the contrast is compared with.

    Raises:
        ValueError: a score is NaN or infinite.
    """
    if not len(code) or np.maximum.reduce(code.view(np.uint64)) > 1:  # seen so, a negative code is a very large one
        return None
    second = code.astype(bool)
    n_second = int(np.count_nonzero(second))
    n_first = len(code) - n_second
    if not (n_first and n_second):
        return None
    one, two = weights or (1 / n_first, -1 / n_second)
    halves = _Halves(score, second, n_first, box, abs(target))
    grid = (abs(one) * n_first + abs(two) * n_second) * 2 / halves.unit
    nu, sign = 0.0, 0.0
    for _ in range(STEPS):
        found = halves.at(nu * one, nu * two)
        if found is None:
            return None
        first_total, second_total, first_free, second_free = found
        value = one * first_total + two * second_total - target
        if not sign:
            if abs(value) <= epsilon:
                return Pair(score.astype(np.float64), None, 0.0, box)
            sign = math.copysign(1.0, value)
        gap = value - sign * epsilon
        rounding = ROUNDING * (abs(one * first_total) + abs(two * second_total) + abs(target)) + grid
        if nu and abs(gap) <= rounding:
            row = np.array((one, two)).take(code)
            moved = np.multiply(row, -nu)
            moved += score
            return Pair(moved, row, nu, box)
        slope = one * one * first_free + two * two * second_free
        nu += gap / slope if slope else math.inf
        if not 0 < sign * nu:
            return None
    return None


class _Halves:
    """The rows of two groups on the grid, one group after the other; in each thread only the latest is valid."""

    def __init__(
        self, score: NDArray[np.floating], second: NDArray[np.bool_], n_first: int, box: Box, target: float
    ) -> None:
        n = len(score)
        smallest, largest = check_scores(score)
        size = max(-smallest, largest, box.size, target, 1e-290)
        self.unit = unit = grid_unit(size, n)
        self.farthest = 2 * size
        fixed = fixed_point(score, unit)
        self.values = values = SCRATCH.take("together", n, np.int64)
        fixed.compress(~second, out=values[:n_first])
        fixed.compress(second, out=values[n_first:])
        self.clipped, self.same = SCRATCH.take("clipped", n, np.int64), SCRATCH.take("same", n, bool)
        self.n_first, self.n_second, self.starts = n_first, n - n_first, np.array((0, n_first))
        self.lower = -NO_BOUND if box.lower == -math.inf else round(box.lower * unit)
        self.upper = NO_BOUND if box.upper == math.inf else round(box.upper * unit)

    def at(self, first_shift: float, second_shift: float) -> Optional[tuple[float, float, int, int]]:
        """Return each group's total of clip(z - shift), and how many rows of each the box leaves as they are.

        The answer is None for a shift that is out of the question, for which totals might pass 64 bits.
        """
        if not max(abs(first_shift), abs(second_shift)) <= self.farthest:
            return None
        unit, cut, clipped, same = self.unit, self.n_first, self.clipped, self.same
        first_steps, second_steps = round(first_shift * unit), round(second_shift * unit)
        clip_whole(self.values[:cut], self.lower + first_steps, self.upper + first_steps, clipped[:cut])
        clip_whole(self.values[cut:], self.lower + second_steps, self.upper + second_steps, clipped[cut:])
        first_total, second_total = np.add.reduceat(clipped, self.starts).tolist()
        np.equal(self.values, clipped, out=same)
        return (
            (first_total - first_steps * cut) / unit,
            (second_total - second_steps * self.n_second) / unit,
            int(np.count_nonzero(same[:cut])),
            int(np.count_nonzero(same[cut:])),
        )
