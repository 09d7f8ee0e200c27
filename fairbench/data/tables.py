"""What a loader's tables can hold: values with a clear meaning; others are refused with the name of the column."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.data.columns import (
    DATES,
    NUMBERS,
    TEXTS,
    TRUTHS,
    alike,
    check_frame,
    check_length,
    column_names,
    encodes,
    kind,
    kinds,
    mixture,
    refuse_missing,
    shown,
)
from fairbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

NO_TEXT = {"nan", "NaT", "<NA>"}  # what astype(str) makes of a missing value


def check_kinds(dataset: Any) -> None:
    """Refuse fields of the wrong type, and tables whose rows are in different orders."""
    import pandas as pd

    if not isinstance(dataset.name, str) or not dataset.name:
        raise DataError(f"a dataset's name is {shown(dataset.name)}; give a text")
    where, favorable, notes = dataset.name, dataset.favorable_label, dataset.notes
    if not isinstance(dataset.X, (pd.DataFrame, np.ndarray)) or isinstance(dataset.X, np.ma.MaskedArray):
        check_frame(dataset.X, "X", where)
    if not np.shape(dataset.X) or not len(dataset.X):
        raise DataError(f"{where}: X has no rows")
    if not np.isscalar(favorable) or favorable not in (0, 1):
        raise DataError(f"{where}: favorable_label is {shown(favorable)}; it must be 0 or 1")
    if not isinstance(dataset.missing_values, (bool, np.bool_)):
        raise DataError(f"{where}: missing_values is {shown(dataset.missing_values)}; it must be True or False")
    if not isinstance(notes, (tuple, list)) or not all(isinstance(note, str) for note in notes):
        raise DataError(f"{where}: notes is {shown(notes)}; give a tuple of sentences")
    if dataset.partition is not None and not callable(dataset.partition):
        raise DataError(f"{where}: partition is {shown(dataset.partition)}; give a function of a repeat's seed")
    check_frame(dataset.sensitive_features, "sensitive_features", where)
    parts = {what: getattr(dataset, what) for what in ("X", "sensitive_features", "y", "keys")}
    for what, part in parts.items():  # a wrong length is said before a wrong order
        if hasattr(part, "iloc"):
            check_length(what, len(part), len(dataset.X), where)
    check_order(parts, where)


def check_order(parts: Mapping[str, Any], where: str) -> None:
    """Refuse pandas objects whose rows have different labels than those of the first.

    Rows are matched by position. If the indexes differ, the loader may have meant something else: a table that was
    shuffled or filtered separately cannot be distinguished from one that merely has an old index.
    """
    labelled = {what: part.index for what, part in parts.items() if hasattr(part, "iloc")}
    first, index = next(iter(labelled.items()))  # sensitive_features at the latest
    for what, other in labelled.items():
        if not other.equals(index):
            row = next(place for place, pair in enumerate(zip(other, index)) if pair[0] != pair[1])
            raise DataError(
                f"{where}: the index of {what} differs from that of {first}, first in row {row}: {shown(other[row])} "
                f"and {shown(index[row])}; put all rows in the same order, then call .reset_index(drop=True) on each"
            )


def labels(y: Any, n: int, where: str) -> NDArray[np.int64]:
    """Return labels (n,) in {0, 1}, whatever column of numbers or truth values they came as.

    Raises:
        DataError: they are not a single column, some are missing, or they are not coded 0 and 1.
    """
    import pandas as pd

    if isinstance(y, pd.DataFrame):
        y = y.iloc[:, 0] if y.shape[1] == 1 else y.to_numpy()
    if not isinstance(y, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray, np.ma.MaskedArray)):
        try:
            y = np.asarray(y)
        except ValueError:  # lists of several lengths
            y = np.asarray(None)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
    if isinstance(y, np.ndarray) and y.dtype.kind == "V":  # of named fields, which pandas would not take
        y = y.astype(object)
    if np.ndim(y) != 1:
        raise DataError(
            f"{where}: y has shape {np.shape(y)}; give one column of 0 and 1, a label for each row (of one-hot labels "
            "the column of y = 1)"
        )
    try:
        values = pd.Series(y).reset_index(drop=True)
    except OverflowError:  # of older pandas, where an integer has hundreds of digits
        values = pd.Series(y, dtype=object).reset_index(drop=True)
    check_length("y", len(values), n, where)
    refuse_missing(values, "y", where, "drop the rows")
    try:
        seen = set(values.unique())
    except TypeError:  # lists, say, cannot be compared
        seen = {type(values[0])}
    if not seen <= {0, 1}:
        few = ", ".join(sorted(map(shown, seen))[:5])
        raise DataError(
            f"{where}: y must hold 0 and 1 only, seen {few}; code the outcomes as 0 and 1, and say in favorable_label "
            "which is good for the person"
        )
    return np.asarray(values == 1, dtype=np.int64)


def groups(table: pd.DataFrame, protected: Any, where: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the sensitive features as texts, and each attribute's protected group.

    Texts stay as they are. Whole numbers (2, 2.0) and truth values are named by their text (``2``, ``True``), in the
    table and in ``protected``.

    Raises:
        DataError: an attribute has no clear groups, or its protected group is none of them.
    """
    import pandas as pd

    names = column_names(table, "sensitive_features", where)
    if not names:
        raise DataError(f"{where}: sensitive_features has no column; a dataset needs an attribute to compare groups by")
    if not isinstance(protected, Mapping):
        raise DataError(f"{where}: protected_group is {shown(protected)}; give {{attribute: value}} for each attribute")
    protected = {str(attribute): value for attribute, value in protected.items()}
    for attribute in protected:
        if attribute not in names:
            raise DataError(f"{where}: protected_group names {attribute!r}; the attributes are: {', '.join(names)}")
    columns, of = {}, {}
    for place, attribute in enumerate(names):
        if "," in attribute or attribute != " ".join(attribute.split()):  # a comma joins attributes to one group
            raise DataError(f"{where}: the attribute {attribute!r} holds a comma or odd blanks; rename it")
        columns[attribute] = _groups_of(table.iloc[:, place], attribute, where)
        found = sorted(set(columns[attribute]))
        if len(found) < 2:
            raise DataError(f"{where}: {attribute!r} has one group, {found[0]!r}; a comparison needs two")
        value = protected.get(attribute)
        of[attribute] = _group_name(value, f"protected_group of {attribute!r}", where) if value is not None else ""
        if of[attribute] not in found:
            raise DataError(f"{where}: protected_group of {attribute!r} is {shown(value)}; its groups are {found}")
    return pd.DataFrame(columns, index=table.index), of


