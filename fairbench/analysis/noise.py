"""How large a gap between groups is if there is none: the noise floor, and whether a gap can be told apart from it.

With every group deciding at the pooled rate (within each label for true and false positive rates), differences between
small groups are still not 0, and the largest of several is larger still. A gap below the 95% quantile of what such a
test part shows is not told apart from fair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Optional

import numpy as np

from fairbench.analysis.counts import Counts
from fairbench.analysis.gaps import GAPS, LABELS, Gap, comparable, gap, largest
from fairbench.analysis.intervals import LEVEL, CorrectedT, corrected_t
from fairbench.data.rows import Floats

FLOOR_DRAWS = 4000
FEWEST_DRAWS = 200  # of each of many repeats, which share the draws
ENOUGH = 5.0  # expected numbers of selected and of rejected rows from which the normal approximation is good
HALVINGS = 50
MOST_LEVELS = 256  # of chances of being selected; more are rounded, which does not change their mean
ROUNDING = 1e-9  # of gaps that are equal but for the last bits

FAIR, NOT_FAIR = "not told apart from fair", "told apart from fair"
"""How a gap reads beside its noise floor."""


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


def noise_floor(counts: Counts, metric: str, seed: int = 0, draws: int = FLOOR_DRAWS) -> Optional[NoiseFloor]:
    """Return the noise floor of a gap.

    For two groups with enough rows it is that of the normal approximation, else of drawn test parts with the groups'
    numbers of rows. Groups that lack the rows are left out, as in ``gap``.

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
    rows = {rate: counts.of(rate)[1][groups] for rate, groups in found.items()}
    pooled = {rate: _pooled(counts, rate) for rate in found}
    if all(len(n) == 2 and _enough(n, *pooled[rate]) for rate, n in rows.items()):
        return _normal(value, [_sd(n, *pooled[rate]) for rate, n in rows.items()])
    generator = np.random.default_rng(seed)
    drawn = np.zeros(draws)
    for rate, of_groups in rows.items():
        levels, share = pooled[rate]
        rates = [generator.multinomial(int(n), share, draws) @ levels / n for n in of_groups]
        drawn = np.maximum(drawn, np.ptp(rates, axis=0))
    p = (1 + np.count_nonzero(drawn >= value - ROUNDING)) / (1 + draws)
    return NoiseFloor(value, float(drawn.mean()), float(np.quantile(drawn, LEVEL)), float(p))


def _enough(rows: Floats, levels: Floats, share: Floats) -> bool:
    mean = float(share @ levels)
    return float(rows.min()) * min(mean, 1 - mean) >= ENOUGH


def _sd(rows: Floats, levels: Floats, share: Floats) -> float:
    """Return the standard deviation of the difference between the rates of two groups that have the same rate."""
    variance = max(float(share @ levels**2 - (share @ levels) ** 2), 0.0)
    return math.sqrt(variance * float((1 / rows).sum()))


def _normal(value: float, sds: Sequence[float]) -> NoiseFloor:
    """Return the floor of the largest absolute value of one or two independent normal differences with mean 0."""
    known = [sd for sd in sds if sd]

    def beyond(gap: float) -> float:
        p = 0.0 if known else 1.0  # everybody has the same chance of being selected
        for sd in known:
            tail = math.erfc(gap / sd / math.sqrt(2))
            p += tail - p * tail
        return p

    low, high = 0.0, 10 * max(known, default=0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 1 - LEVEL else (low, middle)
    return NoiseFloor(value, math.sqrt(2 / math.pi) * math.hypot(*known), high, beyond(value))


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
    a rate in some repeat are left out; if fewer than two are left for one of the rates, there is no gap.

    Args:
        repeats: counts of one method in each repeat, all with the same groups.
        metric: one of ``GAPS``.
    """
    found = {rate: np.mean([counts.rates(rate) for counts in repeats], axis=0) for rate in GAPS[metric]}
    missing = dict.fromkeys(words for counts in repeats for words in comparable(counts, metric)[1])
    whole = all(np.isfinite(rates).sum() > 1 for rates in found.values())
    return largest(found if whole else {}, tuple(missing))


def signed_gap(
    repeats: Sequence[Counts], metric: str, ratio: Optional[float], splits: Optional[Sequence[int]] = None
) -> Optional[CorrectedT]:
    """Return the difference between the two groups' rates where the gap of the mean rates is, over the repeats.

    A repeat in which it is the other way round has a negative one, so that the interval can contain 0, which that of
    the gaps themselves hardly ever does. The pair is the one with the largest of K differences, and the level of the
    interval is Bonferroni's for K.

    Args:
        repeats: counts of one method in each repeat, all with the same groups.
        metric: one of ``GAPS``.
        ratio: the splits' ratio, see ``intervals.Correction``.
        splits: the split that each belongs to, if some have several fits, whose mean counts once; by default its own.

    Returns:
        None if no two groups can be compared in all repeats.
    """
    direction = gap_of_mean(repeats, metric).direction
    if direction is None:
        return None
    pairs = sum(math.comb(len(groups), 2) for groups in comparable(repeats[0], metric)[0].values())
    rates = [counts.rates(direction.rate) for counts in repeats]
    apart = [float(rate[direction.above] - rate[direction.below]) for rate in rates]
    return signed_interval(apart, pairs, ratio, splits)


def signed_interval(
    apart: Sequence[float], pairs: int, ratio: Optional[float], splits: Optional[Sequence[int]] = None
) -> CorrectedT:
    """Return the mean of signed differences with its interval, see ``signed_gap``.

    Args:
        apart: the difference in each repeat.
        pairs: of how many differences it is the largest.
        ratio: the splits' ratio.
        splits: the split that each belongs to; by default its own.
    """
    strict = 1 - (1 - LEVEL) / pairs
    if splits is None or len({*splits}) == len(apart):
        return corrected_t(apart, ratio, strict)
    by_split: dict[int, list[float]] = {}
    for split, difference in zip(splits, apart):
        by_split.setdefault(split, []).append(difference)
    return corrected_t([fmean(several) for several in by_split.values()], ratio, strict)
