"""The digest of a dataset sees all that can change a number, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fairbench.data.digest import dataset_digest
from fairbench.data.rows import Dataset

N = 12


def table(**changes):
    fields = {
        "name": "tiny",
        "X": pd.DataFrame({"age": np.arange(N, dtype=float), "city": ["a", "b", "c"] * 4}),
        "y": np.arange(N) % 2,
        "sensitive_features": pd.DataFrame({"sex": ["f", "m"] * 6, "race": ["u", "v", "w"] * 4}),
        "protected_group": {"sex": "f", "race": "u"},
        "sensitive_columns": {"race": ("city",)},
        "keys": pd.DataFrame({"state": ["x", "y", "z"] * 4}),
        "partition": parts,
    }
    return Dataset(**{**fields, **changes})


def parts(seed, cut=8):
    rows = np.random.default_rng(seed).permutation(N)
    return [rows[:cut], rows[cut:10], rows[10:]]


def broken(seed):
    raise KeyError(seed)


def features(**columns):
    return pd.DataFrame({"age": np.arange(N, dtype=float), "city": ["a", "b", "c"] * 4, **columns})


CHANGES = {
    "a value": {"X": features(age=np.arange(1, N + 1, dtype=float))},
    "a text": {"X": features(city=["a", "b", "d"] * 4)},
    "a column's name": {"X": features().rename(columns={"age": "years"})},
    "the order of columns": {"X": features()[["city", "age"]]},
    "whole numbers": {"X": features(age=np.arange(N))},
    "texts for numbers": {"X": features(age=[str(float(number)) for number in range(N)])},
    "a figure among texts": {"X": features(city=["a", "b", "1"] * 4)},
    "categories": {"X": features(city=pd.Categorical(["a", "b", "c"] * 4))},
    "a category that does not occur": {"X": features(city=pd.Categorical(["a", "b", "c"] * 4, list("abcd")))},
    "a missing value": {"X": features(city=["a", "b", None] * 4), "missing_values": True},
    "that values may be missing": {"missing_values": True},
    "labels": {"y": 1 - np.arange(N) % 2},
    "the favourable label": {"favorable_label": 0},
    "groups": {"sensitive_features": pd.DataFrame({"sex": ["m", "f"] * 6, "race": ["u", "v", "w"] * 4})},
    "which attribute is first": {
        "sensitive_features": pd.DataFrame({"race": ["u", "v", "w"] * 4, "sex": ["f", "m"] * 6})
    },
    "the protected group": {"protected_group": {"sex": "m", "race": "u"}},
    "columns that carry the group": {"sensitive_columns": {"sex": ("city",)}},
    "no such columns": {"sensitive_columns": {}},
    "keys": {"keys": pd.DataFrame({"state": ["x", "z", "y"] * 4})},
    "a key's name": {"keys": pd.DataFrame({"county": ["x", "y", "z"] * 4})},
    "a key's type": {"keys": pd.DataFrame({"state": [1, 2, 3] * 4})},
    "no keys": {"keys": None},
    "another partition": {"partition": lambda seed: parts(seed, 9)},
    "a partition that fails": {"partition": broken},
    "no partition": {"partition": None},
    "how repeats overlap": {"overlap": "fresh"},
}


def test_each_change_has_a_digest_of_its_own():
    digests = {what: dataset_digest(table(**changes)) for what, changes in CHANGES.items()}
    digests["nothing"] = dataset_digest(table())
    digests["three alike"] = dataset_digest(table(partition=lambda seed: parts(0)))
    assert len(set(digests.values())) == len(digests)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"notes": ("a note",)},
        {"y": (np.arange(N) % 2).astype(np.int8)},
        {"protected_group": {"race": "u", "sex": "f"}},
        {"X": features(city=pd.Series(["a", "b", "c"] * 4, dtype=object))},
        {"X": features(city=pd.array(["a", "b", "c"] * 4, dtype="string"))},
        {"sensitive_features": table().sensitive_features.astype("string")},
    ],
)
def test_what_changes_no_number_changes_no_digest(changes):
    assert dataset_digest(table(**changes)) == dataset_digest(table())


def test_whatever_stands_for_a_missing_value_is_missing():
    holed = [
        dataset_digest(table(X=features(city=pd.Series(["a", "b", nothing] * 4, dtype=object)), missing_values=True))
        for nothing in (None, float("nan"), pd.NA)
    ]
    assert len(set(holed)) == 1
    quiet = np.arange(N, dtype=float)
    quiet[3] = np.nan
    other = quiet.copy()
    other.view(np.uint64)[3] |= 5  # a NaN of other bits
    assert np.isnan(other[3])
    assert len({dataset_digest(table(X=features(age=column), missing_values=True)) for column in (quiet, other)}) == 1


def test_images_differ_by_any_pixel_by_type_and_by_shape():
    images, plain = np.zeros((N, 12), np.uint8), {"sensitive_columns": {}}
    same = dataset_digest(table(X=images, image_shape=(3, 2, 2), **plain))
    assert dataset_digest(table(X=images.copy(), image_shape=(3, 2, 2), **plain)) == same
    flipped = images.copy()
    flipped[2, 5] = 1
    others = [
        table(X=flipped, image_shape=(3, 2, 2), **plain),
        table(X=images, image_shape=(3, 4, 1), **plain),
        table(X=images.astype(np.float32), image_shape=(3, 2, 2), **plain),
    ]
    assert len({same, *(dataset_digest(other) for other in others)}) == 4


SCRIPT = """
import numpy as np, pandas as pd
from fairbench.data.digest import dataset_digest
from fairbench.data.rows import Dataset
X = pd.DataFrame({"t": ["e\\u0301", "b"] * 2, "c": pd.Categorical(["u", "v"] * 2), "f": [True, False] * 2})
table = pd.DataFrame({"s": ["u", "v"] * 2})
print(dataset_digest(Dataset("d", X, np.arange(4) % 2, table, {"s": "u"}, keys=pd.DataFrame({"k": [1, 2, 3, 4]}))))
"""


def test_every_process_finds_the_same_digest():
    seen = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_a_dataset_tells_its_digest():
    made = table()
    assert made.digest == dataset_digest(made)
    with pytest.raises(AttributeError):
        made.digest = ""


def test_the_digest_is_of_this_form_for_good():
    """A digest that comes out otherwise refuses every run that was begun before; this one is for all pandas."""
    assert dataset_digest(table()) == "b2022b10b4e9a46e010ede18a15099b09ebbf92f40c6f564c725e9f09bb0a12c"
