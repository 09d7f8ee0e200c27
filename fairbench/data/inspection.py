"""Checks of a loaded dataset before anything runs: measured facts, as sentences shown with its results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.data.preparation import own_partition, part_rows
from fairbench.data.rows import Dataset
from fairbench.errors import DataError, NotApplicable
from fairbench.records import FRESH, POOL

IDENTIFIES, ENOUGH = 0.9, 50  # distinct values, as a share of the rows and as a number, above which a category is one
REPEATED = 0.01  # share of test rows that equal a training row; a smaller one is passed over


def measured_notes(dataset: Dataset) -> tuple[str, ...]:
    """Return sentences on repeated rows, features that reveal a group, and identifiers; empty if there are none.

    Raises:
        DataError: the dataset's own partition is invalid, or its repeats do not overlap as ``overlap`` says.
    """
    if dataset.partition is not None:
        _check_overlap(dataset)
    return (*_repeated_rows(dataset), *_telling_features(dataset), *_identifiers(dataset))


def _check_overlap(dataset: Dataset) -> None:
    """Compare the parts of two repeats with what the dataset says about them."""
    first, second = (own_partition(dataset, seed) for seed in (0, 1))
    used, then = set(np.concatenate(first).tolist()), set(np.concatenate(second).tolist())
    anew = used == then and set(first[2].tolist()) != set(second[2].tolist())
    if (dataset.overlap == FRESH and used & then) or (dataset.overlap == POOL and not anew):
        raise DataError(
            f"{dataset.name}: overlap is {dataset.overlap!r}, but of the {len(used):,} and {len(then):,} rows of two "
            f"repeats {len(used & then):,} are the same, and {len(np.intersect1d(first[2], second[2])):,} of their "
            "test rows; 'pool' means the same rows parted anew, 'fresh' no row in common; else say 'unknown'"
        )


def _repeated_rows(dataset: Dataset) -> list[str]:
    try:
        train, _, test = part_rows(dataset, 0)
    except NotApplicable:  # too few rows; the cells will say so
        return []
    rows = _row_codes(dataset)
    share = float(np.isin(rows[test], rows[train]).mean())
    if share < REPEATED:
        return []
    again = _repetitions(rows)
    attribute = dataset.sensitive_features.columns[0]
    return [
        f"{share:.0%} of the test rows of a split equal a training row in every feature and in {attribute} ({again:,} "
        f"of all {len(rows):,} rows repeat an earlier one), so its parts are not independent and intervals are too "
        "narrow."
    ]


def repeated_rows(dataset: Dataset) -> int:
    """Return how many rows equal an earlier one in every feature and in the first sensitive attribute."""
    return _repetitions(_row_codes(dataset))


def _repetitions(rows: NDArray[Any]) -> int:
    return len(rows) - len(np.unique(rows))


def _row_codes(dataset: Dataset) -> NDArray[Any]:
    """Return a number (n,) for each row that is the same for rows equal in every feature and the first attribute."""
    from pandas.util import hash_pandas_object

    group = dataset.sensitive_features.iloc[:, [0]]
    if isinstance(dataset.X, np.ndarray):
        pixels = np.fromiter((hash(row.tobytes()) for row in dataset.X), dtype=np.int64, count=len(dataset.X))
        table = group.assign(pixels=pixels)
    else:
        table = dataset.X.assign(**{f"{len(dataset.X.columns)} group": group.iloc[:, 0]})
    return np.asarray(hash_pandas_object(table, index=False))


def _telling_features(dataset: Dataset) -> list[str]:
    """Name the features with few values that reveal a row's group but are not listed in ``sensitive_columns``.

    A flag of one of several groups reveals it in part. Values that are the groups by other names need not be few.
    """
    import pandas as pd

    notes: list[str] = []
    table: Any = dataset.X
    if isinstance(table, np.ndarray):
        return notes
    for attribute in dataset.sensitive_features.columns:
        group, names = pd.factorize(dataset.sensitive_features[attribute])
        for column in table.columns:
            if column in dataset.sensitive_columns.get(attribute, ()):
                continue
            value, distinct = pd.factorize(table[column], use_na_sentinel=False)
            # one of nearly as many values as rows tells nothing
            few = max(len(distinct), len(names)) <= len(group) / 10
            renamed = len(distinct) == len(names) <= len(group) / 2
            if len(distinct) < 2 or not (few or renamed):
                continue
            pairs = len(np.unique(value * len(names) + group))
            if pairs in (len(distinct), len(names)):
                whole = pairs == len(distinct)
                tells = f"gives {attribute} away in every row" if whole else f"depends on {attribute} alone"
                notes.append(
                    f"The feature {column} {tells}, and no sensitive_columns name it: it stays among the features when "
                    f"{attribute} is the group."
                )
    return notes


def _identifiers(dataset: Dataset) -> list[str]:
    """Name the categories that differ from row to row, such as names of people and case numbers.

    Texts of this kind are refused earlier; columns of categories are not.
    """
    table: Any = dataset.X
    if isinstance(table, np.ndarray):
        return []
    notes = []
    for column in table.columns:
        distinct = table[column].nunique() if table[column].dtype.name == "category" else 0
        if distinct > max(ENOUGH, IDENTIFIES * len(table)):
            notes.append(
                f"The feature {column} is a category with {distinct:,} values in {len(table):,} rows, as an identifier "
                "has: most test rows have one that the training part lacks; leave the column out of X."
            )
    return notes
