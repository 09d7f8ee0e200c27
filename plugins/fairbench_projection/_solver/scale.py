"""Scores and bounds of another order of magnitude are set aside in the search: its grid is as fine as they allow.

A box of +-1e16 around scores between 0 and 1, or one score of 1e17 in the box (0, 1), would leave the rest a few bits.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from fairbench_projection._solver.cells import Array, Box, Solution, check_scores

FAR = 16.0  # times the rest
WIDER = 32.0  # times as far, where that was not far enough

Solve = Callable[[Array, Box], Solution]


def at_scale(solve: Solve, score: Array, box: Box, size: float = 0.0) -> Solution:
    """Return ``solve(score, box)``, found without what is far off, or with it where it turns out to matter.

    A bound far beyond all scores is left out until an output passes it. A score far outside the box is moved closer to
    it: if its output is the bound all the same, that holds for the score itself too, whose optimality conditions are
    met by the same shifts; if not, it is looked at from farther away.

    Args:
        solve: the search. What it finds infeasible is so: a box with fewer bounds is larger.
        score: (n,).
        box: where the outputs lie.
        size: of the largest target or mean that is asked for.

    Raises:
        ValueError: a score is NaN, infinite or too large.
    """
    check_scores(score)
    score = score.astype(np.float64, copy=False)
    lower, upper, room = -math.inf, math.inf, _room(score, box, size)
    while True:
        near = score.clip(box.lower - room, box.upper + room)
        far = FAR * max(float(np.abs(near).max(initial=0)), size)
        lower = box.lower if box.lower >= -far else lower
        upper = box.upper if box.upper <= far else upper
        solution = solve(near, Box(lower, upper))
        below, above = (solution.value < box.lower).any(), (solution.value > box.upper).any()
        held = not box.inside(solution.value[near != score]).any()
        if held and not below and not above:
            return solution
        room = room if held else room * WIDER
        lower, upper = box.lower if below else lower, box.upper if above else upper


def _room(score: Array, box: Box, size: float) -> float:
    """Return how far outside the box scores are looked at, to begin with: several times the size of what lies in it."""
    inside = score[(score >= box.lower) & (score <= box.upper)]
    rest = max(float(np.abs(inside).max()), size) if len(inside) else 0.0
    return FAR * (rest or box.upper - box.lower)
