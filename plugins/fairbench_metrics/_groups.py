"""What the metrics share: gaps and ratios between groups, means over them, and the words for what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairbench.api import GroupRates, Partial, Samples, Undefined, no_rows


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


def having(samples: Samples, rates: GroupRates, labels: Sequence[int]) -> tuple[list[NDArray[np.bool_]], str]:
    """Return for each label a mask (G,) of the groups that have rows with it, and in words which lack one.

    Groups without any row are not mentioned: every value between groups says so.

    Raises:
        Undefined: fewer than two groups have rows, or rows with one of the labels.
    """
    present = populated(samples, rates)
    masks, lacking, told = [], [], []
    for label in labels:
        rows = rates.positives if label else rates.n - rates.positives
        masks.append(np.asarray(rows > 0))
        without = np.flatnonzero(present & (rows == 0))
        names = [samples.group_names[code] for code in without]
        lacking += [no_rows(names, label)] if names else []
        told += [
            f"group {name!r} has no row with y = {label} (0 of {n:.0f})" for name, n in zip(names, rates.n[without])
        ]
    if any(mask.sum() < 2 for mask in masks):
        raise Undefined("; ".join(told))
    return masks, "; ".join(lacking)


def partly(value: float, lacking: str) -> float:
    """Return the value, as ``Partial`` if groups are lacking."""
    return Partial(value, lacking) if lacking else value


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
    weight = rows[here]
    return float((rate[here] * weight).sum() / weight.sum())  # exactly 0 or 1 where every group's is
