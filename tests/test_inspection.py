"""What is measured of every dataset before anything runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairbench.cells import Preparation
from fairbench.data.inspection import measured_notes
from fairbench.data.preparation import split_dataset
from fairbench.data.rows import Dataset
from fairbench.errors import DataError

N = 1000


def dataset(**changes):
    generator = np.random.default_rng(0)
    fields = {
        "name": "made",
        "X": pd.DataFrame({"x": generator.normal(size=N), "town": generator.choice(["a", "b", "c"], N)}),
        "y": np.arange(N) % 2,
        "sensitive_features": pd.DataFrame({"sex": generator.choice(["female", "male"], N)}),
        "protected_group": {"sex": "female"},
    }
    return Dataset(**{**fields, **changes})


def test_nothing_is_said_of_distinct_rows():
    assert measured_notes(dataset()) == ()


def test_rows_that_repeat_in_features_and_group_are_counted():
    # 500 pairs; a test row's twin is in the training part with chance .7
    twice = pd.DataFrame({"x": np.arange(N) % 500, "text": "same"})
    sex = pd.DataFrame({"sex": np.where(np.arange(N) % 500 < 250, "female", "male")})
    (note,) = measured_notes(dataset(X=twice, sensitive_features=sex))
    share = int(note.partition("%")[0])
    assert share == pytest.approx(70, abs=20)  # five standard errors of 150 rows
    assert note.endswith(
        "% of the test rows of a split equal a training row in every feature and in sex (500 of all 1,000 rows repeat "
        "an earlier one), so its parts are not independent and intervals are too narrow."
    )
    apart = pd.DataFrame({"sex": np.where(np.arange(N) < 500, "female", "male")})
    assert measured_notes(dataset(X=twice, sensitive_features=apart)) == ()  # twins of different groups


@pytest.mark.parametrize(("twins", "said"), [(2, False), (25, True)])
def test_a_few_rows_that_repeat_are_passed_over(twins, said):
    x = np.arange(N)
    x[-twins:] = x[:twins]
    sex = pd.DataFrame({"sex": np.where(x % 2, "female", "male")})
    assert bool(measured_notes(dataset(X=pd.DataFrame({"x": x}), sensitive_features=sex))) is said


def test_images_that_repeat_are_counted_too():
    pixels = (np.arange(N)[:, None] % 500 * np.ones(12)).astype(np.int64)
    images = np.stack([pixels // 256, pixels % 256], axis=2).reshape(N, 24).astype(np.uint8)
    sex = pd.DataFrame({"sex": np.where(np.arange(N) % 500 < 250, "female", "male")})
    (note,) = measured_notes(dataset(X=images, image_shape=(2, 3, 4), sensitive_features=sex))
    assert "(500 of all 1,000 rows repeat an earlier one)" in note


def test_too_few_rows_for_a_split_say_nothing():
    few = dataset(X=pd.DataFrame({"x": [1, 1]}), y=[0, 1], sensitive_features=pd.DataFrame({"sex": ["female", "male"]}))
    assert measured_notes(few) == ()


def test_a_feature_that_gives_a_group_away_is_named_unless_it_is_declared():
    sex = pd.DataFrame({"sex": np.where(np.arange(N) % 3 == 0, "female", "male")})
    features = pd.DataFrame({"x": np.arange(N) / 7, "title": np.array(["Mrs", "Mr", "Sir"])[np.arange(N) % 3]})
    (note,) = measured_notes(dataset(X=features, sensitive_features=sex))
    assert note.startswith("The feature title gives sex away in every row, and no sensitive_columns name it")
    assert measured_notes(dataset(X=features, sensitive_features=sex, sensitive_columns={"sex": ("title",)})) == ()
    features.loc[0, "title"] = "Mr"
    assert measured_notes(dataset(X=features, sensitive_features=sex)) == ()


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ({0: "black", 1: "other", 2: "white"}, "gives race away in every row"),
        ({0: 7, 1: 3, 2: 5}, "gives race away in every row"),
        ({0: 1, 1: 0, 2: 0}, "depends on race alone"),  # a flag of one group
        ({0: 1, 1: 1, 2: 1}, ""),
    ],
)
@pytest.mark.parametrize("rows", [30, 6])
def test_the_groups_under_other_names_and_flags_of_one_group_are_named(column, told, rows):
    code = np.arange(rows) % 3
    made = dataset(
        X=pd.DataFrame({"x": np.arange(rows) / 7, "origin": pd.Series(code).map(column)}),
        y=np.arange(rows) % 2,
        sensitive_features=pd.DataFrame({"race": np.array(["black", "other", "white"])[code]}),
        protected_group={"race": "black"},
    )
    said = " ".join(measured_notes(made))
    assert (f"The feature origin {told}, and no sensitive_columns name it" in said) is bool(
        told and (rows == 30 or "gives" in told)
    )
    assert "feature x" not in said


@pytest.mark.parametrize(
    ("columns", "seen", "whole"),
    [({}, (), ("sex",)), ({"sex": ()}, (), ("sex",)), ({"sex": ("x",)}, ("x",), ("x", "sex"))],
)
def test_a_feature_with_the_attributes_name_is_refused_unless_it_is_named(columns, seen, whole):
    table = pd.DataFrame({"x": np.arange(N) / 7, "sex": np.arange(N) % 7})
    with pytest.raises(DataError) as caught:
        dataset(X=table, sensitive_columns=columns)
    assert str(caught.value) == (
        f"made: X has a column 'sex', and sensitive_columns of 'sex' is {seen}, so that the attribute would stay among "
        f"the features; write sensitive_columns={{'sex': {whole}}}, or leave the column out of X"
    )
    made = dataset(X=table, sensitive_columns={"sex": ("sex",)})
    assert split_dataset(made, group="sex", seed=0, preparation=Preparation()).train.schema.feature_names == ("x",)


def test_a_category_with_nearly_a_value_for_each_row_is_said_to_identify():
    features = pd.DataFrame({"x": np.arange(N) / 7, "case": [f"case {row}" for row in range(N)]})
    (note,) = measured_notes(dataset(X=features.astype({"case": "category"})))
    assert note == (
        "The feature case is a category with 1,000 values in 1,000 rows, as an identifier has: most test rows have one "
        "that the training part lacks; leave the column out of X."
    )


@pytest.mark.parametrize(("rows", "distinct", "said"), [(1000, 901, True), (1000, 900, False), (50, 50, False)])
def test_a_category_of_fewer_values_is_none(rows, distinct, said):
    features = pd.DataFrame({"x": np.arange(rows) / 7, "case": pd.Categorical(np.arange(rows) % distinct)})
    sex = pd.DataFrame({"sex": np.where(np.arange(rows) % 3 == 0, "female", "male")})
    notes = measured_notes(dataset(X=features, y=np.arange(rows) % 2, sensitive_features=sex))
    assert any("identifier" in note for note in notes) is said


def anew(seed):
    return np.split(np.random.default_rng(seed).permutation(N), [700, 850])


def same(seed):
    return np.split(np.arange(N), [700, 850])


def half(seed):
    return np.split(np.arange(N // 2) + (seed % 2) * N // 2, [350, 425])


def shares_one_row(seed):
    return np.split(np.arange(N // 2) + (seed % 2) * (N // 2 - 1), [350, 425])


@pytest.mark.parametrize(
    ("partition", "true"), [(anew, "pool"), (same, "unknown"), (half, "fresh"), (shares_one_row, "unknown")]
)
def test_a_dataset_may_not_claim_an_overlap_that_its_repeats_have_not(partition, true):
    for overlap in ("pool", "fresh", "unknown"):
        made = dataset(partition=partition, overlap=overlap)
        if overlap in (true, "unknown"):
            assert measured_notes(made) == ()
        else:
            with pytest.raises(DataError, match=f"made: overlap is '{overlap}', but of the .* else say 'unknown'"):
                measured_notes(made)


def test_the_overlap_is_a_pool_unless_the_dataset_parts_its_rows_itself():
    assert (dataset().overlap, dataset(partition=anew).overlap) == ("pool", "unknown")
