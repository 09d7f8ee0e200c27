"""Networks with projected scores: what each way of predicting guarantees, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from fairbench_projection._package import PackageInference, fixed_batches, train_as_package
from fairbench_projection._rule import Rule
from fairbench_projection._streaming import Settings, mean_gap
from fairbench_projection.parity_projection import ParityProjection
from fairbench_projection.parity_projection_posthoc import PosthocProjection
from sklearn.metrics import roc_auc_score
from torch import nn

from fairbench.api import Fitted, Inputs, NotApplicable, Samples, Schema
from fairbench.api.projection import Box, solve_parity
from fairbench.api.torch import Projection

QUICK = {"hidden": (8,), "epochs": 6, "lr": 0.02, "batch_size": 100}
METHODS = (ParityProjection, PosthocProjection)


def make_samples(n, seed, n_groups=2, names=None):
    """Return rows whose group moves the features and the labels: a fair score costs something."""
    random = np.random.default_rng(seed)
    group = random.integers(0, n_groups, n)
    features = random.normal(size=(n, 3))
    features[:, 0] += 1.2 * (group / max(n_groups - 1, 1))
    y = (features @ [1.0, -1.0, 0.5] + 0.5 * random.normal(size=n) > 0.6).astype(int)
    names = names or tuple(f"g{code}" for code in range(n_groups))
    return Samples(features.astype(np.float32), group, Schema(("a", "b", "c"), names, 0), y)


def fitted(method=ParityProjection, n_groups=2, names=None, seed=3, **params) -> Fitted:
    train, validation = make_samples(600, 0, n_groups, names), make_samples(300, 1, n_groups, names)
    return method(**{**QUICK, **params}).fit(train, validation, seed=seed)


def gap(samples, predictions):
    return mean_gap(predictions.y_score, samples.group, len(samples.group_names))


# --- What each way of predicting guarantees ---


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("epsilon", [0.0, 0.04])
def test_a_batch_of_new_rows_is_even_to_epsilon(method, n_groups, epsilon):
    test = make_samples(400, 2, n_groups)
    made = fitted(method, n_groups, epsilon=epsilon).points["batch"](test.inputs)
    assert gap(test, made) <= epsilon + 1e-9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_groups", [2, 3])
def test_frozen_shifts_are_even_to_epsilon_and_sampling_noise(method, n_groups):
    test = make_samples(2000, 2, n_groups)
    predictor = fitted(method, n_groups, epsilon=0.02).points["frozen"]
    made = predictor(test.inputs)
    train = make_samples(600, 0, n_groups)
    assert gap(train, predictor(train.inputs)) <= 0.02 + 1e-9  # where they were found
    noise = sum(
        made.y_score[test.group == g].var() / (test.group == g).sum() + 0.25 / (train.group == g).sum()
        for g in range(n_groups)
    )
    assert gap(test, made) <= 0.02 + 4 * np.sqrt(noise)


@pytest.mark.parametrize("space", ["probability", "logit"])
def test_frozen_rows_are_predicted_one_by_one(space):
    predictor = fitted(space=space).points["frozen"]
    inputs = make_samples(20, 2).inputs
    together = predictor(inputs)
    for row in range(20):
        alone = predictor(Inputs(inputs.X[row : row + 1], inputs.group[row : row + 1], inputs.schema))
        assert alone.y_score[0] == pytest.approx(together.y_score[row], abs=1e-12)  # a product's last bits


def test_parity_of_logits_is_of_logits():
    test = make_samples(400, 2)
    score = fitted(space="logit", epsilon=0.01).points["batch"](test.inputs).y_score
    logit = np.log(score / (1 - score))
    assert mean_gap(logit, test.group, 2) <= 0.01 + 1e-6  # the scores went through float64 sigmoids
    assert mean_gap(score, test.group, 2) > 1e-4


def test_mean_residuals_are_even_where_the_shifts_were_found():
    train = make_samples(600, 0)
    made = fitted(metric="mean_residual", epsilon=0.01)
    assert list(made.points) == ["frozen"]
    score = made.points["frozen"](train.inputs).y_score
    for code in (0, 1):
        assert abs((train.y - score)[train.group == code].mean()) <= 0.01 + 1e-9


@pytest.mark.parametrize("n_groups", [2, 3])
def test_label_free_odds_hold_for_the_models_own_chances(n_groups):
    train = make_samples(600, 0, n_groups)
    rule = Rule("equalized_odds", 0.01, "probability", False, train.schema)
    random = np.random.default_rng(0)
    chance = np.clip(0.5 + 0.2 * train.group / n_groups + 0.2 * random.normal(size=600), 0.01, 0.99)
    value, shift = rule.project(chance, train.group, chance, None)
    for weight in (chance, 1 - chance):
        means = [np.average(value[train.group == g], weights=weight[train.group == g]) for g in range(n_groups)]
        assert max(means) - min(means) <= 0.01 + 1e-9
    by_label = shift[train.group]
    expected = np.clip(chance - by_label[:, 0] * (1 - chance) - by_label[:, 1] * chance, 1e-6, 1 - 1e-6)
    np.testing.assert_allclose(value, expected, atol=1e-12)
    points = fitted(metric="equalized_odds", label_free_odds=True, n_groups=n_groups, epsilon=0.01).points
    assert list(points) == ["frozen", "batch"]


def test_two_attributes_are_each_even():
    names = ("f, x", "f, y", "m, x", "m, y")
    test = make_samples(400, 2, 4, names)
    for metric in ("mean_prediction", "mean_residual"):
        points = fitted(n_groups=4, names=names, attributes="marginal", metric=metric, epsilon=0.01).points
        if metric == "mean_prediction":
            score = points["batch"](test.inputs).y_score
            for attribute in (test.group // 2, test.group % 2):
                assert mean_gap(score, attribute, 2) <= 0.01 + 1e-9
        train = make_samples(600, 0, 4, names)
        score = points["frozen"](train.inputs).y_score - (train.y if metric == "mean_residual" else 0)
        for attribute in (train.group // 2, train.group % 2):
            assert mean_gap(score, attribute, 2) <= 0.02 + 1e-9


def test_a_stream_stays_even_after_every_batch_and_its_first_batch_is_the_batch():
    test = make_samples(300, 2)
    made = fitted(mode="stream", epsilon=0.03)
    assert made.chosen == "stream"
    running = made.points["stream"].stream()
    total, count = np.zeros(2), np.zeros(2)
    for row in range(0, 300, 7):
        part = test.select(np.arange(row, min(row + 7, 300)))
        score = running(part.inputs).y_score
        total += np.bincount(part.group, score, 2)
        count += np.bincount(part.group, minlength=2)
        assert count.min() == 0 or abs(np.diff(total / count)[0]) <= 0.03 + 1e-9
    at_once = made.points["stream"](test.inputs).y_score
    np.testing.assert_array_equal(at_once, made.points["batch"](test.inputs).y_score)
    json.dumps(running.correction.state(), allow_nan=False)


def test_labels_leak_into_scores_only_where_somebody_hands_them_to_the_layer():
    """Score by the group alone: an audit with the test labels ranks perfectly, what predicts knows no more than before.

    Equalized odds of given labels shift each group's two classes apart by different amounts, and so sort them.
    """
    random = np.random.default_rng(0)
    group = random.integers(0, 2, 4000)
    y = (random.random(4000) < np.where(group == 1, 0.7, 0.3)).astype(int)
    score = np.where(group == 1, 0.7, 0.3) + 1e-3 * random.random(4000)
    audited = Projection("equalized_odds", epsilon=0.0)(torch.tensor(score), group, y).numpy()
    assert roc_auc_score(y, score) < 0.75
    assert roc_auc_score(y, audited) > 0.99
    rule = Rule("equalized_odds", 0.0, "probability", False, Schema(("a",), ("g0", "g1"), 0))
    own = rule.project(score, group, score, None).value  # there are no labels to give it
    for code in (0, 1):
        assert roc_auc_score(y[group == code], own[group == code]) == pytest.approx(0.5, abs=0.05)


def test_a_model_without_doubts_has_no_odds_to_compare():
    rule = Rule("equalized_odds", 0.0, "probability", False, Schema(("a",), ("g0", "g1"), 0))
    group = np.array([0, 0, 1, 1])
    value, shift = rule.project(np.ones(4), group, np.ones(4), None)  # nobody has y = 0
    np.testing.assert_array_equal(value, np.full(4, 1 - 1e-6))
    assert shift.shape == (2, 2)


def test_rows_of_one_group_alone_are_only_clipped():
    points = fitted(mode="stream", epsilon=0.0).points
    test = make_samples(60, 2)
    alone = test.select(test.group == 1)
    raw, _ = points["batch"].scorer(alone.inputs)
    for name in ("batch", "stream"):
        np.testing.assert_array_equal(points[name](alone.inputs).y_score, np.clip(raw, 1e-6, 1 - 1e-6))


def test_the_running_predictor_tells_what_it_changed():
    running = fitted(mode="stream", epsilon=0.0).points["stream"].stream()
    inputs = make_samples(60, 2).inputs
    made = running(inputs)
    _, chance = running.scorer(inputs)
    np.testing.assert_array_equal(running.before, chance)
    assert np.abs(made.y_score - chance).max() > 0.01
    assert running.infeasible == 0


@pytest.mark.parametrize("method", METHODS)
def test_labels_of_the_rows_to_be_predicted_are_out_of_reach(method):
    test = make_samples(200, 2)
    other = dataclasses.replace(test, y=1 - test.y)
    for params in (
        {"mode": "stream"},
        {"metric": "mean_residual"},
        {"metric": "equalized_odds", "label_free_odds": True},
    ):
        for predictor in fitted(method, **params).points.values():
            assert predictor(test.inputs).y_score.tobytes() == predictor(other.inputs).y_score.tobytes()


def test_the_layer_in_training_lowers_the_loss_of_tight_constraints():
    """The paper's claim, on scores that a plain network drives apart: its loss after projection is higher."""

    def loss(method, seed):
        test = make_samples(3000, 9)
        score = fitted(method, seed=seed, epsilon=0.0, epochs=30).points["batch"](test.inputs).y_score
        return -np.log(np.where(test.y == 1, score, 1 - score)).mean()

    through, after = (np.array([loss(method, seed) for seed in range(3)]) for method in METHODS)
    assert (through < after).all()


