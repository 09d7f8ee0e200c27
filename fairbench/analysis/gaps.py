"""Gaps between groups within one test part: how uncertain they are, and how large they are without any unfairness.

A gap is the largest difference between two groups in one rate, or in the worse of two. It cannot be negative, so it is
too large on average, and percentiles of its bootstrap draws never reach 0. Intervals are therefore those of signed
differences (Newcombe's hybrid of Wilson's limits), folded; a maximum of K differences takes its lower end with
Bonferroni's correction. The *noise floor* is the gap that a test part of this size shows on average if there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts
from fairbench.analysis.intervals import LEVEL
from fairbench.analysis.resampling import DRAWS, CountDraws, draw_counts, percentiles
from fairbench.data.rows import Floats, Integers
from fairbench.data.score_limits import newcombe, normal_quantile, wilson
from fairbench.records import no_rows

GAPS = {
    "demographic_parity_difference": (SELECTION,),
    "equalized_odds_difference": (TRUE_POSITIVE, FALSE_POSITIVE),
    "equal_opportunity_difference": (TRUE_POSITIVE,),
    "false_positive_rate_difference": (FALSE_POSITIVE,),
}
"""Which rates each metric that is a gap compares; it is the largest difference in any of them."""

LABELS = {TRUE_POSITIVE: 1, FALSE_POSITIVE: 0}
MOST_TIMES = 10
UNDEFINED_DRAWS = "more than 1% of the drawn test parts lack the rows of a group"


class Direction(NamedTuple):
    """Where a gap is largest: in which ``rate``, with which group's code highest (``above``) and lowest (``below``)."""

    rate: str
    above: int
    below: int


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups.

    Args:
        value: a fraction; None if no two groups can be compared.
        direction: where it is largest; None with ``value``.
        missing: what could not be compared, in words; if there is any, the value is partial, over the other groups.
    """

    value: Optional[float]
    direction: Optional[Direction]
    missing: tuple[str, ...] = ()


def comparable(counts: Counts, metric: str) -> tuple[dict[str, Integers], tuple[str, ...]]:
    """Return for each rate that a gap compares the codes of the groups that have it, and what is missing, in words.

    If fewer than two groups have one of the rates, nothing can be compared, as in the metric.

    Args:
        counts: of one method in one test part.
        metric: one of ``GAPS``.
    """
    empty = [name for name, n in zip(counts.groups, counts.n) if not n]
    missing = [no_rows(empty)] if empty else []
    found: dict[str, Integers] = {}
    for rate in GAPS[metric]:
        rows = counts.of(rate)[1]
        lacking = [name for name, n, here in zip(counts.groups, counts.n, rows) if n and not here]
        missing += [no_rows(lacking, LABELS[rate])] if lacking else []
        found[rate] = np.flatnonzero(rows)
    whole = all(len(groups) > 1 for groups in found.values())
    return found if whole else {}, tuple(missing)


def gap(counts: Counts, metric: str) -> Gap:
    """Return the gap that a ``metric``, one of ``GAPS``, measures; groups that lack the rows for it are left out.

    The value equals the metric's wherever that is defined; ``counts`` are those of one method in one test part.
    """
    found, missing = comparable(counts, metric)
    return largest({rate: counts.rates(rate) for rate in found}, missing)


def largest(rates: Mapping[str, Floats], missing: tuple[str, ...] = ()) -> Gap:
    """Return the largest difference between two groups.

    Args:
        rates: rate by name -> its value in each group (G,); NaN for a group that is left out.
        missing: why groups are left out, in words.
    """
    best = Gap(None, None, missing)
    for rate, values in rates.items():
        groups = np.flatnonzero(np.isfinite(values))
        if len(groups) < 2:
            continue
        above, below = int(groups[values[groups].argmax()]), int(groups[::-1][values[groups[::-1]].argmin()])
        value = float(values[above] - values[below])
        if best.value is None or value > best.value:
            best = Gap(value, Direction(rate, above, below), missing)
    return best


@dataclass(frozen=True)
class RowInterval:
    """A quantity in one test part with the interval that its rows leave, everything else as it is.

    Args:
        value: a fraction; None if it is undefined.
        low, high: ends of the interval; None without a value, and if no interval can be computed.
        signed: for a gap between two groups in one rate, the interval of the first group's rate minus the second's;
            else None.
        missing: what the value leaves out, in words.
        reason: why there is a value but no interval; else empty.
    """

    value: Optional[float]
    low: Optional[float] = None
    high: Optional[float] = None
    signed: Optional[tuple[float, float]] = None
    missing: tuple[str, ...] = ()
    reason: str = ""


def gap_interval(counts: Counts, metric: str, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> RowInterval:
    """Return a gap with the interval that the rows of the test part leave.

    For deterministic decisions Newcombe's, else percentiles of the exact bootstrap; both of the signed difference of
    two groups, which is then folded. A maximum of K differences has the largest of their upper ends, and the largest
    of their lower ends at the level 1 - (1 - level) / K.

    Args:
        counts: of one method in one test part.
        metric: one of ``GAPS``.
        level: confidence level.
        draws: for randomised decisions, number of drawn test parts; for a maximum of K differences K times as many, at
            most ten times, as its lower end is further out.
        seed: of the draws.
    """
    found, missing = comparable(counts, metric)
    value = gap(counts, metric).value
    if value is None:
        return RowInterval(None, missing=missing)
    pairs = {rate: _pairs(groups) for rate, groups in found.items()}
    k = sum(len(first) for first, _ in pairs.values())
    strict = 1 - (1 - level) / k
    drawn = draw_counts(counts, draws * min(k, MOST_TIMES), seed) if counts.randomised else None
    highs, lows = [], []
    for rate, pair in pairs.items():
        wide = _signed(counts, drawn, rate, pair, level)
        narrow = wide if k == 1 else _signed(counts, drawn, rate, pair, strict)
        if wide is None or narrow is None:
            return RowInterval(value, missing=missing, reason=UNDEFINED_DRAWS)
        highs.append(np.abs(wide).max())
        lows.append(np.maximum(np.maximum(narrow[0], -narrow[1]), 0).max())  # 0 inside: 0
    signed = None if k > 1 or wide is None else (float(wide[0][0]), float(wide[1][0]))
    return RowInterval(value, float(max(lows)), float(max(highs)), signed, missing)


def _pairs(groups: Integers) -> tuple[Integers, Integers]:
    first, second = np.triu_indices(len(groups), 1)
    return groups[first], groups[second]


def _signed(
    counts: Counts, drawn: Optional[CountDraws], rate: str, pairs: tuple[Integers, Integers], level: float
) -> Optional[tuple[Floats, Floats]]:
    """Return the limits (K,) of signed differences between pairs of groups; None if too many draws are undefined."""
    first, second = pairs
    if drawn is None:
        selected, rows = counts.of(rate)
        return newcombe((selected[first], selected[second]), (rows[first], rows[second]), level)
    rates = drawn.rates(rate)  # (D, G)
    limits = [percentiles(rates[:, a] - rates[:, b], level) for a, b in zip(first, second)]
    known = [limit for limit in limits if limit is not None]
    return (np.array([low for low, _ in known]), np.array([high for _, high in known])) if known == limits else None


def accuracy_interval(counts: Counts, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> RowInterval:
    """Return the accuracy over all rows with the interval that they leave: Wilson's, or percentiles of the bootstrap.

    Args:
        counts: of one method in one test part.
        level: confidence level.
        draws: for randomised decisions, number of drawn test parts.
        seed: of the draws.
    """
    n, value = counts.rows.sum(), counts.accuracy
    if not n:
        return RowInterval(None, missing=(no_rows(counts.groups),))
    if counts.randomised:
        limits = percentiles(draw_counts(counts, draws, seed).accuracy, level)
        return RowInterval(value, *limits) if limits else RowInterval(value, reason=UNDEFINED_DRAWS)
    low, high = wilson(np.array(value * n), np.array(n), level)
    return RowInterval(value, float(low), float(high))


def debiased(counts: Counts, metric: str) -> Optional[float]:
    """Return a gap that is less biased near 0: the largest root of d^2 - v, for differences d with variance v.

    It halves the bias of a gap that is 0, and is too small for one that is small; for comparison only.

    Args:
        counts: of one method in one test part.
        metric: one of ``GAPS``.

    Returns:
        A fraction; None if no two groups can be compared.
    """
    found, _ = comparable(counts, metric)
    values = []
    for rate, groups in found.items():
        first, second = _pairs(groups)
        rates, variances = counts.rates(rate), rate_variances(counts, rate)
        squares = (rates[first] - rates[second]) ** 2 - variances[first] - variances[second]
        values.append(math.sqrt(max(float(squares.max()), 0.0)))
    return max(values, default=None)


def rate_variances(counts: Counts, rate: str) -> Floats:
    """Return the variance of each group's ``rate``, one of the three by name, over test parts (G,); NaN without rows.

    For plain decisions of ``counts`` it is p (1 - p) / n; randomised ones enter in expectation, and vary less.
    """
    levels, table = counts.by_level
    at = table[:, LABELS[rate]] if rate in LABELS else table.sum(axis=1)  # (G, L)
    n = at.sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean = at @ levels / n
        return np.asarray((at @ levels**2 / n - mean**2).clip(0) / n)


def row_variance(counts: Counts, metric: str) -> Optional[float]:
    """Return the variance of a ``metric``, ``accuracy`` or one of ``GAPS``, over test parts; None if it is undefined.

    That of a gap is of its difference in the direction in which it is largest; ``counts`` are those of one method in
    one test part.
    """
    if metric == "accuracy":
        if not counts.rows.sum():
            return None
        levels, table = counts.by_level
        right = np.stack([1 - levels, levels])  # (2, L)
        n, total = table.sum(), table.sum(axis=0)
        return float((total * right**2).sum() / n - ((total * right).sum() / n) ** 2) / float(n)
    direction = gap(counts, metric).direction
    if direction is None:
        return None
    variances = rate_variances(counts, direction.rate)
    return float(variances[direction.above] + variances[direction.below])


@dataclass(frozen=True)
class RowSpread:
    """How much a mean over repeats owes to which rows are in the test parts: "± rows".

    Args:
        sd: the root of the mean variance over test parts within one split.
        half_width: of the interval of one split, at the level asked for.
        n: number of repeats with a value.
    """

    sd: float
    half_width: float
    n: int


def row_spread(
    repeats: Sequence[Counts], metric: str, level: float = LEVEL, known: Optional[Sequence[float]] = None
) -> Optional[RowSpread]:
    """Return the spread of a metric over the rows of the test part, from the mean variance within the repeats' splits.

    Args:
        repeats: counts of one method in each repeat.
        metric: ``accuracy``, or one of ``GAPS``.
        level: confidence level.
        known: ``row_variance`` of each of the repeats, if somebody has it.

    Returns:
        None if the metric is undefined in all repeats.
    """
    if known is None:
        every = (row_variance(counts, metric) for counts in repeats)
        known = [variance for variance in every if variance is not None]
    if not known:
        return None
    sd = math.sqrt(sum(known) / len(known))
    return RowSpread(sd, normal_quantile(level) * sd, len(known))
