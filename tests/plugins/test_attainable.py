"""The attainable line: its score models, its points and what they claim, bad input and use."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest
from attainable_helpers import joined, measured
from fairbench_baselines._constraints import CONSTRAINTS
from fairbench_baselines._scores import LARGE, Candidates, log_loss, stratified_folds, with_group
from fairbench_baselines.attainable import Attainable
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearns_log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbench.api import NotApplicable, Samples
from fairbench.data.examples import example_images, example_split
from fairbench.system.threads import one_thread

QUICK = {"folds": 3, "rounds": 10}
TOLERANCES = ("0", "0.01", "0.02", "0.05", "0.1", "0.15", "0.2", "0.3")
NAMES = ("dp", "eopp", "eo")


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():  # boosting's threads wait for each other where other tests use the cores
        yield


def changed(part: Samples, **columns) -> Samples:
    return dataclasses.replace(part, **columns)


# -------------------------------------------------------------------- score models


def test_scores_are_scikit_learns_out_of_fold_and_the_better_model_is_refitted():
    split = example_split(3, rows=600)
    both = joined(split.train, split.validation)
    X = np.hstack([both.X, np.eye(3)[both.group]]).astype(float)
    fold = stratified_folds(both.y, both.group, 5, seed=7)
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        "boosting": HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=8, learning_rate=0.05, early_stopping=False, random_state=7
        ),
    }
    scores = {
        name: cross_val_predict(model, X, both.y, cv=PredefinedSplit(fold), method="predict_proba")[:, 1]
        for name, model in models.items()
    }
    found = Candidates(0.1, 100, None, None).cross_fitted((split.train, split.validation), 5, 7)
    losses = {name: sklearns_log_loss(both.y, score) for name, score in scores.items()}
    assert found.log_loss == pytest.approx(losses)
    best = min(losses, key=losses.get)
    np.testing.assert_allclose(found.score, scores[best], atol=1e-12)
    theirs = models[best].fit(X, both.y).predict_proba(with_group(split.test.inputs))[:, 1]
    np.testing.assert_allclose(found.model(split.test.inputs), theirs, atol=1e-12)


def test_the_candidate_with_the_lower_log_loss_wins():
    split = example_split(rows=1000)  # linear: logistic regression is right
    bent = [changed(part, y=(np.abs(part.X[:, 0]) > 0.7).astype(int)) for part in (split.train, split.validation)]
    for parts, better in (((split.train, split.validation), "logistic"), (bent, "boosting")):
        for fitting in ("cross-fitted", "validation"):
            curves = Attainable(fitting=fitting).fit(*parts, seed=0).diagnostics
            losses = {name: curves[f"log_loss_{name}"][0] for name in ("logistic", "boosting")}
            assert min(losses, key=losses.get) == better


def test_larger_data_grow_larger_trees_unless_the_user_says_otherwise():
    for n, settings, expected in (
        (LARGE - 1, (None, None), (8, 0.05)),
        (LARGE, (None, None), (31, 0.1)),
        (LARGE, (4, 0.2), (4, 0.2)),
    ):
        model = Candidates(0.1, 50, *settings).makers(n, seed=3)["boosting"]()
        assert (model.max_leaf_nodes, model.learning_rate) == expected
        assert (model.max_iter, model.random_state, model.early_stopping) == (50, 3, False)


def test_log_loss_is_finite_where_a_model_is_sure_and_wrong():
    assert log_loss(np.array([0.0, 1.0]), np.array([1, 1])) == pytest.approx(-np.log(1e-12) / 2)


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_are_even_in_labels_and_groups(folds):
    random = np.random.default_rng(0)
    y, group = random.integers(0, 2, 333), random.integers(0, 4, 333)
    fold = stratified_folds(y, group, folds, seed=1)
    for some in [y == label for label in (0, 1)] + [np.ones(333, bool)]:
        assert np.ptp(np.bincount(fold[some], minlength=folds)) <= 1
    for label in (0, 1):
        for code in range(4):
            assert np.ptp(np.bincount(fold[(y == label) & (group == code)], minlength=folds)) <= 1
    assert (fold == stratified_folds(y, group, folds, seed=1)).all()
    assert (fold != stratified_folds(y, group, folds, seed=2)).any()


# -------------------------------------------------------------------- points and claims


def test_there_is_a_point_for_each_constraint_and_tolerance_and_the_model_stands_for_the_method():
    split = example_split()
    fitted = Attainable(**QUICK).fit(split.train, split.validation, seed=0)
    assert set(fitted.points) == {"unconstrained", *(f"{name}<={limit}" for name in NAMES for limit in TOLERANCES)}
    assert fitted.chosen == "unconstrained"
    inputs = split.test.inputs
    made = {name: predict(inputs) for name, predict in fitted.points.items()}
    score = made["unconstrained"].y_score
    np.testing.assert_array_equal(made["unconstrained"].decision, score >= 0.5)
    for predictions in made.values():
        np.testing.assert_array_equal(predictions.y_score, score)
    assert made["dp<=0"].randomised


def test_points_depend_on_the_seed_through_folds_and_draws_only_through_it():
    split = example_split()
    first, again, other = (Attainable(**QUICK).fit(split.train, split.validation, seed=seed) for seed in (0, 0, 1))
    inputs = split.test.inputs
    assert (first.points["dp<=0"](inputs).y_pred == again.points["dp<=0"](inputs).y_pred).all()
    assert first.diagnostics == again.diagnostics != other.diagnostics


@pytest.mark.parametrize("groups", [2, 4])
def test_claims_are_what_the_points_do_to_the_rows_they_were_fitted_on(groups):
    split = example_split(groups, rows=900)
    fitted = Attainable(fitting="validation", rounds=20, deterministic=True).fit(split.train, split.validation, seed=0)
    claims = fitted.diagnostics
    accuracy, _ = measured(split.validation, fitted.points["unconstrained"](split.validation.inputs), "dp")
    assert claims["claimed_accuracy_unconstrained"] == pytest.approx([accuracy])
    assert claims["tolerance"] == [float(limit) for limit in TOLERANCES]
    absent = 0
    for name in NAMES:
        for place, limit in enumerate(TOLERANCES):
            for way, curve in (("", name), (" deterministic", f"{name}_deterministic")):
                claimed = claims[f"claimed_accuracy_{curve}"][place], claims[f"claimed_gap_{curve}"][place]
                predict = fitted.points.get(f"{name}<={limit}{way}")
                if predict is None:
                    assert np.isnan(claimed).all()
                    absent += 1
                    continue
                predictions = predict(split.validation.inputs)
                assert claimed == pytest.approx(measured(split.validation, predictions, name), abs=1e-9)
                assert claimed[1] <= float(limit) + 1e-8
                if way:
                    assert not predictions.randomised
    assert f"{NAMES[0]}<=0 deterministic" not in fitted.points
    assert 0 < absent < len(NAMES) * len(TOLERANCES)


def test_tolerances_are_the_users_in_order_and_once():
    split = example_split()
    fitted = Attainable(**QUICK, tolerances=(0.5, 0.125, 0.5)).fit(split.train, split.validation, seed=0)
    assert [name for name in fitted.points if name.startswith("dp")] == ["dp<=0.125", "dp<=0.5"]
    assert fitted.diagnostics["tolerance"] == [0.125, 0.5]
    assert len(fitted.diagnostics["claimed_gap_eo"]) == 2


def test_repeated_rows_and_tied_scores_do_no_harm():
    split = example_split(rows=80)
    coarse = [changed(part, X=np.round(part.X)) for part in (split.train, split.validation)]
    train, validation = (part.select(np.repeat(np.arange(len(part)), 6)) for part in coarse)
    fitted = Attainable(**QUICK).fit(train, validation, seed=0)
    for name in NAMES:
        gaps = np.array(fitted.diagnostics[f"claimed_gap_{name}"])
        assert (gaps <= np.array(fitted.diagnostics["tolerance"]) + 1e-8).all()


# -------------------------------------------------------------------- what it cannot do


def test_a_small_group_is_left_out_named_and_decided_at_one_half():
    split = example_split(3, rows=400)
    rare = [np.flatnonzero(part.group == 2)[count:] for part, count in ((split.train, 6), (split.validation, 2))]
    train, validation = (
        part.select(np.setdiff1d(np.arange(len(part)), rows))
        for part, rows in zip((split.train, split.validation), rare)
    )
    fitted = Attainable(**QUICK).fit(train, validation, seed=0)
    both = joined(train, validation)
    rows = np.bincount(both.y[both.group == 2], minlength=2).tolist()
    for name in NAMES:
        assert fitted.diagnostics[f"left_out_of_{name}: 'group 2'"] == rows
        assert f"left_out_of_{name}: 'group 1'" not in fitted.diagnostics
    own = split.test.group == 2
    made = fitted.points["eo<=0"](split.test.inputs)
    np.testing.assert_array_equal(made.decision[own], made.y_score[own] >= 0.5)
    assert set(made.decision[~own]) - {0, 1}


def test_a_constraint_that_no_two_groups_allow_has_no_points():
    split = example_split(rows=400)
    train, validation = (
        part.select((part.group == 0) | (part.y == 0)) for part in (split.train, split.validation)
    )  # nobody of group 1 has y = 1
    fitted = Attainable(**QUICK).fit(train, validation, seed=0)
    assert {name.partition("<=")[0] for name in fitted.points} == {"unconstrained", "dp"}
    negatives = int((joined(train, validation).group == 1).sum())
    assert fitted.diagnostics["left_out_of_eo: 'group 1'"] == [negatives, 0]
    assert "claimed_gap_eo" not in fitted.diagnostics


def test_one_label_images_and_lone_groups_are_refused_in_words():
    split, images = example_split(), example_images()
    with pytest.raises(NotApplicable, match=r"method attainable works on tables, and these rows are images of 3 x 16"):
        Attainable().fit(images.train, images.validation, seed=0)
    ones = split.train.select(split.train.y == 1)
    with pytest.raises(NotApplicable, match=rf"needs both labels; all {len(ones)} training rows have y = 1"):
        Attainable().fit(ones, split.validation, seed=0)
    lone = np.concatenate([np.flatnonzero(ones.y == 1), [0]])
    y = np.ones(len(lone), dtype=int)
    y[-1] = 0
    nearly = changed(ones.select(lone), y=y)
    of_ones = split.validation.select(split.validation.y == 1)
    with pytest.raises(NotApplicable, match="two rows of each label; train and validation have 1 with y = 0"):
        Attainable().fit(nearly, of_ones, seed=0)
    few = [part.select((part.group == 0) | (np.cumsum(part.group) <= 4)) for part in (split.train, split.validation)]
    zeros = [int((part.group == 0).sum()) for part in few]
    seen = f"with at least 10 rows each; train and validation have {sum(zeros)} of 'group 0', 8 of 'group 1'"
    with pytest.raises(NotApplicable, match=seen):
        Attainable().fit(*few, seed=0)
    with pytest.raises(NotApplicable, match=rf"the validation part has {zeros[1]} of 'group 0', 4 of 'group 1'"):
        Attainable(fitting="validation").fit(split.train, few[1], seed=0)


# -------------------------------------------------------------------- as used


def test_names_of_points_survive_the_store_and_every_report(fairbench):
    method = "attainable[folds=2,rounds=3,tolerances=(0,0.05)]"
    where = ["--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1", "--out", "r"]
    assert fairbench("run", "--methods", method, *where)[0] == 0
    points = {"unconstrained", *(f"{one.name}<={limit}" for one in CONSTRAINTS for limit in ("0", "0.05"))}
    for what in ((), ("--predictions",)):
        exported = fairbench("export", "r", *what)[1]
        assert {row["point"] for row in csv.DictReader(io.StringIO(exported))} == points
    assert "claimed_gap_eo" in fairbench("export", "r", "--diagnostics")[1]
    for report in ("terminal", "markdown", "latex", "csv"):
        status, out, _ = fairbench("report", "r", "--format", report)
        assert status == 0
        assert "attainable" in out
