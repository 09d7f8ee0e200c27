"""By how much one number changed between two runs, with its interval and p: over repeats, or over rows.

Over repeats: the corrected t of paired differences, or of two means (Welch, with the correction in each variance).
Over the rows of one test part: Wilson's limits combined by squares (``analysis.paired``), as for two methods.
The p of an interval over rows is 1 minus the largest level at which the interval leaves out 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Callable, Optional

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts, count, count_jointly
from fairbench.analysis.gaps import GAPS, accuracy_interval, gap, gap_interval
from fairbench.analysis.intervals import LEVEL, NOT_KNOWN, Correction, corrected_t
from fairbench.analysis.paired import Term, sum_limits
from fairbench.data.rows import Floats, Predictions
from fairbench.running.truth import Truth

HALVINGS = 40
NO_ROWS = "there is one repeat, and no interval over its rows is known for this metric"
NO_PREDICTIONS = "there is one repeat, and no predictions are stored for an interval over its rows"
ONE_REPEAT = "one of the runs has a single repeat"
SEVERAL_FITS = "there is one repeat, with several tunings or fits"
Limits = Callable[[float], tuple[float, float]]  # of a level


@dataclass(frozen=True)
class Difference:
    """A value in the second run minus that in the first; without an interval and p, ``why`` says why."""

    value: float
    low: Optional[float] = None
    high: Optional[float] = None
    p: Optional[float] = None
    why: str = ""


def paired_t(differences: Sequence[float], correction: Correction) -> Difference:
    """Return the mean of at least two ``differences``, one for each repeat that both runs have."""
    found = corrected_t(differences, correction.ratio)
    if found.low is None:
        return Difference(found.mean, why=correction.reason or NOT_KNOWN)
    return Difference(found.mean, found.low, found.high, 1.0 if found.p is None else found.p)  # all differences are 0


def unpaired_t(
    first: Sequence[float], second: Sequence[float], corrections: Sequence[Correction], level: float = LEVEL
) -> Difference:
    """Return the difference between two means, of repeats that are taken as independent.

    Args:
        first: values by repeat in the first run, at least two.
        second: likewise in the second run.
        corrections: for the overlap of each run's splits; the variance of a mean over J repeats is s² (1/J + ratio).
        level: confidence level.

    References:
        Welch (1947), The generalization of "Student's" problem when several different population variances are
        involved, Biometrika 34; Nadeau and Bengio (2003) for the variances.
    """
    from scipy.special import stdtr, stdtrit

    value = fmean(second) - fmean(first)
    for correction in corrections:
        if correction.ratio is None:
            return Difference(value, why=correction.reason or NOT_KNOWN)
    parts = [
        variance(values) * (1 / len(values) + (correction.ratio or 0.0))
        for values, correction in zip((first, second), corrections)
    ]
    error = math.sqrt(sum(parts))
    if not error:
        return Difference(value, value, value, 0.0 if value else 1.0)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(own) - 1) for part, own in zip(parts, (first, second)))
    width = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Difference(value, value - width, value + width, float(2 * stdtr(freedom, -abs(value) / error)))


def paired_rows(
    predicted: tuple[Optional[tuple[Truth, Predictions]], Optional[tuple[Truth, Predictions]]],
    metric: str,
    value: float,
    level: float = LEVEL,
) -> Difference:
    """Return a change within one test part, over the rows that both runs decided about.

    A gap's change is of the differences between the groups where each run's gap is, which are held fixed.

    Args:
        predicted: by each run, for the same rows.
        metric: one with an interval over rows (accuracy and the gaps); others have none.
        value: of the metric, after minus before.
        level: confidence level.
    """
    one, other = predicted
    if one is None or other is None:
        return Difference(value, why=NO_PREDICTIONS)
    joint = count_jointly(one[0], one[1], other[1])  # (G, 2, 2, 2)
    if metric == "accuracy":
        right = joint[:, 1].sum(axis=0) + joint[:, 0].sum(axis=0)[::-1, ::-1]
        terms = [Term(1, right, second=True), Term(-1, right, second=False)]
    elif metric in GAPS:
        directions = [gap(count(*found), metric).direction for found in (one, other)]
        tables: dict[tuple[str, int], Floats] = {}
        terms = []
        for second, direction in enumerate(directions):
            if direction is None:
                return Difference(value, why=NO_ROWS)
            for code, sign in ((direction.above, 1), (direction.below, -1)):
                table = tables.setdefault((direction.rate, code), _table(joint, direction.rate, code))
                terms.append(Term(sign if second else -sign, table, second=bool(second)))
    else:
        return Difference(value, why=NO_ROWS)
    return _tested(value, lambda wanted: sum_limits(terms, wanted), level)


def _table(joint: Floats, rate: str, code: int) -> Floats:
    """Return the rows of a group that a rate is over (2, 2), by the first and the second run's decision."""
    if rate == SELECTION:
        return np.asarray(joint[code].sum(axis=0))
    return np.asarray(joint[code, {FALSE_POSITIVE: 0, TRUE_POSITIVE: 1}[rate]])


def unpaired_rows(
    counts: tuple[Optional[Counts], Optional[Counts]], metric: str, value: float, level: float = LEVEL
) -> Difference:
    """Return a change between two test parts that are taken as independent, from the interval within each.

    Args:
        counts: of each run's one repeat.
        metric: one with an interval over rows (accuracy and the gaps); others have none.
        value: of the metric, after minus before.
        level: confidence level.

    References:
        Zou and Donner (2008), Construction of confidence limits about effect measures, Statistics in Medicine 27.
    """
    one, other = counts
    ends = [None if own is None else _in_part(own, metric, level) for own in counts]
    if one is None or other is None or None in ends:
        return Difference(value, why=NO_PREDICTIONS if None in counts else NO_ROWS)

    def limits(wanted: float) -> tuple[float, float]:
        (down, up), (other_down, other_up) = (_in_part(own, metric, wanted) or (1.0, 1.0) for own in (one, other))
        return value - math.hypot(other_down, up), value + math.hypot(other_up, down)

    return _tested(value, limits, level)


def one_test_part(counts: Optional[Counts], metric: str, value: float, level: float = LEVEL) -> Difference:
    """Return a value of one test part with the interval that its rows leave; it has no p.

    Args:
        counts: of the test part; None if no predictions are stored.
        metric: one with an interval over rows (accuracy and the gaps); others have none.
        value: the metric's.
        level: confidence level.
    """
    reach = None if counts is None else _in_part(counts, metric, level)
    if reach is None:
        return Difference(value, why=NO_PREDICTIONS if counts is None else NO_ROWS)
    return Difference(value, value - reach[0], value + reach[1])


def _in_part(counts: Counts, metric: str, level: float) -> Optional[tuple[float, float]]:
    """Return how far the interval of a metric within one test part reaches below and above its value."""
    if metric != "accuracy" and metric not in GAPS:
        return None
    found = accuracy_interval(counts, level) if metric == "accuracy" else gap_interval(counts, metric, level)
    if found.value is None or found.low is None or found.high is None:
        return None
    return found.value - found.low, found.high - found.value


def _tested(value: float, limits: Limits, level: float) -> Difference:
    """Return the interval at a level, and as p 1 minus the largest level at which the interval leaves out 0."""
    inside, outside = 1 - 1e-12, 0.0
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        low, high = limits(middle)
        inside, outside = (middle, outside) if low <= 0 <= high else (inside, middle)
    low, high = limits(level)
    return Difference(value, low, high, 1 - outside)