# --- Training ---


def test_curves_say_what_the_layer_did():
    curves = fitted(epsilon=0.0).diagnostics
    epochs = len(curves["validation_loss"])
    for name in ("training_loss", "distortion", "clipped_share", "infeasible_batches", "dropped_contrasts"):
        assert len(curves[name]) == epochs
    assert min(curves["distortion"]) > 0
    assert curves["one_group_batches"] == [0.0] * epochs
    assert len(curves["frozen_shift"]) == 2
    assert curves["frozen_gap"][0] <= 1e-9
    assert max(fitted(PosthocProjection).diagnostics["distortion"]) == 0.0


@pytest.mark.parametrize("rows", [0, 3])
def test_three_rows_of_a_group_are_in_every_batch_and_batches_of_one_group_are_clipped_and_counted(rows):
    train, validation = make_samples(600, 0), make_samples(300, 1)
    rare = train.select(np.concatenate([np.flatnonzero(train.group == 0), np.flatnonzero(train.group == 1)[:rows]]))
    method = ParityProjection(**{**QUICK, "batch_size": 50, "frozen_on": "validation"})
    curves = method.fit(rare, validation, seed=0).diagnostics
    batches = -(-len(rare) // 50)
    assert curves["one_group_batches"] == [0.0 if rows else batches] * len(curves["training_loss"])


def test_both_methods_differ_by_the_layer_alone():
    loose = [fitted(method, epsilon=1.0, frozen_on="validation") for method in METHODS]
    test = make_samples(100, 2)
    scores = [made.points["frozen"](test.inputs).y_score for made in loose]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)  # their losses are computed in two ways, in float32


