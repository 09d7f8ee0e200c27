"""From a dataset to a split without leaks: every encoder is fitted on the training part alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import Preparation
from fairbench.data import Dataset, Samples, Schema, Split
from fairbench.errors import NotApplicable

if TYPE_CHECKING:
    import pandas as pd

HOLDOUT_SHARE = 0.30  # of all rows; half of it, rounded up, is the test part
TEST_TO_TRAIN = HOLDOUT_SHARE / 2 / (1 - HOLDOUT_SHARE)  # rows of the test part over rows of the training part


def split_dataset(dataset: Dataset, *, group: str, seed: int, preparation: Preparation) -> Split:
    """Return train (70%), validation (15%) and test (15%), the same for every method.

    Args:
        dataset: as loaded.
        group: the sensitive attribute, or several joined by commas (a code for each combination that occurs).
        seed: of the split.
        preparation: scaling, and whether the group is a feature.

    Raises:
        NotApplicable: the dataset has no such attribute, or a part would lack a class or a group.
    """
    attributes = group.split(",")
    codes, names, protected = _group_codes(dataset, attributes)
    parts = _positions(len(dataset.y), seed, codes * 2 + dataset.y if preparation.stratify else None)
    train = parts[0]
    for what, values in (("class", dataset.y), (f"group of {group!r}", codes)):
        if len(np.unique(values[train])) < 2:
            raise NotApplicable(
                f"{dataset.name}: the training part of {len(train)} rows has only one {what}; "
                "use a larger dataset, or stratify = true"
            )
    carried = {column for attribute in attributes for column in dataset.sensitive_columns.get(attribute, ())}
    table = dataset.X.drop(columns=[column for column in dataset.X.columns if column in carried])
    X, feature_names = encode(table, train, preparation.scale)
    if preparation.sensitive_as_feature:
        flags, flag_names = _group_features(codes, names, protected)
        X, feature_names = np.hstack([X, flags]), feature_names + flag_names
    schema = Schema(feature_names, names, protected, dataset.favorable_label)
    samples = Samples(X, codes, schema, dataset.y, dataset.key_arrays(without=carried))
    return Split(*(samples.select(rows) for rows in parts))


def _group_codes(dataset: Dataset, attributes: list[str]) -> tuple[NDArray[np.int64], tuple[str, ...], int]:
    """Return each row's group code, the names of the groups and the code of the protected one."""
    table = dataset.sensitive_features
    for attribute in attributes:
        if attribute not in table.columns:
            known = ", ".join(table.columns)
            raise NotApplicable(f"{dataset.name} has no sensitive attribute {attribute!r}; it has: {known}")
    labels = [tuple(row) for row in table[attributes].itertuples(index=False)]
    groups = sorted(set(labels))
    protected = tuple(dataset.protected_group[attribute] for attribute in attributes)
    if protected not in groups:
        raise NotApplicable(f"{dataset.name}: no row belongs to the protected combination {', '.join(protected)}")
    position = {label: code for code, label in enumerate(groups)}
    codes = np.fromiter((position[label] for label in labels), dtype=np.int64, count=len(labels))
    return codes, tuple(", ".join(label) for label in groups), position[protected]


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


def encode(table: pd.DataFrame, train: NDArray[np.intp], scale: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Impute, one-hot encode and scale a table; whatever is learned is learned from the rows ``train``.

    Numeric columns come first (missing values become the training median; with ``scale="standard"`` mean 0 and
    variance 1), then a column for each category seen in training (a missing value is a category of its own; a category
    unseen in training is all zeros).

    Returns:
        X (n, d) and its feature names.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = table.select_dtypes(include=["number", "bool"])
    categorical = table.drop(columns=numeric.columns).astype(object)
    blocks, names = [], []
    if len(numeric.columns):
        block = numeric.to_numpy(dtype=np.float64)
        steps = [SimpleImputer(strategy="median", keep_empty_features=True)] if np.isnan(block).any() else []
        steps += [StandardScaler()] if scale == "standard" else []
        for step in steps:
            block = step.fit(block[train]).transform(block)
        blocks.append(block)
        names += list(numeric.columns)
    if len(categorical.columns):
        cells = categorical.where(categorical.notna(), "missing").to_numpy().astype(str)
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32).fit(cells[train])
        blocks.append(encoder.transform(cells))
        names += list(encoder.get_feature_names_out(list(categorical.columns)))
    if not blocks:
        return np.zeros((len(table), 0), dtype=np.float32), ()
    return np.hstack(blocks).astype(np.float32), tuple(map(str, names))


def _group_features(
    codes: NDArray[np.int64], names: tuple[str, ...], protected: int
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return a flag of the protected group for two groups, else a column for each group."""
    if len(names) == 2:
        return (codes == protected).astype(np.float32)[:, None], (f"group_{names[protected]}",)
    return np.eye(len(names), dtype=np.float32)[codes], tuple(f"group_{name}" for name in names)
