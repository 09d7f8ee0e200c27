"""The most accurate mixture of thresholds under a tolerance for one rate, found without a linear programme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairbench_baselines._hulls import Curve, Floats, Weights


def best_weights(hulls: Sequence[Curve], kind: str, tolerance: float) -> Weights:
    """Return the weights that decide most rows rightly while no two groups' rates differ by more than the tolerance.

    Within a window [low, low + tolerance] each group does best at its own optimum, or at the end of the window nearest
    to it, because its gain is concave in the rate. The sum over the groups is therefore concave and piecewise linear in
    ``low``, with bends only where an end of the window passes a vertex: all of those are tried.

    Args:
        hulls: for each group the vertices of the upper hull of its ROC curve.
        kind: of rate, see ``Curve.counts``.
        tolerance: the largest difference allowed, in [0, 1].
    """
    rates = [hull.rate(kind) for hull in hulls]
    kept = [_best_of_equal_rates(hull, rate) for hull, rate in zip(hulls, rates)]
    lines = [(rate[places], hull.gain[places]) for hull, rate, places in zip(hulls, rates, kept)]
    bends = np.concatenate([x for x, _ in lines])
    low = np.unique(np.clip(np.concatenate([bends, bends - tolerance]), 0, 1))
    optima = [x[gain.argmax()] for x, gain in lines]
    total = sum(np.interp(np.clip(optimum, low, low + tolerance), x, gain) for (x, gain), optimum in zip(lines, optima))
    chosen = low[np.argmax(total)]
    weights = []
    for hull, (x, _), places, optimum in zip(hulls, lines, kept, optima):
        weight = np.zeros(len(hull.threshold))
        weight[places] = _between(x, float(np.clip(optimum, chosen, chosen + tolerance)))
        weights.append(weight)
    return weights


def _best_of_equal_rates(hull: Curve, rate: Floats) -> NDArray[np.intp]:
    """Return the positions of the vertices that no other vertex with the same rate beats."""
    order = np.lexsort([-hull.gain, rate])
    first = np.concatenate([[True], np.diff(rate[order]) > 0])
    best: NDArray[np.intp] = order[first]
    return best


def _between(x: Floats, value: float) -> Floats:
    """Return weights (K,) for rising points x (K,) that average to the value, on the two points around it."""
    above = int(np.clip(np.searchsorted(x, value), 1, len(x) - 1))
    share = (value - x[above - 1]) / (x[above] - x[above - 1])
    weight = np.zeros(len(x))
    weight[above - 1 : above + 1] = 1 - share, share
    return weight
