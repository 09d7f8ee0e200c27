"""Whether a bilevel scheme reaches a lower primary loss than the Lagrangian one, and how their trade-offs compare.

The paper's theorem 9 says that it may, under assumptions that no experiment of the paper meets (the weight equal to the
follower's learning rate, strict local convexity). So nothing here follows from the theorem: paired differences over
repeats decide, at equal weights and, because the run with the lower loss may simply be less fair, at equal gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np

TARGETS = (0.02, 0.05, 0.10)  # gaps in mean score at which curves are compared
LEVEL = 0.05

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"


@dataclass(frozen=True)
class Run:
    """The results of one fit.

    Args:
        eta: weight of the fairness loss.
        repeat: number of the split, which all methods share.
        training_bce: cross-entropy of the training part, without the fairness loss.
        training_penalty: fairness loss of the training part, without its weight.
        test_bce: cross-entropy of the test part.
        score_gap: largest gap in mean score between two groups, test.
        gap: demographic parity difference of decisions, test.
        accuracy: test.
        trivial: whether it makes the same decision for everybody on the test part, which makes any gap small.
        validation: accuracy and gap in decisions on the validation part.
        epoch_seconds: CPU seconds of the whole cell, divided by its number of epochs.
    """

    eta: float
    repeat: int
    training_bce: float
    training_penalty: float
    test_bce: float
    score_gap: float
    gap: float
    accuracy: float
    trivial: bool
    validation: tuple[float, float]
    epoch_seconds: float


Quantity = Callable[[Run], float]


@dataclass(frozen=True)
class Comparison:
    """Differences by repeat, the first method's value minus the other's, each a mean over weights or gaps."""

    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean difference, NaN without any."""
        return float(np.mean(self.differences)) if self.differences else float("nan")

    def chance(self, side: str) -> float:
        """Return the p-value of a one-sided sign test that differences tend to be ``less`` or ``greater`` than 0."""
        from scipy.stats import binomtest

        below, above = (sum(np.sign(d) == sign for d in self.differences) for sign in (-1, 1))
        if below + above == 0:
            return 1.0
        return float(binomtest(below if side == "less" else above, below + above, 0.5, alternative="greater").pvalue)


def at_equal_eta(mine: Iterable[Run], theirs: Iterable[Run], quantity: Quantity) -> Comparison:
    """Compare a quantity at equal weights, within each repeat; weights that only one method has do not count."""
    other = {(run.repeat, run.eta): quantity(run) for run in theirs}
    found: dict[int, list[float]] = {}
    for run in mine:
        if (run.repeat, run.eta) in other:
            found.setdefault(run.repeat, []).append(quantity(run) - other[run.repeat, run.eta])
    return Comparison(tuple(float(np.mean(found[repeat])) for repeat in sorted(found)))


def at_equal_gap(
    mine: Iterable[Run], theirs: Iterable[Run], quantity: Quantity, targets: Sequence[float] = TARGETS
) -> Comparison:
    """Compare a quantity at equal gaps in mean score, within each repeat.

    Each method's values are interpolated between its runs, ordered by their gaps. A target that one of the two methods
    does not span in a repeat does not count there; neither do trivial runs.
    """
    curves = [_by_repeat(runs) for runs in (mine, theirs)]
    differences = []
    for repeat in sorted(curves[0].keys() & curves[1].keys()):
        values = [_interpolated(curve[repeat], quantity, targets) for curve in curves]
        difference = values[0] - values[1]
        if not np.isnan(difference).all():
            differences.append(float(np.nanmean(difference)))
    return Comparison(tuple(differences))


def _by_repeat(runs: Iterable[Run]) -> dict[int, list[Run]]:
    found: dict[int, list[Run]] = {}
    for run in runs:
        if not run.trivial:
            found.setdefault(run.repeat, []).append(run)
    return found


def _interpolated(runs: Sequence[Run], quantity: Quantity, targets: Sequence[float]) -> np.ndarray:
    gaps, values = np.array(sorted((run.score_gap, quantity(run)) for run in runs)).T
    found: np.ndarray = np.interp(targets, gaps, values, left=np.nan, right=np.nan)
    return found


def verdict(equal_eta: Comparison, equal_gap: Comparison) -> str:
    """Return whether the first method's loss is lower.

    ``supported`` needs a significantly lower loss at equal weights and at equal gaps; ``not supported`` a significantly
    higher one at either; everything else is ``inconclusive``, as it must be with fewer than five repeats.
    """
    both = (equal_eta, equal_gap)
    if any(comparison.chance("greater") < LEVEL for comparison in both):
        return NOT_SUPPORTED
    if all(comparison.chance("less") < LEVEL for comparison in both):
        return SUPPORTED
    return INCONCLUSIVE


def front(points: Mapping[float, tuple[float, float]]) -> list[float]:
    """Return the keys of the points (accuracy, gap) that no other dominates, by decreasing accuracy.

    A point dominates another if it is at least as accurate and as fair, and better in one of the two.
    """
    kept = [
        key
        for key, (accuracy, gap) in points.items()
        if not any(a >= accuracy and g <= gap and (a, g) != (accuracy, gap) for a, g in points.values())
    ]
    return sorted(kept, key=lambda key: -points[key][0])


def hypervolume(points: Iterable[tuple[float, float]], accuracy: float, gap: float) -> float:
    """Return the area that points (accuracy, gap) dominate, down to a reference accuracy and up to a reference gap."""
    area, best = 0.0, accuracy
    inside = sorted((g, a) for a, g in points if a > accuracy and g < gap)
    for start, height in inside:  # from the fairest on, only what is more accurate than all fairer ones adds area
        if height > best:
            area += (gap - start) * (height - best)
            best = height
    return area


def mean_by_eta(runs: Iterable[Run], quantity: Quantity) -> dict[float, float]:
    """Return a quantity's mean over repeats for each weight, in increasing order."""
    found: dict[float, list[float]] = {}
    for run in runs:
        found.setdefault(run.eta, []).append(quantity(run))
    return {eta: float(np.mean(found[eta])) for eta in sorted(found)}


def chosen_front(runs: Sequence[Run]) -> list[tuple[float, float]]:
    """Return test (accuracy, gap), means over repeats, of the weights that make the front on validation.

    A weight with a trivial run is left out.
    """
    trivial = {run.eta for run in runs if run.trivial}
    sound = [run for run in runs if run.eta not in trivial]
    accuracy, gap = mean_by_eta(sound, lambda run: run.validation[0]), mean_by_eta(sound, lambda run: run.validation[1])
    test_accuracy, test_gap = mean_by_eta(sound, lambda run: run.accuracy), mean_by_eta(sound, lambda run: run.gap)
    return [(test_accuracy[eta], test_gap[eta]) for eta in front({eta: (accuracy[eta], gap[eta]) for eta in gap})]
