"""Rows of the harness as AIF360's datasets, and which rows its algorithms can learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Inputs, NotApplicable, Samples, Schema

GROUP = "group"
UNPRIVILEGED, PRIVILEGED = [{GROUP: 0.0}], [{GROUP: 1.0}]
"""AIF360's words for the protected group and the other one, in datasets that ``labelled`` makes of two groups."""

Rows = TypeVar("Rows", Inputs, Samples)


def favourable(schema: Schema, values: NDArray[Any]) -> NDArray[Any]:
    """Return labels, scores or chances of y = 1 as those of the favourable outcome; the same call leads back."""
    return values if schema.favorable_label == 1 else 1 - values


def labelled(
    rows: Union[Inputs, Samples],
    X: Optional[NDArray[Any]] = None,
    y: Optional[NDArray[Any]] = None,
    score: Optional[NDArray[Any]] = None,
) -> Any:
    """Return n rows as a ``BinaryLabelDataset``, whose label 1 is the favourable outcome.

    A flag for each group but the protected one follows the features; of two groups it is 1 for the other group, which
    AIF360 calls privileged. Nothing of AIF360 needs the rows to contain both groups afterwards.

    Args:
        rows: groups are taken from here.
        X: (n, d) features; None for none.
        y: (n,) labels or decisions in {0, 1}; None for rows to predict.
        score: (n,) scores of y = 1; None for those that AIF360 derives from the labels.
    """
    import pandas as pd
    from aif360.datasets import BinaryLabelDataset

    features = np.empty((len(rows), 0)) if X is None else X
    others = [code for code in range(len(rows.group_names)) if code != rows.schema.protected]
    flags = rows.group[:, None] == np.array(others)
    labels = np.zeros(len(rows)) if y is None else favourable(rows.schema, y)
    groups = [GROUP, *(f"{GROUP} {place}" for place in range(2, len(others) + 1))]
    names = [f"x{column}" for column in range(features.shape[1])] + groups
    table = pd.DataFrame(np.column_stack([features, flags, labels]).astype(np.float64), columns=[*names, "label"])
    dataset = BinaryLabelDataset(df=table, label_names=["label"], protected_attribute_names=groups)
    dataset.privileged_protected_attributes = [np.array([1.0])] * len(groups)  # also where a part lacks a group
    dataset.unprivileged_protected_attributes = [np.array([0.0])] * len(groups)
    if score is not None:
        dataset.scores = favourable(rows.schema, score).astype(np.float64).reshape(-1, 1)
    return dataset


def with_features(rows: Rows, X: NDArray[Any]) -> Rows:
    """Return the rows with other features (n, d), such as repaired ones."""
    names = tuple(f"x{column}" for column in range(X.shape[1]))
    return replace(rows, X=X, schema=replace(rows.schema, feature_names=names))


def check_two_groups(part: Samples, where: str, who: str) -> None:
    """Refuse rows from which a method that compares two groups cannot learn.

    Args:
        part: what the method learns from.
        where: its name, e.g. ``the training part``.
        who: the method's name.

    Raises:
        NotApplicable: there are not two groups, or one has no row with one of the labels.
    """
    names = part.group_names
    if len(names) != 2:
        raise NotApplicable(f"{who} compares two groups, and there are {len(names)}: {', '.join(names)}")
    rows = np.bincount(part.group * 2 + part.y, minlength=4)
    if not rows.all():
        group, label = divmod(int(rows.argmin()), 2)
        raise NotApplicable(
            f"{who} needs rows with both labels in both groups; {where} has no row of {names[group]!r} with y = {label}"
        )
