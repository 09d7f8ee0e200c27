"""From a dataset to a leak-free split: every encoder is fitted on the training part only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import Cell, Preparation
from fairbench.data.columns import shown
from fairbench.data.encoding import Encoding
from fairbench.data.rows import Dataset, Samples, Schema, Split
from fairbench.errors import DataError, NotApplicable

if TYPE_CHECKING:
    import pandas as pd

HOLDOUT_SHARE = 0.30  # of all rows; half of it, rounded up, is the test part


def split_of(cell: Cell, dataset: Dataset) -> Split:
    """Return the split of a cell, which is the same for every method; see ``split_dataset``."""
    return split_dataset(
        dataset,
        group=cell.group,
        seed=cell.seed("split"),
        preparation=cell.preparation,
        validation_seed=cell.validation_seed,
    )


def split_dataset(
    dataset: Dataset, *, group: str, seed: int, preparation: Preparation, validation_seed: Optional[int] = None
) -> Split:
    """Return train (70%), validation (15%) and test (15%), the same for every method.

    A dataset's own partition takes precedence. Images stay in [0, 1], whatever the scaling.

    Args:
        dataset: as loaded.
        group: the sensitive attribute, or several joined by commas (a code for each combination that occurs).
        seed: seed of the split.
        preparation: scaling, and whether the group is a feature.
        validation_seed: draws the validation part anew from all rows but the test part's; None leaves it as ``seed``
            drew it.

    Raises:
        NotApplicable: the dataset has no such attribute, the training part would lack a class or a group, the group
            is requested as a feature of images, or another validation part than the dataset's own is requested.
        DataError: the dataset's own partition is invalid.
    """
    attributes = group.split(",")
    codes, names, protected = group_codes(dataset, attributes)
    parts = split_rows(dataset, codes, seed=seed, preparation=preparation, validation_seed=validation_seed)
    learned = parts[0]
    for what, values in (("class", dataset.y), (f"group of {group!r}", codes)):
        if len(np.unique(values[learned])) < 2:
            raise NotApplicable(
                f"{dataset.name}: the training part of {len(learned)} rows has only one {what}; "
                "use a larger dataset, or stratify = true"
            )
    if isinstance(dataset.X, np.ndarray):
        if preparation.sensitive_as_feature:
            raise NotApplicable(f"{dataset.name} holds images, which have no column for the group; hide it")
        shape = dataset.image_shape
        schema = Schema(_pixel_names(*shape), names, protected, dataset.favorable_label, shape)
        train, validation, test = (_images(dataset, rows, codes, schema) for rows in parts)
        return Split(train, validation, replace(test, rows=parts[2]))
    carried = {column for attribute in attributes for column in dataset.sensitive_columns.get(attribute, ())}
    table = dataset.X.drop(columns=[column for column in dataset.X.columns if column in carried])
    X, feature_names = encode(table, learned, preparation.scale)
    if preparation.sensitive_as_feature:
        flags, flag_names = group_features(codes, names, protected)
        X, feature_names = np.hstack([X, flags]), feature_names + flag_names
    schema = Schema(feature_names, names, protected, dataset.favorable_label)
    if not feature_names:
        raise NotApplicable(
            f"{dataset.name} has no features left: all columns of X carry {group!r}, which is the group"
            if len(dataset.X.columns)
            else f"{dataset.name} has no features: X has no column"
        )
    samples = Samples(X, codes, schema, dataset.y, dataset.key_arrays(without=carried))
    train, validation, test = (samples.select(rows) for rows in parts)
    return Split(train, validation, replace(test, rows=parts[2]))


def split_rows(
    dataset: Dataset, codes: NDArray[np.int64], *, seed: int, preparation: Preparation, validation_seed: Optional[int]
) -> list[NDArray[np.intp]]:
    """Return the positions of train, validation and test; ``codes`` are the rows' groups, see ``split_dataset``.

    Raises:
        NotApplicable: the dataset's own partition is to be stratified or divided anew.
        DataError: the dataset's own partition is invalid.
    """
    if dataset.partition is not None and preparation.stratify:
        raise NotApplicable(f"{dataset.name} has its own partition, which cannot be stratified; use stratify = false")
    strata = codes * 2 + dataset.y if preparation.stratify else None
    parts = part_rows(dataset, seed, strata)
    if validation_seed is not None:
        if dataset.partition is not None:
            raise NotApplicable(f"{dataset.name} has its own partition, whose validation part stays; use tunings = 1")
        parts = [*_divided(np.concatenate(parts[:2]), len(parts[1]), validation_seed, strata), parts[2]]
    return parts


def group_codes(dataset: Dataset, attributes: list[str]) -> tuple[NDArray[np.int64], tuple[str, ...], int]:
    """Return each row's group code, the names of the groups and the code of the protected one."""
    table = dataset.sensitive_features
    for attribute in attributes:
        if attribute not in table.columns:
            known = ", ".join(table.columns)
            raise NotApplicable(f"{dataset.name} has no sensitive attribute {attribute!r}; it has: {known}")
    codes, labels = _combinations([table[attribute] for attribute in attributes])
    groups = sorted(labels)
    protected = tuple(dataset.protected_group[attribute] for attribute in attributes)
    if protected not in groups:
        raise NotApplicable(f"{dataset.name}: no row belongs to the protected combination {', '.join(protected)}")
    names = tuple(", ".join(label) for label in groups)
    for place, name in enumerate(names):
        if name in names[:place]:
            raise NotApplicable(
                f"{dataset.name}: {groups[names.index(name)]} and {groups[place]} would both be the group {name!r} of "
                f"{','.join(attributes)!r}; rename a group that holds a comma"
            )
    position = {label: code for code, label in enumerate(groups)}
    return np.array([position[label] for label in labels], dtype=np.int64)[codes], names, position[protected]


