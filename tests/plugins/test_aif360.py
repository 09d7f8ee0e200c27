"""Each adapter gives the numbers that AIF360 gives when it is called directly on the same arrays."""

from __future__ import annotations

import gc
import os
import sys

import numpy as np
import pytest
from aif360_helpers import PRIVILEGED, UNPRIVILEGED, theirs, two_group_split

from fairbench.api import Fitted, NotApplicable
from fairbench.errors import UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.system.threads import one_thread

pytest.importorskip("aif360")
REGISTRY, _ = load_plugins()
ROUNDING = 1e-9
FAVOURABLE = pytest.mark.parametrize("favourable", [1, 0], ids=["1 is favourable", "0 is favourable"])
pytestmark = pytest.mark.filterwarnings("ignore")  # of the library, when a test calls it directly


@pytest.fixture(autouse=True)
def alone_on_a_core():
    with one_thread():  # boosting's threads wait for each other for minutes where cores are busy
        yield


@pytest.fixture
def seed():
    return 3


def method(name, **parameters):
    try:
        found = REGISTRY.get("methods", f"aif360_{name}")
    except UnknownName:
        pytest.skip("; ".join(one.problem for one in REGISTRY.problems if one.name == f"fairbench_aif360.{name}"))
    return found(**parameters)


def fitted(name, split, seed, **parameters):
    return Fitted.of(method(name, **parameters).fit(split.train, split.validation, seed=seed))


def predicted(name, split, seed, **parameters):
    return fitted(name, split, seed, **parameters).points[""](split.test.inputs)


def logistic(X, y, weights=None):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(X.astype(np.float64), y, sample_weight=weights)


def base_scores(split, part):
    return logistic(split.train.X, split.train.y).predict_proba(part.X.astype(np.float64))[:, 1]


def validation_pair(split):
    """Return the validation part with its labels, and with decisions and scores of the base model."""
    part = split.validation
    score = base_scores(split, part)
    return theirs(part, part.y), theirs(part, (score >= 0.5).astype(int), score=score)


def rows_to_change(split):
    """Return the test part with decisions and scores of the base model, and the scores."""
    score = base_scores(split, split.test)
    return theirs(split.test, (score >= 0.5).astype(int), score=score), score


@FAVOURABLE
@pytest.mark.parametrize("base", ["logistic", "boosting", "mlp"])
def test_reweighing(base, favourable, seed):
    from aif360.algorithms.preprocessing import Reweighing
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.utils.validation import has_fit_parameter

    split = two_group_split(favourable)
    train = split.train
    if base == "mlp" and not has_fit_parameter(MLPClassifier, "sample_weight"):
        with pytest.raises(NotApplicable, match="takes no weights of rows, which this method needs"):
            predicted("reweighing", split, seed, base=base)
        return
    weights = Reweighing(UNPRIVILEGED, PRIVILEGED).fit_transform(theirs(train, train.y)).instance_weights
    model = {
        "logistic": lambda: logistic(train.X, train.y, weights),
        "boosting": lambda: HistGradientBoostingClassifier(early_stopping=False, random_state=seed).fit(
            train.X.astype(np.float64), train.y, sample_weight=weights
        ),
        "mlp": lambda: MLPClassifier((64,), max_iter=100, random_state=seed).fit(
            train.X.astype(np.float64), train.y, sample_weight=weights
        ),
    }[base]()
    expected = model.predict_proba(split.test.X.astype(np.float64))[:, 1]
    assert predicted("reweighing", split, seed, base=base).y_score == pytest.approx(expected, abs=ROUNDING)
    assert len(np.unique(weights)) > 2


@FAVOURABLE
def test_equalized_odds(favourable, seed):
    from aif360.algorithms.postprocessing import EqOddsPostprocessing

    split = two_group_split(favourable)
    library = EqOddsPostprocessing(UNPRIVILEGED, PRIVILEGED, seed=seed).fit(*validation_pair(split))
    rows, score = rows_to_change(split)
    made, changed = predicted("eq_odds", split, seed), library.predict(rows).labels.ravel()
    assert made.randomised
    assert made.y_score == pytest.approx(score, abs=ROUNDING)
    cells = split.test.group * 2 + (score >= 0.5)
    for cell in range(4):  # the library changes a whole number of rows of each
        own = cells == cell
        assert len(np.unique(made.decision[own])) == 1
        assert made.decision[own].mean() == pytest.approx(changed[own].mean(), abs=1 / own.sum())
    chances = {round(float(chance if favourable == 1 else 1 - chance), 9) for chance in made.decision}
    assert chances == {round(float(np.clip(chance, 0, 1)), 9) for chance in library.model_params.x}


