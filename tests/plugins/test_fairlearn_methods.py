"""The adapters give fairlearn's own numbers, called directly on the same arrays, and say what they cannot do."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from fairbench_fairlearn._parts import MOMENTS
from fairbench_fairlearn.adversarial_fairness import AdversarialFairness
from fairbench_fairlearn.correlation_remover import CorrelationRemover, Decorrelated
from fairbench_fairlearn.exponentiated_gradient import ExponentiatedGradient
from fairbench_fairlearn.grid_search import GridSearch
from fairbench_fairlearn.threshold_optimizer import CONSTRAINTS, ThresholdOptimizer
from fairlearn import adversarial, postprocessing, preprocessing, reductions
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fairbench.api import NotApplicable, SuiteError, group_rates
from fairbench.api.base_models import OnBaseModel
from fairbench.data.examples import example_split
from fairbench.errors import UnknownName
from fairbench.plugins.parameters import build

pytestmark = pytest.mark.filterwarnings("ignore:::fairlearn")  # of the library's own calls to pandas
METHODS = (ExponentiatedGradient, GridSearch, ThresholdOptimizer, CorrelationRemover, AdversarialFairness)
ON_BASE = METHODS[:4]
QUICK = {"max_iter": 3}


def arrays(part):
    """Return features, labels and names of groups, as a user of fairlearn has them."""
    return part.X.astype(np.float64), part.y, np.array(part.group_names)[part.group]


def logistic():
    return LogisticRegression(max_iter=1000)


def predicted(method, split, seed=3):
    fitted = method.fit(split.train, split.validation, seed=seed)
    predict = fitted.points[fitted.chosen] if hasattr(fitted, "points") else fitted
    return predict(split.test.inputs)


@pytest.mark.parametrize(
    ("constraint", "groups"), [*((name, 2) for name in MOMENTS), ("demographic_parity", 3), ("equalized_odds", 3)]
)
def test_exponentiated_gradient_is_fairlearns(constraint, groups):
    split = example_split(groups)
    X, y, group = arrays(split.train)
    theirs = reductions.ExponentiatedGradient(
        logistic(), getattr(reductions, MOMENTS[constraint])(difference_bound=0.02), **QUICK
    ).fit(X, y, sensitive_features=group)
    made = predicted(ExponentiatedGradient(constraint=constraint, bound=0.02, **QUICK), split)
    features = arrays(split.test)[0]
    weights = theirs.weights_
    chance = sum(weights[place] * theirs.predictors_[place].predict(features) for place in weights.index)
    np.testing.assert_allclose(made.decision, np.clip(chance, 0, 1), atol=1e-12)
    assert made.y_score is None


def test_exponentiated_gradient_passes_its_parameters_on():
    split = example_split()
    X, y, group = arrays(split.train)
    given = {"eps": 0.05, "nu": 1e-6, "eta0": 1.0, "max_iter": 7}
    theirs = reductions.ExponentiatedGradient(
        HistGradientBoostingClassifier(max_iter=3, early_stopping=False, random_state=3),
        reductions.EqualizedOdds(difference_bound=0.1),
        **given,
    ).fit(X, y, sensitive_features=group)
    made = predicted(
        ExponentiatedGradient("boosting[rounds=3]", constraint="equalized_odds", bound=0.1, **given), split
    )
    np.testing.assert_allclose(made.decision, theirs._pmf_predict(arrays(split.test)[0])[:, 1].clip(0, 1), atol=1e-12)


@pytest.mark.parametrize("groups", [2, 3])
def test_grid_search_is_fairlearns_at_every_point(groups):
    split = example_split(groups)
    X, y, group = arrays(split.train)
    theirs = reductions.GridSearch(
        logistic(), reductions.DemographicParity(), grid_size=8, grid_limit=1.5, constraint_weight=0.7
    )
    theirs.fit(X, y, sensitive_features=group)  # fairlearn 0.13 returns None
    method = GridSearch(grid_size=8, grid_limit=1.5, constraint_weight=0.7)
    fitted = method.fit(split.train, split.validation, seed=3)
    assert fitted.chosen == f"grid={theirs.best_idx_}"
    assert len(fitted.points) == len(theirs.predictors_)
    features = arrays(split.test)[0]
    for place, model in enumerate(theirs.predictors_):
        made = fitted.points[f"grid={place}"](split.test.inputs)
        np.testing.assert_array_equal(made.y_pred, model.predict(features))
    chosen = fitted.points[fitted.chosen](split.test.inputs)
    np.testing.assert_array_equal(chosen.y_score, theirs.predict_proba(features)[:, 1])


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_threshold_optimizer_is_fairlearns(constraint, groups):
    split = example_split(groups)
    X, y, group = arrays(split.train)
    theirs = postprocessing.ThresholdOptimizer(
        estimator=logistic(), constraints=constraint, objective="balanced_accuracy_score", grid_size=200
    ).fit(X, y, sensitive_features=group)
    made = predicted(
        ThresholdOptimizer(constraint=constraint, objective="balanced_accuracy_score", grid_size=200), split
    )
    features, _, groups_of_test = arrays(split.test)
    np.testing.assert_allclose(
        made.decision, theirs._pmf_predict(features, sensitive_features=groups_of_test)[:, 1], atol=1e-12
    )


def test_decisions_are_the_chances_of_fairlearns_draws():
    split = example_split()
    X, y, group = arrays(split.train)
    features, _, others = arrays(split.test)
    mixture = reductions.ExponentiatedGradient(logistic(), reductions.DemographicParity(), **QUICK)
    mixture.fit(X, y, sensitive_features=group)
    optimizer = postprocessing.ThresholdOptimizer(estimator=logistic()).fit(X, y, sensitive_features=group)
    for made, draw in (
        (ExponentiatedGradient(**QUICK), lambda seed: mixture.predict(features, random_state=seed)),
        (ThresholdOptimizer(), lambda seed: optimizer.predict(features, sensitive_features=others, random_state=seed)),
    ):
        share = np.mean([draw(seed) for seed in range(200)], axis=0)
        decision = predicted(made, split).decision
        assert ((decision > 0) & (decision < 1)).any()
        np.testing.assert_allclose(share, decision, atol=0.18)  # five standard errors


def test_threshold_optimizer_can_choose_on_validation():
    split = example_split()
    (X, y, _), (held_X, held_y, held_group) = arrays(split.train), arrays(split.validation)
    theirs = postprocessing.ThresholdOptimizer(
        estimator=logistic().fit(X, y), constraints="demographic_parity", prefit=True, tol=0.1, flip=True
    ).fit(held_X, held_y, sensitive_features=held_group)
    features, _, group = arrays(split.test)
    made = predicted(ThresholdOptimizer(part="validation", tol=0.1, flip=True), split)
    np.testing.assert_allclose(made.decision, theirs._pmf_predict(features, sensitive_features=group)[:, 1], atol=1e-12)
    assert (made.decision != predicted(ThresholdOptimizer(tol=0.1, flip=True), split).decision).any()


def test_threshold_optimizer_gives_groups_equal_rates_where_it_chose_them():
    split = example_split(rows=600)
    predict = ThresholdOptimizer().fit(split.train, split.validation, seed=0)
    rates = group_rates(split.train, predict(split.train.inputs)).selection
    assert rates[0] == pytest.approx(rates[1], abs=1e-3)  # the grid's step


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_correlation_remover_is_fairlearns(groups, alpha):
    split = example_split(groups)
    (X, y, group), (features, _, others) = arrays(split.train), arrays(split.test)
    names = np.array(split.train.group_names[1:])
    means = (group[:, None] == names).mean(axis=0)

    def join(rows, named):
        return np.hstack([rows, (named[:, None] == names) - means])

    remover = preprocessing.CorrelationRemover(
        sensitive_feature_ids=list(range(X.shape[1], X.shape[1] + len(names))), alpha=alpha
    )
    model = logistic().fit(remover.fit_transform(join(X, group)), y)
    made = predicted(CorrelationRemover(alpha=alpha), split)
    theirs = remover.transform(join(features, others))
    np.testing.assert_array_equal(made.y_score, model.predict_proba(theirs)[:, 1])
    np.testing.assert_array_equal(made.y_pred, model.predict(theirs))


def test_correlation_remover_leaves_equal_means():
    split = example_split(3, rows=600)
    X, y, group = arrays(split.train)
    made = Decorrelated(preprocessing.CorrelationRemover(sensitive_feature_ids=[]), logistic())
    made.fit(X, y, sensitive_features=group)
    cleaned = made.remover.transform(made._joined(X, group))
    assert cleaned.shape == X.shape
    means = np.stack([cleaned[group == name].mean(axis=0) for name in np.unique(group)])
    np.testing.assert_allclose(means, np.broadcast_to(means[0], means.shape), atol=1e-9)


@pytest.mark.parametrize("constraint", ["demographic_parity", "equalized_odds"])
@pytest.mark.parametrize("groups", [2, 3])
def test_adversarial_fairness_is_fairlearns(groups, constraint):
    split = example_split(groups)
    X, y, group = arrays(split.train)
    theirs = adversarial.AdversarialFairnessClassifier(
        backend="torch",
        predictor_model=[6, "relu", 4, "relu"],
        adversary_model=[2, "relu"],
        constraints=constraint,
        learning_rate=0.02,
        alpha=0.5,
        epochs=3,
        batch_size=32,
        shuffle=True,
        random_state=3,
    ).fit(X, y, sensitive_features=group)
    made = predicted(
        AdversarialFairness((6, 4), (2,), "relu", constraint=constraint, lr=0.02, alpha=0.5, epochs=3, batch_size=32),
        split,
    )
    features = arrays(split.test)[0]
    np.testing.assert_array_equal(made.y_pred, theirs.predict(features))
    np.testing.assert_array_equal(made.y_score, theirs._raw_predict(features)[:, 0])
    assert 0 < made.y_pred.mean() < 1


def test_fairlearn_rounds_torchs_seed_down_as_the_adapter_says():
    split = example_split()
    scores = [predicted(AdversarialFairness(epochs=1), split, seed).y_score for seed in (1, 2)]
    np.testing.assert_array_equal(*scores)  # when this fails, fairlearn is mended: mend the docstring too


@pytest.mark.parametrize("method", METHODS)
def test_a_single_group_is_not_applicable(method):
    split = example_split()
    alone = split.train.select(split.train.group == 1)
    with pytest.raises(
        NotApplicable, match=rf"^{method.name} compares groups, and all {len(alone)} training rows are of"
    ):
        method().fit(alone, split.validation, seed=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_single_label_is_not_applicable(method):
    split = example_split()
    ones = split.train.select(split.train.y == 1)
    with pytest.raises(NotApplicable, match="needs both labels"):
        method().fit(ones, split.validation, seed=0)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_thresholds_need_both_labels_in_every_group(part):
    split = example_split()
    lacking = {"train": split.train, "validation": split.validation}
    lacking[part] = lacking[part].select((lacking[part].group == 0) | (lacking[part].y == 1))
    with pytest.raises(
        NotApplicable, match=rf"both labels in every group; the {part} rows of 'group 1' all have label 1"
    ):
        ThresholdOptimizer(part=part).fit(lacking["train"], lacking["validation"], seed=0)


@pytest.mark.parametrize("method", [ThresholdOptimizer, CorrelationRemover])
def test_a_group_that_was_not_seen_is_not_applicable_where_the_group_decides(method):
    split = example_split(3)
    two = split.train.select(split.train.group < 2)
    predict = method().fit(two, split.validation, seed=0)
    with pytest.raises(NotApplicable, match="uses the group to predict, and group 'group 2' has no row among those"):
        predict(split.test.inputs)


def test_the_group_is_not_used_to_predict_by_reductions_and_the_adversary():
    split = example_split()
    for method in (ExponentiatedGradient(**QUICK), GridSearch(), AdversarialFairness(epochs=2)):
        fitted = method.fit(split.train, split.validation, seed=0)
        predict = fitted.points[fitted.chosen] if hasattr(fitted, "points") else fitted
        inputs = split.test.inputs
        other = type(inputs)(inputs.X, 1 - inputs.group, inputs.schema)
        np.testing.assert_array_equal(predict(inputs).decision, predict(other).decision)


def test_what_fairlearn_refuses_is_refused_when_the_suite_is_read():
    with pytest.raises(
        SuiteError, match=r"^fairlearn_threshold_optimizer: tol is 0.1; fairlearn has no tolerance for equalized_odds"
    ):
        ThresholdOptimizer(constraint="equalized_odds", tol=0.1)
    with pytest.raises(
        SuiteError, match="objective is selection_rate; for equalized_odds it must be accuracy_score or"
    ):
        ThresholdOptimizer(constraint="equalized_odds", objective="selection_rate")


@pytest.mark.parametrize("method", ON_BASE)
def test_a_base_model_is_checked_when_the_method_is_built(method):
    assert issubclass(method, OnBaseModel)
    with pytest.raises(UnknownName, match="no base model is named 'logistc'; did you mean 'logistic'"):
        build(method, f"method {method.name}", {"base": "logistc"})
    with pytest.raises(SuiteError, match="base model boosting: rounds is 0; it must be at least 1"):
        build(method, f"method {method.name}", {"base": "boosting[rounds=0]"})


@pytest.mark.parametrize("base", ["logistic[C=0.1]", "mlp[hidden=4,epochs=3]", "boosting[rounds=2]"])
@pytest.mark.parametrize("method", ON_BASE)
def test_every_base_model_works_without_a_warning_of_its_limits(method, base):
    split = example_split()
    quick = QUICK if method is ExponentiatedGradient else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            made = predicted(method(base, **quick), split)
        except NotApplicable as reason:
            assert "takes no weights of rows" in str(reason)  # noqa: PT017 - scikit-learn below 1.7
            assert base.startswith("mlp")
            return
    assert len(made.y_pred) == len(split.test)


def test_the_library_is_not_imported_before_a_fit():
    code = (
        "import sys; from fairbench_fairlearn import {}; print(*{{'fairlearn', 'sklearn', 'torch'}} & set(sys.modules))"
    )
    names = ", ".join(method.__module__.rpartition(".")[2] for method in METHODS)
    done = subprocess.run([sys.executable, "-c", code.format(names)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
