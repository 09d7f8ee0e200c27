"""Columns of any table that a loader returns: their names, kinds and missing values; and those that are features."""

from __future__ import annotations

import datetime
import numbers
import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = float(np.finfo(np.float32).max)
MANY = 20  # different texts in a column that may be anything; more must look like categories
FIGURES = re.compile(r"[^\w]*\d[\d\s.,:;/+%eET-]*")  # a number, a date or a time written as text
TEXTS, TRUTHS, NUMBERS, DATES = "texts", "true and false", "numbers", "dates"
CLOCK = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def shown(value: Any) -> str:
    """Return a value as a message shows it: short, and without NumPy's type around it."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def check_length(what: str, length: int, n: int, where: str) -> None:
    """Refuse a column or table of another length than X."""
    if length != n:
        raise DataError(f"{where}: {what} has {length} rows but X has {n}; every row needs one")


def check_frame(table: Any, what: str, where: str) -> None:
    """Refuse anything but a DataFrame."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        advice = "; use .to_frame()" if isinstance(table, pd.Series) else ""
        raise DataError(f"{where}: {what} is of type {type(table).__name__}; give a pandas DataFrame{advice}")


def column_names(table: pd.DataFrame, what: str, where: str) -> list[str]:
    """Return the names of a table's columns as texts: 0 becomes ``0``, ('a', 'b') becomes ``('a', 'b')``.

    Raises:
        DataError: a name is missing or occurs twice.
    """
    names: list[str] = []
    for name in table.columns:
        text = str(name)
        if name is None or name != name or not text.strip() or not encodes(text):
            raise DataError(f"{where}: {what} has a column named {shown(name)}; give it a name")
        if text in names:
            raise DataError(f"{where}: {what} has two columns named {text!r}; rename or drop one")
        names.append(text)
    return names


def refuse_missing(values: pd.Series, what: str, where: str, advice: str) -> None:
    """Refuse a column in which a row lacks its value."""
    missing = values.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{where}: {what} is missing (NaN) in {missing.sum()} of {len(missing)} rows, first in row "
            f"{int(missing.argmax())}; {advice}"
        )


def kind(value: Any) -> str:
    """Return in words what kind of value this is."""
    if isinstance(value, str):
        return TEXTS
    if isinstance(value, (bool, np.bool_)):
        return TRUTHS
    if isinstance(value, CLOCK):
        return DATES
    if isinstance(value, (numbers.Real, Decimal)):
        return NUMBERS
    return f"values of type {type(value).__name__}"


def kinds(values: pd.Series) -> dict[str, Any]:
    """Return the kinds of values in a column of objects, each with the first value of it."""
    types = values.map(type)
    first = values[~types.duplicated().to_numpy()]
    found: dict[str, Any] = {}
    for value in first:
        found.setdefault(kind(value), value)
    return found


def mixture(kinds: Mapping[str, Any]) -> str:
    """Return the kinds in words, each with the value seen."""
    return " and ".join(f"{what} (seen {shown(value)})" for what, value in kinds.items())


def alike(names: Iterable[str]) -> Optional[tuple[str, str]]:
    """Return the first two different names that differ in blanks, case or the way letters are coded alone, if any."""
    found: dict[str, str] = {}
    for name in names:
        key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if found.setdefault(key, name) != name:
            return found[key], name
    return None


def encodes(text: str) -> bool:
    """Return whether the text is valid Unicode, so that it can be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def features(X: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the table with columns of plain numbers, truth values, texts and categories.

    Nullable, sparse and object columns get the type of what they hold. Missing values stay missing.

    Raises:
        DataError: a column is none of these, or would become a feature for nearly every row.
    """
    import pandas as pd

    names = column_names(X, "X", where)
    columns = {name: _feature(X.iloc[:, place], name, where) for place, name in enumerate(names)}
    return pd.DataFrame(columns, index=X.index)


