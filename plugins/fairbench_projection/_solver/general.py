"""Any number of contrasts at once: the dual problem, solved exactly by proximal Newton steps on a few multipliers."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray

from fairbench_projection._solver.cells import Array, Box, Cells, Infeasible, Solution, check_epsilon, shifted
from fairbench_projection._solver.contrasts import Contrasts
from fairbench_projection._solver.joint import Joint, JointCells, JointRows, as_contrast
from fairbench_projection._solver.root import solve_contrast
from fairbench_projection._solver.scale import at_scale

FEW = 10  # steps are usual; after this many, constraints may contradict each other
NEWTON_STEPS = 50  # after this many, exact steps along one multiplier at a time, which cannot fail
SWEEPS = 1000
FLAT = 1e-12  # of the largest curvature: less is none
PATTERNS = 200  # of signs, before a step is taken anyway; a few are usual


def solve_contrasts(score: Array, contrasts: Contrasts, epsilon: Array, box: Box) -> Solution:
    """Return the point nearest to the scores, in the box, whose contrasts lie within epsilon of their targets.

    The outputs are clip(score - weight' nu) for multipliers nu, which maximise the concave dual q(nu) - sum_k epsilon_k
    |nu_k|; the gradient of q is contrasts minus targets. Contrasts that share no cell are solved separately.

    Args:
        score: (n,) finite scores.
        contrasts: K constraints on the n outputs.
        epsilon: (K,) >= 0.
        box: where the outputs lie.

    Raises:
        Infeasible: the box does not allow a contrast, or several at once.
        ValueError: a score is NaN or infinite, or an epsilon is negative.
    """
    check_epsilon(epsilon.tolist())

    def solve(near: Array, room: Box) -> Solution:
        return _solve(near, contrasts, epsilon, room)

    return at_scale(solve, score, box, float(np.abs(contrasts.offset).max(initial=0.0)))


def _solve(score: Array, contrasts: Contrasts, epsilon: Array, box: Box) -> Solution:
    """See ``solve_contrasts``."""
    nu = np.zeros(len(contrasts.offset))
    if contrasts.code is None:
        rows = JointRows(score, contrasts, box)
        if len(nu):
            nu = _maximise(rows, epsilon, contrasts, np.ones(len(score), dtype=np.int64), box)
        shift = rows.shift(nu)
    else:
        cells = Cells(
            score, contrasts.code, contrasts.weight.shape[1], box, float(np.abs(contrasts.offset).max(initial=0.0))
        )
        for chosen in _components(contrasts, cells):
            if len(chosen) == 1:
                k = chosen[0]
                nu[k], _ = solve_contrast(cells, as_contrast(cells, contrasts, k), float(epsilon[k]))
            else:
                part = Contrasts(
                    contrasts.weight[chosen],
                    contrasts.offset[chosen],
                    contrasts.code,
                    [contrasts.names[k] for k in chosen],
                )
                nu[chosen] = _maximise(
                    JointCells(cells, contrasts, chosen), epsilon[chosen], part, np.array(cells.count), box
                )
        shift = nu @ contrasts.weight
    value = shifted(score, shift, contrasts.code, box) if nu.any() else box.clip(score)

    def held(which: NDArray[np.bool_], relaxed: Optional[Solution] = None) -> Solution:
        active = np.flatnonzero(which)
        return Solution(value, shift, nu, contrasts.weight[active], active, np.sign(nu[active]), relaxed=relaxed)

    moved = held(nu != 0)
    fair = (nu == 0) & (epsilon == 0)
    return held((nu != 0) | fair, moved) if fair.any() else moved


def _components(contrasts: Contrasts, cells: Cells) -> list[list[int]]:
    """Return the contrasts in sets that share no cell with rows."""
    populated = np.array(cells.count) > 0
    sets: list[tuple[list[int], NDArray[np.bool_]]] = []
    for k, row in enumerate(contrasts.weight):
        members, cover = [k], (row != 0) & populated
        apart = []
        for others, covered in sets:
            if (covered & cover).any():
                members, cover = others + members, cover | covered
            else:
                apart.append((others, covered))
        sets = [*apart, (members, cover)]
    return [sorted(members) for members, _ in sets]


def _maximise(joint: Joint, epsilon: Array, contrasts: Contrasts, rows: Array, box: Box) -> Array:
    """Return the best multipliers (K,); ``contrasts`` and ``rows`` (of each cell) explain a failure."""
    nu = np.zeros(len(epsilon))
    gap, hessian, rounding = joint.evaluate(nu)
    for step in range(NEWTON_STEPS + SWEEPS):
        if _optimal(nu, gap, epsilon, rounding):
            return nu
        if step == FEW:
            _check_feasible(contrasts, epsilon, rows, box)
        target = _model_optimum(hessian, gap + hessian @ nu, epsilon, nu) if step < NEWTON_STEPS else None
        moved = None if target is None else _line_search(joint, nu, target - nu, gap, epsilon)
        nu = _sweep(joint, nu, epsilon) if moved is None else moved
        gap, hessian, rounding = joint.evaluate(nu)
    raise ArithmeticError(
        "the projection did not converge; scale the scores so that they and the box are of the order of 1"
    )


def _optimal(nu: Array, gap: Array, epsilon: Array, rounding: Array) -> bool:
    """Return whether each contrast is within epsilon, and at its end where it has a multiplier (KKT)."""
    wrong = np.where(nu != 0, np.abs(gap - np.sign(nu) * epsilon), np.abs(gap) - epsilon)
    return bool((wrong <= rounding).all())


def _model_optimum(hessian: Array, linear: Array, epsilon: Array, start: Array) -> Array | None:
    """Return argmin_x x'Hx/2 - linear'x + sum epsilon|x|, or None where that is unbounded below.

    Signs are found one by one, values by linear solves (the feature-sign search of Lee et al., 2007, Efficient sparse
    coding algorithms, algorithm 1). What H leaves open stays near the start.
    """
    diagonal = np.diag(hessian)
    near = FLAT * float(diagonal.max())
    if near == 0 or (np.abs(linear) > epsilon)[diagonal <= near].any():
        return None
    matrix, vector = hessian + near * np.eye(len(start)), linear + near * start
    x, signs = start.copy(), np.sign(start)
    for _ in range(PATTERNS):
        chosen = np.flatnonzero(signs)
        found = np.zeros(len(x))
        found[chosen] = np.linalg.solve(matrix[np.ix_(chosen, chosen)], (vector - epsilon * signs)[chosen])
        crossing = np.flatnonzero((np.sign(found) != signs) & (signs != 0))
        if len(crossing):  # go as far as the first sign holds, and let that multiplier rest at 0
            share = np.abs(x[crossing]) / np.maximum(np.abs(x - found)[crossing], 1e-300)
            first = crossing[share.argmin()]
            x += share.min() * (found - x)
            x[first] = signs[first] = 0.0
            continue
        x, rest = found, vector - matrix @ found
        excess = np.where(signs == 0, np.abs(rest) - epsilon, -np.inf)
        worst = int(excess.argmax())
        if excess[worst] <= 1e-15 * np.abs(vector).max():
            break
        signs[worst] = np.sign(rest[worst])
    return x


def _line_search(joint: Joint, nu: Array, step: Array, gap: Array, epsilon: Array) -> Array | None:
    """Return nu after a step along which the dual rises, shortened until it does not fall steeply at its end."""
    signs = np.where(nu != 0, np.sign(nu), np.sign(step))
    start = float((signs * epsilon - gap) @ step)
    if not start < 0:
        return None
    longest = joint.longest(step)
    for halvings in range(30):
        end = nu + step * (longest * 0.5**halvings)
        if _descent(joint, nu, end, step, epsilon) <= -0.5 * start:
            return end
    return None


def _sweep(joint: Joint, nu: Array, epsilon: Array) -> Array:
    """Return nu after an exact step along each multiplier, and as far on as the dual rises: narrow ridges are long."""
    end = nu.copy()
    for k in range(len(nu)):
        end[k] = joint.coordinate(k, end, float(epsilon[k]))
    step = end - nu
    for _ in range(60):
        farther = end + step
        if not _descent(joint, nu, farther, step, epsilon) < 0:
            break
        end, step = farther, 2 * step
    return end


def _descent(joint: Joint, nu: Array, end: Array, step: Array, epsilon: Array) -> float:
    """Return the derivative of minus the dual along a step, at its end, coming from nu."""
    signs = np.where(end != 0, np.sign(end), np.sign(nu))
    return float((signs * epsilon - joint.evaluate(end)[0]) @ step)


def _check_feasible(contrasts: Contrasts, epsilon: Array, rows: Array, box: Box) -> None:
    """Determine by a linear program whether contrasts contradict each other.

    What a cell's outputs can total is an interval, so one number for each cell is enough.

    Raises:
        Infeasible: they do; the message names those that do not fit together.
    """
    from scipy.optimize import linprog

    weight = contrasts.weight * rows  # of each cell's mean
    both = np.vstack([weight, -weight])
    limits = np.concatenate([epsilon + contrasts.offset, epsilon - contrasts.offset])
    table = np.hstack([both, -np.ones((len(both), 1))])
    bounds = [(box.lower, box.upper)] * weight.shape[1] + [(0, None)]
    found = linprog(np.eye(weight.shape[1] + 1)[-1], A_ub=table, b_ub=limits, bounds=bounds, method="highs")
    if found.status != 0 or found.fun <= 1e-9 * max(1.0, np.abs(limits).max()):
        return
    binding = np.flatnonzero(np.abs(found.ineqlin.marginals) > 1e-9) % len(epsilon)
    names = " and ".join(contrasts.names[k] for k in sorted(set(binding.tolist())))
    raise Infeasible(
        f"{names} cannot all come within epsilon of their targets: in the box [{box.lower:g}, {box.upper:g}] one of "
        f"them exceeds its epsilon by {found.fun:.6g} or more; raise epsilon, or widen the box"
    )
