"""The nouns check their shapes and values once, when they are built."""

from __future__ import annotations

import decimal
import enum

import numpy as np
import pandas as pd
import pytest
import torch

from fairbench.data.rows import Dataset, Inputs, Predictions, Samples, Schema, images_only, tables_only
from fairbench.errors import DataError, NotApplicable

SCHEMA = Schema(("a", "b"), ("female", "male"), protected=0)


def table(**changes):
    fields = {
        "name": "tiny",
        "X": pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0]}),
        "y": np.array([0, 1, 0, 1]),
        "sensitive_features": pd.DataFrame({"sex": ["female", "male", "female", "male"]}),
        "protected_group": {"sex": "female"},
    }
    return Dataset(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.array([0, 1])}, "tiny: y has 2 rows but X has 4"),
        ({"y": np.array([0, 1, 2, 1])}, "y must hold 0 and 1 only, seen 0, 1, 2"),
        ({"y": np.zeros(4, int)}, "all 4 labels are 0; a benchmark needs both classes"),
        ({"favorable_label": 2}, "favorable_label is 2"),
        ({"sensitive_features": pd.DataFrame({"sex": ["female"] * 4})}, "'sex' has one group, 'female'"),
        (
            {"sensitive_features": pd.DataFrame({"sex": ["female", None, "male", "male"]})},
            r"'sex' is missing \(NaN\) in 1 of 4 rows",
        ),
        ({"protected_group": {"sex": "woman"}}, "protected_group of 'sex' is 'woman'; its groups are"),
        (
            {"X": pd.DataFrame({"age": [1.0, np.nan, 3.0, np.nan]})},
            r"'age' is missing \(NaN\) in 2 of 4 rows, first in row 1",
        ),
        ({"X": pd.DataFrame({"age": [1.0, np.inf, 3.0, 4.0]})}, "'age' holds infinite values"),
        ({"X": pd.DataFrame({"age": []})}, "X has no rows"),
        ({"X": np.zeros((4, 12))}, r"X is an array of shape \(4, 12\) and image_shape is \(\); images are rows of"),
        ({"X": np.zeros((4, 12)), "image_shape": (3, 2, 3)}, r"shape \(4, 12\) and image_shape is \(3, 2, 3\)"),
        (
            {"X": np.full((4, 12), 2.0), "image_shape": (3, 2, 2)},
            "pixels are float64 from 2.0 to 2.0; they must",
        ),
        ({"X": np.full((4, 12), np.nan), "image_shape": (3, 2, 2)}, "pixels are float64 from nan to nan"),
        ({"X": np.ones((4, 12), int), "image_shape": (3, 2, 2)}, "pixels are int64 from 1 to 1"),
        ({"image_shape": (3, 2, 2)}, r"image_shape is \(3, 2, 2\) but X is a table; give X as an array"),
        ({"keys": pd.DataFrame({"state": ["NJ", "PA"]})}, "keys has 2 rows but X has 4"),
        (
            {"keys": pd.DataFrame({"state": ["NJ", None, "PA", None]})},
            r"key 'state' is missing \(NaN\) in 2 of 4 rows",
        ),
        ({"keys": pd.DataFrame({"age": [1.0, np.inf, 3.0, 4.0]})}, "tiny: key 'age' is inf in row 1"),
    ],
)
def test_invalid_table_is_refused_with_what_was_seen(changes, message):
    with pytest.raises(DataError, match=message):
        table(**changes)


def test_missing_values_are_allowed_where_they_are_declared():
    assert table(X=pd.DataFrame({"age": [1.0, np.nan, 3.0, 4.0]}), missing_values=True).missing_values


class Colour(str, enum.Enum):
    GREEN = "green"
    BLUE = "blue"


@pytest.mark.parametrize("protected", ["blue", Colour.BLUE])
def test_members_of_an_enumeration_of_texts_are_their_text(protected):
    groups = pd.DataFrame({"g": pd.Series([Colour.GREEN, Colour.BLUE] * 2, dtype=object)})
    data = table(sensitive_features=groups, protected_group={"g": protected})
    assert data.protected_group == {"g": "blue"}
    assert data.sensitive_features["g"].tolist() == ["green", "blue"] * 2
    assert {type(name) for name in (data.protected_group["g"], *data.sensitive_features["g"])} == {str}


