"""What a fairness constraint compares, which groups it can compare, and the best decisions under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench_baselines import _deterministic, _odds, _sweep
from fairbench_baselines._hulls import HALF, Curve, Decision, Floats, Weights, mixed, roc_curve

LEAST_ROWS = 10
"""Rows that a group needs to be compared."""

MOST = 600
"""Thresholds of all groups together that are tried where two rates are compared and nothing is left to chance."""


@dataclass(frozen=True)
class Constraint:
    """A limit on the largest difference between two groups in each of one or two kinds of rate.

    Args:
        name: short, as in the names of operating points.
        kinds: of rate, see ``Curve.counts``.
        labels: labels of which a group needs rows, for these rates to exist.
    """

    name: str
    kinds: tuple[str, ...]
    labels: tuple[int, ...]

    def compared(self, supports: NDArray[Any]) -> list[int]:
        """Return the codes of the groups that can be compared, from the rows (G, 2) of each group and label."""
        enough = (supports.sum(axis=1) >= LEAST_ROWS) & (supports[:, list(self.labels)] > 0).all(axis=1)
        return [int(code) for code in np.flatnonzero(enough)]

    def weights(self, hulls: Sequence[Curve], tolerance: float) -> Weights:
        """Return the most accurate mixtures of thresholds whose rates differ by no more than the tolerance."""
        if len(self.kinds) == 1:
            return _sweep.best_weights(hulls, self.kinds[0], tolerance)
        return _odds.best_weights(hulls, tolerance)

    def certain_weights(self, curves: Sequence[Curve], tolerance: float) -> Optional[Weights]:
        """Return weights of 1 on the most accurate threshold of each group, or None below the step of one row."""
        return _deterministic.best_weights(curves, self.kinds, tolerance)

    def candidates(self, curve: Curve, groups: int) -> Curve:
        """Return the thresholds that ``certain_weights`` can try in a reasonable time."""
        return curve if len(self.kinds) == 1 else _deterministic.thinned(curve, max(MOST // groups, 2))

    def gap(self, curves: Sequence[Curve], weights: Weights) -> float:
        """Return the largest difference in a rate between two groups under these weights."""
        gaps = []
        for kind in self.kinds:
            rates = [float(curve.rate(kind) @ weight) for curve, weight in zip(curves, weights)]
            gaps.append(max(rates) - min(rates))
        return max(gaps)


CONSTRAINTS = (
    Constraint("dp", ("selection",), ()),
    Constraint("eopp", ("true_positive",), (1,)),
    Constraint("eo", ("true_positive", "false_positive"), (0, 1)),
)


def supports(group: NDArray[Any], y: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return the rows (G, 2) of each group and label, from codes (n,) and labels (n,)."""
    return np.bincount(group * 2 + y, minlength=2 * groups).reshape(groups, 2)


@dataclass(frozen=True, eq=False)
class Solution:
    """Decisions under a constraint, and what they do to the rows that they were found on.

    Args:
        decisions: for each of the G groups.
        accuracy: in expectation, over all rows.
        gap: in expectation, over the groups that are compared.
    """

    decisions: Sequence[Decision]
    accuracy: float
    gap: float


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows of G groups on which the best decisions are found.

    Args:
        group: (n,) codes.
        y: (n,) labels in {0, 1}.
        score: (n,).
        groups: G; a group can lack rows.
    """

    group: NDArray[Any]
    y: NDArray[Any]
    score: Floats
    groups: int

    @cached_property
    def supports(self) -> NDArray[Any]:
        """Return the rows (G, 2) of each group and label."""
        return supports(self.group, self.y, self.groups)

    @cached_property
    def plain(self) -> Floats:
        """Return the rows (G,) of each group that a threshold of one half decides rightly."""
        right = (HALF(self.score) == self.y).astype(np.float64)
        return np.bincount(self.group, right, self.groups).astype(np.float64)

    @cached_property
    def curves(self) -> Mapping[int, Curve]:
        """Return the ROC curves of the groups that have rows, by code."""
        rows = {code: self.group == code for code in np.flatnonzero(self.supports.sum(axis=1)).tolist()}
        return {code: roc_curve(self.score[own], self.y[own]) for code, own in rows.items()}

    def solve(self, constraint: Constraint, tolerance: float) -> Solution:
        """Return the most accurate decisions, which mix thresholds, with no gap above the tolerance."""
        hulls = {code: self.curves[code].hull for code in constraint.compared(self.supports)}
        return self._solution(constraint, hulls, constraint.weights([*hulls.values()], tolerance))

    def solve_certain(self, constraint: Constraint, tolerance: float) -> Optional[Solution]:
        """Return the most accurate decisions with one threshold for each group; None below the step of one row."""
        compared = constraint.compared(self.supports)
        curves = {code: constraint.candidates(self.curves[code], len(compared)) for code in compared}
        weights = constraint.certain_weights([*curves.values()], tolerance)
        return None if weights is None else self._solution(constraint, curves, weights)

    def _solution(self, constraint: Constraint, curves: Mapping[int, Curve], weights: Weights) -> Solution:
        decisions, right = [HALF] * self.groups, self.plain.copy()
        for (code, curve), weight in zip(curves.items(), weights):
            decisions[code] = mixed(curve, weight)
            right[code] = curve.negatives + curve.gain @ weight
        accuracy = float(right.sum() / len(self.y))
        return Solution(decisions, accuracy, constraint.gap([*curves.values()], weights))
