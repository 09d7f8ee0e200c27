"""A group's ROC curve in counts, its upper hull, and the decisions that mixtures of its thresholds make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Weights = Sequence[Floats]
"""For each group a weight (K,) for each threshold of its curve; a group's weights sum to 1."""


@dataclass(frozen=True, eq=False)
class Curve:
    """How many of a group's rows of each label are selected by each of K thresholds, from nobody to everybody.

    Args:
        threshold: (K,) falling from infinity to minus infinity; rows whose score reaches it are selected.
        false_positives: (K,) selected rows with y = 0.
        true_positives: (K,) selected rows with y = 1.
    """

    threshold: Floats
    false_positives: Counts
    true_positives: Counts

    @property
    def negatives(self) -> int:
        """Return the number of rows with y = 0."""
        return int(self.false_positives[-1])

    @property
    def gain(self) -> Counts:
        """Return (K,) how many more rows are decided rightly than by selecting nobody."""
        return self.true_positives - self.false_positives

    def counts(self, kind: str) -> Counts:
        """Return how many rows are selected (K,) among those that a kind of rate is a share of.

        Args:
            kind: ``selection``, ``true_positive`` or ``false_positive``.
        """
        return {
            "selection": self.true_positives + self.false_positives,
            "true_positive": self.true_positives,
            "false_positive": self.false_positives,
        }[kind]

    def rate(self, kind: str) -> Floats:
        """Return the rates (K,) of a kind; the group needs rows that it is a share of."""
        counts = self.counts(kind)
        rates: Floats = counts / counts[-1]
        return rates

    def only(self, kept: NDArray[Any]) -> Curve:
        """Return the curve through the thresholds that a mask, or positions, select."""
        return Curve(self.threshold[kept], self.false_positives[kept], self.true_positives[kept])

    @cached_property
    def hull(self) -> Curve:
        """Return the vertices of the upper hull, the ends included; in between, two thresholds are mixed.

        A point on or below the line between two others is no vertex; such points are dropped until none is left. The
        arithmetic is in whole numbers, hence exact.
        """
        hull = self
        while True:
            right, up = np.diff(hull.false_positives), np.diff(hull.true_positives)
            bends = up[:-1] * right[1:] > up[1:] * right[:-1]  # the slope falls
            if bends.all():
                return hull
            hull = hull.only(np.concatenate([[True], bends, [True]]))


def roc_curve(score: Floats, y: NDArray[Any]) -> Curve:
    """Return the curve through every distinct score of a group.

    Thresholds lie halfway between neighbouring scores, so that rounding moves no row across them.

    Args:
        score: (n,) of the group's rows, at least one.
        y: (n,) labels in {0, 1}.
    """
    order = np.argsort(-score)
    score, y = score[order], np.asarray(y, dtype=np.int64)[order]
    last = np.flatnonzero(score[1:] < score[:-1])  # of all rows with one score
    middle = (score[last] + score[last + 1]) / 2
    middle = np.where(middle > score[last + 1], middle, score[last])  # there is no number between the two
    last = np.append(last, len(y) - 1)
    true = np.cumsum(y)[last]
    return Curve(
        np.concatenate([[np.inf], middle, [-np.inf]]),
        np.concatenate([[0], last + 1 - true]),
        np.concatenate([[0], true]),
    )


@dataclass(frozen=True, eq=False)
class Decision:
    """A chance of being selected that rises with the score in steps.

    Args:
        threshold: (K,) rising.
        chance: (K + 1,) the chance of a row whose score reaches 0, 1, ..., K thresholds.
    """

    threshold: Floats
    chance: Floats

    def __call__(self, score: Floats) -> Floats:
        """Return the chance (n,) of rows with these scores (n,)."""
        return self.chance[np.searchsorted(self.threshold, score, side="right")]


HALF = Decision(np.array([0.5]), np.array([0.0, 1.0]))
"""Select whoever has a score of at least one half."""


def mixed(curve: Curve, weights: Floats) -> Decision:
    """Return the decision that applies each threshold of a curve with the probability that is its weight (K,)."""
    used = np.flatnonzero(weights > 0)[::-1]
    chance = np.concatenate([[0.0], np.cumsum(weights[used])])
    return Decision(curve.threshold[used], chance / chance[-1])
