"""Scores on a fixed-point grid, sorted into cells: every total is an exact whole number, whatever the rows' order.

The projections search for a few shifts, and all that they ask of the n rows is, for a cell and a shift s, the total of
clip(z - s, lower, upper) and how many rows lie within the box. Sums of floats depend on the order of their terms; sums
of whole numbers do not. So scores become multiples of a power of two, fine enough that n of them still add up in 64
bits. One pass over a cell (clip, add, count) costs far less than sorting it would; only small cells are sorted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from fairbench_projection._solver.scratch import SCRATCH

Array = NDArray[np.float64]
Codes = NDArray[np.integer]

VALUE_BITS, TOTAL_BITS = 50, 60  # of one score, and of the sum of all: below 63, so that a shifted score fits as well
ROUNDER = 1.5 * 2**52
ROUNDER_BITS = np.float64(ROUNDER).view(np.int64)
SORTED_ROWS = 512  # of a small cell, which is sorted once: then every total is two binary searches
CLIP_ROWS = 2000  # up to here two calls without checks are faster than one clip
LARGEST_SCORE = 1e300
LARGEST = 2.0**61  # shift in grid steps: thousands of times the scores, so that only hopeless searches get this far
SPLIT = 31  # where a number is cut in two for sums that may exceed 64 bits
FREE_MARGIN = 1e-9  # of the box: a row closer to a bound counts as on it; flat pieces of the search leave rows there


class Infeasible(ValueError):
    """No output within the box satisfies a constraint; the message names the constraint and what can be reached."""


@dataclass(frozen=True)
class Box:
    """The interval from ``lower`` to ``upper`` that every output stays in; a side may be infinite."""

    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        """Check that there is room between the bounds."""
        if not self.lower < self.upper:  # false for NaN too
            raise ValueError(f"the box is [{self.lower:g}, {self.upper:g}]; lower must be below upper")

    @cached_property
    def bounded(self) -> bool:
        """Return whether both sides are finite."""
        return self.lower > -math.inf and self.upper < math.inf

    @cached_property
    def endless(self) -> bool:
        """Return whether neither side is finite."""
        return self.lower == -math.inf and self.upper == math.inf

    @cached_property
    def size(self) -> float:
        """Return the larger of the finite bounds' sizes, 0 without any."""
        return max([abs(bound) for bound in (self.lower, self.upper) if math.isfinite(bound)], default=0.0)

    def clip(self, value: Array) -> Array:
        """Return the nearest value within the box for each value, in a new array."""
        return value.copy() if self.endless else value.clip(self.lower, self.upper)

    @cached_property
    def interior(self) -> tuple[float, float]:
        """Return the bounds of the values that are free to move either way: more than a rounding error inside ours."""
        margin = FREE_MARGIN * (self.upper - self.lower if self.bounded else 1.0)
        return self.lower + margin, self.upper - margin

    @cached_property
    def single(self) -> tuple[float, float]:
        """Return the bounds as 32-bit numbers; for one that is not exact there, the next number inside the box."""
        with np.errstate(over="ignore"):  # a bound beyond 3e38 becomes infinite, and the next number inside is finite
            lower, upper = np.float32(self.lower), np.float32(self.upper)
        return (
            float(np.nextafter(lower, np.float32(math.inf)) if float(lower) < self.lower else lower),
            float(np.nextafter(upper, np.float32(-math.inf)) if float(upper) > self.upper else upper),
        )

    def inside(self, value: Array) -> NDArray[np.bool_]:
        """Return a mask that says of each value whether it is free to move."""
        lower, upper = self.interior
        free: NDArray[np.bool_] = value > lower
        free &= value < upper
        return free


def check_epsilon(values: Sequence[float]) -> None:
    """Refuse tolerances that are negative, infinite or NaN.

    Raises:
        ValueError: one of them is.
    """
    if not all(0 <= value < math.inf for value in values):  # false for NaN too
        raise ValueError(f"epsilon is {', '.join(map(str, values))}; it must be a number, 0 or more")


