"""The one rule for predictions that decide alike for everybody; their perfect parity means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from fairbench.data.rows import Integers, Predictions

NEARLY = 0.05
"""The tolerance of ``decides_alike``: a share of the people, and a difference in the chance of being selected."""

_ROUNDING = 1e-9


def decides_alike(y: Integers, predictions: Predictions) -> bool:
    """Return whether nearly everybody has nearly the same chance of being selected.

    That is: at least 95% of the people, both labels counting equally, have a chance of selection within 0.05 of the
    median chance. For plain decisions this means that the mean of the true and the false positive rate is at most .05
    or at least .95; an accurate classifier of a rare label is therefore not mistaken for a constant. A coin that
    selects everybody with the same chance decides alike too.

    Args:
        y: (n,) labels in {0, 1}; a label without rows is left out of the count.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``y``.

    Returns:
        False if there are no rows.
    """
    return common_chance(y, predictions) is not None


def common_chance(y: Integers, predictions: Predictions) -> Optional[float]:
    """Return the median chance of being selected if the predictions decide alike for everybody, else None.

    Args:
        y: (n,) labels in {0, 1}, which count equally.
        predictions: of the same rows.
    """
    decision = predictions.decision
    counts = np.bincount(y, minlength=2)
    if not len(decision):
        return None
    if ((decision == 0) | (decision == 1)).all():  # no sorting, which takes longest of all that is done with many rows
        selected = np.bincount(y, weights=decision, minlength=2)
        side = side_of_rates((selected[counts > 0] / counts[counts > 0]).tolist())
        return None if side is None else float(side)
    weight = 1.0 / counts[y] / np.count_nonzero(counts)  # (n,), of sum 1
    order = np.argsort(decision, kind="stable")
    middle = decision[order][np.searchsorted(np.cumsum(weight[order]), 0.5)]
    near = weight[np.abs(decision - middle) <= NEARLY + _ROUNDING].sum()
    return float(middle) if near >= 1 - NEARLY - _ROUNDING else None


def side_of_rates(rates: Sequence[float]) -> Optional[int]:
    """Return 1 or 0 if plain decisions with these rates select nearly everybody or nearly nobody, else None.

    Args:
        rates: true and false positive rate; only one of them if a label has no rows.
    """
    mean = float(np.mean(rates)) if len(rates) else 0.5
    return 1 if mean >= 1 - NEARLY - _ROUNDING else 0 if mean <= NEARLY + _ROUNDING else None
