"""What each column of a table holds: guessed from its values, unless the user says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from fairbench.data.columns import DATES, FIGURES, LARGEST, MANY, NUMBERS, TEXTS, TRUTHS, kinds, mixture, shown
from fairbench.data.inspection import ENOUGH
from fairbench.data.own.declaration import CATEGORY, DATE, NUMBER
from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = "left out"
MOST = 1_000  # values of a category, each of which becomes a feature
MOSTLY = 0.9  # share of the different texts that must be numbers or dates
STRANGE = 3  # other texts among numbers, such as "unknown", that count as missing; with more they are codes
EXAMPLES = 3
_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY = (
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})|(19|20)\d\d-(0[1-9]|1[0-2])|"
    rf"\d{{1,2}}[-/. ]{_MONTH}[-/., ]+(\d{{4}}|\d{{2}})|{_MONTH} \d{{1,2}},? \d{{4}})"
)
_DATE = re.compile(rf"{_DAY}([T ]+\d{{1,2}}:\d{{2}}.*)?|\d{{1,2}}:\d{{2}}(:\d{{2}})?")
IDENTIFIER = re.compile(r"(.*[ _.-])?(?i:id|uuid|guid|key|index|row|number|nbr|nr|no)|.*[a-z]I[dD]")


@dataclass(frozen=True)
class Column:
    """A column as it is understood.

    Args:
        name: its name.
        kind: ``number``, ``category``, ``date``, or empty if it holds nothing that can be used.
        use: ``label``, ``group``, ``feature`` or ``left out``.
        different: number of different values, the missing one not counted.
        missing: rows without a value.
        examples: a few values.
        remark: why it is left out, or what was made of some values; can be empty.
    """

    name: str
    kind: str
    use: str
    different: int
    missing: int
    examples: tuple[str, ...]
    remark: str = ""


def guessed(values: pd.Series, kind: str, where: str) -> tuple[Column, Optional[pd.Series]]:
    """Return what a column is as a feature, and its values as one; None if it is left out.

    Args:
        values: (n,) as read.
        kind: what the user says it is; empty to guess.
        where: begins messages.

    Raises:
        DataError: it cannot be what the user says.
    """
    import pandas as pd

    name = str(values.name)
    try:
        codes, distinct = pd.factorize(values)
    except TypeError:  # lists, say
        return Column(name, "", LEFT_OUT, 0, int(values.isna().sum()), (), _odd(values)), None
    missing, n = int((codes < 0).sum()), len(values)
    column = Column(name, kind, "feature", len(distinct), missing, tuple(map(text_of, distinct[:EXAMPLES])))
    if not len(distinct):
        return replace(column, kind="", use=LEFT_OUT, remark="it has no value"), None
    texts = [text_of(value) for value in distinct.tolist()]
    holds = kinds(pd.Series(list(distinct), dtype=object)) if values.dtype == object else {_kind_of(values): None}
    if not holds.keys() <= {TEXTS, NUMBERS, TRUTHS, DATES}:
        return replace(column, kind="", use=LEFT_OUT, remark=f"it holds {mixture(holds)}"), None
    numbers = _numbers(distinct, texts)
    column = replace(column, kind=kind or _kind(name, holds, texts, numbers))
    if not kind and len(distinct) == 1 and not (missing and column.kind == CATEGORY):
        return replace(column, kind="", use=LEFT_OUT, remark="it has one value, which tells nothing"), None
    if column.kind == DATE:
        return replace(column, use=LEFT_OUT, remark="a date"), None
    if column.kind == CATEGORY:
        return _category(column, codes, texts, chosen=bool(kind), present=n - missing, where=where)
    return _number(column, codes, texts, numbers, chosen=bool(kind), where=where)


def _number(
    column: Column, codes: Any, texts: list[str], numbers: Any, *, chosen: bool, where: str
) -> tuple[Column, Optional[pd.Series]]:
    import pandas as pd

    strange = np.flatnonzero(np.isnan(numbers))
    if len(strange) == len(numbers):
        raise DataError(f"{where}: {column.name!r} is to be a number, and holds none (seen {shown(texts[0])})")
    largest = float(np.nanmax(np.abs(numbers)))
    if largest > LARGEST:
        what = "infinite values" if np.isinf(largest) else f"numbers beyond {LARGEST:.2g}"
        raise DataError(f"{where}: {column.name!r} holds {what}; change them, or leave it out (--drop {column.name})")
    array = np.append(numbers, np.nan)[codes]  # a code of -1 is a missing value
    if len(strange):
        rows = int(np.isin(codes, strange).sum())
        column = replace(column, remark=f"{rows:,} rows with {shown(texts[strange[0]])} or the like count as missing")
    present = array[~np.isnan(array)]
    if not chosen and not column.missing and _is_identifier(column.name, numbers, len(array)):
        return replace(column, use=LEFT_OUT, remark="an identifier: a whole number of its own in every row"), None
    whole = len(present) == len(array) and bool((present == np.rint(present)).all()) and np.abs(present).max() < 2**53
    return column, pd.Series(array.astype(np.int64) if whole else array, name=column.name)


def _category(
    column: Column, codes: Any, texts: list[str], *, chosen: bool, present: int, where: str
) -> tuple[Column, Optional[pd.Series]]:
    import pandas as pd

    names = [text.strip() or "(blank)" for text in texts]
    position = {name: place for place, name in enumerate(dict.fromkeys(names))}
    count = len(position)
    if chosen and count > MOST:
        raise DataError(
            f"{where}: {column.name!r} has {count:,} categories, each of which becomes a feature; at most {MOST:,} are "
            f"taken, so group them first, or leave it out (--drop {column.name})"
        )
    if not chosen and (count > MOST or count > max(MANY, present / 2)):
        figures = [name for name in names[:MOST] if FIGURES.fullmatch(name)]
        why = f"an identifier or free text: {count:,} different values in {present:,} rows"
        if len(figures) > MOSTLY * len(names[:MOST]):
            why = f"numbers that cannot be read, such as {shown(figures[0])}: write them as 1234.5"
        return replace(column, use=LEFT_OUT, remark=why), None
    places = np.array([*(position[name] for name in names), -1])[codes]
    values = pd.Categorical.from_codes(places, categories=pd.Index(list(position), dtype=object))
    return replace(column, different=count), pd.Series(values, name=column.name)


def _kind(name: str, holds: Any, texts: list[str], numbers: Any) -> str:
    """Return the kind that the values look like."""
    if DATES in holds or np.mean([bool(_DATE.fullmatch(text.strip())) for text in texts[:MOST]]) >= MOSTLY:
        return DATE
    if TRUTHS in holds:
        return CATEGORY
    if NUMBERS in holds and TEXTS not in holds:
        return DATE if _are_days(numbers) else NUMBER
    strange = int(np.isnan(numbers).sum())
    return NUMBER if strange <= min(STRANGE, (1 - MOSTLY) * len(numbers)) else CATEGORY


def _numbers(distinct: Any, texts: list[str]) -> Any:
    """Return the different values as numbers, NaN where they are none."""
    import pandas as pd

    if getattr(distinct, "dtype", None) is not None and getattr(distinct.dtype, "kind", "O") in "iuf":
        return np.asarray(distinct, dtype=np.float64)
    if not any(map(FIGURES.match, texts[:MOST])):  # spare texts the attempt
        return np.full(len(texts), np.nan)
    return pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)


def _are_days(numbers: Any) -> bool:
    """Return whether whole numbers are days written as 20240131."""
    if len(numbers) <= EXAMPLES or not ((numbers >= 19_000_101) & (numbers <= 21_001_231)).all():
        return False
    day, month = numbers % 100, numbers // 100 % 100
    return bool(((day >= 1) & (day <= 31) & (month >= 1) & (month <= 12)).all())


def _is_identifier(name: str, numbers: Any, n: int) -> bool:
    """Return whether every row has another whole number, and they are nearly consecutive or named as an identifier."""
    if n < ENOUGH or len(numbers) < n or not (numbers == np.rint(numbers)).all():
        return False
    return bool(numbers.max() - numbers.min() < 2 * n) or bool(IDENTIFIER.fullmatch(name))


def _kind_of(values: pd.Series) -> str:
    """Return what a column of one type holds."""
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return TEXTS
    if pd.api.types.is_bool_dtype(dtype):
        return TRUTHS
    if getattr(dtype, "kind", "O") in "mM" or isinstance(dtype, pd.PeriodDtype):
        return DATES
    if getattr(dtype, "kind", "O") == "c":
        return "complex numbers"
    return NUMBERS if pd.api.types.is_numeric_dtype(dtype) else TEXTS


def _odd(values: pd.Series) -> str:
    return f"it holds {mixture(kinds(values.dropna().astype(object)))}"


def text_of(value: Any) -> str:
    """Return a value as a text: whole numbers without a decimal point."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
