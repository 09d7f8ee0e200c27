"""Logistic regression, the tree, boosting and the convolutional network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fairbench_baselines.boosting import Boosting
from fairbench_baselines.logistic import Logistic
from fairbench_baselines.tree import Tree
from fairbench_feedback._networks import simple_cnn
from fairbench_feedback.cnn import CNN
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from fairbench.api import NotApplicable
from fairbench.data.examples import example_images, example_split

TABLE, IMAGES = example_split(), example_images()


def scores(method, split, seed=0):
    fitted = method.fit(split.train, split.validation, seed=seed)
    predict = fitted.points[""] if hasattr(fitted, "points") else fitted
    return predict(split.test.inputs)


def test_logistic_is_scikit_learns():
    theirs = LogisticRegression(C=0.5).fit(TABLE.train.X.astype(float), TABLE.train.y)
    made = scores(Logistic(C=0.5), TABLE)
    np.testing.assert_allclose(made.y_score, theirs.predict_proba(TABLE.test.X.astype(float))[:, 1], atol=1e-12)
    np.testing.assert_array_equal(made.y_pred, made.y_score >= 0.5)


def test_logistic_needs_both_labels_and_respects_its_limit_of_steps():
    one = TABLE.train.select(TABLE.train.y == 1)
    with pytest.raises(NotApplicable, match=r"needs both labels; all .* have 1"):
        Logistic().fit(one, TABLE.validation, seed=0)
    scores(Logistic(steps=1), TABLE)  # no warning: the limit is the user's


def test_tree_is_scikit_learns_and_takes_one_label():
    theirs = DecisionTreeClassifier(max_depth=3, random_state=4).fit(TABLE.train.X, TABLE.train.y)
    made = scores(Tree(depth=3), TABLE, seed=4)
    np.testing.assert_allclose(made.y_score, theirs.predict_proba(TABLE.test.X)[:, 1], atol=1e-12)
    for label in (0, 1):
        one = TABLE.train.select(TABLE.train.y == label)
        predict = Tree().fit(one, TABLE.validation, seed=0)
        assert set(predict(TABLE.test.inputs).y_pred) == {label}


def test_boosting_is_scikit_learns_and_needs_both_labels():
    theirs = HistGradientBoostingClassifier(max_iter=7, max_leaf_nodes=5, learning_rate=0.3, random_state=4)
    theirs.fit(TABLE.train.X.astype(float), TABLE.train.y)
    made = scores(Boosting(rounds=7, leaves=5, lr=0.3), TABLE, seed=4)
    np.testing.assert_array_equal(made.y_score, theirs.predict_proba(TABLE.test.X.astype(float))[:, 1])
    np.testing.assert_array_equal(made.y_pred, theirs.predict(TABLE.test.X.astype(float)))
    one = TABLE.train.select(TABLE.train.y == 0)
    with pytest.raises(NotApplicable, match=rf"needs both labels; all {len(one)} training rows have 0"):
        Boosting().fit(one, TABLE.validation, seed=0)


def test_cnn_learns_images_and_refuses_tables():
    made = scores(CNN(epochs=15, batch_size=32, momentum=0.9, lr=0.05), IMAGES)
    assert (made.y_pred == IMAGES.test.y).mean() > 0.9  # bright images have y = 1: easy, and chance is 1/2
    with pytest.raises(NotApplicable, match="method cnn works on images, and this is a table of 5 columns"):
        scores(CNN(), TABLE)


def test_cnn_is_the_papers_and_needs_room_for_its_convolutions():
    model = simple_cnn((3, 28, 28), 2, seed=0)
    assert sum(part.numel() for part in model.parameters()) == 44_046  # 456 + 2416 + 30840 + 10164 + 170
    shape = (3, 8, 8)
    small = dataclasses.replace(IMAGES.train.schema, image_shape=shape, feature_names=("p",) * 192)
    part = type(IMAGES.train)(IMAGES.train.X[:, :192], IMAGES.train.group, small, IMAGES.train.y)
    with pytest.raises(NotApplicable, match=r"at least 16 x 16 pixels; these have 8 x 8: use a dense network"):
        CNN().fit(part, part, seed=0)
