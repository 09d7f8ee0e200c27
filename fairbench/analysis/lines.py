"""The coin: what mixing a baseline with a constant prediction achieves, and how far a method lies above it.

Toss a coin for every row, regardless of its group: with probability lambda the baseline decides, else a constant. The
selection, true positive and false positive rates of every group are then the same mixture, so accuracy and each largest
difference between groups (demographic parity, equalized odds) fall together on a straight line, down to the constant's
accuracy at difference 0. A method below that line is worth less than the coin. Ratios between groups are not linear in
lambda; no line is drawn for them here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.analysis.intervals import LEVEL, NO_INTERVAL, half_width
from fairbench.data.coin import coin_accuracy
from fairbench.data.rows import Floats

ABOVE, BELOW, OPEN = "above the coin", "below the coin", "not told apart from the coin"
ROUNDING = 1e-9  # the baseline itself lies on its coin, but for the last bits


def best_constant(share_of_ones: Sequence[float]) -> Floats:
    """Return for each repeat the accuracy (J,) of the constant, 0 or 1, that is better on average over the repeats.

    Choosing by the training majority would be biased for balanced classes: the majority of the training part is then
    the minority of the test part.

    Args:
        share_of_ones: share of the label 1 in the test part of each repeat (J,).
    """
    ones = np.asarray(share_of_ones, dtype=np.float64)
    return ones if ones.mean() >= 0.5 else 1 - ones


def constant_accuracy(accuracy: Mapping[int, float], selected: Mapping[int, float]) -> dict[int, float]:
    """Return by repeat the accuracy of the better of the two constant predictions; empty if there are no repeats.

    Args:
        accuracy: by repeat, of a method that predicts one of the two constants; the accuracies of both add up to 1.
        selected: the method's selection rate by repeat, which says which of the two constants it predicted.
    """
    repeats = sorted(accuracy.keys() & selected.keys())
    ones = [accuracy[repeat] if selected[repeat] == 1 else 1 - accuracy[repeat] for repeat in repeats]
    return dict(zip(repeats, best_constant(ones).tolist())) if repeats else {}


@dataclass(frozen=True)
class AboveCoin:
    """Accuracy above the coin at the method's own gap, V, as a fraction, with its interval if there is one.

    ``value`` is V over ``n`` repeats; ``low`` and ``high`` are None if no interval is valid.
    """

    value: float
    low: Optional[float]
    high: Optional[float]
    n: int

    @property
    def reading(self) -> str:
        """Return whether the interval excludes 0, and on which side."""
        if self.low is None or self.high is None:
            return NO_INTERVAL
        return ABOVE if self.low > ROUNDING else BELOW if self.high < -ROUNDING else OPEN


def above_coin(
    accuracy: Sequence[float],
    gap: Sequence[float],
    baseline_accuracy: Sequence[float],
    baseline_gap: Sequence[float],
    constant_accuracy: Sequence[float],
    ratio: Optional[float],
    level: float = LEVEL,
) -> AboveCoin:
    """Return how far a method lies above the coin, from values (J,) of the same J >= 1 repeats.

    The line goes through the means over the repeats: the slope from a single split explodes if the baseline's gap is
    noise. The interval is the corrected t of V's linearisation at the means, which includes the spread of the baseline
    and of the constant, and their correlation with the method's values; ``ratio`` is the splits' ratio, see
    ``intervals.overlap_correction``, None if no interval is valid.
    """
    z = np.array([accuracy, gap, baseline_accuracy, baseline_gap, constant_accuracy], dtype=np.float64)  # (5, J)
    a, g, a_b, g_b, a_c = z.mean(axis=1)
    value = float(a - coin_accuracy(g, a_b, g_b, a_c))
    n = z.shape[1]
    if n < 2 or ratio is None:
        return AboveCoin(value, None, None, n)
    if a_b <= a_c:
        gradient = [1.0, 0.0, 0.0, 0.0, -1.0]
    elif g >= g_b:
        gradient = [1.0, 0.0, -1.0, 0.0, 0.0]
    else:
        slope, share = (a_b - a_c) / g_b, g / g_b
        gradient = [1.0, -slope, -share, slope * share, -(1 - share)]
    linear = np.array(gradient) @ z  # (J,)
    width = half_width(float(linear.std(ddof=1)), n, ratio, level)
    return AboveCoin(value, value - width, value + width, n)


def against_coin(
    accuracy: Mapping[int, float],
    gap: Mapping[int, float],
    baseline_accuracy: Mapping[int, float],
    baseline_gap: Mapping[int, float],
    constant: Mapping[int, float],
    ratio: Optional[float],
) -> Optional[AboveCoin]:
    """Return ``above_coin`` over the repeats that all quantities have; None if there are none.

    ``accuracy`` and ``gap`` are the method's by repeat, ``baseline_accuracy`` and ``baseline_gap`` the baseline's, and
    ``constant`` is the better constant's accuracy; ``ratio`` is the splits' ratio, None if no interval is valid.
    """
    parts = (accuracy, gap, baseline_accuracy, baseline_gap, constant)
    repeats = sorted(set(accuracy).intersection(*parts))
    columns = [[part[repeat] for repeat in repeats] for part in parts]
    return above_coin(columns[0], columns[1], columns[2], columns[3], columns[4], ratio) if repeats else None


def published_above_coin(
    accuracy: tuple[float, Optional[float]],
    gap: tuple[float, Optional[float]],
    baseline: tuple[float, float],
    constant_accuracy: float,
    runs: int,
    ratio: Optional[float],
    level: float = LEVEL,
) -> AboveCoin:
    """Return how far a published point lies above the coin through the published baseline.

    If both spreads are published, accuracy and gap are treated as uncorrelated and the baseline as exact; otherwise
    there is no interval.

    Args:
        accuracy: mean and standard deviation (None if not published) over the runs.
        gap: likewise.
        baseline: accuracy and gap, means.
        constant_accuracy: of the better constant.
        runs: how many runs the means are over.
        ratio: the splits' ratio, see ``intervals.overlap_correction``; None if no interval is valid.
        level: confidence level of the interval.
    """
    value = accuracy[0] - coin_accuracy(gap[0], *baseline, constant_accuracy)
    if accuracy[1] is None or gap[1] is None or ratio is None or runs < 2:
        return AboveCoin(value, None, None, runs)
    rising = baseline[0] > constant_accuracy and gap[0] < baseline[1]
    slope = (baseline[0] - constant_accuracy) / baseline[1] if rising else 0.0
    width = half_width(math.hypot(accuracy[1], slope * gap[1]), runs, ratio, level)
    return AboveCoin(value, value - width, value + width, runs)
