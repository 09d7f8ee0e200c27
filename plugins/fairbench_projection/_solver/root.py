"""One contrast: the multiplier that brings a weighted sum of clipped, shifted scores within epsilon of its target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from fairbench_projection._solver.cells import Box, Cells, Infeasible

ROUNDING = 4e-16  # of a sum of floats, relative to its terms

Evaluate = Callable[[float], tuple[float, float, float]]
"""A multiplier -> contrast minus target, how fast it falls there, and the rounding error in it."""

Beyond = Callable[[float, float, float], tuple[float, bool]]
"""Sign, size and tolerance -> a larger size of the multiplier, and whether that is certainly too large."""


@dataclass(frozen=True)
class Contrast:
    """sum over cells of weight * (total of the cell's outputs), which has to lie within epsilon of the target.

    Args:
        terms: (cell, weight) for each cell that has rows and a weight other than 0.
        target: what the sum is compared with.
        name: for messages.
    """

    terms: Sequence[tuple[int, float]]
    target: float
    name: str


def reach(cells: Cells, contrast: Contrast, sign: float = 1.0) -> float:
    """Return the smallest value (sign 1) of contrast minus target that the box allows, or minus the largest (-1)."""
    total = -sign * contrast.target
    for cell, weight in contrast.terms:
        bound = cells.box.lower if sign * weight > 0 else cells.box.upper
        total += sign * weight * cells.count[cell] * bound
    return total


def find_root(evaluate: Evaluate, epsilon: float, beyond: Beyond, guess: float = 0.0) -> tuple[float, float]:
    """Return the multiplier nearest to 0 that brings a contrast within epsilon of its target, and its slope there.

    The contrast falls as the multiplier grows, piecewise linearly: Newton's steps inside a bracket, halved where a step
    leaves the bracket or gains too little (flat pieces would stall it, and steep ones send it back and forth).

    Args:
        evaluate: the contrast.
        epsilon: >= 0.
        beyond: where to look when Newton's step leads nowhere; raises ``Infeasible`` where there is no root.
        guess: a multiplier to try first, e.g. that of a similar problem.
    """
    value, slope, tolerance = evaluate(0.0)
    if abs(value) <= epsilon:
        return 0.0, 0.0
    sign = math.copysign(1.0, value)
    gap = sign * value - epsilon
    lower, upper, size = 0.0, math.inf, 0.0  # of the multiplier's size
    following = guess * sign if guess * sign > 0 else gap / slope if slope else math.inf
    while True:
        if not lower < following < upper:
            if math.isinf(upper):
                following, certain = beyond(sign, size, tolerance)
                if certain:
                    upper = following
            if math.isfinite(upper):
                following = (lower + upper) / 2
                if not lower < following < upper:  # no number is left between them
                    return sign * size, slope
        before, size = gap, following
        value, slope, tolerance = evaluate(sign * size)
        gap = sign * value - epsilon
        if abs(gap) <= tolerance:
            return sign * size, slope
        if gap > 0:
            lower = size
        else:
            upper = size
        gained = abs(gap) <= abs(before) / 2
        following = size + gap / slope if slope and (gained or math.isinf(upper)) else math.inf


def solve_contrast(
    cells: Cells, contrast: Contrast, epsilon: float, base: Sequence[float] = (), guess: float = 0.0
) -> tuple[float, float]:
    """Return the multiplier nu of one contrast over cells, 0 if it is within epsilon as it is, and its slope.

    Args:
        cells: the rows; cell c is shifted by nu * weight.
        contrast: what is constrained.
        epsilon: >= 0.
        base: (C,) shifts that are there already; None means zeros.
        guess: a multiplier to try first.

    Raises:
        Infeasible: the box does not let the contrast come within epsilon of its target.
    """
    terms, target, at = contrast.terms, contrast.target, cells.at
    grid = 0.0
    for cell, weight in terms:
        grid += abs(weight) * cells.count[cell]
    grid *= 2 / cells.unit

    def evaluate(nu: float) -> tuple[float, float, float]:
        value, slope, size = -target, 0.0, abs(target)
        for cell, weight in terms:
            total, free = at(cell, nu * weight + base[cell] if base else nu * weight)
            part = weight * total
            value += part
            slope += weight * weight * free
            size += abs(part)
        return value, slope, ROUNDING * size + grid

    def beyond(sign: float, size: float, tolerance: float) -> tuple[float, bool]:
        """Return where all rows are clipped or, on a side without a bound, some are free."""
        best = reach(cells, contrast, sign)
        if best - epsilon > tolerance:
            raise unreachable(contrast.name, contrast.target, epsilon, best, cells.box)
        sizes = [0.0]
        for cell, weight in terms:
            (smallest, largest), shifted = cells.extremes(cell), base[cell] if base else 0.0
            lower = cells.box.lower if math.isfinite(cells.box.lower) else smallest
            upper = cells.box.upper if math.isfinite(cells.box.upper) else largest
            room = largest - shifted - lower if sign * weight > 0 else upper - smallest + shifted
            sizes.append(max(room, 0.0) / abs(weight))
        return max(2 * size, 1.001 * max(sizes) + 2 / cells.unit), math.isfinite(best)

    return find_root(evaluate, epsilon, beyond, guess)


def unreachable(name: str, target: float, epsilon: float, best: float, box: Box) -> Infeasible:
    """Return the error that names a contrast, what it asks for and what the box allows."""
    return Infeasible(
        f"{name} cannot come within {epsilon:g} of {target:g}: in the box [{box.lower:g}, {box.upper:g}] it differs "
        f"by {best:.6g} or more; raise epsilon, or widen the box"
    )
