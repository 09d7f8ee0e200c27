"""Intervals over repeats whose training parts overlap: Student's t with Nadeau and Bengio's correction.

Repeated splits of one dataset share most of their training rows, so the spread over J repeats divided by the root of J
is too small an error. The correction adds the ratio of test to training rows to 1 / J. How the splits overlap, and so
whether there is a valid interval at all, is decided in one place: ``overlap_correction``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

import numpy as np

from fairbench.analysis.spread import moments
from fairbench.records import FRESH, POOL, Parts, Record

LEVEL = 0.95
NO_INTERVAL = "no valid interval"
"""The text shown if no interval over repeats is valid."""

NOT_KNOWN = "the store does not say how large the parts of the splits are"
NOT_COVERED = "the splits of the repeats overlap in a way that no correction covers"


@dataclass(frozen=True)
class Correction:
    """How intervals over some repeats account for the overlap of their splits.

    ``ratio`` is rows of the test part over rows of the training part, 0 if no two repeats share a row, and None if no
    interval is valid; ``reason`` then says why, unless there are no repeats at all.
    """

    ratio: Optional[float]
    reason: str = ""


def overlap_correction(records: Iterable[Record]) -> Correction:
    """Return the correction for intervals over the splits of these records, one or more for each repeat.

    Repeats that split one pool of rows again get the mean ratio of their splits (Nadeau and Bengio); repeats that share
    no row need no correction.
    """
    return parts_correction([record.parts for record in records])


def parts_correction(parts: Sequence[Optional[Parts]]) -> Correction:
    """Return the correction for intervals over splits with these ``parts``; None where the store does not say."""
    known = [part for part in parts if part is not None]
    if not parts:
        return Correction(None)
    if len(known) < len(parts):
        return Correction(None, NOT_KNOWN)
    overlaps = {part.overlap for part in known}
    if overlaps == {FRESH}:
        return Correction(0.0)
    if overlaps != {POOL}:
        return Correction(None, NOT_COVERED)
    return Correction(sum(map(_ratio, known)) / len(known))


def _ratio(parts: Parts) -> float:
    return parts.test / parts.train


@dataclass(frozen=True)
class CorrectedT:
    """A mean over J repeats (``n``) with its interval, and the test of mean 0.

    ``low``, ``high``, ``t`` and ``p`` are None for a single repeat and if no interval is valid; ``t`` and ``p`` also if
    all J values are 0. ``sd`` is the sample standard deviation (0 for a single repeat).
    """

    mean: float
    sd: float
    n: int
    low: Optional[float]
    high: Optional[float]
    t: Optional[float]
    p: Optional[float]


def half_width(sd: float, n: int, ratio: float, level: float = LEVEL) -> float:
    """Return the half-width of the interval around a mean of n >= 2 repeats with sample standard deviation sd."""
    return _quantile(n - 1, 0.5 + level / 2) * sd * math.sqrt(1 / n + ratio)


@lru_cache(maxsize=256)
def _quantile(freedom: int, share: float) -> float:
    """Return a quantile of Student's t; a run needs few of them, again and again."""
    from scipy.special import stdtrit  # scipy.stats would take half a second to import

    return float(stdtrit(freedom, share))


def corrected_t(values: Sequence[float], ratio: Optional[float], level: float = LEVEL) -> CorrectedT:
    """Return mean, interval and test of values (J,), one for each repeat.

    Args:
        values: e.g. differences between two methods on the same splits; at least one.
        ratio: the splits' ratio, see ``Correction``, e.g. 0.15 / 0.70; None if no interval is valid.
        level: confidence level of the interval.

    References:
        Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52, section 4.
    """
    from scipy.special import stdtr

    numbers = np.asarray(values, dtype=np.float64)
    n = len(numbers)
    if n < 2:
        return CorrectedT(float(numbers.mean()), 0.0, n, None, None, None, None)
    mean, sd = moments(numbers)
    if ratio is None:
        return CorrectedT(mean, sd, n, None, None, None, None)
    width, error = half_width(sd, n, ratio, level), sd * math.sqrt(1 / n + ratio)
    t = mean / error if error else math.copysign(math.inf, mean) if mean else None
    p = None if t is None else float(2 * stdtr(n - 1, -abs(t)))
    return CorrectedT(mean, sd, n, mean - width, mean + width, t, p)
