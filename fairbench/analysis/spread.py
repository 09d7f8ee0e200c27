"""Means and standard deviations: quick ones of arrays, and the exact one that tables show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

import numpy as np

from fairbench.data.rows import Floats

BITS = 53  # of a float's significand


def mean_of(numbers: Floats) -> float:
    """Return numpy's mean of some ``numbers`` (J,), without what it costs on short arrays."""
    return float(np.add.reduce(numbers) / len(numbers))


def moments(numbers: Floats) -> tuple[float, float]:
    """Return mean and sample standard deviation of at least two ``numbers`` (J,).

    They are those of numpy's ``mean`` and ``std(ddof=1)``, to the last bit, without what these cost on short arrays.
    """
    mean = np.add.reduce(numbers) / len(numbers)
    apart = numbers - mean
    return float(mean), math.sqrt(np.add.reduce(apart * apart) / (len(numbers) - 1))


def exact_sd(numbers: Sequence[float]) -> float:
    """Return the sample standard deviation of at least two ``numbers``, rounded once; NaN if one is not finite.

    It is that of ``statistics.stdev`` (from Python 3.11 on), which computes with fractions; here the numbers become
    whole multiples of one power of two.
    """
    array = np.asarray(numbers, dtype=np.float64)
    if not np.isfinite(array).all():
        return math.nan
    significands, exponents = np.frexp(array)
    least = int(exponents.min())
    shifts = (exponents - least).tolist()
    wholes = [whole << shift for whole, shift in zip((significands * 2.0**BITS).astype(np.int64).tolist(), shifts)]
    total, n = sum(wholes), len(wholes)
    return _root(n * sum(map(mul, wholes, wholes)) - total * total, n * (n - 1), least - BITS)


def _root(above: int, below: int, exponent: int) -> float:
    """Return the root of a fraction, times 2 to the power ``exponent``; rounded once."""
    shift = (below.bit_length() - above.bit_length()) // 2 + BITS + 3  # so that the root has two bits to spare, or more
    quotient, rest = divmod(above << 2 * max(shift, 0), below << 2 * max(-shift, 0))
    root = math.isqrt(quotient)
    if rest or root * root != quotient:
        root |= 1  # what is cut off: it decides only where the spare bits are half a unit
    return math.ldexp(float(root), exponent - shift)
