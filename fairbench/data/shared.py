"""Loaded datasets in files that other processes map read-only, instead of loading them again.

Numbers and codes are ``.npy`` arrays, texts are JSON; nothing is pickled. What such files cannot hold is refused, and
processes then load the dataset as its plugin does. Whoever reads one compares its digest with that of the dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.data.arrays import unchecked
from fairbench.data.digest import SEEDS
from fairbench.data.rows import Dataset
from fairbench.errors import NotApplicable

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION, PARTITION, IMAGES = "dataset.json", "partition.npy", "images.npy"
PLAIN = "biuf"  # kinds of NumPy's types that are kept as they are
TEXTS = ("name", "favorable_label", "protected_group", "sensitive_columns", "missing_values", "notes", "overlap")


class _Columns:
    """Columns of all tables, those of one type of number together, so that a wide table is a few files."""

    def __init__(self) -> None:
        self.arrays: dict[str, list[NDArray[Any]]] = {}

    def add(self, values: NDArray[Any]) -> list[Any]:
        """Keep a column (n,) and return its place."""
        together = self.arrays.setdefault(values.dtype.str.strip("<>=|"), [])
        together.append(values)
        return [values.dtype.str.strip("<>=|"), len(together) - 1]


def write_dataset(dataset: Dataset, folder: Path, seeds: Iterable[int], remarks: Sequence[str] = ()) -> None:
    """Write a dataset into a new folder.

    Args:
        dataset: as loaded.
        folder: is made.
        seeds: those for which cells will ask for the dataset's own partition, if it has one.
        remarks: on how it was loaded.

    Raises:
        NotApplicable: it holds what is neither numbers, texts nor categories, or its partition is invalid.
        OSError: the files cannot be written.
    """
    columns = _Columns()
    said: dict[str, Any] = {name: getattr(dataset, name) for name in TEXTS}
    said["missing_values"] = bool(dataset.missing_values)
    said["image_shape"], said["remarks"] = list(map(int, dataset.image_shape)), list(remarks)
    said["y"] = columns.add(dataset.y)
    images = dataset.X if isinstance(dataset.X, np.ndarray) else None
    tables = {"X": None if images is not None else dataset.X, "keys": dataset.keys}
    for name, table in {**tables, "sensitive_features": dataset.sensitive_features}.items():
        said[name] = None if table is None else [_column(table[column], column, columns) for column in table.columns]
    said["partition"], rows = _partition(dataset, seeds)
    folder.mkdir(mode=0o700)
    for kind, together in columns.arrays.items():
        np.save(folder / f"{kind}.npy", np.stack(together), allow_pickle=False)
    if images is not None:
        np.save(folder / IMAGES, images, allow_pickle=False)
    if rows is not None:
        np.save(folder / PARTITION, rows, allow_pickle=False)
    (folder / DESCRIPTION).write_text(json.dumps(said), encoding="ascii")


def _column(values: pd.Series, name: str, columns: _Columns) -> dict[str, Any]:
    """Return how a column is kept."""
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in PLAIN:
        return {"name": name, "numbers": columns.add(values.to_numpy())}
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories
        if isinstance(categories.dtype, np.dtype) and categories.dtype.kind in PLAIN:
            kept = {"values": categories.tolist(), "dtype": categories.dtype.str}
        else:
            kept = {"values": _texts(categories, name), "dtype": str(categories.dtype)}
        return {"name": name, "codes": columns.add(values.cat.codes.to_numpy()), **kept, "ordered": bool(dtype.ordered)}
    codes, found = pd.factorize(values)  # a missing value has the code -1
    return {
        "name": name,
        "codes": columns.add(codes.astype(np.int32)),
        "values": _texts(found, name),
        "dtype": str(dtype),
    }


def _texts(values: Iterable[Any], name: str) -> list[str]:
    texts = list(values)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise NotApplicable(f"column {name!r} holds neither numbers, texts nor categories of them")
    return list(map(str, texts))


def _partition(dataset: Dataset, seeds: Iterable[int]) -> tuple[Any, Any]:
    """Return the lengths of the parts by seed, and the rows of all parts in one array; None without a partition."""
    if dataset.partition is None:
        return None, None
    parts = {}
    for seed in sorted({*SEEDS, *seeds}):
        try:
            parts[str(seed)] = [np.asarray(rows) for rows in dataset.partition(seed)]
        except Exception as error:  # its cells fail with it
            raise NotApplicable(f"its partition fails: {error}") from error
        if not all(rows.ndim == 1 and rows.dtype.kind in "iu" for rows in parts[str(seed)]):
            raise NotApplicable("its partition does not consist of positions")
    rows = np.concatenate([rows.astype(np.int64) for of_seed in parts.values() for rows in of_seed])
    return {seed: list(map(len, of_seed)) for seed, of_seed in parts.items()}, rows


@dataclass(frozen=True)
class _KeptPartition:
    """The partitions of the seeds that were asked for when the dataset was written."""

    lengths: Mapping[str, Sequence[int]]
    rows: NDArray[np.int64]

    def __call__(self, seed: int) -> list[NDArray[np.int64]]:
        """Return the positions of train, validation and test."""
        start = 0
        for kept, lengths in self.lengths.items():
            ends = np.cumsum([start, *lengths])
            if kept == str(seed):
                return [self.rows[first:last] for first, last in zip(ends, ends[1:])]
            start = int(ends[-1])
        raise KeyError(f"no partition was kept for seed {seed}")


def read_dataset(folder: Path) -> tuple[Dataset, tuple[str, ...]]:
    """Return a dataset whose numbers and codes are mapped from files, and the remarks on how it was loaded.

    The caller compares its digest. A dataset that differs raises almost anything.
    """
    import pandas as pd

    said = json.loads((folder / DESCRIPTION).read_text(encoding="ascii"))
    arrays: dict[str, NDArray[Any]] = {}

    def column(place: Sequence[Any]) -> NDArray[Any]:
        kind, number = place
        if kind not in arrays:
            arrays[kind] = _mapped(folder / f"{kind}.npy")
        found: NDArray[Any] = arrays[kind][number]
        return found

    def table(kept: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        index = pd.RangeIndex(len(y))
        return pd.DataFrame({one["name"]: _values(one, column) for one in kept}, index=index, copy=False)

    y = column(said["y"])
    fields = {name: said[name] for name in TEXTS}
    fields["notes"], remarks = tuple(said["notes"]), tuple(said["remarks"])
    fields["sensitive_columns"] = {name: tuple(carrying) for name, carrying in said["sensitive_columns"].items()}
    X = _mapped(folder / IMAGES) if said["X"] is None else table(said["X"])
    keys = None if said["keys"] is None else table(said["keys"])
    partition = said["partition"] and _KeptPartition(said["partition"], _mapped(folder / PARTITION))
    dataset = unchecked(
        Dataset,
        **fields,
        X=X,
        y=y,
        sensitive_features=table(said["sensitive_features"]),
        image_shape=tuple(said["image_shape"]),
        keys=keys,
        partition=partition,
    )
    return dataset, remarks


def _mapped(path: Path) -> NDArray[Any]:
    """Return an array that the system reads from the file as it is used, and shares among processes."""
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return found


def _values(kept: Mapping[str, Any], column: Any) -> Any:
    """Return a table's column."""
    import pandas as pd

    if "numbers" in kept:
        return pd.Series(column(kept["numbers"]), copy=False)
    codes = column(kept["codes"])
    if "ordered" in kept:
        categories = pd.Index(kept["values"], dtype=kept["dtype"])
        return pd.Series(pd.Categorical.from_codes(codes, categories, ordered=kept["ordered"]))
    texts = np.array([*kept["values"], None], dtype=object)
    return pd.Series(texts[codes], dtype=kept["dtype"])
