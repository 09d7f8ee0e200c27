"""The models that other methods are built on are scikit-learn's, with the parameters that are given."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from fairbench.api import NotApplicable
from fairbench.api.base_models import BASE_MODELS, OnBaseModel, limits_accepted
from fairbench.data.examples import example_split

TRAIN = example_split().train


def test_each_is_scikit_learns_with_the_parameters_given():
    made = OnBaseModel("logistic[C=0.5,steps=9]").estimator(seed=4)
    assert isinstance(made, LogisticRegression)
    assert (made.C, made.max_iter) == (0.5, 9)
    made = OnBaseModel("mlp[hidden=(8,4),lr=0.1,epochs=9,weight_decay=0.5]").estimator(seed=4)
    assert isinstance(made, MLPClassifier)
    given = (made.hidden_layer_sizes, made.learning_rate_init, made.max_iter, made.alpha, made.random_state)
    assert given == ((8, 4), 0.1, 9, 0.5, 4)
    made = OnBaseModel("boosting[lr=0.2,rounds=9,leaves=7,leaf=3,l2=0.5]").estimator(seed=4)
    assert isinstance(made, HistGradientBoostingClassifier)
    given = (made.learning_rate, made.max_iter, made.max_leaf_nodes, made.min_samples_leaf, made.l2_regularization)
    assert given == (0.2, 9, 7, 3, 0.5)
    assert (made.random_state, made.early_stopping) == (4, False)


@pytest.mark.parametrize("name", BASE_MODELS)
def test_weights_are_taken_or_the_version_that_takes_them_is_named(name):
    try:
        model = OnBaseModel(name).estimator(seed=0, weighted=True)
    except NotApplicable as reason:
        assert "MLPClassifier of scikit-learn" in str(reason)  # noqa: PT017 - below 1.7
        assert name == "mlp"
        return
    with limits_accepted():
        model.fit(TRAIN.X, TRAIN.y, sample_weight=np.ones(len(TRAIN)))


def test_a_model_without_weights_is_not_applicable_where_they_are_needed(monkeypatch):
    from sklearn.neighbors import KNeighborsClassifier

    monkeypatch.setattr(BASE_MODELS["logistic"], "estimator", lambda self, *, seed: KNeighborsClassifier())
    with pytest.raises(
        NotApplicable, match=r"^KNeighborsClassifier of scikit-learn .* takes no weights of rows, which"
    ):
        OnBaseModel().estimator(seed=0, weighted=True)


def test_limits_that_the_user_has_set_are_no_reason_to_warn_and_other_warnings_are():
    with limits_accepted():
        LogisticRegression(max_iter=1).fit(TRAIN.X, TRAIN.y)
        with pytest.warns(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    with pytest.warns(ConvergenceWarning):
        LogisticRegression(max_iter=1).fit(TRAIN.X, TRAIN.y)
