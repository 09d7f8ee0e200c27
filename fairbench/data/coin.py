"""The line of the coin: the accuracy of the best mixture of a baseline with a constant, at a given gap."""

from __future__ import annotations


def coin_accuracy(gap: float, baseline_accuracy: float, baseline_gap: float, constant_accuracy: float) -> float:
    """Return the accuracy T(g) of the best mixture of baseline and constant whose difference between groups is ``gap``.

    All arguments are fractions. Beyond the baseline's own gap (``baseline_gap``) the baseline alone is the best; if
    ``baseline_accuracy`` is no better than ``constant_accuracy``, the line is flat.
    """
    gain = max(baseline_accuracy - constant_accuracy, 0.0)
    share = 1.0 if gap >= baseline_gap else gap / baseline_gap
    return constant_accuracy + gain * share