def test_tables_and_images_are_told_apart():
    images = Schema(("p",) * 12, ("female", "male"), 0, image_shape=(3, 2, 2))
    assert images_only(images, "method m") == (3, 2, 2)
    tables_only(SCHEMA, "method m")
    with pytest.raises(NotApplicable, match="method m works on images, and this is a table of 2 columns"):
        images_only(SCHEMA, "method m")
    with pytest.raises(NotApplicable, match="method m works on tables, and these rows are images of 3 x 2 x 2 values"):
        tables_only(images, "method m")


def test_arrays_are_read_only():
    samples = Samples(np.ones((2, 2)), np.array([0, 1]), SCHEMA, np.array([0, 1]))
    for array in (samples.X, samples.group, samples.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_inputs_carry_no_labels():
    samples = Samples(np.ones((2, 2)), np.array([0, 1]), SCHEMA, np.array([0, 1]))
    assert not hasattr(samples.inputs, "y")
    assert samples.inputs.protected.tolist() == [True, False]


def test_nan_names_row_and_feature():
    X = np.ones((3, 2))
    X[2, 1] = np.nan
    with pytest.raises(DataError, match="row 2, feature 'b'"):
        Inputs(X, np.zeros(3, int), SCHEMA)


def test_wrong_number_of_columns_is_refused():
    with pytest.raises(DataError, match=r"X has shape \(3, 5\) but there are 2 feature names"):
        Inputs(np.ones((3, 5)), np.zeros(3, int), SCHEMA)


def test_unnamed_group_code_is_refused():
    with pytest.raises(DataError, match="group codes run from 2 to 2 but only 2 are named"):
        Inputs(np.ones((1, 2)), np.array([2]), SCHEMA)
    with pytest.raises(DataError, match="group codes run from -2 to 1 but only 2 are named"):
        Inputs(np.ones((2, 2)), np.array([-2, 1]), SCHEMA)


def test_selection_keeps_rows_together():
    samples = Samples(np.arange(6).reshape(3, 2), np.array([0, 1, 0]), SCHEMA, np.array([1, 0, 1]))
    picked = samples.select(np.array([2, 2, 1]))
    assert picked.X[:, 0].tolist() == [4, 4, 2]
    assert (picked.group.tolist(), picked.y.tolist()) == ([0, 0, 1], [1, 1, 0])


def test_score_at_the_threshold_is_selected():
    assert Predictions.from_score([0.49, 0.5, 0.51]).y_pred.tolist() == [0, 1, 1]
    assert Predictions.from_score([0.4, 0.4], threshold=np.array([0.3, 0.5])).y_pred.tolist() == [1, 0]
    assert Predictions.from_score([0.4, 0.6], threshold=[0.5]).y_pred.tolist() == [0, 1]


def test_decision_of_a_deterministic_method_is_its_prediction():
    predictions = Predictions(np.array([0, 1, 1]))
    assert predictions.decision.tolist() == [0.0, 1.0, 1.0]
    assert not predictions.randomised


def test_drawn_decisions_repeat_with_the_seed_and_follow_the_chance():
    decision = np.full(10_000, 0.3)
    first, again = (Predictions.from_decision(decision, seed=4) for _ in range(2))
    assert first.y_pred.tolist() == again.y_pred.tolist()
    assert first.randomised
    assert abs(first.y_pred.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 10_000)  # five standard errors


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"y_pred": np.array([0, 3])}, "y must hold 0 and 1 only"),
        ({"y_pred": np.array([[0], [1]])}, r"y must hold 0 and 1 only, one for each row; seen 0, 1 in shape \(2, 1\)"),
        ({"y_pred": np.array([0, "1", None], dtype=object)}, "y must hold 0 and 1 only, .* seen '1', 0, None"),
        ({"y_pred": np.array([0, 1]), "y_score": np.array([0.1, np.nan])}, "y_score runs from nan to nan"),
        ({"y_pred": np.array([0, 1]), "y_score": np.array([0.1, 1.2])}, "y_score runs from 0.1 to 1.2"),
        ({"y_pred": np.array([0, 1]), "decision": np.array([0.1])}, r"decision has shape \(1,\)"),
    ],
)
def test_invalid_predictions_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        Predictions(**fields)


