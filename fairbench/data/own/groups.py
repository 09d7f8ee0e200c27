"""The groups of an attribute of one's own: texts as they are, numbers by the edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.data.columns import shown
from fairbench.data.own.declaration import CATEGORY
from fairbench.data.own.guess import text_of
from fairbench.errors import DataError
from fairbench.texts import counted

if TYPE_CHECKING:
    import pandas as pd

MOST_NUMBERS = 10  # different numbers that can be groups by themselves
MOST_GROUPS = 100


def attribute_of(values: pd.Series, edges: Sequence[float], kind: str, where: str) -> tuple[pd.Series, str, str]:
    """Return the groups (n,) of an attribute without missing values as texts, how many there are in words, and a note.

    The note says how they were guessed; it is empty if they were not.

    Args:
        values: (n,) as read.
        edges: between groups of numbers; each belongs to the group above it. Without any, many numbers are divided at
            their median.
        kind: what the user says the column holds; numbers that are categories are not divided.
        where: begins messages.

    Raises:
        DataError: there is no number to divide, a group is empty, or there are too many groups.
    """
    import pandas as pd

    name = str(values.name)
    numbers = values.dtype.kind in "iuf"
    if edges:
        if not numbers:
            raise DataError(
                f"{where}: {name!r} holds {shown(values.iloc[0])}; only numbers can be divided at edges (--bin)"
            )
        return _divided(values.to_numpy(np.float64), edges, name, where), counted(len(edges) + 1, "group"), ""
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError(f"{where}: {name!r} holds lists or the like; name groups by texts or whole numbers") from error
    if numbers and kind != CATEGORY and len(distinct) > MOST_NUMBERS:
        middle = _middle(values.to_numpy(np.float64))
        note = (
            f"{name} has {len(distinct):,} different numbers, so its groups are a guess: they are divided at the "
            f"median, {text_of(middle)} (--bin {name}={text_of(middle)} would say so; more edges make more groups)."
        )
        return _divided(values.to_numpy(np.float64), [middle], name, where), "2 groups, guessed", note
    if len(distinct) > MOST_GROUPS:
        raise DataError(
            f"{where}: {name!r} has {len(distinct):,} groups, such as {shown(distinct[0])}; at most {MOST_GROUPS} can "
            "be compared, so join some"
        )
    texts = np.array([text_of(value).strip() for value in distinct], dtype=object)
    return pd.Series(texts[codes], name=name), counted(len(set(texts)), "group"), ""


def _middle(numbers: NDArray[np.float64]) -> float:
    """Return the smallest of the numbers that is at least their median, or the next one if nobody would be under it."""
    distinct = np.unique(numbers)
    return float(distinct[max(1, int(np.searchsorted(distinct, np.median(numbers))))])


def lowest_share(values: pd.Series, y: NDArray[Any]) -> str:
    """Return the group with the lowest share of y = 1, of equals the first by name."""
    import pandas as pd

    shares = pd.Series(y).groupby(values.to_numpy()).mean()
    return str(shares.sort_index().idxmin())


def _divided(numbers: NDArray[np.float64], edges: Sequence[float], name: str, where: str) -> pd.Series:
    """Return the name of each row's group: ``under 25``, ``25 to 44``, ``45 or more``."""
    import pandas as pd

    whole = bool((numbers == np.rint(numbers)).all()) and all(float(edge).is_integer() for edge in edges)
    low = [text_of(float(edge)) for edge in edges]
    between = [
        f"{first} to {text_of(float(last - 1)) if whole else f'under {text_of(float(last))}'}"
        for first, last in zip(low, list(edges)[1:])
    ]
    names = [f"under {low[0]}", *between, f"{low[-1]} or more"]
    codes = np.searchsorted(np.asarray(edges, dtype=np.float64), numbers, side="right")
    empty = [group for place, group in enumerate(names) if not (codes == place).any()]
    if empty:
        raise DataError(
            f"{where}: {name!r} runs from {numbers.min():g} to {numbers.max():g}, so nobody is in the group "
            f"{empty[0]!r}; choose other edges (--bin)"
        )
    return pd.Series(np.array(names, dtype=object)[codes], name=name)
