"""Estimators as methods: what they are given, what is read from them, and what is said of those that do not fit."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import MISSING
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from fairbench import load
from fairbench.api import (
    DataError,
    Inputs,
    NotApplicable,
    Range,
    SuiteError,
    fit_estimator,
    from_estimator,
    parameter,
    predictor_of,
)
from fairbench.data.examples import example_split
from fairbench.errors import PluginError
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.parameters import build, describe_parameters
from fairbench.testing import CHECKS

ROOT = Path(__file__).parents[1]
SPLIT = example_split()
TRAIN, TEST = SPLIT.train, SPLIT.test.inputs


class Recorder:
    """Notes what it is given, and predicts the sign of the first feature."""

    calls: ClassVar[list] = []

    def note(self, name, X, groups=None):
        type(self).calls.append((name, X, groups))
        return (X[:, 0] > 0).astype(int)


class Plain(Recorder):
    def fit(self, X, y):
        self.note("fit", X)
        X[:] = 0  # which is allowed: it is a copy
        y[:] = 0

    def predict(self, X):
        return self.note("predict", X)


class AtFit(Plain):
    def fit(self, X, y, *, sensitive_features):
        self.note("fit", X, sensitive_features)


class AtBoth(AtFit):
    def predict(self, X, sensitive_features):
        return self.note("predict", X, sensitive_features)

    def predict_proba(self, X, sensitive_features):
        positive = self.note("predict_proba", X, sensitive_features)
        return np.stack([1 - positive, positive], axis=1)


class AnyKeyword(Plain):
    def fit(self, X, y, **given):
        self.note("fit", X, given.get("sensitive_features"))


class LikeFairlearns(AnyKeyword):
    """As if fairlearn had written it."""


LikeFairlearns.__module__ = "fairlearn.reductions"


@pytest.fixture(autouse=True)
def calls():
    Recorder.calls.clear()
    return Recorder.calls


def given_groups(estimator, routes=None):
    """Return the names of the calls in which the estimator was given the groups."""
    fit_estimator(estimator, TRAIN, seed=0, sensitive_features=routes)(TEST)
    return [name for name, _, groups in Recorder.calls if groups is not None]


def test_a_method_is_an_estimator_and_its_parameters():
    method = from_estimator("naive_bayes", GaussianNB, {"var_smoothing": 1e-3})
    made = method().fit(TRAIN, SPLIT.validation, seed=0)(TEST)
    theirs = GaussianNB(var_smoothing=1e-3).fit(TRAIN.X.astype(float), TRAIN.y)
    np.testing.assert_array_equal(made.y_score, theirs.predict_proba(TEST.X.astype(float))[:, 1])
    np.testing.assert_array_equal(made.y_pred, theirs.predict(TEST.X.astype(float)))
    other = build(method, "method naive_bayes", {"var_smoothing": 10}).fit(TRAIN, SPLIT.validation, seed=0)(TEST)
    assert (other.y_score != made.y_score).any()


def test_parameters_are_declared_with_their_types_and_limits():
    given = {
        "C": parameter(1.0, "inverse strength", source="own", minimum=1e-9),
        "loss": "hinge",
        "widths": (8, 4),
        "seen": None,
        "needed": parameter(MISSING, "no default"),
    }
    method = from_estimator("m", Plain, given, about="Tries.", ranges={"C": Range(0.1, 10.0)})
    shown = {one["name"]: (one["type"], one["default"], one["help"]) for one in describe_parameters(method)}
    assert shown["C"] == ("float", 1.0, "inverse strength")
    assert shown["loss"] == ("str", "hinge", f"loss of {__name__}.Plain")
    assert shown["widths"][:2] == ("tuple[int, ...]", [8, 4])
    assert shown["seen"][1] is None
    assert method.__doc__ == "Tries."
    assert method.ranges == {"C": Range(0.1, 10.0)}
    for params, message in (
        ({"C": 0}, "method m: C is 0.0; it must be at least 1e-09"),
        ({"C": "much"}, "method m: C is 'much'; it must be a number"),
        ({"widths": "wide"}, "method m: widths is 'wide'"),
        ({}, "method m needs needed, which has no default"),
    ):
        with pytest.raises(SuiteError, match=message):
            build(method, "method m", {**({"needed": 1} if params else {}), **params})


def test_a_place_is_imported_at_the_first_fit(tmp_path, monkeypatch):
    (tmp_path / "later_there.py").write_text("from sklearn.naive_bayes import GaussianNB as Later\n")
    monkeypatch.syspath_prepend(tmp_path)
    method = from_estimator("later", "later_there:Later")
    assert method.__doc__ == "Fit later_there.Later; nothing is chosen on validation."
    assert "later_there" not in sys.modules
    method().fit(TRAIN, SPLIT.validation, seed=0)
    assert "later_there" in sys.modules


def test_a_plugin_whose_library_is_missing_is_unavailable(tmp_path):
    (tmp_path / "boosted.py").write_text(
        "from fairbench.api import from_estimator, hookimpl\n\n"
        "@hookimpl\ndef fairbench_methods():\n"
        "    return [from_estimator('boosted', 'no_such_library.sub:Classifier')]\n"
    )
    with pytest.raises(PluginError, match="needs 'no_such_library', which is not installed"):
        load_plugins([str(tmp_path / "boosted.py")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GaussianNB(),), r"an estimator of type GaussianNB is already made; give its class and parameters instead"),
        (("sklearn.svm",), "'sklearn.svm' names no place; write package.module:Class"),
        ((":SVC",), "':SVC' names no place"),
        ((Plain, {"name": "x"}), "method m: a parameter cannot be named 'name'; give it another name"),
    ],
)
def test_what_is_no_estimator_is_refused_when_the_plugin_is_loaded(arguments, message):
    with pytest.raises(PluginError, match=message):
        from_estimator("m", *arguments)


def test_the_group_goes_to_fit_or_predict_and_nowhere_else():
    with pytest.raises(PluginError, match="method m: sensitive_features has 'score'; give some of fit, predict"):
        from_estimator("m", Plain, sensitive_features=("score",))


@pytest.mark.parametrize(
    ("kind", "routes", "expected"),
    [
        (Plain, None, []),
        (AtFit, None, ["fit"]),
        (AtBoth, None, ["fit", "predict_proba", "predict"]),
        (AnyKeyword, None, []),
        (AnyKeyword, ("fit",), ["fit"]),
        (LikeFairlearns, None, ["fit"]),
        (LikeFairlearns, (), []),
    ],
)
def test_groups_go_where_a_signature_names_them_or_the_author_says_so(kind, routes, expected):
    assert given_groups(kind(), routes) == expected


def test_groups_are_given_by_name_and_features_as_copies(calls):
    method = from_estimator("m", AtBoth)
    method().fit(TRAIN, SPLIT.validation, seed=0)(TEST)
    for (name, X, groups), rows in zip(calls, (TRAIN, TEST, TEST)):
        assert groups.tolist() == [rows.group_names[code] for code in rows.group], name
        assert X.dtype == np.float64
        np.testing.assert_array_equal(X, rows.X)
    before = TRAIN.X.copy(), TRAIN.y.copy()
    fit_estimator(Plain(), TRAIN, seed=0)
    np.testing.assert_array_equal(before[0], TRAIN.X)
    np.testing.assert_array_equal(before[1], TRAIN.y)


def test_a_group_without_training_rows_is_refused_only_where_the_group_is_used_to_predict():
    one = TRAIN.select(TRAIN.group == 0)
    assert len(fit_estimator(AtFit(), one, seed=0)(TEST).y_pred) == len(TEST)
    with pytest.raises(
        NotApplicable, match="AtBoth uses the group to predict, and group 'group 1' has no row among those"
    ):
        fit_estimator(AtBoth(), one, seed=0)(TEST)


def test_without_predict_proba_there_are_decisions_and_no_scores():
    made = fit_estimator(LinearSVC(), TRAIN, seed=0)(TEST)
    theirs = LinearSVC(random_state=0).fit(TRAIN.X.astype(float), TRAIN.y).predict(TEST.X.astype(float))
    np.testing.assert_array_equal(made.y_pred, theirs)
    assert made.y_score is None
    assert not made.randomised


def test_decisions_are_the_estimators_own_and_not_scores_cut_at_one_half():
    class Strict(GaussianNB):
        def predict(self, X):
            return (self.predict_proba(X)[:, 1] > 0.9).astype(int)

    made = fit_estimator(Strict(), TRAIN, seed=0)(TEST)
    np.testing.assert_array_equal(made.y_pred, made.y_score > 0.9)
    assert made.y_pred.sum() < (made.y_score > 0.5).sum()


class Chances(Plain):
    """Gives chances of its own classes."""

    classes_ = (0, 1)

    def predict_proba(self, X):
        return np.full((len(X), 1), 1.0)


@pytest.mark.parametrize(("label", "score"), [(0, 0.0), (1, 1.0)])
def test_an_estimator_that_knows_one_label_gives_the_others_no_chance(label, score):
    estimator = Chances()
    estimator.classes_ = (label,)
    assert set(predictor_of(estimator, TRAIN, seed=0)(TEST).y_score) == {score}


def test_a_table_of_chances_has_a_column_for_each_label():
    with pytest.raises(DataError, match=r"^Chances.predict_proba returned shape \(36, 1\) for 36 rows and 2 labels$"):
        fit_estimator(Chances(), TRAIN, seed=0)(TEST)


def test_chances_outside_the_unit_interval_are_refused_but_for_rounding():
    class Rounded(Plain):
        excess = 1e-8

        def predict_proba(self, X):
            return np.stack([np.zeros(len(X)), np.full(len(X), 1 + self.excess)], axis=1)

    assert set(fit_estimator(Rounded(), TRAIN, seed=0)(TEST).y_score) == {1.0}
    Rounded.excess = 0.01
    with pytest.raises(DataError, match=r"y_score runs from 1\.01 to 1\.01"):
        fit_estimator(Rounded(), TRAIN, seed=0)(TEST)


def test_a_regressor_is_refused_with_the_value_that_it_predicts():
    with pytest.raises(
        DataError, match=r"^Ridge.predict returned -?\d\.\d+; a classifier returns the labels 0 and 1 that"
    ):
        fit_estimator(Ridge(), TRAIN, seed=0)(TEST)


def test_a_wrong_number_of_labels_is_refused():
    class Short(Plain):
        def predict(self, X):
            return np.zeros(len(X) - 1)

    with pytest.raises(DataError, match=r"^Short.predict returned shape \(35,\) for 36 rows$"):
        fit_estimator(Short(), TRAIN, seed=0)(TEST)


def test_one_label_is_not_applicable():
    ones = TRAIN.select(TRAIN.y == 1)
    with pytest.raises(NotApplicable, match=rf"^GaussianNB needs both labels; all {len(ones)} training rows have 1$"):
        fit_estimator(GaussianNB(), ones, seed=0)


def test_random_states_are_seeded_unless_the_author_has_set_them():
    nested, fixed = make_pipeline(StandardScaler(), SGDClassifier()), RandomForestClassifier(5, random_state=3)
    fit_estimator(nested, TRAIN, seed=7)
    fit_estimator(fixed, TRAIN, seed=7)
    assert nested.get_params()["sgdclassifier__random_state"] == 7
    assert fixed.random_state == 3
    theirs = RandomForestClassifier(5, random_state=9).fit(TRAIN.X.astype(float), TRAIN.y)
    made = fit_estimator(RandomForestClassifier(5), TRAIN, seed=9)(TEST)
    np.testing.assert_array_equal(made.y_score, theirs.predict_proba(TEST.X.astype(float))[:, 1])


class Global(Plain):
    """Draws from the global generators, as old code does."""

    def fit(self, X, y):
        self.drawn = np.random.random(), random.random()
        np.random.seed(0)

    def predict(self, X):
        return np.random.randint(0, 2, len(X))


def test_global_generators_are_seeded_for_the_estimator_and_then_as_before():
    np.random.seed(1)
    random.seed(1)
    expected = np.random.RandomState(1).random_sample(), random.Random(1).random()
    first, second, other = Global(), Global(), Global()
    predict = fit_estimator(first, TRAIN, seed=5)
    made = predict(TEST).y_pred
    fit_estimator(second, TRAIN, seed=5)
    fit_estimator(other, TRAIN, seed=6)
    assert (np.random.random(), random.random()) == expected
    assert first.drawn == second.drawn != other.drawn
    np.testing.assert_array_equal(predict(TEST).y_pred, made)


def test_fairlearns_randomised_decisions_have_chances():
    class Mixture(Plain):
        def _pmf_predict(self, X):
            return np.tile([0.75, 0.25], (len(X), 1))

    made = fit_estimator(Mixture(), TRAIN, seed=0)(TEST)
    assert set(made.decision) == {0.25}
    assert made.y_score is None
    assert 0 < made.y_pred.mean() < 1
    np.testing.assert_array_equal(fit_estimator(Mixture(), TRAIN, seed=0)(TEST).y_pred, made.y_pred)


NAIVE_BAYES = from_estimator("naive_bayes", GaussianNB)


@pytest.mark.parametrize("check", CHECKS["methods"], ids=lambda check: check.__name__)
def test_what_it_returns_passes_every_check_of_a_method(check):
    assert NAIVE_BAYES.__module__ == __name__  # by which a run finds the file that it records
    check(NAIVE_BAYES)


def test_a_row_can_be_predicted_alone():
    predict = fit_estimator(GaussianNB(), TRAIN, seed=0)
    alone = Inputs(TEST.X[:1], TEST.group[:1], TEST.schema)
    assert predict(alone).y_pred.tolist() == predict(TEST).y_pred[:1].tolist()


@pytest.mark.filterwarnings("ignore:::fairlearn")  # of its calls to pandas, which Python itself hides from users
def test_the_documents_plugin_runs_beside_a_method_without_scores(fairbench, tmp_path):
    page = (ROOT / "docs" / "estimators.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    no_scores = '        from_estimator("no_scores", "sklearn.svm:LinearSVC", {"C": 1.0}),\n    ]'
    (tmp_path / "bayes.py").write_text(block.replace("    ]", no_scores))
    choices = "naive_bayes,fair_bayes[bound=0.05],no_scores"
    metrics = "accuracy,roc_auc,demographic_parity_difference"
    given = ["--datasets", "synthetic[rows=300]", "--repeats", "1", "--metrics", metrics, "--plugin", "bayes.py"]
    status, _, err = fairbench("run", "--methods", choices, *given, "--out", "made", "--workers", "1")
    assert status == 0, err
    cells = {record.cell.method.name: record for record in load("made").results.records}
    found = {name: {one.metric: one for one in record.values if not one.group} for name, record in cells.items()}
    assert found["naive_bayes"]["roc_auc"].value > 0.5
    for name in ("fair_bayes", "no_scores"):
        assert found[name]["accuracy"].value > 0.5
        assert found[name]["roc_auc"].value is None
        assert found[name]["roc_auc"].reason == "the method gives no score (y_score is None), only decisions"
    _, shown, _ = fairbench("show", "method", "fair_bayes", "--plugin", "bayes.py")
    assert "Naive Bayes under a bound on differences in error rates." in shown
    assert "how far a group's rates may be" in " ".join(shown.split())
