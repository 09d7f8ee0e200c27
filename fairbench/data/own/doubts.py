"""Features that know too much of the label: the label again, or a decision that was already made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.data.inspection import ENOUGH
from fairbench.data.own.guess import IDENTIFIER

if TYPE_CHECKING:
    import pandas as pd

NEARLY = 0.99
"""ROC AUC of a feature alone from which it nearly determines the label."""

SUSPECT = 0.75
"""The same for a feature whose name says that it is a decision."""

FEW = 10  # rows for each value, on average, so that shares of y = 1 by value mean something
_DECISION = re.compile(
    r"(?i)(.*[ _.-])?(decision|decided|approv(ed|al)|grant(ed)?|accept(ed)?|reject(ed|ion)?|denied|admitted|hired|"
    r"outcome|verdict|result|prediction|predicted)([ _.-].*)?"
)


def doubts(X: pd.DataFrame, y: NDArray[Any], label: str) -> Iterator[str]:
    """Yield sentences on each doubtful feature.

    Args:
        X: (n, d) numbers and categories.
        y: (n,) in {0, 1}, both of which occur.
        label: the name of the label's column.
    """
    for name in X.columns:
        area, perfect, different = _area(X[name], y)
        of = f"The feature {name}"
        advice = f"Leave it out with --drop {name} unless it is known when the decision is made."
        if perfect and different == 2:
            yield f"{of} is the label {label} again, under another name: every method can read it off. {advice}"
        elif area >= NEARLY:
            yield (
                f"{of} nearly determines the label {label} (alone it has a ROC AUC of {area:.3f}): it may have been "
                f"recorded after the label. {advice}"
            )
        elif IDENTIFIER.fullmatch(name) and _is_whole(X[name]) and different > max(ENOUGH, len(y) / FEW):
            yield (
                f"{of} looks like an identifier (its name, and {different:,} different whole numbers): leave it out "
                f"with --drop {name}. Who has several rows may be in the training and in the test part."
            )
        elif area >= SUSPECT and _DECISION.fullmatch(name):
            yield (
                f"{of} looks like a decision already made (its name, and alone a ROC AUC of {area:.3f}): is it known "
                f"before {label} is? {advice}"
            )


def doubtful_groups(sensitive: Mapping[str, pd.Series], y: NDArray[Any], label: str) -> Iterator[str]:
    """Yield a sentence on each attribute whose groups determine the label, or nearly.

    Args:
        sensitive: by attribute, the group (n,) of each row.
        y: (n,) in {0, 1}, both of which occur.
        label: the name of the label's column.
    """
    for name, groups in sensitive.items():
        area, perfect, _ = _area(groups, y)
        if perfect or area >= NEARLY:
            yield (
                f"The groups of {name} {'' if perfect else 'nearly '}determine the label {label} (alone they have a "
                f"ROC AUC of {area:.3f}): gaps between them say little of a method."
            )


def _area(values: pd.Series, y: NDArray[Any]) -> tuple[float, bool, int]:
    """Return the ROC AUC of a feature alone, whether it separates the labels, and how many values it has.

    A number orders the rows, either way round; few values, and categories, order them by their share of y = 1. The
    missing value is a value.
    """
    import pandas as pd

    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    best = 0.5
    if len(distinct) <= len(y) / FEW:
        ones = np.bincount(codes, weights=y, minlength=len(distinct))
        rows = np.bincount(codes, minlength=len(distinct))
        perfect = bool(((ones == 0) | (ones == rows)).all())
        best = _rank_area((ones / rows)[codes], y)
    else:
        perfect = False
    if values.dtype.kind in "iuf":
        known = values.notna().to_numpy()
        if 0 < y[known].sum() < known.sum():
            area = _rank_area(values.to_numpy()[known], y[known]) - 0.5
            best = max(best, 0.5 + abs(area) * known.mean())  # rows without a value say nothing
    return best, perfect, len(distinct)


def _is_whole(values: pd.Series) -> bool:
    return values.dtype.kind in "iuf" and bool((values.dropna() % 1 == 0).all())


def _rank_area(scores: NDArray[Any], y: NDArray[Any]) -> float:
    """Return the share of pairs (y = 1, y = 0) in which the first has the higher score; ties count one half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each score
    ones = float(y.sum())
    return float((middle[place][y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones)))
