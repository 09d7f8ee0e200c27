"""Names of an audit's categories: which cannot be told apart, and which may be amounts."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from fairbench.data.columns import alike, shown
from fairbench.data.own.groups import MOST_NUMBERS
from fairbench.errors import DataError

MOST_CATEGORIES = 100


def number(text: str) -> float:
    """Return the number that a text is; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def check_names(attribute: str, names: Sequence[str]) -> None:
    """Refuse names of categories that no reader can tell apart."""
    strange = [name for name in names if not name.isprintable()]
    if strange:
        raise DataError(f"--group {attribute} holds {shown(strange[0])}; name every category in visible letters")
    pair = alike(names)
    if pair is not None:
        raise DataError(
            f"--group {attribute} holds {pair[0]!r} and {pair[1]!r}, which differ in blanks or case alone; give one "
            "category one name"
        )


def amounts(attribute: str, names: Collection[str]) -> list[str]:
    """Return a sentence if the categories are many numbers, such as ages, which few persons share."""
    if len(names) <= MOST_NUMBERS or not all(math.isfinite(number(name)) for name in names):
        return []
    return [
        f"{attribute} holds {len(names):,} numbers, and each is a category; if they are amounts, such as ages, put "
        "them into bands first."
    ]


def not_groups(names: Collection[str]) -> str:
    """Return why an attribute with these categories cannot be compared, as the end of a sentence."""
    if not names:
        return "has no value in any row that can be audited"
    if len(names) == 1:
        return f"is {next(iter(names))!r} in every row that can be audited; a comparison needs two groups"
    return (
        f"has {len(names):,} values, as an identifier or a number has; "
        f"put them into groups first (at most {MOST_CATEGORIES})"
    )
