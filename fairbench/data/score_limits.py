"""Score limits of a rate and of the difference of two rates: arithmetic on counts, without draws.

Intervals within a test part are built from them, and so is a selection rule that asks for the upper end of a gap.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from fairbench.data.rows import Floats

LEVEL = 0.95


def wilson(selected: Floats, rows: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return Wilson's score limits, lower and upper, of the rates selected / rows.

    Args:
        selected: numbers of any shape.
        rows: of as many rows, each at least 1.
        level: confidence level.

    References:
        Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    z = normal_quantile(level)
    n = np.asarray(rows, dtype=np.float64)
    p = np.asarray(selected, dtype=np.float64) / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.clip(middle - width, 0, p), np.clip(middle + width, p, 1)


def newcombe(
    selected: tuple[Floats, Floats], rows: tuple[Floats, Floats], level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Return the limits, lower and upper, of the difference of two independent rates, the first minus the second.

    Args:
        selected: numbers of any shape, for the first and the second rate.
        rows: of as many rows, each at least 1.
        level: confidence level.

    References:
        Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in Medicine
        17, method 10.
    """
    p, q = (np.asarray(x, dtype=np.float64) / n for x, n in zip(selected, rows))
    (p_low, p_high), (q_low, q_high) = (wilson(x, n, level) for x, n in zip(selected, rows))
    return (
        p - q - np.sqrt((p - p_low) ** 2 + (q_high - q) ** 2),
        p - q + np.sqrt((p_high - p) ** 2 + (q - q_low) ** 2),
    )


def normal_quantile(level: float) -> float:
    """Return how many standard deviations on either side hold the share ``level`` of a normal distribution."""
    return NormalDist().inv_cdf(0.5 + level / 2)