# --- What is refused ---

NAMES = ("f, x", "f, y", "m, x", "m, y")


@pytest.mark.parametrize(
    ("params", "names", "message"),
    [
        ({"metric": "equalized_odds"}, None, "equalized odds need the labels of the rows that are predicted"),
        ({"metric": "mean_residual", "mode": "batch"}, None, "mode=batch under mean_residual needs the labels"),
        ({"metric": "mean_residual", "space": "logit"}, None, "mean_residual compares scores with labels"),
        ({"mode": "stream", "attributes": "marginal"}, NAMES, "mode=stream keeps the groups' mean scores equal"),
        ({"attributes": "marginal"}, None, "attributes=marginal constrains two sensitive attributes one by one; name"),
        (
            {"attributes": "marginal"},
            ("a, b, c", "a, b, d"),
            "attributes=marginal takes two sensitive attributes, but there are 3; constrain their combinations with",
        ),
        ({"attributes": "marginal"}, ("a, x", "b, x", "c, y"), "attributes=marginal needs attributes of two values"),
        ({"package_compat": True}, ("a", "b", "c"), "package_compat covers mean_prediction of two groups, or of"),
        ({"package_compat": True, "batch_size": 1}, None, "package_compat makes batches of size 1 with a constant"),
    ],
)
def test_settings_that_do_not_fit_are_not_applicable(params, names, message):
    with pytest.raises(NotApplicable, match=re.escape(message)):
        fitted(n_groups=len(names) if names else 2, names=names, **params)