ONE = np.array([0, 1])


@pytest.mark.parametrize(
    ("scores", "seen"),
    [
        (np.ma.array([0.2, 0.8], mask=[False, True]), "is masked in 1 of 2 values, first in row 1; a value is needed"),
        (["0.1", "0.9"], "holds '0.1'; give real numbers"),
        (np.array([0.1, 0.9 + 5j]), r"holds \(0.1\+0j\); give real numbers"),
        (np.array(["1970", "1971"], dtype="datetime64[Y]"), r"holds datetime.date\(1970, 1, 1\); give real numbers"),
        (np.array([0, 1], dtype="timedelta64[s]"), "holds datetime.timedelta"),
        ([0.1, None], "holds None; give real numbers"),
        (0.5, r"has shape \(\); a value is needed for each"),
        ([[0.1], [0.9]], r"has shape \(2, 1\); a value is needed for each"),
        ([[0.1], [0.1, 0.9]], r"is \[\[0.1\], \[0.1, 0.9\]\]; give one number for each row"),
    ],
    ids=str,
)
def test_scores_and_decisions_that_are_no_real_numbers_are_refused(scores, seen):
    for what, make in (
        ("y_score", lambda: Predictions.from_score(scores)),
        ("decision", lambda: Predictions.from_decision(scores, seed=0)),
        ("y_score", lambda: Predictions(ONE, y_score=scores)),
    ):
        with pytest.raises(DataError, match=f"^{what} {seen}"):
            make()


def test_no_scores_at_all_are_refused():
    for make in (Predictions.from_score, lambda nothing: Predictions.from_decision(nothing, seed=0)):
        with pytest.raises(DataError, match="holds None; give real numbers"):
            make(None)


@pytest.mark.parametrize(
    "scores",
    [
        np.ma.array([0.25, 0.75], mask=[False, False]),
        np.array([0.25, decimal.Decimal("0.75")], dtype=object),
        pd.Series([0.25, 0.75], dtype="Float64"),
        torch.tensor([0.25, 0.75]),
        np.array([0.25, 0.75], dtype=np.float16),
    ],
    ids=str,
)
def test_real_numbers_of_any_type_are_scores(scores):
    made = Predictions.from_score(scores)
    assert (made.y_score.dtype, made.y_score.tolist(), made.y_pred.tolist()) == (float, [0.25, 0.75], [0, 1])


@pytest.mark.parametrize(
    "labels",
    [np.ma.array([0, 1], mask=[False, True]), np.array([0, 1 + 0j]), None, 1, [[0], [0, 1]], [[0], [1]], ["0", "1"]],
    ids=str,
)
def test_labels_that_are_no_column_of_real_numbers_are_refused(labels):
    with pytest.raises(DataError, match=r"^predictions: y "):
        Predictions(labels)
    if np.ma.isMaskedArray(labels):
        with pytest.raises(DataError, match=r"^samples: y is masked in 1 of 2 values, first in row 1"):
            Samples(np.ones((2, 2)), ONE, SCHEMA, labels)


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (np.nan, "the threshold is NaN, which no score reaches; give a number"),
        ([0.1, np.nan], "the threshold is NaN in row 1, which"),
        ([0.1, 0.2, 0.3], r"the threshold has shape \(3,\); give one number, or one for each of the 2 rows"),
        ([[0.1], [0.2]], r"the threshold has shape \(2, 1\)"),
        ("0.5", "the threshold holds '0.5'; give real numbers"),
        (None, "the threshold holds None"),
    ],
    ids=str,
)
def test_a_threshold_that_is_no_number_for_each_row_is_refused(threshold, message):
    with pytest.raises(DataError, match=f"^{message}"):
        Predictions.from_score([0.1, 0.9], threshold)


@pytest.mark.parametrize("over", [7e-16, 5e-10])
def test_a_score_that_rounding_carried_over_an_end_is_moved_back(over):
    for made in (
        Predictions.from_score([-over, 1 + over]),
        Predictions(np.array([0, 1]), np.array([-over, 1 + over]), np.array([-over, 1 + over])),
        Predictions.from_decision([-over, 1 + over], seed=0, y_score=[-over, 1 + over]),
    ):
        assert (made.y_pred.tolist(), made.y_score.tolist(), made.decision.tolist()) == ([0, 1], [0, 1], [0, 1])
        assert not made.randomised


