"""The smallest gap that test parts of a given size can show, before anything is run.

A gap counts as shown if a two-sided test at the 5% level finds it with a chance of 80%. With few rows in a group that
takes a large gap: what a table prints below it may be noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Optional

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts
from fairbench.analysis.gaps import GAPS, comparable
from fairbench.analysis.noise import gap_of_mean, noise_floor
from fairbench.analysis.sizes import GroupSizes

ALPHA, POWER = 0.05, 0.8

METRICS = (
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "false_positive_rate_difference",
    "equalized_odds_difference",
)


@dataclass(frozen=True)
class Detectable:
    """The smallest difference between two groups that can be shown, by which of them has the higher rate.

    Args:
        up: if the first group has the higher rate; None if a rate would leave [0, 1] first.
        down: if the second one has.
        unbounded: the larger of the two if rates could leave [0, 1], by which pairs of groups are ordered.
    """

    up: Optional[float]
    down: Optional[float]
    unbounded: float

    @property
    def value(self) -> Optional[float]:
        """Return the larger of the two; None if neither can be reached."""
        return max((value for value in (self.up, self.down) if value is not None), default=None)


def repeats_factor(repeats: int, ratio: Optional[float]) -> Optional[float]:
    """Return by what the smallest gap of one test part is multiplied if it is a mean over several.

    Args:
        repeats: their number J; the factor is 1 for a single one, which shows nothing but its rows.
        ratio: the splits' ratio, see ``intervals.Correction``; None if no interval over repeats is valid.
    """
    if repeats == 1:
        return 1.0
    return None if ratio is None else math.sqrt(1 / repeats + ratio)


def detectable(rate: float, first: float, second: float, alpha: float = ALPHA, factor: float = 1.0) -> Detectable:
    """Return the smallest difference between two groups that a test at level ``alpha`` shows with a chance of 80%.

    Args:
        rate: pooled over both groups, in [0, 1].
        first: rows of the first group.
        second: rows of the second group.
        alpha: level of the two-sided test.
        factor: of several repeats, see ``repeats_factor``.
    """
    found, bounded = [], []
    for n, other in ((first, second), (second, first)):
        share, rest = other / (n + other), n / (n + other)  # how far the two rates move from the pooled one
        found.append(factor * _smallest(rate, n, other, alpha))
        bounded.append(found[-1] if 0 < found[-1] <= min((1 - rate) / share, rate / rest) else None)
    return Detectable(bounded[0], bounded[1], max(found))


def _smallest(rate: float, n: float, other: float, alpha: float) -> float:
    """Return the smallest difference of one test part, with the rate of the group of n rows the higher one.

    A rate outside [0, 1] counts as one without variance: whether the difference is reached is decided by the caller.
    """
    from scipy.optimize import brentq

    normal = NormalDist()
    test = normal.inv_cdf(1 - alpha / 2) * math.sqrt(rate * (1 - rate) * (1 / n + 1 / other))

    def excess(gap: float) -> float:
        high, low = rate + gap * other / (n + other), rate - gap * n / (n + other)
        variance = max(high * (1 - high), 0) / n + max(low * (1 - low), 0) / other
        return gap - test - normal.inv_cdf(POWER) * math.sqrt(variance)

    return float(brentq(excess, 0, 1)) if excess(1) > 0 else math.inf


def detectable_accuracy(different: float, rows: float, factor: float = 1.0) -> float:
    """Return the smallest difference in accuracy between two methods that decide about the same rows.

    Args:
        different: share of the rows that they decide differently.
        rows: of one test part.
        factor: of several repeats, see ``repeats_factor``.
    """
    normal = NormalDist()
    return factor * (normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)) * math.sqrt(different / rows)


@dataclass(frozen=True)
class Pair:
    """What test parts can show of a gap that lies in one rate, between two groups.

    Args:
        metric: one of ``METRICS``.
        rate: the rate by name; a gap in equalized odds lies in one of two.
        pooled: the rate's assumed value over all groups.
        groups: names of the two groups.
        rows: their rows in the test part that the rate is over.
        floor: the mean of the metric's gap if there is none, over all groups.
        smallest: by number of repeats; None if no interval over repeats is valid.
    """

    metric: str
    rate: str
    pooled: float
    groups: tuple[str, str]
    rows: tuple[int, int]
    floor: float
    smallest: Mapping[int, Optional[Detectable]]


def power_view(sizes: GroupSizes, rates: Mapping[str, float], repeats: Sequence[int]) -> list[Pair]:
    """Return the smallest gap that can be shown, for each of ``METRICS`` and each rate in which its gap may lie.

    Of K differences of which the largest is taken, each is tested at the level 5% / K. With more than two groups the
    smallest gap depends on the groups between which it lies: the pair that needs the smallest gap is given first, then
    the pair that needs the largest, which is what can be shown wherever it lies.

    Args:
        sizes: of the groups in a test part.
        rates: each of the three rates by name -> its value over all groups.
        repeats: numbers of repeats.
    """
    found = []
    for metric in METRICS:
        counts = _expected(sizes, rates, metric)
        noise = noise_floor(counts, metric)
        floor = 0.0 if noise is None else noise.mean
        couples = {
            rate: list(itertools.combinations(groups.tolist(), 2))
            for rate, groups in comparable(counts, metric)[0].items()
        }
        alpha = ALPHA / max(sum(map(len, couples.values())), 1)
        for rate, several in couples.items():
            rows = counts.of(rate)[1]
            one_part = {(a, b): detectable(rates[rate], rows[a], rows[b], alpha) for a, b in several}
            ranked = sorted(several, key=lambda couple: one_part[couple].unbounded)
            for a, b in ranked[:1] if len(ranked) == 1 else (ranked[0], ranked[-1]):
                factors = {number: repeats_factor(number, sizes.correction.ratio) for number in repeats}
                smallest = {
                    number: None if factor is None else detectable(rates[rate], rows[a], rows[b], alpha, factor)
                    for number, factor in factors.items()
                }
                names, support = (sizes.groups[a], sizes.groups[b]), (round(rows[a]), round(rows[b]))
                found.append(Pair(metric, rate, rates[rate], names, support, floor, smallest))
    return found


def _expected(sizes: GroupSizes, rates: Mapping[str, float], metric: str) -> Counts:
    """Return the counts of a test part in which every group has the same rates."""
    by_label = (
        (rates[SELECTION],) * 2 if GAPS[metric] == (SELECTION,) else (rates[FALSE_POSITIVE], rates[TRUE_POSITIVE])
    )
    return Counts(sizes.groups, sizes.rows, sizes.rows * by_label)


def detectable_gap(repeats: Sequence[Counts], metric: str, ratio: Optional[float]) -> Optional[Detectable]:
    """Return the smallest gap that a method's test parts can show, in the rate and between the groups where its gap is.

    Args:
        repeats: the method's counts in each repeat, all with the same groups.
        metric: one of ``GAPS``.
        ratio: the splits' ratio, see ``intervals.Correction``.

    Returns:
        None if no two groups can be compared, or if no interval over these repeats is valid.
    """
    direction, factor = gap_of_mean(repeats, metric).direction, repeats_factor(len(repeats), ratio)
    if direction is None or factor is None:
        return None
    selected, rows = np.mean([counts.of(direction.rate) for counts in repeats], axis=0)
    compared = comparable(repeats[0], metric)[0].values()
    alpha = ALPHA / sum(math.comb(len(groups), 2) for groups in compared)
    pooled = float(selected.sum() / rows.sum())
    return detectable(pooled, float(rows[direction.above]), float(rows[direction.below]), alpha, factor)


def too_small(value: float, low: float, smallest: Detectable) -> bool:
    """Return whether a gap is one that these test parts cannot show, and have not shown either.

    Args:
        value: the gap.
        low: the lower end of its interval; a gap whose interval excludes 0 has been shown, however small it is.
        smallest: the smallest gap that can be shown.
    """
    return low <= 0 and (smallest.value is None or value < smallest.value)


def accuracy_view(sizes: GroupSizes, different: float, repeats: Sequence[int]) -> dict[int, Optional[float]]:
    """Return the smallest difference in accuracy that two methods can show, by number of repeats.

    Args:
        sizes: of the groups in a test part, which all methods share.
        different: share of the rows that the two decide differently.
        repeats: numbers of repeats; None is given for one if no interval over repeats is valid.
    """
    rows, ratio = float(sizes.rows.sum()), sizes.correction.ratio
    factors = {number: repeats_factor(number, ratio) for number in repeats}
    return {
        number: None if factor is None else detectable_accuracy(different, rows, factor)
        for number, factor in factors.items()
    }
