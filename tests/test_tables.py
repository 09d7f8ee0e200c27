"""What ``load()`` may return: taken for what it plainly means, or refused by the name of its column."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset
from fairbench.data.rows import Dataset
from fairbench.errors import DataError

N = 60
ORDER = np.random.default_rng(1).permutation(N)
G = np.arange(N) % 2
Y = np.arange(N) // 2 % 2
VALUES = np.random.default_rng(0).normal(size=N)


def dataset(**changes):
    fields = {
        "name": "trial",
        "X": pd.DataFrame({"x": VALUES}),
        "y": Y,
        "sensitive_features": pd.DataFrame({"g": np.where(G == 1, "a", "b")}),
        "protected_group": {"g": "b"},
    }
    return Dataset(**{**fields, **changes})


def refused(message, **changes):
    with pytest.raises(DataError, match=f"^trial: {message}"):
        dataset(**changes)


def encoded(column, **changes):
    """Return a column of X as methods see it, unscaled, and the names of its features."""
    data = dataset(X=pd.DataFrame({"t": column}), partition=lambda seed: np.split(np.arange(N), [50, 55]), **changes)
    made = split_dataset(data, group="g", seed=0, preparation=Preparation(scale="none"))
    return np.concatenate([made.train.X, made.validation.X, made.test.X]), made.train.schema.feature_names


@pytest.mark.parametrize(
    "y",
    [
        Y[:, None],
        pd.DataFrame({"y": Y}),
        pd.DataFrame({"y": pd.Series(Y, dtype="Int64")}),
        Y == 1,
        (Y == 1).astype(object),
        pd.Categorical(Y),
        pd.Series(Y, dtype="Int64"),
        pd.Series(Y == 1, dtype="boolean"),
        pd.arrays.SparseArray(Y),
        pd.Index(Y),
        list(Y),
        tuple(Y.tolist()),
        Y.astype(float),
        Y.astype(np.uint8),
        [decimal.Decimal(int(label)) for label in Y],
    ],
    ids=lambda y: type(y).__name__,
)
def test_labels_of_every_common_shape_are_the_same_labels(y):
    labels = dataset(y=y).y
    assert labels.tolist() == Y.tolist()
    assert labels.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.eye(2, dtype=int)[Y], r"y has shape \(60, 2\); give one column .*one-hot"),
        (pd.DataFrame({"no": 1 - Y, "yes": Y}), r"y has shape \(60, 2\)"),
        (Y[None], r"y has shape \(1, 60\)"),
        (set(Y.tolist()), r"y has shape \(\)"),
        ([[0], [0, 1]] * 30, r"y has shape \(\)"),
        (2 * Y - 1, "y must hold 0 and 1 only, seen -1, 1; code the outcomes as 0 and 1, and say in favorable_label"),
        (Y + 1, "y must hold 0 and 1 only, seen 1, 2"),
        (np.where(Y, "yes", "no"), "y must hold 0 and 1 only, seen 'no', 'yes'"),
        (Y.astype(str), "y must hold 0 and 1 only, seen '0', '1'"),
        (pd.Categorical(Y.astype(str)), "y must hold 0 and 1 only, seen '0', '1'"),
        (np.array([0, "1", *Y[2:]], dtype=object), "y must hold 0 and 1 only, seen '1', 0, 1"),
        (Y * 0.5, "y must hold 0 and 1 only, seen 0.0, 0.5"),
        (pd.to_datetime(Y), "y must hold 0 and 1 only, seen Timestamp"),
        (pd.Series([[label] for label in Y]), "y must hold 0 and 1 only, seen <class 'list'>"),
        ([10**400, *Y[1:]], "y must hold 0 and 1 only, seen 0, 1, 1000000"),
        (np.where(np.arange(N) == 3, np.nan, Y), "y is missing .* in 1 of 60 rows, first in row 3; drop"),
        (np.array([0, None, *Y[2:]], dtype=object), "y is missing .* in 1 of 60 rows, first in row 1"),
        (pd.Series([pd.NA, *Y[1:]], dtype="Int64"), "y is missing .* in 1 of 60 rows, first in row 0"),
        (np.ma.masked_array(Y, np.arange(N) == 5), "y is missing .* in 1 of 60 rows, first in row 5"),
        (np.array([(label,) for label in Y], dtype=[("a", int)]), r"y must hold 0 and 1 only, seen \(0,\), \(1,\)"),
        (np.array([b"a", b"b"] * 30, dtype="V1"), "y must hold 0 and 1 only, seen b'a', b'b'"),
        (Y[:-1], "y has 59 rows but X has 60"),
    ],
)
def test_labels_that_are_not_plain_are_refused(y, message):
    refused(message, y=y)


@pytest.mark.parametrize(
    ("values", "protected", "names"),
    [
        (G, 1, ("0", "1")),
        (G, "1", ("0", "1")),
        (G.astype(float), 1.0, ("0", "1")),
        (G.astype(float), 1, ("0", "1")),
        (G == 1, True, ("False", "True")),
        (pd.Categorical(G, categories=[1, 0, 7]), 1, ("0", "1")),
        (pd.Series(G, dtype="Int64"), np.int64(1), ("0", "1")),
        (pd.Series(G == 1, dtype="boolean"), np.True_, ("False", "True")),
        (np.array([0, 1.0] * 30, dtype=object), 1, ("0", "1")),
        (np.where(G == 1, "Asian, other", "b c"), "Asian, other", ("Asian, other", "b c")),
    ],
    ids=str,
)
def test_codes_of_groups_become_their_text(values, protected, names):
    data = dataset(sensitive_features=pd.DataFrame({"g": values}), protected_group={"g": protected})
    split = split_dataset(data, group="g", seed=0, preparation=Preparation())
    assert split.train.group_names == names
    assert data.protected_group["g"] == names[split.train.schema.protected]
    assert (data.sensitive_features["g"] == data.protected_group["g"]).tolist() == (G == 1).tolist()


def either(name, other="b"):
    return pd.DataFrame({"g": np.array([other, name] * 30, dtype=object)}, dtype=object)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (either(""), "'g' has a group named ''; name it in visible letters, or drop its rows"),
        (either("  "), "'g' has a group named '  '"),
        (either("nan"), "'g' has a group named 'nan'"),
        (either("<NA>"), "'g' has a group named '<NA>'"),
        (either("a\nc"), r"'g' has a group named 'a\\nc'"),
        (either("\x1b[31m"), r"'g' has a group named '\\x1b\[31m'"),
        (either("\ud800"), r"'g' has a group named '\\ud800'"),
        (either("b "), "'g' has groups 'b' and 'b ', which differ in blanks or case alone"),
        (either("x  y", "x y"), "'g' has groups 'x y' and 'x  y', which differ"),
        (either("B"), "'g' has groups 'b' and 'B', which differ"),
        (either("\u00e9", "e\u0301"), "'g' has groups .* which differ"),
        (either(3), r"'g' mixes texts \(seen 'b'\) and numbers \(seen 3\); name every group by a text"),
        (either(True, 0), r"'g' mixes numbers \(seen 0\) and true and false \(seen True\)"),
        (either(b"a", b"b"), r"'g' holds values of type bytes \(seen b'b'\); name groups by texts"),
        (either(0.5, 1.0), "'g' holds 0.5; a group is named by a text or a whole number"),
        (either(np.inf, 1.0), "'g' holds inf; a group"),
        (either(None), r"'g' is missing \(NaN\) in 30 of 60 rows, first in row 1; drop them"),
        (pd.DataFrame({"g": [[1], [2]] * 30}), r"'g' holds values of type list \(seen \[1\]\)"),
        (pd.DataFrame({"g": pd.cut(G, [-1, 0, 1])}), "'g' holds values of type Interval"),
        (pd.DataFrame({"g": pd.to_datetime(G)}), "'g' holds dates"),
        (pd.concat([either("a")] * 2, axis=1), "sensitive_features has two columns named 'g'"),
        (pd.DataFrame(index=range(N)), "sensitive_features has no column"),
        (
            pd.Series(["a", "b"] * 30),
            r"sensitive_features is of type Series; give a pandas DataFrame; use .to_frame\(\)",
        ),
        ({"g": ["a", "b"] * 30}, "sensitive_features is of type dict; give a pandas DataFrame"),
        (either("a").rename(columns={"g": "g,h"}), "the attribute 'g,h' holds a comma or odd blanks; rename it"),
        (either("a").rename(columns={"g": " g"}), "the attribute ' g' holds a comma or odd blanks"),
        (either("a").rename(columns={"g": None}), "sensitive_features has a column named None; give it a name"),
    ],
)
def test_groups_without_a_clear_name_are_refused(table, message):
    protected = {str(column): "b" for column in getattr(table, "columns", ["g"])}
    refused(message, sensitive_features=table, protected_group=protected)


@pytest.mark.parametrize(
    ("protected", "message"),
    [
        ({}, r"protected_group of 'g' is None; its groups are \['a', 'b'\]"),
        ({"g": ["b"]}, r"protected_group of 'g' holds \['b'\]"),
        ({"g": 1}, r"protected_group of 'g' is 1; its groups are \['a', 'b'\]"),
        ({"g": "b", "h": "b"}, "protected_group names 'h'; the attributes are: g"),
        ("b", "protected_group is 'b'; give {attribute: value} for each attribute"),
    ],
)
def test_a_protected_group_that_is_none_is_refused(protected, message):
    refused(message, protected_group=protected)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"g": ("gender",)},
            "sensitive_columns of 'g' names 'gender', and neither X nor keys has such a column; .*'x'",
        ),
        ({"g": "x"}, r"sensitive_columns of 'g' is 'x'; give a tuple: \('x',\)"),
        ({"g": None}, "sensitive_columns of 'g' is None; give a tuple"),
        ({"Gruppe": ("x",)}, "sensitive_columns names the attribute 'Gruppe'; the attributes are: g"),
        ([("g", "x")], r"sensitive_columns is \[\('g', 'x'\)\]; give {attribute: \(column, ...\)}"),
    ],
)
def test_sensitive_columns_that_name_nothing_are_refused(columns, message):
    refused(message, sensitive_columns=columns)


def test_sensitive_columns_may_be_columns_of_keys_and_numbers_that_name_a_column():
    keys = pd.DataFrame({"town": ["u", "v"] * 30})
    assert dataset(keys=keys, sensitive_columns={"g": ["town"]}).sensitive_columns == {"g": ("town",)}
    data = dataset(X=pd.DataFrame({0: VALUES, 1: G}), sensitive_columns={"g": (1,)})
    train = split_dataset(data, group="g", seed=0, preparation=Preparation()).train
    assert train.schema.feature_names == ("0",)


@pytest.mark.parametrize("part", ["y", "sensitive_features", "keys"])
@pytest.mark.parametrize(
    "index", [ORDER, np.arange(N) + 1, [str(row) for row in range(N)]], ids=["order", "other", "text"]
)
def test_rows_in_another_order_are_refused(part, index):
    tables = {
        "y": pd.Series(Y),
        "sensitive_features": pd.DataFrame({"g": np.where(G == 1, "a", "b")}),
        "keys": pd.DataFrame({"k": G}),
    }
    moved = tables[part].set_axis(index)
    refused(rf"the index of {part} differs from that of X, first in row 0: .* and 0; .*reset_index", **{part: moved})


def test_rows_of_one_index_are_taken_whatever_it_is():
    for index in (ORDER, [7] * N, [f"person {row}" for row in range(N)]):
        table = dataset().sensitive_features.set_axis(index)
        data = dataset(
            X=pd.DataFrame({"x": VALUES}, index=index), sensitive_features=table, y=pd.Series(Y, index=index)
        )
        assert data.y.tolist() == Y.tolist()
        assert data.X["x"].tolist() == VALUES.tolist()


def test_images_have_no_index_but_their_tables_agree():
    images = {"X": np.zeros((N, 12), np.uint8), "image_shape": [3, 2, 2]}
    assert dataset(**images, y=pd.Series(Y)).image_shape == (3, 2, 2)
    refused("the index of y differs from that of sensitive_features", **images, y=pd.Series(Y, index=ORDER))


@pytest.mark.parametrize(
    ("column", "seen", "names"),
    [
        (VALUES.astype(object), VALUES, ("t",)),
        ([decimal.Decimal(row) for row in range(N)], np.arange(N), ("t",)),
        (pd.Series(G, dtype="Int64"), G, ("t",)),
        (pd.Series(VALUES, dtype="Float64"), VALUES, ("t",)),
        (pd.Series(G == 1, dtype="boolean"), G, ("t",)),
        ((G == 1).astype(object), G, ("t",)),
        (pd.arrays.SparseArray(VALUES), VALUES, ("t",)),
        (VALUES.astype(np.float16), VALUES.astype(np.float16), ("t",)),
        (VALUES.astype(np.longdouble), VALUES, ("t",)),
        (np.array([2**63] * N, dtype=np.uint64), np.full(N, 2.0**63), ("t",)),
        (pd.Categorical(G), np.eye(2)[G], ("t_0", "t_1")),
        (pd.Series(np.where(G, "u", "v"), dtype="string"), np.eye(2)[1 - G], ("t_u", "t_v")),
        (pd.cut(VALUES, [-9, 0, 9]), np.eye(2)[(VALUES > 0).astype(int)], ("t_(-9, 0]", "t_(0, 9]")),
    ],
    ids=str,
)
def test_columns_of_every_common_type_are_what_they_hold(column, seen, names):
    X, found = encoded(column)
    assert found == names
    np.testing.assert_array_equal(X, np.asarray(seen, dtype=np.float32).reshape(N, -1))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, pd.NA, 3] * 20, dtype="Int64"),
        pd.Series([1, pd.NA, 3] * 20, dtype="Float64"),
        np.array([1, None, 3] * 20, dtype=object),
        [1, np.nan, 3] * 20,
    ],
    ids=lambda column: str(getattr(column, "dtype", "list")),
)
def test_missing_numbers_of_every_type_become_the_median_of_training(column):
    X, _ = encoded(column, missing_values=True)
    assert X[:3, 0].tolist() == [1, 1, 3]  # of 17 ones and 16 threes
    refused(r"feature 't' is missing \(NaN\) in 20 of 60 rows, first in row 1", X=pd.DataFrame({"t": column}))


def test_missing_truth_values_are_imputed_too():
    for column in (
        pd.Series([True, pd.NA, True] * 20, dtype="boolean"),
        np.array([True, None, True] * 20, dtype=object),
    ):
        assert encoded(column, missing_values=True)[0].tolist() == [[1]] * N


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.date_range("2020", periods=N), "feature 't' holds dates or times; turn them into numbers"),
        (pd.to_timedelta(np.arange(N)), "feature 't' holds dates or times"),
        (pd.period_range("2020-01", periods=N, freq="D"), "feature 't' holds dates or times"),
        ([datetime.date(2020, 1, 1)] * N, "feature 't' holds dates or times"),
        (VALUES + 1j, r"feature 't' holds values of type complex \(seen .*\); give numbers, truth values, texts"),
        (pd.interval_range(0, N), "feature 't' holds values of type Interval"),
        ([b"a"] * N, r"feature 't' holds values of type bytes \(seen b'a'\)"),
        ([[1, 2]] * N, r"feature 't' holds values of type list \(seen \[1, 2\]\)"),
        ([1, "a"] * 30, r"feature 't' holds a mixture of numbers \(seen 1\) and texts \(seen 'a'\); make them all"),
        ([True, 5] * 30, "feature 't' holds a mixture of true and false"),
        ([f"{value:.3f}" for value in VALUES], "feature 't' holds numbers or dates as texts, such as '0.126' .*astype"),
        (["?", *(f"{value:.3f}" for value in VALUES[1:])], "feature 't' holds numbers or dates as texts"),
        ([f"2020-{row // 28 + 1:02d}-{row % 28 + 1:02d}" for row in range(N)], "feature 't' holds numbers or dates"),
        ([f"person {row}" for row in range(N)], "feature 't' holds 60 different texts in 60 rows, such as 'person 0'"),
        (VALUES * 1e300, r"feature 't' is 1.2573e\+299 in row 0, and methods see numbers up to 3.4e\+38; scale it"),
        (pd.Series([10**400] * N, dtype=object), r"feature 't' holds a number beyond 3.4e\+38; scale it"),
        (np.array([np.inf] * N, dtype=object), "feature 't' holds infinite values"),
        (pd.Series([-np.inf] * N, dtype="Float64"), "feature 't' holds infinite values"),
        (pd.Categorical([1, "1"] * 30), "feature 't' has categories with equal or unreadable texts"),
        (pd.Series(["\ud800", "b"] * 30, dtype=object), "feature 't' holds text that is not valid Unicode"),
        ([None] * N, "feature 't' is missing"),
    ],
    ids=str,
)
def test_columns_that_are_no_features_are_refused_by_name(column, message):
    refused(message, X=pd.DataFrame({"t": column}))


def test_many_texts_are_taken_where_they_are_called_categories_or_come_again():
    people = pd.Categorical([f"person {row}" for row in range(N)])
    assert len(encoded(people)[1]) == 50  # those of the training part
    assert len(encoded([f"town {row % 25}" for row in range(N)])[1]) == 25
    assert len(encoded([str(row % 20) for row in range(N)])[1]) == 20  # few figures may be codes


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ([0, 1], ("0", "1")),
        ([("a", "x"), ("b", "y")], ("('a', 'x')", "('b', 'y')")),
        (pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")]), ("('a', 'x')", "('b', 'y')")),
    ],
    ids=["numbers", "tuples", "levels"],
)
def test_names_of_columns_become_texts(columns, names):
    data = dataset(X=pd.DataFrame(np.c_[VALUES, VALUES**2]).set_axis(columns, axis=1))
    train = split_dataset(data, group="g", seed=0, preparation=Preparation()).train
    assert train.schema.feature_names == names


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["x", "x"], "X has two columns named 'x'; rename or drop one"),
        ([0, "0"], "X has two columns named '0'"),
        (["x", np.nan], "X has a column named nan; give it a name"),
        (["x", None], "X has a column named (None|nan); give it a name"),
        (["x", ""], "X has a column named ''; give it a name"),
        (pd.Index(["x", "\ud800"], dtype=object), r"X has a column named '\\ud800'; give it a name"),
    ],
)
def test_columns_without_a_name_of_their_own_are_refused(columns, message):
    refused(message, X=pd.DataFrame(np.c_[VALUES, VALUES**2]).set_axis(columns, axis=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": [[1.0]] * N}, "X is of type list; give a pandas DataFrame"),
        ({"X": {"x": VALUES}}, "X is of type dict; give a pandas DataFrame"),
        ({"X": pd.Series(VALUES)}, r"X is of type Series; give a pandas DataFrame; use .to_frame\(\)"),
        ({"X": np.c_[VALUES, VALUES]}, r"X is an array of shape \(60, 2\) and image_shape is \(\)"),
        ({"X": np.ma.masked_array(np.c_[VALUES, VALUES])}, "X is of type MaskedArray"),
        ({"X": np.zeros((N, 12), np.uint8), "image_shape": "322"}, "X is an array of .* image_shape is '322'"),
        (
            {"X": np.zeros((N, 0), np.uint8), "image_shape": (0, 2, 2)},
            r"X is an array of .* image_shape is \(0, 2, 2\)",
        ),
        ({"X": np.zeros((N, 12), object), "image_shape": (3, 2, 2)}, "pixels are object; they must be uint8"),
        ({"image_shape": None}, "image_shape is None but X is a table; give X as an array, or leave image_shape out"),
        ({"image_shape": np.array([3, 2, 2])}, "image_shape is array"),
        ({"favorable_label": "1"}, "favorable_label is '1'; it must be 0 or 1"),
        ({"favorable_label": np.array([0, 1])}, r"favorable_label is array\(\[0, 1\]\)"),
        ({"missing_values": "no"}, "missing_values is 'no'; it must be True or False"),
        ({"notes": "One sentence."}, "notes is 'One sentence.'; give a tuple of sentences"),
        ({"partition": 3}, "partition is 3; give a function of a repeat's seed"),
        ({"overlap": "some"}, "overlap is 'some'; it must be one of pool, fresh, unknown"),
        ({"keys": pd.Series(G)}, "keys is of type Series; give a pandas DataFrame"),
        ({"keys": pd.DataFrame(np.c_[G, G], columns=["k", "k"])}, "keys has two columns named 'k'"),
        ({"keys": pd.DataFrame({"k": [1, "1"] * 30})}, r"key 'k' holds numbers \(seen 1\) and texts \(seen '1'\); use"),
        ({"keys": pd.DataFrame({"k": [b"a"] * N})}, r"key 'k' holds values of type bytes \(seen b'a'\); use numbers"),
        ({"keys": pd.DataFrame({"k": ["\ud800"] * N}, dtype=object)}, "key 'k' holds text that is not valid"),
    ],
)
def test_fields_of_another_type_are_refused_by_name(changes, message):
    refused(message, **changes)


@pytest.mark.parametrize("name", [3, "", None])
def test_a_dataset_needs_a_name(name):
    with pytest.raises(DataError, match=f"a dataset's name is {name!r}; give a text"):
        dataset(name=name)


def test_numbers_typed_as_objects_stay_numbers_as_keys():
    keys = dataset(keys=pd.DataFrame({"k": np.array([3, 4] * 30, dtype=object)})).key_arrays()
    assert (keys["k"].dtype.kind, keys["k"][:2].tolist()) == ("i", [3, 4])
