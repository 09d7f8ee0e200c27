"""Two groups and one contrast, the usual case: the general search without its generality, compiled (``_pair.c``).

It is for batches of which some rows, and not most, are at a bound. Where Newton's steps alone do not end on the exact
multiplier it gives up, and the general search takes over, as it does wherever the compiled part could not be built. It
takes tensors, not arrays, because getting at an array's memory costs as much as the work on a small batch.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from fairbench_projection._solver.cells import Box

try:
    from fairbench_projection._solver import _pair
except ImportError:
    COMPILED = False
else:
    COMPILED = True

MEANS = (math.nan, math.nan)  # stands for the weights of the mean of group 0 minus that of group 1


class Pair(NamedTuple):
    """What holds near a projection of two groups.

    ``state`` (n,) says what a row can do: 0 nothing, 1 and 2 move, in group 0 and 1. ``weights`` are those of a row of
    each group, and ``multiplier`` is the contrast's, 0 where nothing had to be shifted. ``active`` says whether it
    holds the outputs: wherever something was shifted, and always if epsilon is 0.
    """

    state: Tensor
    weights: tuple[float, float]
    multiplier: float
    active: bool

    def pull_back(self, gradient: Tensor) -> tuple[Tensor, float]:
        """Return a gradient for the outputs (n,) or (n, 1), pulled back: for the scores, and for the contrast's target.

        It is what ``backward.pull_back`` returns, for one constraint at most; the one for epsilon has the multiplier's
        sign, and is 0 where that is 0.
        """
        gradient = gradient.contiguous()
        by_score = torch.empty_like(gradient)
        right = _pair.pull_back(
            gradient.data_ptr(),
            self.state.data_ptr(),
            by_score.data_ptr(),
            len(self.state),
            gradient.dtype == torch.float32,
            self.weights if self.active else (0.0, 0.0),
        )
        return by_score, right


def solve_pair(
    score: Tensor, code: Tensor, epsilon: float, box: Box, weights: tuple[float, float] = MEANS, target: float = 0.0
) -> Optional[tuple[Tensor, Pair]]:
    """Return the projection onto one contrast of two groups, or None if the general search has to find it.

    Args:
        score: (n,) or (n, 1), float32 or float64, on the CPU; if one is not finite the answer is None.
        code: (n,) the groups, 0 and 1, as contiguous int64; with other codes, or rows of only one group, the answer is
            None.
        epsilon: >= 0.
        box: where the outputs lie.
        weights: of a row of group 0 and of group 1.
        target: what the contrast is compared with.

    Returns:
        The outputs, in the shape and type of score, and what holds nearby.
    """
    if not COMPILED:
        return None
    score = score.contiguous()
    n, single = len(code), score.dtype == torch.float32
    value, state = torch.empty_like(score), torch.empty(n, dtype=torch.uint8)
    found = _pair.solve(
        score.data_ptr(),
        code.data_ptr(),
        value.data_ptr(),
        state.data_ptr(),
        n,
        single,
        weights,
        target,
        epsilon,
        (box.lower, box.upper),
        box.single if single else (box.lower, box.upper),
        box.interior,
    )
    if found is None:
        return None
    found_weights, multiplier = found
    return value, Pair(state, found_weights, multiplier, multiplier != 0 or epsilon == 0)