def test_float32_rounds_more_coarsely():
    over = np.array([0.5, 1 + 2**-23], dtype=np.float32)
    assert Predictions.from_score(over).y_score.tolist() == [0.5, 1.0]
    with pytest.raises(DataError, match=r"y_score runs from 0\.5 to 1\.0000001192092896; it must stay within"):
        Predictions.from_score(over.astype(np.float64))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1 + 1e-8, -1e-8])
def test_scores_and_decisions_outside_the_unit_interval_are_refused_with_all_digits(value):
    for fields in ({"y_score": np.array([0.5, value])}, {"decision": np.array([0.5, value])}):
        (name,) = fields
        with pytest.raises(DataError, match=f"{name} runs from .*{value!r}"):
            Predictions(np.array([0, 1]), **fields)


@pytest.mark.parametrize("kind", [object, "category", "string"])
def test_keys_become_plain_arrays(kind):
    keys = pd.DataFrame({"state": ["NJ", "PA", "NJ", "PA"], "age": [3, 1, 2, 5], "size": [0.5, 1.0, 2.0, 3.0]})
    keys["state"] = keys["state"].astype(kind)
    data = table(keys=keys)
    arrays = data.key_arrays()
    assert {name: values.tolist() for name, values in arrays.items()} == {
        name: keys[name].tolist() for name in ("state", "age", "size")
    }
    assert [values.dtype.kind for values in arrays.values()] == ["U", "i", "f"]
    assert list(data.key_arrays(without=["age"])) == ["state", "size"]
    assert table().key_arrays() == {}


@pytest.mark.parametrize("kind", ["uint64", "UInt64", object])
@pytest.mark.parametrize(("first", "expected"), [(2**63 - 1, "i"), (2**63, "u")])
def test_keys_keep_whole_numbers_that_int64_cannot_hold(kind, first, expected):
    values = pd.Series([first, 4] * 2, dtype="uint64").astype(kind)
    key = table(keys=pd.DataFrame({"k": values})).key_arrays()["k"]
    assert (key.dtype.kind, key[:2].tolist()) == (expected, [first, 4])


def with_keys(**keys):
    arrays = {name: np.array(values) for name, values in keys.items()}
    return Samples(np.ones((3, 2)), np.array([0, 1, 0]), SCHEMA, np.array([0, 1, 1]), arrays)


def test_keys_stay_with_their_rows_and_reach_the_inputs():
    samples = with_keys(state=["a", "b", "c"], age=[1, 2, 3])
    for picked in (samples.select(np.array([2, 0])), samples.inputs.select(np.array([2, 0]))):
        assert {name: values.tolist() for name, values in picked.keys.items()} == {"state": ["c", "a"], "age": [3, 1]}
    assert samples.select(np.array([False, True, False])).inputs.keys["state"].tolist() == ["b"]
    assert Samples(np.ones((1, 2)), np.array([0]), SCHEMA, np.array([0])).keys == {}


def test_keys_are_read_only():
    samples = with_keys(state=["a", "b", "c"])
    for part in (samples, samples.inputs, samples.select(np.arange(3))):
        with pytest.raises(ValueError, match="read-only"):
            part.keys["state"][0] = "b"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], "inputs: key 'k' has 2 rows but X has 3"),
        ([1.0, np.nan, 2.0], "key 'k' is nan in row 1; every row needs a task"),
        ([[1], [2], [3]], "key 'k' is 2-dimensional of int64; use numbers or strings"),
        (np.array(["a", None, "b"], dtype=object), "key 'k' is 1-dimensional of object; use numbers or strings"),
    ],
)
def test_invalid_keys_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        with_keys(k=values)


def test_images_are_the_datasets_own():
    pixels = np.zeros((4, 12), dtype=np.uint8)
    groups = pd.DataFrame({"sex": ["f", "m", "f", "m"]})
    data = Dataset("pictures", pixels, [0, 1, 0, 1], groups, {"sex": "f"}, image_shape=(3, 2, 2))
    pixels[:] = 9  # what the loader gave may live on in its module
    assert data.X.max() == 0
    assert not data.X.flags.writeable