@FAVOURABLE
@pytest.mark.parametrize("cost", ["weighted", "fpr", "fnr"])
def test_calibrated_equalized_odds(cost, favourable, seed):
    from aif360.algorithms.postprocessing import CalibratedEqOddsPostprocessing

    split = two_group_split(favourable)
    library = CalibratedEqOddsPostprocessing(UNPRIVILEGED, PRIVILEGED, cost_constraint=cost)
    library.fit(*validation_pair(split))
    rows, _ = rows_to_change(split)
    np.random.seed(seed)
    draws = [library.predict(rows) for _ in range(600)]
    labels, scores = (np.mean([getattr(draw, what).ravel() for draw in draws], axis=0) for what in ("labels", "scores"))
    made = predicted("calibrated_eq_odds", split, seed, cost=cost)
    assert made.randomised
    near = 5 * 0.5 / np.sqrt(600)  # five standard errors of a mean of draws
    assert made.decision == pytest.approx(labels, abs=near)
    assert made.y_score == pytest.approx(scores if favourable == 1 else 1 - scores, abs=near)


@FAVOURABLE
@pytest.mark.parametrize(
    ("metric", "words"),
    [("statistical_parity", "Statistical parity difference"), ("equal_opportunity", "Equal opportunity difference")],
)
def test_reject_option(metric, words, favourable, seed):
    from aif360.algorithms.postprocessing import RejectOptionClassification

    split = two_group_split(favourable)
    few = {"num_class_thresh": 20, "num_ROC_margin": 10}
    library = RejectOptionClassification(UNPRIVILEGED, PRIVILEGED, metric_name=words, **few)
    library.fit(*validation_pair(split))
    rows, score = rows_to_change(split)
    found = fitted("reject_option", split, seed, metric=metric, thresholds=20, margins=10)
    made = found.points[""](split.test.inputs)
    assert made.y_pred.tolist() == library.predict(rows).labels.ravel().tolist()
    if favourable == 1 and metric == "statistical_parity":
        assert (made.y_pred != (score >= 0.5)).any()
    assert found.diagnostics["within_bound"] == [1.0]


def test_reject_option_says_where_no_threshold_is_within_the_bound(seed):
    for bound, within in ((0.0, 0.0), (1.0, 1.0)):
        found = fitted("reject_option", two_group_split(), seed, bound=bound, thresholds=1, margins=1)
        assert found.diagnostics["within_bound"] == [within]


@FAVOURABLE
def test_learned_fair_representations(favourable, seed):
    from aif360.algorithms.preprocessing import LFR

    few, split = {"prototypes": 3, "fairness": 2.0, "evaluations": 600}, two_group_split(favourable)
    made = predicted("lfr", split, seed, **few)  # skips where it is unavailable
    train = theirs(split.train, split.train.y, X=split.train.X, recoded=True)
    library = LFR(UNPRIVILEGED, PRIVILEGED, k=3, Az=2.0, seed=seed).fit(train, maxfun=600)
    rows = library.transform(theirs(split.test, X=split.test.X, recoded=True))
    label, score = rows.labels.ravel(), rows.scores.ravel()
    assert made.y_pred.tolist() == (label if favourable == 1 else 1 - label).tolist()
    assert made.y_score == pytest.approx(score if favourable == 1 else 1 - score, abs=ROUNDING)
    assert set(made.y_pred) == {0, 1}
    based = predicted("lfr", split, seed, **few, base="logistic")
    model = logistic(library.transform(train).features.astype(np.float32), split.train.y)
    expected = model.predict_proba(rows.features.astype(np.float32).astype(np.float64))[:, 1]
    assert based.y_score == pytest.approx(expected, abs=ROUNDING)


@pytest.fixture
def python_first_on_the_path(tmp_path, monkeypatch):
    """Return a function that puts a ``python`` first on the path, as a shell script with this line."""

    def put(line):
        script = tmp_path / "bin" / "python"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.long
@FAVOURABLE
def test_prejudice_remover(favourable, seed, python_first_on_the_path):
    from aif360.algorithms.inprocessing import PrejudiceRemover

    split = two_group_split(favourable)
    python_first_on_the_path(f'exec "{sys.executable}" "$@"')
    library = PrejudiceRemover(eta=5.0, sensitive_attr="sex", class_attr="label")
    library.fit(theirs(split.train, split.train.y, X=split.train.X, recoded=True))
    rows = library.predict(theirs(split.test, split.test.y, X=split.test.X, recoded=True))
    label, score = rows.labels.ravel(), rows.scores.ravel()
    python_first_on_the_path("echo no numpy here >&2; exit 1")  # which must make no difference
    made = predicted("prejudice_remover", split, seed, eta=5.0)
    assert made.y_pred.tolist() == (label if favourable == 1 else 1 - label).tolist()
    assert made.y_score == pytest.approx(score if favourable == 1 else 1 - score, abs=ROUNDING)
    assert (predicted("prejudice_remover", split, seed, eta=0.0).y_score != made.y_score).any()