def check_scores(score: Array) -> tuple[float, float]:
    """Return the smallest and the largest score; 0 and 0 if there are none.

    Raises:
        ValueError: a score is NaN, infinite or so large that sums could overflow; the message names the first row.
    """
    if not len(score):
        return 0.0, 0.0
    smallest, largest = score.item(score.argmin()), score.item(score.argmax())  # faster than min and max
    if max(-smallest, largest) <= LARGEST_SCORE:  # a NaN makes both NaN
        return smallest, largest
    wrong = np.flatnonzero(~np.isfinite(score))
    if not len(wrong):
        row = int(np.abs(score).argmax())
        raise ValueError(f"the score in row {row} is {score[row]:g}; at most {LARGEST_SCORE:g} can be projected")
    raise ValueError(
        f"NaN or infinite scores: {len(wrong)} of {len(score)}, the first is {score[wrong[0]]} in row {wrong[0]}; the "
        "model has diverged, or its inputs hold such values"
    )


class Cells:
    """The rows of each cell on the grid; in each thread only the latest one is valid, because its memory is used again.

    Args:
        score: (n,) finite scores.
        code: (n,) each row's cell, 0 to n_cells - 1.
        n_cells: number of cells; some may be empty.
        box: where outputs lie.
        target: the size of the largest mean that is asked for, if the scores and the box do not show it.

    ``unit`` is the number of grid steps in 1.0, ``count`` has the rows of each cell, ``size`` is that of the largest
    number.
    """

    def __init__(self, score: Array, code: Codes, n_cells: int, box: Box, target: float = 0.0) -> None:
        """Put the scores on the grid and into their cells."""
        self.box = box
        smallest, largest = check_scores(score)
        self.size = max(-smallest, largest, box.size, target, 1e-290)
        self.unit = _grid_unit(self.size, len(score))
        self._lower = None if box.lower == -math.inf else round(box.lower * self.unit)
        self._upper = None if box.upper == math.inf else round(box.upper * self.unit)
        self._values = _gather_cells(_fixed_point(score, self.unit), code, n_cells)
        self.count: Sequence[int] = [len(values) for values in self._values]
        if sum(self.count) != len(score):
            raise ValueError(
                f"group codes run from {code.min()} to {code.max()}; they must be whole numbers from 0 to {n_cells - 1}"
            )
        self._prefixes = [_sorted_prefix(values) for values in self._values]
        self._at_rest: dict[int, tuple[float, int]] = {}

    def at(self, cell: int, shift: float) -> tuple[float, int]:
        """Return the total of a cell's outputs clip(z - shift), and how many of them the box leaves as they are."""
        if not shift and cell in self._at_rest:  # every search begins there
            return self._at_rest[cell]
        steps = shift * self.unit
        steps = round(steps) if -LARGEST < steps < LARGEST else int(math.copysign(LARGEST, steps))
        lower = None if self._lower is None else self._lower + steps
        upper = None if self._upper is None else self._upper + steps
        prefix = self._prefixes[cell]
        if prefix is None:
            total, free = _clipped_total(self._values[cell], lower, upper)
        else:
            total, free = _sorted_total(self._values[cell], prefix, lower, upper)
        found = (total - self.count[cell] * steps) / self.unit, free
        if not shift:
            self._at_rest[cell] = found
        return found

    def extremes(self, cell: int) -> tuple[float, float]:
        """Return the smallest and the largest score of a cell that has rows."""
        values = self._values[cell]
        return int(values.min()) / self.unit, int(values.max()) / self.unit


def _grid_unit(size: float, n: int) -> float:
    """Return the number of grid steps in 1.0, a power of two, for n numbers of which the largest has this size."""
    return math.ldexp(1.0, min(VALUE_BITS, TOTAL_BITS - n.bit_length()) - math.frexp(size)[1])


def _fixed_point(score: NDArray[np.floating], unit: float) -> NDArray[np.int64]:
    """Return score * unit rounded to whole numbers, of at most 50 bits."""
    scaled = SCRATCH.take("scaled", len(score), np.float64)
    np.multiply(score, unit, out=scaled, dtype=np.float64)
    scaled += ROUNDER  # leaves the whole number in the low bits; three times as fast as a conversion
    fixed: NDArray[np.int64] = scaled.view(np.int64)
    fixed -= ROUNDER_BITS
    return fixed


def _clip_whole(values: NDArray[np.int64], lower: int, upper: int, out: NDArray[np.int64]) -> None:
    """Write the values, clipped to finite bounds on the grid, to another array."""
    if len(values) <= CLIP_ROWS:
        np.minimum(np.maximum(values, lower, out=out), upper, out=out)
    else:
        values.clip(np.int64(lower), np.int64(upper), out=out)  # with Python's it would check the range first