@pytest.mark.parametrize("method", METHODS)
def test_a_negative_epsilon_is_refused_where_no_suite_has_checked_it(method):
    with pytest.raises(ValueError, match=r"epsilon is -0.1; it must be a number, 0 or more"):
        fitted(method, epsilon=-0.1)


@pytest.mark.parametrize("strict", [False, True])
def test_rows_of_unknown_groups_are_counted_or_refused(strict):
    train, validation = make_samples(600, 0, 3), make_samples(300, 1, 3)
    known = train.select(train.group < 2)
    predictor = ParityProjection(**QUICK, strict=strict).fit(known, validation, seed=0).points["frozen"]
    inputs = make_samples(50, 2, 3).inputs
    count = int((inputs.group == 2).sum())
    words = f"groups without rows to find a shift on ('g2') have {count} of 50 rows"
    if strict:
        with pytest.raises(NotApplicable, match=re.escape(words)):
            predictor(inputs)
        return
    with pytest.warns(UserWarning, match=re.escape(f"{words}; their scores are not shifted")):
        score = predictor(inputs).y_score
    raw, _ = predictor.scorer(inputs)
    np.testing.assert_allclose(score[inputs.group == 2], np.clip(raw, 1e-6, 1 - 1e-6)[inputs.group == 2])


# --- The released package's ways ---


def test_package_compat_predicts_large_batches_by_projection_and_small_ones_at_a_price():
    made = fitted(package_compat=True)
    assert (list(made.points), made.chosen) == (["package"], "package")
    test, running = make_samples(200, 2), made.points["package"].stream()
    assert gap(test, running(test.inputs)) <= 0.05 + 1e-9
    assert running.correction.steps == 0  # a price is for batches of fewer than 64 rows
    raw, _ = running.scorer(test.inputs)
    part = test.select(np.arange(30))
    np.testing.assert_allclose(running(part.inputs).y_score, raw[:30], atol=1e-12)  # the first price is 0
    assert running.correction.steps == 1
    state = json.loads(json.dumps(running.correction.state()))
    with pytest.raises(ValueError, match="its b_tau is 64, but this stream's is 32"):
        PackageInference(Settings(2, 0.05), 0.5, 32).restore(state)