def _groups_of(values: pd.Series, attribute: str, where: str) -> pd.Series:
    values = values.astype(object)
    refuse_missing(values, repr(attribute), where, "drop them")
    found = kinds(values)
    if len(found) > 1:
        raise DataError(f"{where}: {attribute!r} mixes {mixture(found)}; name every group by a text")
    if not found.keys() <= {TEXTS, NUMBERS, TRUTHS}:
        raise DataError(f"{where}: {attribute!r} holds {mixture(found)}; name groups by texts or whole numbers")
    names = {value: _group_name(value, repr(attribute), where) for value in values.unique()}
    pair = alike(names.values())
    if pair is not None:
        raise DataError(
            f"{where}: {attribute!r} has groups {pair[0]!r} and {pair[1]!r}, which differ in blanks or case alone; "
            "give one group one name"
        )
    return values.map(names)


def _group_name(value: Any, what: str, where: str) -> str:
    what_kind = kind(value)
    if what_kind == NUMBERS and float(value).is_integer():
        return str(int(value))
    if what_kind == TRUTHS:
        return str(bool(value))
    if what_kind != TEXTS:
        raise DataError(f"{where}: {what} holds {shown(value)}; a group is named by a text or a whole number")
    if not value.strip() or not value.isprintable() or value.strip() in NO_TEXT:
        raise DataError(
            f"{where}: {what} has a group named {shown(value)}; name it in visible letters, or drop its rows if it "
            "stands for a missing value"
        )
    return str.__str__(value)  # str() of an enumeration's member is its name


