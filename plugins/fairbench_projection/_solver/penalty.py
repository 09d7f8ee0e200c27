"""The penalised step of a primal-dual method: the constraint may be broken, at a price."""

from __future__ import annotations

import math

import numpy as np

from fairbench_projection._solver.cells import Array, Box, Cells, Infeasible, check_scores, shifted
from fairbench_projection._solver.contrasts import Contrasts
from fairbench_projection._solver.general import solve_contrasts
from fairbench_projection._solver.joint import as_contrast
from fairbench_projection._solver.root import solve_contrast


def solve_penalised(score: Array, contrasts: Contrasts, price: float, box: Box) -> Array:
    """Return argmin over y in the box of |y - score|^2 + price * max_k |c_k . y - d_k|.

    The multipliers of the exact problem with epsilon = 0 stay as they are while their sizes add up to no more than
    price / 2; beyond that the constraint is relaxed, by a common epsilon that makes them add up to exactly that.

    Args:
        score: (n,) finite scores.
        contrasts: K contrasts, by cells.
        price: >= 0.
        box: where the outputs lie.
    """
    check_scores(score)
    size, count = price / 2, len(contrasts.offset)
    if size == 0 or count == 0:
        return box.clip(score)
    if contrasts.code is not None and count == 1:
        cells = Cells(score, contrasts.code, contrasts.weight.shape[1], box, abs(float(contrasts.offset[0])))
        contrast = as_contrast(cells, contrasts, 0)
        try:
            nu, _ = solve_contrast(cells, contrast, 0.0)
        except Infeasible:  # no multiplier is large enough: the largest allowed, then, against the excess
            total = sum(weight * cells.at(cell, 0.0)[0] for cell, weight in contrast.terms)
            nu = math.copysign(math.inf, total - contrast.target)
        return shifted(score, min(max(nu, -size), size) * contrasts.weight[0], contrasts.code, box)
    return _shared(score, contrasts, size, box)


def _shared(score: Array, contrasts: Contrasts, size: float, box: Box) -> Array:
    """Return the outputs for the smallest common epsilon whose multipliers' sizes add up to no more than ``size``."""
    from scipy.optimize import brentq

    def excess(epsilon: float) -> float:
        try:
            solution = solve_contrasts(score, contrasts, np.full(len(contrasts.offset), epsilon), box)
        except Infeasible:
            return 10 * size
        return min(float(np.abs(solution.multiplier).sum()), 11 * size) - size

    epsilon = 0.0
    if excess(0.0) > 0:
        value = box.clip(score)
        weight = contrasts.weight if contrasts.code is None else contrasts.weight[:, contrasts.code]
        largest = float(np.abs(weight @ value - contrasts.offset).max())  # every multiplier is 0 from here on
        epsilon = float(brentq(excess, 0.0, largest, xtol=1e-15, rtol=1e-14))
    return solve_contrasts(score, contrasts, np.full(len(contrasts.offset), epsilon), box).value
