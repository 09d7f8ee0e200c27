"""Small splits, and their parts as AIF360's datasets, made without the plugin's help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairbench.data.examples import example_split
from fairbench.data.rows import Split

UNPRIVILEGED, PRIVILEGED = [{"sex": 0}], [{"sex": 1}]


def two_group_split(favorable_label=1, rows=600, groups=2, seed=0):
    """Return generated rows, of which the label given is the favourable one."""
    split = example_split(groups, rows, seed)
    schema = replace(split.train.schema, favorable_label=favorable_label)
    return Split(*(replace(part, schema=schema) for part in (split.train, split.validation, split.test)))


def theirs(part, y=None, *, X=None, score=None, recoded=False):
    """Return rows as AIF360's dataset, in which the group is the feature ``sex``, 1 but for the protected group.

    Args:
        part: the rows.
        y: labels or decisions; zeros by default.
        X: features; none by default.
        score: scores of y = 1.
        recoded: write the favourable label as 1, for the algorithms that take 1 for favourable whatever they are told.
    """
    import pandas as pd
    from aif360.datasets import BinaryLabelDataset

    y, favourable = np.zeros(len(part)) if y is None else y, part.schema.favorable_label
    table = pd.DataFrame(np.empty((len(part), 0)) if X is None else np.asarray(X, dtype=np.float64))
    table["sex"] = (part.group != part.schema.protected).astype(float)
    table["label"] = (y == favourable if recoded else y).astype(float)
    label = 1 if recoded else favourable
    made = BinaryLabelDataset(
        favorable_label=label,
        unfavorable_label=1 - label,
        df=table,
        label_names=["label"],
        protected_attribute_names=["sex"],
    )
    if score is not None:
        made.scores = (score if favourable == 1 else 1 - score).reshape(-1, 1)
    return made
