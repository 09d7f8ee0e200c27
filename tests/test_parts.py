"""What the parts of a split say of their rows, and when a training part will not do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset
from fairbench.data.rows import Dataset
from fairbench.errors import NotApplicable

N = 200


def dataset(images=False, **changes):
    group = np.where(np.arange(N) % 3 == 0, "a", "z")
    fields = {
        "name": "made",
        "X": (np.arange(N * 4) % 256).reshape(N, 4).astype(np.uint8)
        if images
        else pd.DataFrame({"row": np.arange(N, dtype=float)}),
        "y": np.arange(N) % 2,
        "sensitive_features": pd.DataFrame({"g": group}),
        "protected_group": {"g": "z"},
        "favorable_label": 0,
        "image_shape": (1, 2, 2) if images else (),
    }
    return Dataset(**{**fields, **changes})


def split(data):
    return split_dataset(data, group="g", seed=0, preparation=Preparation(scale="none"))


@pytest.mark.parametrize("images", [False, True])
def test_every_part_knows_the_protected_group_and_the_favourable_label(images):
    parts = split(dataset(images))
    for part in (parts.train, parts.validation, parts.test):
        assert part.group_names == ("a", "z")
        assert part.group_names[part.schema.protected] == "z"
        assert part.schema.favorable_label == 0


def test_the_test_part_knows_where_in_the_dataset_its_rows_stand():
    parts = split(dataset())
    np.testing.assert_array_equal(parts.test.rows, parts.test.X[:, 0].astype(int))
    assert parts.train.rows is None
    picked = parts.test.select(np.array([4, 1]))
    np.testing.assert_array_equal(picked.rows, parts.test.rows[[4, 1]])


@pytest.mark.parametrize("images", [False, True])
def test_a_training_part_of_one_group_is_not_applicable(images):
    group = np.full(N, "a")
    group[split(dataset()).test.rows[0]] = "z"  # the only row of its group is held out
    with pytest.raises(NotApplicable, match="the training part of 140 rows has only one group of 'g'"):
        split(dataset(images, sensitive_features=pd.DataFrame({"g": group})))
