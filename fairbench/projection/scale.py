"""Scores and bounds of another order than the rest are set aside during the search: its grid is as fine as they allow.

A box of +-1e16 around scores between 0 and 1, or one score of 1e17 in the box (0, 1), would leave the rest a few bits.
"""

from __future__ import annotations

import math
from typing import Callable

from fairbench.projection.cells import Array, Box, Solution, check_scores

FAR = 16.0  # times the rest

Solve = Callable[[Array, Box], Solution]


def at_scale(solve: Solve, score: Array, box: Box, size: float = 0.0) -> Solution:
    """Return ``solve(score, box)``, found without what is far off, or with it where it turns out to matter.

    A bound far beyond all scores is left out until an output passes it. A score far outside the box is moved closer to
    it, for its output is the bound, until a shift is as large.

    Args:
        solve: the search. What it finds infeasible is so: a box with fewer bounds is larger.
        score: (n,).
        box: where the outputs lie.
        size: of the largest target or mean that is asked for.

    Raises:
        ValueError: a score is NaN, infinite or too large.
    """
    smallest, largest = check_scores(score)
    near, width = score, box.upper - box.lower
    least, most = box.lower - FAR * width, box.upper + FAR * width
    if box.bounded and (smallest < least or largest > most):
        near, smallest, largest = score.clip(least, most), max(smallest, least), min(largest, most)
    far = FAR * max(-smallest, largest, size)
    lower = box.lower if box.lower >= -far else -math.inf
    upper = box.upper if box.upper <= far else math.inf
    while True:
        solution = solve(near, Box(lower, upper))
        below, above = (solution.value < box.lower).any(), (solution.value > box.upper).any()
        close = near is score or abs(solution.shift).max(initial=0) <= (FAR - 1) * width
        if close and not below and not above:
            return solution
        near = near if close else score
        lower, upper = box.lower if below else lower, box.upper if above else upper