def keys(table: pd.DataFrame, n: int, where: str) -> pd.DataFrame:
    """Return the task keys, each a column of one kind of value.

    Raises:
        DataError: a key is missing in some row, or is neither numbers nor texts.
    """
    import pandas as pd

    check_frame(table, "keys", where)
    check_length("keys", len(table), n, where)
    columns = {}
    for place, name in enumerate(column_names(table, "keys", where)):
        values = table.iloc[:, place]
        refuse_missing(values, f"key {name!r}", where, "every row needs a task")
        found = kinds(values.astype(object))
        if len(found) > 1 or not found.keys() <= {TEXTS, NUMBERS, TRUTHS, DATES}:
            raise DataError(f"{where}: key {name!r} holds {mixture(found)}; use numbers or texts")
        if TEXTS in found and not all(map(encodes, values.unique())):
            raise DataError(f"{where}: key {name!r} holds text that is not valid Unicode; decode it in load()")
        columns[name] = values.infer_objects() if values.dtype == object else values
    return pd.DataFrame(columns, index=table.index)


def key_array(values: pd.Series) -> NDArray[Any]:
    """Return a task key as numbers or strings; whole numbers are int64 unless one is beyond it."""
    types: dict[str, Any] = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}
    if values.dtype.kind not in types:
        return np.asarray(values.astype(str).to_numpy(dtype=np.str_))
    beyond = values.dtype.kind == "u" and values.max() >= 2**63
    return np.asarray(values.to_numpy(dtype=np.uint64 if beyond else types[values.dtype.kind]))


def sensitive_columns(
    given: Any, attributes: Collection[str], features: Collection[str], keys: Collection[str], where: str
) -> dict[str, tuple[str, ...]]:
    """Return for each attribute the columns, of the ``features`` and ``keys``, with the same information.

    Raises:
        DataError: an attribute or a column does not exist, or a feature has an attribute's name and is not given, so
            that the group would stay among the features.
    """
    if not isinstance(given, Mapping):
        raise DataError(f"{where}: sensitive_columns is {shown(given)}; give {{attribute: (column, ...)}}")
    taken: dict[str, tuple[str, ...]] = {}
    for attribute, columns in given.items():
        if str(attribute) not in attributes:
            raise DataError(
                f"{where}: sensitive_columns names the attribute {shown(attribute)}; the attributes are: "
                f"{', '.join(attributes)}"
            )
        if isinstance(columns, (str, bytes)) or not isinstance(columns, Iterable):
            raise DataError(
                f"{where}: sensitive_columns of {attribute!r} is {shown(columns)}; give a tuple: ({shown(columns)},)"
            )
        taken[str(attribute)] = tuple(map(str, columns))
        for column in taken[str(attribute)]:
            if column not in features and column not in keys:
                raise DataError(
                    f"{where}: sensitive_columns of {attribute!r} names {column!r}, and neither X nor keys has such a "
                    f"column; they have: {shown(', '.join([*features, *keys]))}"
                )
    for attribute in attributes:
        columns = taken.get(attribute, ())
        if attribute in features and attribute not in columns:
            raise DataError(
                f"{where}: X has a column {attribute!r}, and sensitive_columns of {attribute!r} is {shown(columns)}, "
                "so that the attribute would stay among the features; write sensitive_columns="
                f"{{{attribute!r}: {(*columns, attribute)!r}}}, or leave the column out of X"
            )
    return taken


def check_images(X: NDArray[Any], shape: Any, where: str) -> tuple[int, int, int]:
    """Return (channels, height, width) of images; refuse arrays that are not images."""
    sides = isinstance(shape, (tuple, list)) and all(isinstance(side, (int, np.integer)) for side in shape)
    if not sides or len(shape) != 3 or min(shape) < 1 or X.ndim != 2 or X.shape[1] != math.prod(shape):
        raise DataError(
            f"{where}: X is an array of shape {X.shape} and image_shape is {shown(shape)}; images are rows of "
            "channels * height * width values, and a table is a DataFrame"
        )
    if X.dtype != np.uint8 and not (X.dtype.kind == "f" and X.min() >= 0 and X.max() <= 1):  # false for NaN too
        reach = f" from {X.min()} to {X.max()}" if X.dtype.kind in "iuf" else ""
        raise DataError(f"{where}: pixels are {X.dtype}{reach}; they must be uint8, or floats in [0, 1] without NaN")
    channels, height, width = map(int, shape)
    return channels, height, width
