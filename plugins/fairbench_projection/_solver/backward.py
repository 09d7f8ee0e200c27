"""Derivatives of a projection at its solution: nearby it is linear, on the rows that the box leaves free."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench_projection._solver.cells import Array, Box, Codes, Solution

DEPENDENT = 1e-10  # of the largest eigenvalue: smaller ones stand for constraints that repeat each other
BALANCED = 1e-9  # of the multipliers' sizes
PIECE = 8192  # rows of an inner product at a time


class Pull(NamedTuple):
    """A gradient for the outputs, pulled back: for the scores (n,), and for each constraint's right-hand side (R,).

    ``active`` (R,) says which contrast a constraint is, ``slope`` (R,) how its right-hand side moves with epsilon.
    """

    score: Array
    right: Array
    active: NDArray[np.int64]
    slope: Array


def pull_back(solution: Solution, code: Optional[Codes], box: Box, gradient: Array) -> Pull:
    """Return the vector-Jacobian product of the projection.

    On free rows F the outputs move along the active constraints C: dy = dz - C'(CC')^-1 (C dz - d right). Clipped rows
    do not move. A row within 1e-9 of the box from a bound counts as clipped. Where a gap is exactly at an epsilon > 0,
    the derivatives on its two sides differ: this is the one for a gap that shrinks, as if it were smaller.

    Args:
        solution: of the projection.
        code: (n,) each row's cell; None if the tangent has a weight for every row.
        box: of the projection.
        gradient: (n,) with respect to the outputs.
    """
    free = box.inside(solution.value)
    through = np.zeros(len(free))
    np.copyto(through, gradient, where=free)  # rather than times 0: a loss may be infinitely steep at a bound
    tangent, active, slope = _independent(solution, code, free)
    if not len(tangent):
        return Pull(through, np.zeros(0), active, slope)
    if code is None:
        rows = tangent * free
        table = np.array([[dot(a, b) for b in rows] for a in rows])
        right = _solve(table, np.array([dot(row, through) for row in rows]))
        for factor, row in zip(right, rows):
            through -= factor * row
    else:
        count, total = (np.bincount(code, weights, tangent.shape[1]) for weights in (free, through))
        table = np.einsum("rc,c,sc->rs", tangent, count, tangent)  # not BLAS, which uses several threads for many
        right = _solve(table, np.einsum("rc,c->r", tangent, total))
        move = np.einsum("r,rc->c", right, tangent).take(code)
        move *= free
        through -= move
    return Pull(through, right, active, slope)


def _solve(table: Array, pull: Array) -> Array:
    """Return the least solution of a symmetric system, in which constraints may repeat each other."""
    if len(table) == 1:
        return pull / table[0, 0] if table[0, 0] else np.zeros(1)
    solved: Array = np.linalg.pinv(table, rcond=DEPENDENT, hermitian=True) @ pull
    return solved


def dot(first: Array, second: Array) -> float:
    """Return the inner product, on one thread whatever the machine: BLAS uses several for vectors of 10,000."""
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
    if code is None or solution.idle is None or not len(groups):
        return solution.tangent, groups, slope
    can_move = np.bincount(code, weights=free, minlength=len(multiplier)) > 0
    movable = can_move[groups]
    total = float(multiplier.sum())
    if not movable.all():
        level = slope[~movable][0]
    elif not can_move[solution.idle].all() and abs(total) > BALANCED * float(np.abs(multiplier).sum()):
        level = -np.sign(total) / 2
    else:
        return solution.tangent[1:] - solution.tangent[0], groups[1:], slope[1:] - slope[0]
    return solution.tangent[movable], groups[movable], slope[movable] - level