def _combinations(columns: Sequence[pd.Series]) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """Return a code for each row, and for each code the row's texts in these columns."""
    codes: NDArray[np.int64] = np.zeros(len(columns[0]), np.int64)
    labels: list[tuple[str, ...]] = [()]
    for column in columns:
        further, texts = column.factorize()
        kinds, codes = np.unique(codes * len(texts) + further, return_inverse=True)
        pairs = [divmod(kind, len(texts)) for kind in kinds.tolist()]
        labels = [(*labels[before], texts[last]) for before, last in pairs]
    return codes, labels


def part_rows(dataset: Dataset, seed: int, strata: Any = None) -> list[NDArray[np.intp]]:
    """Return the positions of train, validation and test: the dataset's own, or drawn at random."""
    return _positions(len(dataset.y), seed, strata) if dataset.partition is None else own_partition(dataset, seed)


def _positions(n: int, seed: int, strata: Any) -> list[NDArray[np.intp]]:
    """Return sorted row positions of train, validation and test."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(n)
    if n < 4:
        raise NotApplicable(f"{n} rows cannot be split into train, validation and test; at least 4 are needed")
    try:
        train, held = train_test_split(rows, test_size=HOLDOUT_SHARE, random_state=seed, stratify=strata)
        held_strata = None if strata is None else strata[held]
        validation, test = train_test_split(held, test_size=0.5, random_state=seed, stratify=held_strata)
    except ValueError as error:  # too few rows of a stratum
        raise NotApplicable(f"the rows cannot be stratified by label and group: {error}") from error
    return [np.sort(part) for part in (train, validation, test)]


def _divided(rows: NDArray[np.intp], held: int, seed: int, strata: Any) -> list[NDArray[np.intp]]:
    """Return sorted positions of training and validation part, with ``held`` rows in the latter."""
    from sklearn.model_selection import train_test_split

    rows = np.sort(rows)
    try:
        parts = train_test_split(
            rows, test_size=held, random_state=seed, stratify=None if strata is None else strata[rows]
        )
    except ValueError as error:  # too few rows of a stratum
        raise NotApplicable(f"the rows cannot be stratified by label and group: {error}") from error
    return [np.sort(part) for part in parts]


def own_partition(dataset: Dataset, seed: int) -> list[NDArray[np.intp]]:
    """Return the parts that the dataset itself prescribes.

    Raises:
        DataError: they are not three disjoint parts of its rows.
    """
    assert dataset.partition is not None  # noqa: S101 - the caller has looked
    where, given = dataset.name, dataset.partition(seed)
    try:
        parts = [np.asarray(rows) for rows in given]
    except (TypeError, ValueError):  # nothing to go through, or no array
        parts = []
    whole = all(part.ndim == 1 and (part.dtype.kind in "iu" or not len(part)) for part in parts)
    if len(parts) != 3 or not whole:
        seen = ", ".join(f"{part.dtype} of shape {part.shape}" for part in parts) or shown(given)
        raise DataError(
            f"{where}: its partition returned {seen}; it must return the positions of train, validation and test, "
            "three arrays of whole numbers (np.flatnonzero(mask) of a mask)"
        )
    rows = np.concatenate(parts)
    twice = len(rows) - len(np.unique(rows))
    if min(map(len, parts)) == 0 or twice:
        raise DataError(
            f"{where}: its partition has parts of {[len(part) for part in parts]} rows, {twice} of them twice; three "
            "disjoint parts with rows are needed"
        )
    if rows.min() < 0 or rows.max() >= len(dataset.y):
        raise DataError(
            f"{where}: its partition names row {rows.max() if rows.min() >= 0 else rows.min()}; "
            f"there are {len(dataset.y)} rows"
        )
    return [part.astype(np.intp) for part in parts]


def _pixel_names(channels: int, height: int, width: int) -> tuple[str, ...]:
    return tuple(f"{c},{row},{column}" for c in range(channels) for row in range(height) for column in range(width))


def _images(dataset: Dataset, rows: NDArray[np.intp], codes: NDArray[np.int64], schema: Schema) -> Samples:
    """Return the images of one part, in [0, 1]; only what is in a part is ever held as float32."""
    pixels = dataset.X[rows]
    X = pixels.astype(np.float32) / np.float32(255 if pixels.dtype == np.uint8 else 1)
    keys = {name: values[rows] for name, values in dataset.key_arrays().items()}
    return Samples(X, codes[rows], schema, dataset.y[rows], keys)


def encode(table: pd.DataFrame, train: NDArray[np.intp], scale: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Impute, one-hot encode and scale a table; whatever is learned is learned from the rows ``train``.

    Numeric columns come first (missing values become the training median; with ``scale="standard"`` mean 0 and
    variance 1), then a column for each category seen in training (a missing value is a category of its own; a category
    unseen in training is all zeros).

    Returns:
        X (n, d) and its feature names.
    """
    encoding = Encoding.learn(table, train, scale)
    return encoding.apply(table), encoding.names


def group_features(
    codes: NDArray[np.int64], names: tuple[str, ...], protected: int
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return a flag of the protected group for two groups, else a column for each group."""
    if len(names) == 2:
        return (codes == protected).astype(np.float32)[:, None], (f"group_{names[protected]}",)
    return np.eye(len(names), dtype=np.float32)[codes], tuple(f"group_{name}" for name in names)
