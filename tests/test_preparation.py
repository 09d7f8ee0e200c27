"""A split without leaks: sizes, and encoders that know the training part alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fairbench.cells import Preparation
from fairbench.data.preparation import encode, group_codes, split_dataset
from fairbench.data.rows import Dataset
from fairbench.errors import DataError, NotApplicable, SuiteError


def dataset(n=200, **changes):
    generator = np.random.default_rng(0)
    fields = {
        "name": "made",
        "X": pd.DataFrame(
            {
                "row": np.arange(n, dtype=float),
                "colour": generator.choice(["red", "blue"], n),
                "sex_again": generator.choice(["f", "m"], n),
            }
        ),
        "y": np.arange(n) % 2,
        "sensitive_features": pd.DataFrame(
            {"sex": generator.choice(["female", "male"], n), "race": generator.choice(["black", "white", "other"], n)}
        ),
        "protected_group": {"sex": "female", "race": "black"},
        "sensitive_columns": {"sex": ("sex_again",)},
    }
    return Dataset(**{**fields, **changes})


def split(data, group="sex", seed=0, **preparation):
    return split_dataset(data, group=group, seed=seed, preparation=Preparation(**preparation))


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(6172, (4320, 926, 926)), (45222, (31655, 6783, 6784)), (1994, (1395, 299, 300)), (118, (82, 18, 18))],
)
def test_sizes_are_70_15_15_as_documented(n, sizes):
    parts = split(dataset(n))
    assert (len(parts.train), len(parts.validation), len(parts.test)) == sizes


@given(n=st.integers(20, 400), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_parts_are_a_partition_of_the_rows(n, seed):
    parts = split(dataset(n), seed=seed, scale="none")
    rows = np.concatenate([part.X[:, 0] for part in (parts.train, parts.validation, parts.test)])
    assert sorted(rows.tolist()) == list(range(n))


def test_same_seed_gives_the_same_parts_whatever_the_scaling():
    raw, standard = split(dataset(), scale="none"), split(dataset(), scale="standard")
    assert raw.test.y.tolist() == standard.test.y.tolist()
    assert raw.test.group.tolist() == standard.test.group.tolist()
    assert split(dataset(), seed=1).test.y.tolist() != raw.test.y.tolist()


def test_stratified_parts_keep_the_shares():
    parts = split(dataset(400), stratify=True)
    shares = [np.mean((part.group == 0) & (part.y == 1)) for part in (parts.train, parts.validation, parts.test)]
    assert max(shares) - min(shares) < 2 / 60  # one row more or less in the smallest part


def test_held_out_rows_do_not_move_the_encoder():
    data = dataset()
    train = np.arange(100)
    X, names = encode(data.X, train, "standard")
    changed = data.X.copy()
    changed.loc[150, "row"] = 1e9
    changed.loc[151, "colour"] = "never seen"
    X2, names2 = encode(changed, train, "standard")
    assert names == names2
    np.testing.assert_array_equal(X[:100], X2[:100])
    assert X2[151, 1:3].tolist() == [0.0, 0.0]  # a category unseen in training


def test_standard_scaling_is_of_the_training_part():
    parts = split(dataset())
    column = parts.train.X[:, 0]
    assert abs(column.mean()) < 1e-5  # float32
    assert abs(column.std() - 1) < 1e-5


def test_missing_numbers_become_the_training_median():
    X = pd.DataFrame({"age": [1.0, 3.0, 100.0, np.nan], "job": ["a", None, "b", "a"]})
    encoded, names = encode(X, np.array([0, 1]), "none")
    assert names == ("age", "job_a", "job_missing")
    assert encoded.tolist() == [[1, 1, 0], [3, 0, 1], [100, 0, 0], [2, 1, 0]]


def test_truth_values_are_numbers_beside_others():
    table = pd.DataFrame({"flag": [True, False, True], "x": [1.0, np.nan, 3.0], "n": [7, 8, 9]})
    X, names = encode(table, np.array([0, 2]), "none")
    assert names == ("flag", "x", "n")
    assert X.tolist() == [[1, 1, 7], [0, 2, 8], [1, 3, 9]]


def test_columns_that_carry_the_group_leave_the_features():
    assert not [name for name in split(dataset()).train.schema.feature_names if "sex_again" in name]
    assert [name for name in split(dataset(), group="race").train.schema.feature_names if "sex_again" in name]


def test_group_becomes_the_last_feature_only_when_asked_for():
    hidden, seen = split(dataset()), split(dataset(), sensitive_as_feature=True)
    assert seen.train.X.shape[1] == hidden.train.X.shape[1] + 1
    assert seen.train.schema.feature_names[-1] == "group_female"
    np.testing.assert_array_equal(seen.train.X[:, -1], seen.train.protected.astype(float))


def test_three_groups_as_features_are_a_column_each():
    names = split(dataset(), group="race", sensitive_as_feature=True).train.schema.feature_names
    assert names[-3:] == ("group_black", "group_other", "group_white")


def test_keys_follow_their_rows_through_the_split():
    keys = pd.DataFrame({"town": [f"town {row}" for row in range(200)], "year": np.arange(200)})
    parts = split(dataset(keys=keys), scale="none")
    for part in (parts.train, parts.validation, parts.test):
        assert part.keys["year"].tolist() == part.X[:, 0].tolist()
        assert part.keys["town"].tolist() == [f"town {row:g}" for row in part.X[:, 0]]
    plain = split(dataset(), scale="none")
    assert plain.train.keys == {}
    np.testing.assert_array_equal(plain.train.X, parts.train.X)  # a key is no feature


def test_a_key_that_carries_the_group_leaves_with_it():
    keys = pd.DataFrame({"sex_again": ["f", "m"] * 100, "year": np.arange(200)})
    assert list(split(dataset(keys=keys)).test.keys) == ["year"]
    assert list(split(dataset(keys=keys), group="race").test.keys) == ["sex_again", "year"]


def test_two_attributes_give_a_code_for_each_combination():
    schema = split(dataset(), group="sex,race").train.schema
    assert len(schema.group_names) == 6
    assert schema.group_names[schema.protected] == "female, black"


def test_combinations_that_would_share_a_name_are_not_applicable():
    features = pd.DataFrame({"first": ["a", "a, b"] * 100, "second": ["b, c", "c"] * 100})
    data = dataset(sensitive_features=features, protected_group={"first": "a", "second": "b, c"}, sensitive_columns={})
    assert split(data, group="second").train.group_names == ("b, c", "c")
    words = (
        r"made: \('a', 'b, c'\) and \('a, b', 'c'\) would both be the group 'a, b, c' of 'first,second'; rename a "
        "group that holds a comma"
    )
    with pytest.raises(NotApplicable, match=words):
        split(data, group="first,second")


def test_no_features_left_is_not_applicable():
    table = pd.DataFrame({"sex_again": ["f", "m"] * 100})
    with pytest.raises(NotApplicable, match="made has no features left: all columns of X carry 'sex'"):
        split(dataset(X=table))
    assert split(dataset(X=table), group="race").train.X.shape == (140, 2)
    assert split(dataset(X=table), sensitive_as_feature=True).train.schema.feature_names == ("group_female",)
    empty = dataset(X=pd.DataFrame(index=range(200)), sensitive_columns={})
    with pytest.raises(NotApplicable, match="made has no features: X has no column"):
        split(empty)


def test_a_protected_group_may_be_absent_from_a_part_of_three_groups():
    race = np.where(np.arange(200) < 2, "black", np.where(np.arange(200) % 2, "white", "other"))
    features = pd.DataFrame({"race": race})
    data = dataset(
        sensitive_features=features,
        protected_group={"race": "black"},
        sensitive_columns={},
        partition=lambda seed: [np.arange(2, 150), np.arange(150, 200), np.array([0, 1])],
    )
    parts = split(data, group="race")
    assert (parts.train.protected.sum(), parts.validation.protected.sum(), parts.test.protected.sum()) == (0, 0, 2)


def test_unknown_attribute_is_not_applicable_and_names_those_there_are():
    with pytest.raises(NotApplicable, match="made has no sensitive attribute 'age'; it has: sex, race"):
        split(dataset(), group="age")


def test_too_few_rows_are_not_applicable():
    with pytest.raises(NotApplicable, match="2 rows cannot be split"):
        split(
            dataset(
                n=2, sensitive_features=pd.DataFrame({"sex": ["female", "male"]}), protected_group={"sex": "female"}
            )
        )


def test_training_part_of_one_class_is_not_applicable():
    held = int(split(dataset(), scale="none").test.X[0, 0])  # the only positive row is in the test part
    words = "made: the training part of 140 rows has only one class; use a larger dataset, or stratify = true$"
    with pytest.raises(NotApplicable, match=words):
        split(dataset(y=(np.arange(200) == held).astype(int)))


def test_unknown_scale_is_refused():
    with pytest.raises(SuiteError, match="scale is 'minmax'; it must be one of standard, none"):
        Preparation(scale="minmax")


def images(dtype=np.uint8):
    X = (np.arange(200 * 12) % 256).reshape(200, 12).astype(dtype)
    return dataset(X=X if dtype == np.uint8 else X / np.float32(255), image_shape=(3, 2, 2), sensitive_columns={})


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_images_stay_in_their_range_whatever_the_scaling(scale):
    parts = split(images(), scale=scale)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [140, 30, 30]
    assert parts.train.schema.image_shape == (3, 2, 2)
    assert parts.train.schema.feature_names[5] == "1,0,1"  # channel, row, column
    assert parts.train.X.dtype == np.float32
    assert parts.train.X.max() == 1.0  # 255
    np.testing.assert_array_equal(parts.test.X, split(images(np.float32), scale=scale).test.X)


def test_images_have_no_column_for_the_group():
    with pytest.raises(NotApplicable, match="made holds images, which have no column for the group; hide it"):
        split(images(), sensitive_as_feature=True)


def test_a_dataset_may_bring_its_own_partition():
    def partition(seed):
        return [np.arange(seed, 100), np.array([150, 120]), np.arange(160, 170)]

    parts = split(dataset(partition=partition), seed=3, scale="none")
    assert parts.train.X[:, 0].tolist() == list(range(3, 100))
    assert parts.validation.X[:, 0].tolist() == [150, 120]
    assert parts.test.X[:, 0].tolist() == list(range(160, 170))
    with pytest.raises(NotApplicable, match="made has its own partition, which cannot be stratified"):
        split(dataset(partition=partition), stratify=True)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([[0, 1], [2, 3], [3, 4]], r"parts of \[2, 2, 2\] rows, 1 of them twice; three disjoint parts"),
        ([[0, 1], [2, 3]], r"returned int64 of shape \(2,\), int64 of shape \(2,\); it must return the positions"),
        (
            [[True, False], [False, True], [False, False]],
            r"returned bool of shape .* \(np.flatnonzero\(mask\) of a mask\)",
        ),
        ([[0.0, 1.0], [2.0], [3.0]], "returned float64 of shape .* of whole numbers"),
        ([[[0], [1]], [[2]], [[3]]], r"returned int64 of shape \(2, 1\)"),
        ("abc", "returned <U1 of shape"),
        (
            None,
            "returned None; it must return the positions of train, validation and test, three arrays of whole numbers",
        ),
        (
            3,
            r"made: its partition returned 3; it must .* three arrays of whole numbers \(np.flatnonzero\(mask\) of a m",
        ),
        ([[0, 1], [], [3]], r"parts of \[2, 0, 1\] rows"),
        ([[0, 1], [2], [200]], "names row 200; there are 200 rows"),
        ([[0, -1], [2], [3]], "names row -1; there are 200 rows"),
    ],
)
def test_a_partition_that_is_none_is_refused(parts, message):
    data = dataset(partition=lambda seed: parts)
    with pytest.raises(DataError, match=message):
        split(data)


def codes_row_by_row(data, attributes):
    """Return the codes, names and protected code that a walk over the rows gives."""
    labels = [tuple(row) for row in data.sensitive_features[attributes].itertuples(index=False)]
    groups = sorted(set(labels))
    protected = tuple(data.protected_group[attribute] for attribute in attributes)
    return [groups.index(label) for label in labels], tuple(map(", ".join, groups)), groups.index(protected)


WORDS = st.sampled_from(["a", "b", "é", "a, b", "b, é", "B2"])


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=2, max_size=30), data=st.data())
def testgroup_codes_are_those_of_a_walk_over_the_rows(rows, data):
    table = pd.DataFrame(rows, columns=["one", "two", "three"], index=range(5, len(rows) + 5))
    assume(all(table[attribute].nunique() > 1 for attribute in table))
    protected = table.iloc[data.draw(st.integers(0, len(rows) - 1))].to_dict()
    y = np.arange(len(rows)) % 2
    made = Dataset("made", pd.DataFrame({"x": y}, index=table.index), y, table, protected)
    attributes = data.draw(st.lists(st.sampled_from(list(table)), min_size=1, max_size=4))
    expected = codes_row_by_row(made, attributes)
    if len(set(expected[1])) < len(expected[1]):
        with pytest.raises(NotApplicable, match="would both be the group"):
            group_codes(made, attributes)
    else:
        codes, names, code = group_codes(made, attributes)
        assert (codes.tolist(), names, code) == expected
        assert codes.dtype == np.int64
