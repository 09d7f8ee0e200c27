"""The most accurate mixture of thresholds under a tolerance for true and false positive rates: a linear programme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairbench_baselines._hulls import Curve, Weights

PRECISION = 1e-9  # of the solver, by which a gap can exceed its tolerance


def best_weights(hulls: Sequence[Curve], tolerance: float) -> Weights:
    """Return the weights that decide most rows rightly while neither rate differs by more between two groups.

    The unknowns are the weights of all vertices and the lowest rate of each kind, t and f; each group's rates must lie
    in [t, t + tolerance] and [f, f + tolerance].

    Args:
        hulls: for each group the vertices of the upper hull of its ROC curve.
        tolerance: the largest difference allowed, in [0, 1].

    References:
        Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning, NeurIPS, section 4.
    """
    from scipy.optimize import linprog

    sizes = [len(hull.threshold) for hull in hulls]
    ends = np.cumsum(sizes)
    columns = ends[-1] + 2  # the last two are t and f
    gain = np.concatenate([hull.gain for hull in hulls])
    windows, sums = [], []
    for hull, end, size in zip(hulls, ends, sizes):
        own = slice(end - size, end)
        for lowest, rate in ((-2, hull.rate("true_positive")), (-1, hull.rate("false_positive"))):
            row = np.zeros(columns)
            row[own], row[lowest] = rate, -1
            windows += [row, -row]
        row = np.zeros(columns)
        row[own] = 1
        sums.append(row)
    solution = linprog(
        np.append(-gain / np.abs(gain).max(initial=1), [0, 0]),
        A_ub=np.array(windows),
        b_ub=np.tile([tolerance, 0.0], 2 * len(hulls)),
        A_eq=np.array(sums),
        b_eq=np.ones(len(hulls)),
        bounds=(0, 1),
        method="highs",
        options={"primal_feasibility_tolerance": PRECISION, "dual_feasibility_tolerance": PRECISION},
    )
    if solution.x is None:  # a constant for everybody is always feasible
        raise RuntimeError(f"the linear programme for a tolerance of {tolerance:g} was not solved: {solution.message}")
    weights = np.split(np.clip(solution.x[:-2], 0, 1), ends[:-1])
    return [weight / weight.sum() for weight in weights]
