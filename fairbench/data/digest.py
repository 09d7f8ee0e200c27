"""A digest of everything in a dataset that can change a number: the same on every platform, pandas and process."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Union

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.data.rows import Dataset

Buffer = Union[bytes, memoryview]
SEEDS = range(3)  # a dataset's own partition is asked for the parts of these
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def dataset_digest(dataset: Dataset) -> str:
    """Return a sha256 over rows, columns, labels, groups, keys, partition and everything that says how to read them.

    Only the notes and the index of each table are left out: rows are matched by position.
    """
    total = hashlib.sha256()
    for part in _parts(dataset):
        total.update(len(part).to_bytes(8, "little"))  # so that no two lists of parts run together alike
        total.update(part)
    return total.hexdigest()


def _parts(dataset: Dataset) -> Iterator[Buffer]:
    yield _text(
        [
            dataset.name,
            dataset.favorable_label,
            sorted([_word(name), _word(group)] for name, group in dataset.protected_group.items()),
            sorted([_word(name), sorted(map(_word, names))] for name, names in dataset.sensitive_columns.items()),
            bool(dataset.missing_values),
            list(map(int, dataset.image_shape)),
            dataset.overlap,
        ]
    )
    yield from _array(dataset.y)
    if isinstance(dataset.X, np.ndarray):
        yield from _array(dataset.X)
    else:
        yield from _table(dataset.X)
    yield from _table(dataset.sensitive_features)
    if dataset.keys is not None:
        yield b"keys"
        yield from _table(dataset.keys)
    if dataset.partition is not None:
        yield from _partition(dataset.partition)


def _partition(partition: Callable[[int], Iterable[Any]]) -> Iterator[Buffer]:
    """Yield how each seed partitions the rows; a partition that raises does so again in its cells, which then fail."""
    for seed in SEEDS:
        try:
            parts = [np.asarray(rows) for rows in partition(seed)]
        except Exception as error:
            yield f"partition: {type(error).__name__}".encode()
        else:
            yield b"partition"
            for rows in parts:
                yield from _array(rows.astype(np.int64) if rows.dtype.kind in "iu" else rows)


def _table(table: pd.DataFrame) -> Iterator[Buffer]:
    for position, name in enumerate(table.columns):
        yield _word(name).encode("utf-8", "surrogatepass")
        yield from _column(table.iloc[:, position])


def _column(column: pd.Series) -> Iterator[Buffer]:
    """Yield the type and the values; texts are the same whichever of pandas' text types holds them."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        yield _text(["category", bool(column.dtype.ordered), *map(_word, column.dtype.categories)])
        yield np.asarray(column.cat.codes, dtype="<i8").tobytes()
    elif isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufc":
        yield from _array(column.to_numpy())
    elif pd.api.types.infer_dtype(column, skipna=True) == "string":
        codes, texts = pd.factorize(column)  # a missing value has the code -1
        yield _text(["text", *map(_word, texts)])
        yield np.asarray(codes, dtype="<i8").tobytes()
    else:
        missing = column.isna().to_numpy()
        kind = "object" if column.dtype == object else re.sub(r"\[(s|ms|us|ns)\b", "[", str(column.dtype))
        yield _text([kind, *("" if gone else _word(value) for value, gone in zip(column, missing))])


def _array(array: Any) -> Iterator[Buffer]:
    """Yield type and shape of an array, and its values, little-endian."""
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":
        yield _text([array.dtype.kind, list(array.shape), *map(_word, array.ravel().tolist())])
        return
    if array.dtype.kind in "fc" and np.isnan(array).any():
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)  # of the many NaNs there are
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    yield _text([array.dtype.str, list(array.shape)])
    yield array.reshape(-1).view(np.uint8).data  # no copy: images are large


def _word(value: Any) -> str:
    """Return type and text of one value, without any memory address in the text."""
    if isinstance(value, str):
        return f"str {value}"
    if isinstance(value, (bool, np.bool_)):
        return f"bool {bool(value)}"
    if isinstance(value, (int, np.integer)):
        return f"int {int(value)}"
    if isinstance(value, (float, np.floating)):
        return f"float {float(value)!r}"
    return _ADDRESS.sub("", f"{type(value).__name__} {value}")


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()  # escapes all that is not ASCII, lone surrogates too
