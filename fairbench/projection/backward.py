"""Derivatives of a projection at its solution: nearby it is linear, on the rows that the box leaves free."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.projection.cells import Array, Box, Codes, Solution
from fairbench.projection.scratch import SCRATCH

DEPENDENT = 1e-10  # of the largest eigenvalue: smaller ones stand for constraints that repeat each other
BALANCED = 1e-9  # of the multipliers' sizes
PIECE = 8192  # rows of an inner product at a time


class Pull(NamedTuple):
    """A gradient by the outputs, pulled back: by the scores (n,), and by the right-hand side of each constraint (R,).

    ``active`` (R,) says which contrast a constraint is, ``slope`` (R,) how its right-hand side moves with epsilon.
    """

    score: Array
    right: Array
    active: NDArray[np.int64]
    slope: Array


def pull_back(solution: Solution, code: Optional[Codes], box: Box, gradient: Array) -> Pull:
    """Return the vector-Jacobian product of the projection.

    On free rows F the outputs move along the active constraints C: dy = dz - C'(CC')^-1 (C dz - d right). Clipped rows
    do not move. A row within 1e-9 of the box from a bound counts as clipped.

    Args:
        solution: of the projection.
        code: (n,) each row's cell; None if the tangent has a weight for every row.
        box: of the projection.
        gradient: (n,) by the outputs.
    """
    free = box.inside(solution.value)
    through = np.empty(len(free))
    np.copyto(through, gradient)
    np.copyto(through, 0.0, where=~free)  # and not times 0: a loss may be infinitely steep at a bound
    tangent, active, slope = _independent(solution, code, free)
    right = np.zeros(len(tangent))
    if len(tangent) == 1:
        row = _row(tangent[0], code, free)
        size = dot(row, row)
        right[0] = dot(row, through) / size if size else 0.0
        row *= right[0]
        through -= row
    elif len(tangent):
        rows = [_row(weights, code, free).copy() for weights in tangent]
        table = np.array([[dot(a, b) for b in rows] for a in rows])
        pull = np.array([dot(row, through) for row in rows])
        right = np.linalg.pinv(table, rcond=DEPENDENT, hermitian=True) @ pull
        for factor, row in zip(right, rows):
            through -= factor * row
    return Pull(through, right, active, slope)


def _row(weights: Array, code: Optional[Codes], free: NDArray[np.bool_]) -> Array:
    """Return a constraint's weight for each row (n,), 0 for clipped ones, in an array that is used again."""
    row: Array = SCRATCH.take("row", len(free), np.float64)
    if code is None:
        np.copyto(row, weights)
    else:
        weights.take(code, out=row, mode="clip")  # numpy buffers the output in any other mode
    row *= free
    return row


def dot(first: Array, second: Array) -> float:
    """Return the inner product, on one thread whatever the machine: BLAS takes several for vectors of 10,000."""
    if len(first) <= PIECE:
        return float(np.dot(first, second))
    starts = range(0, len(first), PIECE)
    return math.fsum(np.dot(first[i : i + PIECE], second[i : i + PIECE]) for i in starts)


def _independent(
    solution: Solution, code: Optional[Codes], free: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.int64], Array]:
    """Return the constraints of a range without their common level: the means of shifted groups move together.

    A group at an end of the range of which no row is free holds the level where it is: then they do not move. It may be
    one of those shifted, or one that need not be, and then the multipliers of the others do not add up to 0.
    """
    groups, slope, multiplier = solution.active, solution.slope, solution.multiplier
    if code is None or not solution.common or not len(groups):
        return solution.tangent, groups, slope
    movable = np.bincount(code, weights=free, minlength=len(multiplier))[groups] > 0
    total = float(multiplier.sum())
    if not movable.all():
        level = slope[~movable][0]
    elif abs(total) > BALANCED * float(np.abs(multiplier).sum()):
        level = -np.sign(total) / 2
    else:
        return solution.tangent[1:] - solution.tangent[0], groups[1:], slope[1:] - slope[0]
    return solution.tangent[movable], groups[movable], slope[movable] - level
