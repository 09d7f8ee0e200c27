"""What a fairness constraint compares, which groups it can compare, and the best decisions under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench_baselines import _odds, _sweep
from fairbench_baselines._hulls import HALF, Curve, Decision, Floats, Weights, mixed

LEAST_ROWS = 10
"""Rows that a group needs to be compared."""


@dataclass(frozen=True)
class Constraint:
    """A limit on the largest difference between two groups in each of some rates.

    Args:
        name: short, as in the names of operating points.
        kinds: attributes of a curve, the rates that are compared.
        labels: labels of which a group needs rows, for these rates to exist.
    """

    name: str
    kinds: tuple[str, ...]
    labels: tuple[int, ...]

    def compared(self, supports: NDArray[Any]) -> list[int]:
        """Return the codes of the groups that can be compared, from the rows (G, 2) of each group and label."""
        enough = (supports.sum(axis=1) >= LEAST_ROWS) & (supports[:, list(self.labels)] > 0).all(axis=1)
        return [int(code) for code in np.flatnonzero(enough)]

    def rates(self, curves: Sequence[Curve]) -> list[list[Floats]]:
        """Return for each kind of rate, for each curve, the rates (K,) at its thresholds."""
        return [[getattr(curve, kind) for curve in curves] for kind in self.kinds]

    def weights(self, hulls: Sequence[Curve], tolerance: float) -> Weights:
        """Return the most accurate mixtures of thresholds whose rates differ by no more than the tolerance."""
        if len(self.kinds) > 1:
            return _odds.best_weights(hulls, tolerance)
        (rates,) = self.rates(hulls)
        return _sweep.best_weights(hulls, rates, tolerance)

    def gap(self, curves: Sequence[Curve], weights: Weights) -> float:
        """Return the largest difference in a rate between two groups under these weights."""
        found = [[float(rate @ weight) for rate, weight in zip(kind, weights)] for kind in self.rates(curves)]
        return max(max(kind) - min(kind) for kind in found)


CONSTRAINTS = (
    Constraint("dp", ("selection",), ()),
    Constraint("eopp", ("true_positive",), (1,)),
    Constraint("eo", ("true_positive", "false_positive"), (0, 1)),
)


@dataclass(frozen=True, eq=False)
class Solution:
    """The best decisions under a constraint, and what they do to the rows that they were found on.

    Args:
        decisions: for each of the G groups.
        accuracy: in expectation, over all rows.
        gap: in expectation, over the groups that are compared.
    """

    decisions: Sequence[Decision]
    accuracy: float
    gap: float


def solve(
    constraint: Constraint, hulls: Mapping[int, Curve], tolerance: float, supports: NDArray[Any], plain: NDArray[Any]
) -> Solution:
    """Return the best decisions whose gap stays within the tolerance.

    Args:
        constraint: what is compared.
        hulls: of the groups that can be compared, by code; the others are decided at one half.
        tolerance: the largest gap allowed.
        supports: (G, 2) rows of each group and label.
        plain: (G,) rows of each group that a threshold of one half decides rightly.
    """
    curves = list(hulls.values())
    weights = constraint.weights(curves, tolerance)
    decisions, right = [HALF] * len(plain), plain.astype(float)
    for code, curve, weight in zip(hulls, curves, weights):
        decisions[code] = mixed(curve, weight)
        right[code] = curve.negatives + curve.gain @ weight
    return Solution(decisions, float(right.sum() / supports.sum()), constraint.gap(curves, weights))
