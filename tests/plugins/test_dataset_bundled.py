"""The patients that come with scikit-learn."""

from __future__ import annotations

import numpy as np
from fairbench_datasets import sklearn_diabetes
from sklearn.datasets import load_diabetes

SPEC = sklearn_diabetes.SklearnDiabetes()


def test_labels_cut_the_progression_at_its_median():
    dataset = SPEC.load({})
    progression = load_diabetes().target
    assert not (progression == 140.5).any()
    np.testing.assert_array_equal(dataset.y, progression > 140.5)
    assert (len(dataset.y), dataset.y.sum()) == (442, 221)


def test_fast_progression_is_unfavourable():
    assert SPEC.load({}).favorable_label == 0


def test_groups_keep_their_codes_as_names_and_the_smaller_one_is_protected():
    dataset = SPEC.load({})
    second = load_diabetes().data[:, 1] > 0  # scaled to mean 0, so the larger code is the positive one
    np.testing.assert_array_equal(dataset.sensitive_features["sex"] == "sex 2", second)
    assert dataset.protected_group == {"sex": "sex 2"}
    assert (second.sum(), dataset.y[second].sum()) == (207, 104)
    assert ((~second).sum(), dataset.y[~second].sum()) == (235, 117)
    assert any("does not say" in note for note in dataset.notes)


def test_features_are_the_nine_measurements_in_their_own_units():
    X = SPEC.load({}).X
    assert list(X.columns) == ["age", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    assert (X["age"].min(), X["age"].max()) == (19, 79)


def test_module_offers_a_dataset_without_files():
    assert sklearn_diabetes.fairbench_datasets() == [sklearn_diabetes.SklearnDiabetes]
    assert SPEC.files == ()
    assert (SPEC.name, SPEC.sensitive_features) == ("sklearn-diabetes", ("sex",))