def test_fixed_batches_keep_one_ratio_and_drop_the_rest():
    group = np.array([0] * 70 + [1] * 33)
    batches = fixed_batches(group, 20, np.random.default_rng(0))
    shares = [np.bincount(group[batch], minlength=2).tolist() for batch in batches]
    assert shares == [[13, 7]] * 4  # 13 = floor(20 * 70 / 103); the second group has rows for four batches
    rows = np.concatenate(batches)
    assert len(set(rows.tolist())) == len(rows) == 80


def test_fixed_batches_of_two_attributes_hold_every_combination():
    cell = np.repeat([0, 1, 2, 3], [50, 30, 19, 1])
    batches = fixed_batches(cell, 10, np.random.default_rng(0), 4)
    assert [np.bincount(cell[batch], minlength=4).tolist() for batch in batches] == [
        [5, 3, 1, 1]
    ]  # the last cell's one
    with pytest.raises(
        NotApplicable, match="a constant ratio of 4 groups; of 99 rows they have 50 and 30 and 19 and 0"
    ):
        fixed_batches(cell[:-1], 10, np.random.default_rng(0), 4)


def test_package_compat_constrains_two_attributes_one_by_one():
    names = ("f, old", "f, young", "m, old", "m, young")
    made = fitted(n_groups=4, names=names, package_compat=True, attributes="marginal", epochs=2)
    running = made.points["package"].stream()
    test = make_samples(400, 2, 4, names)
    value = running(test.inputs).y_score
    for side in (test.group // 2, test.group % 2):
        assert abs(value[side == 0].mean() - value[side == 1].mean()) <= 0.05 + 1e-9
    part = test.select(np.arange(40))
    raw, _ = running.scorer(part.inputs)
    np.testing.assert_allclose(running(part.inputs).y_score, raw, atol=1e-12)  # the first price is 0
    gaps = [abs(raw[side == 0].mean() - raw[side == 1].mean()) for side in (part.group // 2, part.group % 2)]
    assert running.correction.price == pytest.approx(max(0.0, 0.5 * 40 * (max(gaps) - 0.05)))


def test_package_training_keeps_the_last_weights_unless_it_stops_early():
    losses = [0.5, 0.4, 0.400005, 0.45, 0.6, 0.7]

    def trained(epochs, patience):
        model, seen = nn.Linear(1, 1, bias=False), iter(losses)

        def step(epoch):
            with torch.no_grad():
                model.weight.fill_(float(epoch))
            return {}

        def validation_loss(_):
            return torch.tensor(next(seen))

        curves = train_as_package(model, step, validation_loss, epochs=epochs, patience=patience)
        return model.weight.item(), curves["validation_loss"]

    weight, seen = trained(epochs=4, patience=5)
    assert weight == 3.0
    np.testing.assert_allclose(seen, losses[:4], rtol=1e-6)
    assert trained(epochs=6, patience=3)[0] == 1.0  # three epochs after the best it stops and puts it back
    assert len(trained(epochs=6, patience=3)[1]) == 5


def test_parity_in_a_rule_is_the_projection():
    samples = make_samples(100, 0, 3)
    score = np.random.default_rng(0).random(100)
    value, shift = Rule("mean_prediction", 0.01, "probability", False, samples.schema).project(
        score, samples.group, score, None
    )
    expected = solve_parity(score, samples.group, 3, 0.01, Box(1e-6, 1 - 1e-6))
    np.testing.assert_array_equal(value, expected.value)
    np.testing.assert_array_equal(shift, np.stack([expected.shift, expected.shift], axis=1))