def test_the_librarys_prejudice_remover_hides_that_it_did_not_train(seed, python_first_on_the_path):
    from aif360.algorithms.inprocessing import PrejudiceRemover

    split = two_group_split()
    python_first_on_the_path("exit 1")
    library = PrejudiceRemover(sensitive_attr="sex", class_attr="label")
    assert library.fit(theirs(split.train, split.train.y, X=split.train.X)) is library  # the reason for our own way


@FAVOURABLE
@pytest.mark.parametrize(("criterion", "short"), [("false_discovery", "fdr"), ("statistical_rate", "sr")])
def test_meta_fair(criterion, short, favourable, seed):
    from aif360.algorithms.inprocessing import MetaFairClassifier

    split = two_group_split(favourable)

    def without_group(part, y=None):
        rows = theirs(part, y, X=part.X, recoded=True)
        rows.features = part.X.astype(np.float64)
        return rows

    library = MetaFairClassifier(0.1, "sex", short, seed).fit(without_group(split.train, split.train.y))
    rows = library.predict(without_group(split.test))
    made = predicted("meta_fair", split, seed, criterion=criterion, tau=0.1)
    label, score = rows.labels.ravel(), rows.scores.ravel().clip(0, 1)
    assert made.y_pred.tolist() == (label if favourable == 1 else 1 - label).tolist()
    assert made.y_score == pytest.approx(score if favourable == 1 else 1 - score, abs=ROUNDING)
    assert set(made.y_pred) == {0, 1}


@FAVOURABLE
@pytest.mark.parametrize(("criterion", "short"), [("false_positive", "FP"), ("false_negative", "FN")])
def test_gerryfair(criterion, short, favourable, seed):
    from aif360.algorithms.inprocessing import GerryFairClassifier

    split = two_group_split(favourable)
    library = GerryFairClassifier(fairness_def=short)
    library.fit(theirs(split.train, split.train.y, X=split.train.X, recoded=True))
    label = library.predict(theirs(split.test, X=split.test.X, recoded=True)).labels.ravel()
    found = fitted("gerryfair", split, seed, criterion=criterion)
    made = found.points[""](split.test.inputs)
    assert made.y_pred.tolist() == (label if favourable == 1 else 1 - label).tolist()
    assert found.diagnostics["error"] == pytest.approx(library.errors)
    assert found.diagnostics["violation"] == pytest.approx(library.fairness_violations)
    assert len(np.unique(made.y_score)) > 2


def test_gerryfair_takes_three_groups_as_two_flags(seed):
    import pandas as pd
    from aif360.algorithms.inprocessing import GerryFairClassifier
    from aif360.datasets import BinaryLabelDataset

    split = two_group_split(groups=3)

    def rows(part, y):
        table = pd.DataFrame(part.X.astype(np.float64)).assign(
            second=(part.group == 1).astype(float), third=(part.group == 2).astype(float), label=y
        )
        return BinaryLabelDataset(df=table, label_names=["label"], protected_attribute_names=["second", "third"])

    library = GerryFairClassifier().fit(rows(split.train, split.train.y))
    label = library.predict(rows(split.test, split.test.y)).labels.ravel()
    assert predicted("gerryfair", split, seed).y_pred.tolist() == label.tolist()


@pytest.mark.parametrize("base", ["logistic", "boosting"])
def test_disparate_impact_remover(base, seed):
    made = predicted(
        "disparate_impact_remover", split := two_group_split(), seed, base=base
    )  # skips without its library
    from aif360.algorithms.preprocessing import DisparateImpactRemover
    from sklearn.ensemble import HistGradientBoostingClassifier

    def repaired(part):
        library = DisparateImpactRemover(sensitive_attribute="sex")
        return library.fit_transform(theirs(part, X=part.X)).features[:, :-1].astype(np.float32).astype(np.float64)

    train = repaired(split.train)
    model = (
        logistic(train, split.train.y)
        if base == "logistic"
        else HistGradientBoostingClassifier(early_stopping=False, random_state=seed).fit(train, split.train.y)
    )
    assert made.y_score == pytest.approx(model.predict_proba(repaired(split.test))[:, 1], abs=ROUNDING)
    assert (made.y_score != predicted("disparate_impact_remover", split, seed, base=base, repair=0.0).y_score).any()


def test_the_library_keeps_no_data_of_a_fit(seed):
    split = two_group_split()
    predicted("reject_option", split, seed, thresholds=3, margins=3)
    gc.collect()
    kind = sys.modules["aif360.metrics.metric"].Metric  # whose import warns
    assert not [metric for metric in gc.get_objects() if isinstance(metric, kind)]