def _feature(values: pd.Series, name: str, where: str) -> pd.Series:
    import pandas as pd

    if isinstance(values.dtype, pd.SparseDtype):
        values = values.sparse.to_dense()
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        texts = [str(category) for category in dtype.categories]
        if len(set(texts)) < len(texts) or not all(map(encodes, texts)):
            raise DataError(
                f"{where}: feature {name!r} has categories with equal or unreadable texts: {shown(texts)}; rename them"
            )
        return values
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind in "biuf":
        return _numbers(values, name, where)
    if dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype):
        return _refuse_kinds({DATES: values.iloc[0]}, name, where)
    present = values.dropna().astype(object)
    found = kinds(present)
    if found.keys() <= {TEXTS}:
        _check_texts(present, name, where)
        return values
    if found.keys() in ({NUMBERS}, {TRUTHS}):
        whole = TRUTHS in found and len(present) == len(values)
        try:
            plain = [np.nan if missing else float(value) for value, missing in zip(values, values.isna())]
        except OverflowError as error:  # an integer of hundreds of digits
            raise DataError(f"{where}: feature {name!r} holds a number beyond {LARGEST:.2g}; scale it") from error
        return _numbers(pd.Series(plain, values.index, dtype=bool if whole else np.float64), name, where)
    return _refuse_kinds(found, name, where)


def _numbers(values: pd.Series, name: str, where: str) -> pd.Series:
    """Return the column as NumPy's numbers, with NaN where a value is missing; refuse what float32 cannot hold."""
    import pandas as pd

    if not isinstance(values.dtype, np.dtype):
        plain = {"b": np.bool_, "i": np.int64, "u": np.uint64}.get(values.dtype.kind, np.float64)
        array = values.to_numpy(np.float64, na_value=np.nan) if values.isna().any() else values.to_numpy(plain)
        values = pd.Series(array, values.index)
    if values.dtype.kind == "f":
        values = values.astype(np.float64) if values.dtype.itemsize > 8 else values  # pandas has no longer ones
        size = np.abs(values.to_numpy(np.float64))
        if np.isinf(size).any():
            raise DataError(f"{where}: feature {name!r} holds infinite values; clip or drop them in load()")
        if (size > LARGEST).any():
            row = int((size > LARGEST).argmax())
            raise DataError(
                f"{where}: feature {name!r} is {values.iloc[row]:g} in row {row}, and methods see numbers up to "
                f"{LARGEST:.2g}; scale it in load()"
            )
    return values


def _refuse_kinds(found: Mapping[str, Any], name: str, where: str) -> Any:
    if found.keys() == {DATES}:
        advice = "dates or times; turn them into numbers (the year, days since a day)"
    elif len(found) > 1:
        advice = f"a mixture of {mixture(found)}; make them all numbers or all texts"
    else:
        advice = f"{mixture(found)}; give numbers, truth values, texts or categories"
    raise DataError(f"{where}: feature {name!r} holds {advice}")


def _check_texts(present: pd.Series, name: str, where: str) -> None:
    """Refuse texts that would become a column for nearly every row: numbers as texts, identifiers, free text."""
    distinct = list(present.unique())
    if not all(map(encodes, distinct)):
        raise DataError(f"{where}: feature {name!r} holds text that is not valid Unicode; decode it in load()")
    if len(distinct) <= MANY:
        return
    figures = [text for text in distinct if FIGURES.fullmatch(text)]
    if len(figures) > 0.9 * len(distinct):  # a few may say that the value is unknown
        what = f"numbers or dates as texts, such as {shown(figures[0])} ({len(distinct)} different)"
        advice = "turn them into numbers"
    elif len(distinct) > len(present) / 2:
        what, advice = (
            f"{len(distinct)} different texts in {len(present)} rows, such as {shown(distinct[0])}",
            "drop it",
        )
    else:
        return
    raise DataError(
        f"{where}: feature {name!r} holds {what}; {advice}, or say astype('category') if they are categories"
    )
