"""How large a gap between groups is if there is none: the noise floor, and whether a gap can be told apart from it.

With every group deciding at the pooled rate (within each label for true and false positive rates), differences between
small groups are still not 0, and the largest of several is larger still. A gap below the 95% quantile of what such a
test part shows is not told apart from fair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Optional

import numpy as np

from fairbench.analysis.counts import Counts
from fairbench.analysis.gaps import GAPS, LABELS, Gap, comparable, gap, largest
from fairbench.analysis.intervals import LEVEL
from fairbench.data.rows import Floats

FLOOR_DRAWS = 4000
FEWEST_DRAWS = 200  # of each of many repeats, which share the draws
ENOUGH = 5.0  # expected numbers of selected and of rejected rows from which the normal approximation is good
MOST_LEVELS = 256  # of chances of being selected; more are rounded, which does not change their mean
ROUNDING = 1e-9  # of gaps that are equal but for the last bits

FAIR, NOT_FAIR = "not told apart from fair", "told apart from fair"


@dataclass(frozen=True)
class NoiseFloor:
    """What a gap would be without any unfairness, beside what it is.

    Args:
        value: the gap measured.
        mean: its mean if every group had the pooled rate.
        quantile: its 95% quantile then.
        p: the chance of a gap at least as large then; None over several repeats, whose splits overlap.
    """

    value: float
    mean: float
    quantile: float
    p: Optional[float]

    @property
    def reading(self) -> str:
        """Return whether the gap can be told apart from what chance alone shows."""
        return NOT_FAIR if self.value > self.quantile + ROUNDING else FAIR


def two_group_floor(rate: float, first: float, second: float) -> float:
    """Return the mean absolute difference between the rates of two groups that both have the same ``rate``.

    The numbers of rows of the ``first`` and the ``second`` group are at least 1; the approximation is the normal one.
    """
    return math.sqrt(2 / math.pi * rate * (1 - rate) * (1 / first + 1 / second))


def noise_floor(counts: Counts, metric: str, seed: int = 0, draws: int = FLOOR_DRAWS) -> Optional[NoiseFloor]:
    """Return the noise floor of a gap.

    For two groups with enough rows and one rate it is that of the normal approximation, else of drawn test parts with
    the groups' numbers of rows. Groups that lack the rows are left out, as in ``gap``.

    Args:
        counts: of one method in one test part.
        metric: one of ``GAPS``.
        seed: of the draws.
        draws: number of drawn test parts.

    Returns:
        None if no two groups can be compared.
    """
    value = gap(counts, metric).value
    if value is None:
        return None
    found, _ = comparable(counts, metric)
    generator = np.random.default_rng(seed)
    drawn = np.zeros(draws)
    for rate, groups in found.items():
        rows = counts.of(rate)[1][groups]
        levels, share = _pooled(counts, rate)
        mean = float(share @ levels)
        if len(found) == 1 and len(groups) == 2 and rows.min() * min(mean, 1 - mean) >= ENOUGH:
            return _normal(value, max(float(share @ levels**2) - mean**2, 0.0), rows)
        rates = [generator.multinomial(int(n), share, draws) @ levels / n for n in rows]
        drawn = np.maximum(drawn, np.ptp(rates, axis=0))
    p = (1 + np.count_nonzero(drawn >= value - ROUNDING)) / (1 + draws)
    return NoiseFloor(value, float(drawn.mean()), float(np.quantile(drawn, LEVEL)), float(p))


def _normal(value: float, variance: float, rows: Floats) -> NoiseFloor:
    sd, normal = math.sqrt(variance * float((1 / rows).sum())), NormalDist()
    p = 2 * normal.cdf(-value / sd) if sd else 1.0  # everybody has the same chance of being selected
    return NoiseFloor(value, math.sqrt(2 / math.pi) * sd, normal.inv_cdf(0.5 + LEVEL / 2) * sd, p)


def _pooled(counts: Counts, rate: str) -> tuple[Floats, Floats]:
    """Return the chances of being selected (L,) and the share of all rows with each (L,), whatever their group."""
    levels, table = counts.by_level
    rows = table[:, LABELS[rate]].sum(axis=0) if rate in LABELS else table.sum(axis=(0, 1))
    if len(levels) > MOST_LEVELS:
        place = np.minimum((levels * MOST_LEVELS).astype(np.int64), MOST_LEVELS - 1)
        total = np.bincount(place, rows * levels)
        rows = np.bincount(place, rows)
        levels = np.divide(total, rows, out=np.zeros_like(total), where=rows > 0)
    return levels, rows / rows.sum()


def floor_over_repeats(repeats: Sequence[Counts], metric: str, seed: int = 0) -> Optional[NoiseFloor]:
    """Return the means over repeats of the gap, its noise floor and its quantile, which is then on the safe side.

    Args:
        repeats: counts of one method in each repeat.
        metric: one of ``GAPS``.
        seed: of the draws, which differ between repeats.

    Returns:
        None if the gap is undefined in all repeats.
    """
    draws = max(FLOOR_DRAWS // max(len(repeats), 1), FEWEST_DRAWS)  # what is shown is a mean over all of them
    every = (noise_floor(counts, metric, seed + place, draws) for place, counts in enumerate(repeats))
    floors = [floor for floor in every if floor is not None]
    if len(floors) < 2:
        return floors[0] if floors else None
    value, mean, quantile = (fmean(getattr(floor, name) for floor in floors) for name in ("value", "mean", "quantile"))
    return NoiseFloor(value, mean, quantile, None)


def gap_of_mean(repeats: Sequence[Counts], metric: str) -> Gap:
    """Return the gap between the groups' mean rates over repeats: the systematic part of a gap.

    The mean of the gaps is larger, as each is the absolute value of a noisy difference. Groups that lack the rows for
    a rate in some repeat are left out.

    Args:
        repeats: counts of one method in each repeat, all with the same groups.
        metric: one of ``GAPS``.
    """
    found = {rate: np.mean([counts.rates(rate) for counts in repeats], axis=0) for rate in GAPS[metric]}
    missing = dict.fromkeys(words for counts in repeats for words in comparable(counts, metric)[1])
    return largest(found, tuple(missing))
