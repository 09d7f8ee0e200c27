"""The one rule by which a prediction decides alike for everybody; such a one has perfect parity that means nothing."""

from __future__ import annotations

import numpy as np

from fairbench.data import Integers, Predictions

NEARLY = 0.05  # of the people, and of the chance of being selected


def decides_alike(y: Integers, predictions: Predictions) -> bool:
    """Return whether nearly everybody has nearly the same chance of being selected.

    That is: at least 95% of the people, both labels counting equally, have a chance of selection within 0.05 of the
    median chance. For plain decisions it says that the mean of the true and the false positive rate is at most .05 or
    at least .95; so an accurate classifier of a rare label is not taken for a constant. A coin that selects everybody
    by the same chance decides alike too.

    Args:
        y: (n,) labels in {0, 1}; a label without rows is left out of the count.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``y``.

    Returns:
        False where there are no rows.
    """
    decision = predictions.decision
    counts = np.bincount(y, minlength=2)
    if not len(decision):
        return False
    weight = 1.0 / counts[y] / np.count_nonzero(counts)  # (n,), of sum 1
    order = np.argsort(decision, kind="stable")
    middle = decision[order][np.searchsorted(np.cumsum(weight[order]), 0.5)]
    return bool(weight[np.abs(decision - middle) <= NEARLY].sum() >= 1 - NEARLY - 1e-9)
