"""Two groups and one contrast, the usual case: the general search without its generality, at a fraction of its price.

It is for batches of which some rows, and not most, are at a bound. Where Newton's steps alone do not end on the exact
multiplier it gives up, and the general search takes over. Here too all totals are exact whole numbers (see ``cells``).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.projection.backward import dot
from fairbench.projection.cells import Array, Box, Codes, check_scores, clip_whole, fixed_point, grid_unit
from fairbench.projection.root import ROUNDING
from fairbench.projection.scratch import SCRATCH

STEPS = 8  # of Newton's; three are usual
NO_BOUND = 2**62  # beyond all scores on the grid, by more than any shift that is tried
SORTED_ROWS = 384  # up to here, sorting and Python's own searches are faster than a pass for each total
APART = 2**53  # grid steps between groups that are sorted together: room for the scores, and their sums fit 64 bits


class Pair(NamedTuple):
    """Where a projection of two groups has ended.

    ``value`` (n,) are the outputs before they are clipped to the box, ``row`` (n,) is each row's weight in the
    contrast, None where the contrast is not active, and ``multiplier`` is the contrast's.
    """

    value: Array
    row: Optional[Array]
    multiplier: float

    def pull_back(self, gradient: NDArray[np.floating], box: Box) -> tuple[Array, float]:
        """Return a gradient by the outputs (n,), pulled back: by the scores (n,), and by the contrast's target.

        It is what ``backward.pull_back`` returns, for one constraint at most; that by epsilon has the multiplier's
        sign.
        """
        n, clipped = len(gradient), box.outside(self.value)
        through = SCRATCH.take("through", n, np.float64)
        np.copyto(through, gradient)
        np.putmask(through, clipped, 0.0)  # and not times 0: a loss may be infinitely steep at a bound
        if self.row is None:
            return through.astype(gradient.dtype), 0.0
        moving = np.multiply(self.row, ~clipped, out=SCRATCH.take("row", n, np.float64))
        size = dot(moving, moving)
        right = dot(moving, through) / size if size else 0.0
        moving *= right
        through -= moving
        return through.astype(gradient.dtype), right


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
    n = len(code)
    if not n or code.item(code.argmin()) != 0 or code.item(code.argmax()) != 1:
        return None
    n_second = int(np.count_nonzero(code))
    n_first = n - n_second
    one, two = weights or (1 / n_first, -1 / n_second)
    value = score.astype(np.float64)
    smallest, largest = check_scores(value)
    size = max(-smallest, largest, box.size, abs(target), 1e-290)
    unit = grid_unit(size, n)
    lower = -NO_BOUND if box.lower == -math.inf else round(box.lower * unit)
    upper = NO_BOUND if box.upper == math.inf else round(box.upper * unit)
    fixed = fixed_point(value, unit)
    group = _Sorted if n <= SORTED_ROWS else _Halves
    rows = group(fixed, code, n_first, lower, upper)
    grid = (abs(one) * n_first + abs(two) * n_second) * 2 / unit
    nu, sign = 0.0, 0.0
    for _ in range(STEPS):
        if not max(abs(nu * one), abs(nu * two)) <= 2 * size:  # farther than any score; totals might pass 64 bits
            return None
        first_steps, second_steps = round(nu * one * unit), round(nu * two * unit)
        first_total, second_total = rows.totals(first_steps, second_steps)
        first = one * ((first_total - first_steps * n_first) / unit)
        other = two * ((second_total - second_steps * n_second) / unit)
        gap = first + other - target
        if not sign:
            if abs(gap) <= epsilon:
                return Pair(value, None, 0.0)
            sign = math.copysign(1.0, gap)
        gap -= sign * epsilon
        if nu and abs(gap) <= ROUNDING * (abs(first) + abs(other) + abs(target)) + grid:
            row = np.array((one, two)).take(code)
            value -= np.multiply(row, nu, out=SCRATCH.take("row", n, np.float64))
            return Pair(value, row, nu)
        first_free, second_free = rows.free()
        slope = one * one * first_free + two * two * second_free
        nu += gap / slope if slope else math.inf
        if sign * nu <= 0:
            return None
    return None


class _Sorted:
    """The rows of two groups on the grid, few enough for sorting: then totals are a matter of binary searches."""

    def __init__(self, fixed: NDArray[np.int64], code: Codes, cut: int, lower: int, upper: int) -> None:
        keys = code * APART  # one sort for both groups, group 1 above group 0
        keys += fixed
        keys.sort()
        self.keys, self.sums = keys.tolist(), np.add.accumulate(keys)
        self.cut, self.lower, self.upper = cut, lower, upper

    def totals(self, first_steps: int, second_steps: int) -> tuple[int, int]:
        """Return each group's total of clip(z, lower + steps, upper + steps)."""
        keys, cut = self.keys, self.cut
        lower, upper = self.lower + first_steps, self.upper + first_steps
        start, stop = bisect_left(keys, lower, 0, cut), bisect_right(keys, upper, 0, cut)
        first = self._between(start, stop) + lower * start + upper * (cut - stop)
        first_free = stop - start
        lower, upper = self.lower + second_steps, self.upper + second_steps
        start, stop = bisect_left(keys, lower + APART, cut), bisect_right(keys, upper + APART, cut)
        self.counts = first_free, stop - start
        second = self._between(start, stop) - APART * (stop - start)
        return first, second + lower * (start - cut) + upper * (len(keys) - stop)

    def _between(self, start: int, stop: int) -> int:
        """Return the total of some keys that follow each other."""
        if start == stop:
            return 0
        return int(self.sums[stop - 1]) - (int(self.sums[start - 1]) if start else 0)

    def free(self) -> tuple[int, int]:
        """Return how many rows of each group the bounds of the latest totals left as they are."""
        return self.counts


class _Halves:
    """The rows of two groups on the grid, one group after the other; in each thread only the latest are valid."""

    def __init__(self, fixed: NDArray[np.int64], code: Codes, cut: int, lower: int, upper: int) -> None:
        n, second = len(fixed), code.astype(bool)
        self.values, self.clipped = SCRATCH.take("together", n, np.int64), SCRATCH.take("clipped", n, np.int64)
        fixed.take((~second).nonzero()[0], out=self.values[:cut], mode="clip")  # numpy buffers it in other modes
        fixed.take(second.nonzero()[0], out=self.values[cut:], mode="clip")
        self.cut, self.lower, self.upper, self.starts = cut, lower, upper, np.array((0, cut))
        self.parts = (self.values[:cut], self.clipped[:cut]), (self.values[cut:], self.clipped[cut:])

    def totals(self, first_steps: int, second_steps: int) -> tuple[int, int]:
        """See ``_Sorted``."""
        if first_steps == second_steps:
            clip_whole(self.values, self.lower + first_steps, self.upper + first_steps, self.clipped)
        else:
            for steps, (values, clipped) in zip((first_steps, second_steps), self.parts):
                clip_whole(values, self.lower + steps, self.upper + steps, clipped)
        first, second = np.add.reduceat(self.clipped, self.starts).tolist()
        return first, second

    def free(self) -> tuple[int, int]:
        """See ``_Sorted``."""
        same = np.equal(self.values, self.clipped, out=SCRATCH.take("same", len(self.values), bool))
        return int(np.count_nonzero(same[: self.cut])), int(np.count_nonzero(same[self.cut :]))
