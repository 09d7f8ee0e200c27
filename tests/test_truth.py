"""What a metric reads of a stored test part is what it read in the run, or undefined with a reason."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from fairbench.api import Samples, Schema, Undefined
from fairbench.running.store import Truth
from fairbench.running.truth import FEATURES, OLD


def part(**fields):
    schema = {"feature_names": ("x",), "group_names": ("f", "m"), "protected": 1, "favorable_label": 0}
    given = {
        "X": np.ones((4, 1), np.float32),
        "group": np.array([0, 1, 1, 0]),
        "schema": Schema(**{**schema, **{name: fields.pop(name) for name in schema if name in fields}}),
        "y": np.array([1, 0, 1, 0]),
        "keys": {"state": np.array(["a", "b", "a", "b"])},
        "rows": np.array([8, 3, 5, 1]),
    }
    return Samples(**{**given, **fields})


def same(one, two):
    assert one.y.tolist() == two.y.tolist()
    assert one.group.tolist() == two.group.tolist()
    assert one.rows.tolist() == two.rows.tolist()
    assert one.protected.tolist() == two.protected.tolist()
    assert one.group_names == two.group_names
    assert len(one) == len(two)
    assert {name: values.tolist() for name, values in one.keys.items()} == {
        name: values.tolist() for name, values in two.keys.items()
    }
    for name in ("feature_names", "group_names", "protected", "favorable_label", "image_shape"):
        assert getattr(one.schema, name) == getattr(two.schema, name)


def test_stored_samples_are_those_of_the_run():
    samples = part()
    truth = Truth.of(samples)
    stored = Truth.rebuilt(truth.about, truth.arrays).samples()
    same(stored, samples)
    assert isinstance(stored, Samples)
    for rows in (np.array([2, 0, 2]), samples.group == 1):
        same(stored.select(rows), samples.select(rows))
    same(copy.deepcopy(stored), samples)
    for array in (stored.y, stored.group, stored.rows):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_all_fields_come_back_in_the_types_that_a_metric_knows():
    samples = part(schema=Schema(("a", "b"), ("f", "m"), 1, 0, (1, 1, 2)), X=np.ones((4, 2), np.float32))
    truth = Truth.of(samples)
    back = Truth.rebuilt(truth.about, truth.arrays)
    same(back.samples(), samples)
    assert back.samples().schema.image_shape == (1, 1, 2)
    assert {array.dtype for array in (back.y, back.group, back.rows)} == {np.dtype(np.int64)}
    assert back.key == truth.key


def test_keys_are_those_of_test_parts_that_were_written_before():
    y, group = np.array([0, 1, 1]), np.array([0, 0, 1])
    keys = {"state": np.array(["x", "yyy", "zé"]), "year": np.array([2.5, -1.0, 7.0])}
    rows = np.array([17, 4, 2**40])
    bare = Truth(y, group, ("f", "m"))
    assert bare.key == "087e8d8399bc098d1bd7566bd26355f0"
    whole = Truth(y, group, ("f", "m"), 1, 0, ("age", "zip"), (1, 2, 1), keys, rows)
    assert whole.key == "70101084c6c0d3873c088f8c1f3765bc"
    for truth in (bare, whole):
        assert {name: array.dtype for name, array in truth.arrays.items()} == Truth.array_types(truth.about)
    big = {name: values.astype(values.dtype.newbyteorder(">")) for name, values in keys.items()}
    assert Truth(y, group, ("f", "m"), 1, 0, ("age", "zip"), (1, 2, 1), big, rows).key == whole.key


@pytest.mark.parametrize(
    "read",
    [
        lambda samples: samples.X,
        lambda samples: samples.select(np.array([0])).X,
        lambda samples: samples.inputs,
        lambda samples: replace(samples, y=samples.y),
    ],
)
def test_features_are_not_stored_and_say_so(read):
    with pytest.raises(Undefined, match=FEATURES):
        read(Truth.of(part()).samples())


@pytest.mark.parametrize(
    "read",
    [
        lambda samples: samples.protected,
        lambda samples: samples.schema.protected,
        lambda samples: samples.schema.favorable_label,
        lambda samples: samples.schema.feature_names,
        lambda samples: samples.schema.image_shape,
        lambda samples: samples.keys,
        lambda samples: samples.rows,
        lambda samples: samples.select(np.array([0])).protected,
    ],
)
def test_what_an_old_store_did_not_keep_is_undefined(read):
    samples = part()
    old = Truth(samples.y, samples.group, samples.group_names).samples()
    assert (old.y.tolist(), old.group.tolist(), old.group_names) == ([1, 0, 1, 0], [0, 1, 1, 0], ("f", "m"))
    with pytest.raises(Undefined) as reason:
        read(old)
    assert str(reason.value) == OLD


@pytest.mark.parametrize(
    "fields",
    [
        {"y": np.array([1, 0, 1, 1])},
        {"group": np.array([0, 1, 1, 1])},
        {"group_names": ("m", "f")},
        {"protected": 0},
        {"favorable_label": 1},
        {"feature_names": ("z",)},
        {"keys": {}},
        {"keys": {"state": np.array(["a", "b", "a", "c"])}},
        {"keys": {"land": np.array(["a", "b", "a", "b"])}},
        {"keys": {"state": np.array([1, 2, 1, 2])}},
        {"rows": np.array([8, 3, 5, 2])},
        {"rows": None},
    ],
)
def test_the_key_of_a_truth_hashes_all_that_it_holds(fields):
    assert Truth.of(part()).key == Truth.of(part()).key
    assert Truth.of(part(**fields)).key != Truth.of(part()).key
