"""What the metrics share: gaps and ratios between groups, means over them, and the words for what has no value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairbench.api import GroupRates, Samples, Undefined


def populated(samples: Samples, rates: GroupRates) -> NDArray[np.bool_]:
    """Return a mask (G,) of the groups that have rows.

    Raises:
        Undefined: fewer than two have.
    """
    present = np.asarray(rates.n > 0)
    if present.sum() < 2:
        names = [name for name, here in zip(samples.group_names, present) if here]
        raise Undefined(
            f"only group {names[0]!r} has rows ({len(samples)} of {len(samples)}); a comparison needs two groups"
            if names
            else "there are no rows; a comparison needs two groups"
        )
    return present


def require_class(samples: Samples, rates: GroupRates, labels: Sequence[int]) -> NDArray[np.bool_]:
    """Return a mask (G,) of the groups that have rows; each of them must have rows of every given label.

    Raises:
        Undefined: fewer than two groups have rows, or one of them has none with such a label.
    """
    present = populated(samples, rates)
    lacking = []
    for label in labels:
        count = rates.positives if label else rates.n - rates.positives
        for code in np.flatnonzero(present & (count == 0)):
            name, rows = samples.group_names[code], rates.n[code]
            lacking.append(f"group {name!r} has no row with y = {label} (0 of {rows:.0f})")
    if lacking:
        raise Undefined("; ".join(lacking))
    return present


def gap(rate: NDArray[np.floating]) -> float:
    """Return the largest minus the smallest of the rates (G,)."""
    return float(rate.max() - rate.min())


def smallest_share(rate: NDArray[np.floating]) -> float | None:
    """Return the smallest over the largest of the rates (G,), or None where that is 0/0."""
    return float(rate.min() / rate.max()) if rate.max() > 0 else None


def pooled(rate: NDArray[np.floating], rows: NDArray[np.floating], what: str = "") -> float:
    """Return the rate over all groups together, from each group's rate (G,) and the number of rows (G,) behind it.

    Raises:
        Undefined: there are no such rows; ``what`` says which are meant.
    """
    here = rows > 0
    if not here.any():
        raise Undefined(what or "there are no rows")
    return float(np.average(rate[here], weights=rows[here]))  # exactly 0 or 1 where every group's is
