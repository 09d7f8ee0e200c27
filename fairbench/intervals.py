"""Intervals over repeats whose training parts overlap: Student's t with Nadeau and Bengio's correction.

Repeated splits of one dataset share most of their training rows, so the spread over J repeats divided by the root of J
is too small an error. The correction adds the ratio of test to training rows to 1 / J.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class CorrectedT:
    """A mean over J repeats with its interval, and the test of mean 0.

    ``low``, ``high``, ``t`` and ``p`` are None for a single repeat; ``t`` and ``p`` also where all J values are 0.
    ``sd`` is the sample standard deviation (0 for a single repeat).
    """

    mean: float
    sd: float
    n: int
    low: Optional[float]
    high: Optional[float]
    t: Optional[float]
    p: Optional[float]


def half_width(sd: float, n: int, test_to_train: float, level: float = LEVEL) -> float:
    """Return the half-width of the interval around a mean of n >= 2 repeats with sample standard deviation sd."""
    from scipy.stats import t as student

    quantile = float(student.ppf(0.5 + level / 2, n - 1))
    return quantile * sd * math.sqrt(1 / n + test_to_train)


def corrected_t(values: Sequence[float], test_to_train: float, level: float = LEVEL) -> CorrectedT:
    """Return mean, interval and test of values (J,), one for each repeat.

    Args:
        values: e.g. differences between two methods on the same splits; at least one.
        test_to_train: rows of the test part over rows of the training part, e.g. 0.15 / 0.70.
        level: of the interval.

    References:
        Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52, section 4.
    """
    from scipy.stats import t as student

    numbers = np.asarray(values, dtype=np.float64)
    n, mean = len(numbers), float(numbers.mean())
    if n < 2:
        return CorrectedT(mean, 0.0, n, None, None, None, None)
    sd = float(numbers.std(ddof=1))
    width = half_width(sd, n, test_to_train, level)
    if sd == 0:
        t = None if mean == 0 else math.copysign(math.inf, mean)
    else:
        t = mean / (sd * math.sqrt(1 / n + test_to_train))
    p = None if t is None else float(2 * student.sf(abs(t), n - 1))
    return CorrectedT(mean, sd, n, mean - width, mean + width, t, p)