def _gather_cells(fixed: NDArray[np.int64], code: Codes, n_cells: int) -> list[NDArray[np.int64]]:
    """Return the values of each cell, in the order of the rows."""
    together, here = SCRATCH.take("together", len(fixed), np.int64), SCRATCH.take("here", len(fixed), bool)
    parts, start = [], 0
    for cell in range(n_cells):
        np.equal(code, cell, out=here)
        end = start + int(np.count_nonzero(here))
        parts.append(fixed.compress(here, out=together[start:end]))
        start = end
    return parts


def _sorted_prefix(values: NDArray[np.int64]) -> Optional[NDArray[np.int64]]:
    """Sort a small cell in place and return its running totals, from 0 on; None where that is not worthwhile."""
    if len(values) > SORTED_ROWS:
        return None
    values.sort()
    prefix = np.zeros(len(values) + 1, dtype=np.int64)
    np.add.accumulate(values, out=prefix[1:])
    return prefix


def _sorted_total(
    values: NDArray[np.int64], prefix: NDArray[np.int64], lower: Optional[int], upper: Optional[int]
) -> tuple[int, int]:
    """Return the total of sorted values within bounds, and how many lie there: two binary searches."""
    first = 0 if lower is None else int(values.searchsorted(lower))
    last = len(values) if upper is None else int(values.searchsorted(upper, "right"))
    total = int(prefix[last]) - int(prefix[first])
    if lower is not None:
        total += lower * first
    if upper is not None:
        total += upper * (len(values) - last)
    return total, last - first


def _clipped_total(values: NDArray[np.int64], lower: Optional[int], upper: Optional[int]) -> tuple[int, int]:
    """Return the total of values within bounds, and how many lie there: one pass."""
    if lower is None and upper is None:
        return int(np.add.reduce(values)), len(values)
    clipped, same = SCRATCH.take("clipped", len(values), np.int64), SCRATCH.take("same", len(values), bool)
    if lower is not None and upper is not None:
        _clip_whole(values, lower, upper, clipped)
    else:
        source = values if lower is None else np.maximum(values, lower, out=clipped)
        if upper is not None:
            np.minimum(source, upper, out=clipped)
    free = int(np.count_nonzero(np.equal(values, clipped, out=same)))
    if lower is None or upper is None or max(abs(lower), abs(upper)) * len(values) >> 62:
        high = int(np.add.reduce(clipped >> SPLIT))  # in two halves, because the total may exceed 64 bits
        return (high << SPLIT) + int(np.add.reduce(clipped & (2**SPLIT - 1))), free
    return int(np.add.reduce(clipped)), free


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a projection has ended, and what holds nearby.

    Args:
        value: (n,) outputs, clip(score - shift).
        shift: what was subtracted, for each cell (C,) or, without cells, for each row (n,).
        multiplier: (K,) of each contrast, or (G,) of each group: positive where it is held down, 0 where it is free.
        tangent: weights of the R active constraints on the outputs, by cell (R, C) or by row (R, n). One with
            epsilon = 0 is an equality: it is active even where nothing had to be shifted.
        active: (R,) the contrast that each is, or the group.
        slope: (R,) how the right-hand side of each changes with its epsilon.
        idle: of a range of three or more groups, whose right-hand sides share a level that adjusts itself: the groups
            that count and are not shifted. None for other constraints.
        relaxed: what holds as soon as an epsilon grows from 0, where that is fewer constraints; None where it is these.
    """

    value: Array
    shift: Array
    multiplier: Array
    tangent: Array
    active: NDArray[np.int64]
    slope: Array
    idle: Optional[NDArray[np.int64]] = None
    relaxed: Optional[Solution] = None


def shifted(score: Array, shift: Array, code: Optional[Codes], box: Box) -> Array:
    """Return clip(score - shift) for shifts by cell (C,), or by row (n,) if there is no code."""
    value: Array = shift.copy() if code is None else shift.take(code)  # one new array, which the rest reuses
    np.subtract(score, value, out=value)
    return value if box.endless else np.clip(value, box.lower, box.upper, out=value)


def unconstrained(value: Array, size: int, multipliers: int) -> Solution:
    """Return the solution where no constraint is active: nothing was shifted."""
    none = np.zeros(0, dtype=np.int64)
    return Solution(value, np.zeros(size), np.zeros(multipliers), np.zeros((0, size)), none, np.zeros(0))
