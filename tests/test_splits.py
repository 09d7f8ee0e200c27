"""Kept splits: each copy is the cell's own, laid out as the original, and a write to it shows."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from fairbench.data import splits
from fairbench.data.rows import Samples, Schema, Split
from fairbench.data.splits import ALIGNMENT, KeptSplit

PARTS = {"train": 40, "validation": 9, "test": 11}


def split_of(order="C", d=3):
    schema = Schema(tuple(f"x{column}" for column in range(d)), ("a", "b"), 1)
    random = np.random.default_rng(0)

    def part(n, rows=None):
        X = np.asarray(random.random((n, d)), dtype=np.float32, order=order)
        keys = {"state": np.array(["CA", "Nevada", "X"])[np.arange(n) % 3], "age": np.arange(n) / 2}
        return Samples(X, np.arange(n) % 2, schema, np.arange(n) % 2, keys, rows)

    return Split(part(40), part(9), part(11, np.arange(11) * 2))


@pytest.fixture(params=["copied", "mapped", "mapped by name"])
def how(request, monkeypatch):
    """Let small splits take every way that there is."""
    if request.param != "copied":
        monkeypatch.setattr(splits, "COPIED", 0)
    if request.param == "mapped by name":
        monkeypatch.delattr(splits.os, "memfd_create", raising=False)
    return request.param


def arrays(split):
    for name in PARTS:
        part = getattr(split, name)
        yield from ((name, what, array) for what, array in splits._arrays(part))


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_copy_has_the_values_layout_and_names_of_the_original(how, order):
    original = split_of(order)
    own = KeptSplit(original).own()
    assert own.changed() == []
    assert own.split.train.schema == original.train.schema
    assert own.split.train.rows is None
    for (part, what, array), (part2, what2, copy) in zip(arrays(original), arrays(own.split)):
        assert (part, what) == (part2, what2)
        assert (copy.dtype, copy.shape, copy.strides) == (array.dtype, array.shape, array.strides)
        assert np.array_equal(copy, array)
        assert copy.ctypes.data % ALIGNMENT == 0
        assert not copy.flags.writeable


def test_rows_without_features_are_kept(how):
    assert KeptSplit(split_of(d=0)).own().split.test.X.shape == (11, 0)


@pytest.mark.parametrize(("part", "what"), [(part, what) for part, what, _ in arrays(split_of())])
def test_a_write_shows_in_its_own_copy_and_nowhere_else(how, part, what):
    kept = KeptSplit(split_of())
    written, other = kept.own(), kept.own()
    for name, place, array in arrays(written.split):
        if (name, place) == (part, what):
            ctypes.memset(array.ctypes.data + array.nbytes - 1, 0x7F, 1)  # one byte, the last
    words = {"train": "training", "validation": "validation", "test": "test"}
    assert written.changed() == [f"{what} of the {words[part]} part"]
    assert other.changed() == kept.own().changed() == []


def test_another_array_in_an_arrays_place_shows(how):
    own = KeptSplit(split_of()).own()
    object.__setattr__(own.split.train, "y", own.split.train.y.copy())
    own.split.test.keys["new"] = np.arange(11)
    del own.split.test.keys["age"]
    assert own.changed() == ["y of the training part", "key age of the test part", "key new of the test part"]


def test_another_schema_shows(how):
    own = KeptSplit(split_of()).own()
    object.__setattr__(own.split.train.schema, "group_names", ("b", "a"))
    assert own.changed() == ["the names of features or groups"]


def test_a_copy_outlives_what_it_was_copied_from(how):
    own = KeptSplit(split_of()).own().split
    assert own.train.X.sum() == split_of().train.X.sum()
