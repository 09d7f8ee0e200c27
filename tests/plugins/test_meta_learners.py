"""Fair-MAML, m-FTML, FFML and PDFM as methods: their limits, their modes of prediction, and what they promise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fairbench_meta._course import Course
from fairbench_meta._learner import Prediction
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_meta.pdfm import PrimalDualFairMeta
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Inputs, NotApplicable, Samples, Schema, group_rates
from fairbench.api.torch import mlp, one_thread

SCHEMA = Schema(("a", "b", "c", "d"), ("other", "protected"), protected=1)
SHORT = {
    "fair_maml": FairMAML(iterations=20, evaluate_every=5),
    "m_ftml": MaskedFTML(meta_steps=4),
    "ffml": FFML(meta_steps=4),
    "pdfm": PrimalDualFairMeta(iterations=12, evaluate_every=4, dual_rounds=3),
}
short = pytest.mark.parametrize("method", SHORT.values(), ids=SHORT)


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute as the harness does; many threads on tiny tensors would only wait for each other."""
    with one_thread():
        yield


def make_samples(n: int, *, seed: int, sites: str = "abcd") -> Samples:
    """Return n rows at some sites; the first feature leans on the group; y = 1 in 36% of the protected, else in 66%."""
    random = np.random.default_rng(seed)
    site, group = random.choice(list(sites), n), random.integers(0, 2, n)
    X = random.normal(size=(n, 4))
    X[:, 0] -= 1.5 * group
    X[:, 1] += 0.3 * (site == "b")
    y = (0.8 * X[:, 0] + X[:, 1] + 0.6 + random.normal(size=n) > 0).astype(int)
    return Samples(X.astype(np.float32), group, SCHEMA, y, {"site": site})


TRAIN, VALIDATION, TEST = (make_samples(n, seed=seed) for n, seed in ((320, 0), (80, 1), (120, 2)))


def scores(method, inputs: Inputs = TEST.inputs, seed: int = 0) -> np.ndarray:
    """Return the fitted method's scores."""
    fitted = method.fit(TRAIN, VALIDATION, seed=seed)
    return fitted.points[fitted.chosen](inputs).y_score


def test_ffml_with_a_frozen_multiplier_is_m_ftml_bit_for_bit():
    frozen = FFML(dual_rounds=1, dual_lr=0.0, outer_dual_lr=0.0, norm_weight=0.0, radius=1e9, meta_steps=10)
    fitted = [method.fit(TRAIN, VALIDATION, seed=3) for method in (frozen, MaskedFTML(meta_steps=10))]
    for name in ("validation_loss", "query_loss", "incoming_loss", "incoming_accuracy"):
        assert fitted[0].diagnostics[name] == fitted[1].diagnostics[name]
    one, other = (fit.points[fit.chosen](TEST.inputs).y_score for fit in fitted)
    assert one.tobytes() == other.tobytes()
    assert not np.array_equal(one, scores(FFML(meta_steps=10, first_multiplier=2.0), seed=3))


def test_fair_maml_without_its_term_does_not_look_at_the_groups():
    masked = dataclasses.replace(TRAIN, group=np.random.default_rng(0).permutation(TRAIN.group))
    for gamma, same in ((0.0, True), (2.0, False)):
        method = FairMAML(gamma=gamma, iterations=20)
        one, other = (method.fit(train, VALIDATION, seed=0).points["task"](TEST.inputs) for train in (TRAIN, masked))
        assert np.array_equal(one.y_score, other.y_score) == same


@short
def test_what_predicts_is_the_checkpoint_with_the_smallest_validation_loss(method):
    fitted = method.fit(TRAIN, VALIDATION, seed=0)
    score = fitted.points[fitted.chosen](VALIDATION.inputs).y_score
    y = VALIDATION.y
    loss = -np.mean(y * np.log(score) + (1 - y) * np.log(1 - score))
    assert loss == pytest.approx(min(fitted.diagnostics["validation_loss"]), abs=1e-6)  # curves are in float32
    assert fitted.diagnostics["task_sizes"] == [np.sum(TRAIN.keys["site"] == site) for site in "abcd"]


@short
def test_training_stops_once_validation_has_not_improved_for_a_while(method):
    method = dataclasses.replace(method, outer_lr=0.0, patience=2)  # nothing is learned, so nothing improves
    if hasattr(method, "outer_dual_lr"):
        method = dataclasses.replace(method, outer_dual_lr=0.0, dual_lr=0.0)
    assert len(method.fit(TRAIN, VALIDATION, seed=0).diagnostics["validation_loss"]) == 3


@short
def test_same_seed_gives_the_same_bytes_and_another_seed_others(method):
    first, again, other = (scores(method, seed=seed).tobytes() for seed in (1, 1, 2))
    assert first == again != other


@short
def test_labels_and_groups_of_rows_to_predict_play_no_part(method):
    fitted = method.fit(TRAIN, VALIDATION, seed=0)
    predict = fitted.points[fitted.chosen]
    order = np.random.default_rng(0).permutation(len(TEST))
    hidden = Inputs(TEST.X, 1 - TEST.group, SCHEMA, TEST.keys)
    np.testing.assert_array_equal(predict(TEST.inputs).y_score, predict(hidden).y_score)
    moved = predict(TEST.inputs.select(order)).y_score
    np.testing.assert_allclose(predict(TEST.inputs).y_score[order], moved, rtol=0, atol=1e-12)  # float64


@short
def test_the_loop_through_higher_gives_the_same_fit(method):
    method = dataclasses.replace(method, tasks_per_step=3)
    one, other = (scores(dataclasses.replace(method, inner_loop=loop)) for loop in ("batched", "higher"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)  # some tens of Adam's steps in float32


@short
@pytest.mark.parametrize("kind", ["auto", "site", "random", "kmeans"])
def test_one_task_of_all_rows_is_the_pooled_prediction(method, kind):
    collapsed = dataclasses.replace(method, tasks=kind, task_count=1)
    fitted = collapsed.fit(TRAIN, VALIDATION, seed=0)
    assert fitted.diagnostics["task_sizes"] == [len(TRAIN)]
    pooled = scores(dataclasses.replace(collapsed, prediction="pooled"))
    np.testing.assert_allclose(fitted.points["task"](TEST.inputs).y_score, pooled, rtol=0, atol=1e-6)  # float32


@short
@pytest.mark.parametrize(("kind", "mode"), [("site", "task"), ("kmeans", "task"), ("random", "pooled")])
def test_the_point_is_named_after_the_mode_that_the_tasks_allow(method, kind, mode):
    fitted = dataclasses.replace(method, tasks=kind).fit(TRAIN, VALIDATION, seed=0)
    assert list(fitted.points) == [fitted.chosen] == [mode]


def test_random_tasks_do_not_pass_for_tasks_of_the_rows_to_predict():
    method = dataclasses.replace(SHORT["fair_maml"], tasks="random", prediction="task")
    with pytest.raises(NotApplicable, match="with random tasks no row has one"):
        method.fit(TRAIN, VALIDATION, seed=0)


def hand_adapted(net: torch.nn.Module, rows: np.ndarray, method: FairMAML) -> list[torch.Tensor]:
    """Return the weights after Fair-MAML's steps for prediction on training rows, by autograd on a plain net."""
    X, y = torch.tensor(TRAIN.X[rows]), torch.tensor(TRAIN.y[rows]).float()
    protected = torch.tensor(TRAIN.protected[rows])
    theta = [w.detach().clone() for w in net.parameters()]
    for _ in range(method.prediction_steps):
        theta = [w.requires_grad_() for w in theta]
        logit = (torch.relu(X @ theta[0].T + theta[1]) @ theta[2].T + theta[3]).reshape(-1)
        objective = cross_entropy(logit, y) + method.gamma * (1 - logit.sigmoid()[protected].mean())
        slopes = torch.autograd.grad(objective, theta)
        theta = [(w - method.inner_lr * slope).detach() for w, slope in zip(theta, slopes)]
    return theta


def test_each_place_is_adapted_to_all_its_training_rows_and_the_last_to_all():
    method = FairMAML(gamma=0.8, inner_lr=0.2)
    course = Course(method, TRAIN, seed=5)
    prediction = Prediction(course, TRAIN, seed=5)
    (weights,) = prediction.weights(range(5))
    places = [np.flatnonzero(TRAIN.keys["site"] == site) for site in "abcd"] + [np.arange(len(TRAIN))]
    for place, rows in enumerate(places):
        for one, other in zip(weights[place], hand_adapted(mlp(4, (8,), seed=5), rows, method)):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)  # float32
    unknown = dataclasses.replace(TEST.inputs, keys={"site": np.repeat(["a", "z"], 60)})
    assert prediction.place(unknown).tolist() == [0] * 60 + [4] * 60


def test_a_row_without_a_task_is_predicted_as_pooled():
    method, unknown = SHORT["fair_maml"], dataclasses.replace(TEST.inputs, keys={"site": np.repeat("z", len(TEST))})
    fitted = method.fit(TRAIN, VALIDATION, seed=0)
    course = Course(method, TRAIN, seed=0)
    pooled = Prediction(Course(dataclasses.replace(method, prediction="pooled"), TRAIN, seed=0), TRAIN, seed=0)
    assert pooled.place(unknown).tolist() == [0] * len(TEST)
    (one,), (other,) = Prediction(course, TRAIN, seed=0).weights([4]), pooled.weights([0])
    assert all(torch.equal(a, b) for a, b in zip(one[4], other[0]))
    assert not np.array_equal(fitted.points["task"](unknown).y_score, fitted.points["task"](TEST.inputs).y_score)


def test_without_adaptation_the_first_weights_predict():
    method = dataclasses.replace(SHORT["fair_maml"], prediction="none", outer_lr=0.0)
    net = mlp(4, (8,), seed=6)
    expected = net(torch.tensor(TEST.X)).sigmoid().reshape(-1).detach().numpy()
    np.testing.assert_allclose(scores(method, seed=6), expected, rtol=0, atol=1e-6)  # float32


@short
def test_draws_of_few_shots_are_averaged_into_the_decision(method):
    fitted = dataclasses.replace(method, support="kshot", draws=4).fit(TRAIN, VALIDATION, seed=0)
    predictions = fitted.points[fitted.chosen](TEST.inputs)
    assert set(predictions.decision) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    clear = np.isin(predictions.decision, (0.0, 1.0))
    assert clear.any()
    assert ((predictions.y_score >= 0.5) == (predictions.decision == 1))[clear].all()
    again = fitted.points[fitted.chosen](TEST.inputs)
    assert predictions.y_pred.tolist() == again.y_pred.tolist()


def test_shots_come_from_the_training_rows_of_their_place():
    method = FairMAML(support="kshot", draws=3, k_shot=6)
    prediction = Prediction(Course(method, TRAIN, seed=0), TRAIN, seed=0)
    assert len(prediction.supports) == 3
    for supports in prediction.supports:
        assert [len(rows) for rows in supports] == [6] * 5
        for site, rows in zip("abcd", supports):
            assert set(TRAIN.keys["site"][rows]) == {site}
            assert len(set(rows.tolist())) == 6


class Log(Course):
    """A course that only records which tasks are asked for."""

    def learn(self, tasks, flip=()):
        """Record the tasks and which are flipped."""
        self.asked = [*getattr(self, "asked", []), (list(map(int, tasks)), list(flip))]
        return {"query_loss": 0.0}


@pytest.mark.parametrize("variant", ["ftml", "code"])
def test_a_stream_learns_from_the_tasks_seen_so_far(variant):
    method = MaskedFTML(variant=variant, meta_steps=6, tasks_per_step=2, order="shuffle")
    course = Log(method, TRAIN, seed=0)
    epochs, epoch = method.schedule(course)
    assert epochs == 4
    seen = []
    for number in range(4):
        course.asked = []
        epoch(number)
        drawn = [tasks for tasks, _ in course.asked]
        assert len(drawn) == 6
        seen = sorted({*seen, *(task for tasks in drawn for task in tasks)})
        assert len(seen) <= number + 1
        assert all(len(set(tasks)) == len(tasks) == min(2, number + 1) for tasks in drawn)
        assert variant == "ftml" or len(set(map(tuple, drawn))) == 1  # the code draws once in a round
    assert variant == "code" or seen == [0, 1, 2, 3]


def test_an_arriving_task_is_scored_before_it_is_learned():
    few, many = (MaskedFTML(meta_steps=steps).fit(TRAIN, VALIDATION, seed=0) for steps in (1, 30))
    assert few.diagnostics["incoming_loss"][0] == many.diagnostics["incoming_loss"][0]
    assert few.diagnostics["incoming_loss"][1] != many.diagnostics["incoming_loss"][1]


def test_sampled_tasks_are_flipped_half_of_the_time_if_asked_for():
    for flip in (False, True):
        method = FairMAML(label_flip=flip, iterations=100, evaluate_every=60)
        course = Log(method, TRAIN, seed=0)
        epochs, epoch = method.schedule(course)
        for number in range(epochs):
            epoch(number)
        assert len(course.asked) == 100  # the last epoch is shorter
        flips = [f for _, flips in course.asked for f in flips]
        assert abs(np.mean(flips) - 0.5) < 0.1 if flip else flips == []
        assert {len(tasks) for tasks, _ in course.asked} == {8}


@short
def test_tasks_that_lack_a_group_or_are_tiny_do_no_harm(method):
    sites = np.where(TRAIN.protected & (TRAIN.keys["site"] == "a"), "a", "b")  # all of "a" are protected
    train = dataclasses.replace(TRAIN, keys={"site": sites})
    fitted = method.fit(train, dataclasses.replace(VALIDATION, keys={"site": np.repeat("a", 80)}), seed=0)
    assert all(np.isfinite(curve).all() for curve in fitted.diagnostics.values())
    assert np.isfinite(fitted.points["task"](TEST.inputs).y_score).all()


@pytest.mark.parametrize("name", ["fair_maml", "ffml", "pdfm"])
def test_a_training_part_of_one_side_is_not_applicable_to_a_fair_method(name):
    method = SHORT[name]
    with pytest.raises(NotApplicable, match="all training rows are on one side of the protected group"):
        method.fit(TRAIN.select(TRAIN.protected), VALIDATION, seed=0)


def test_the_mechanics_of_the_code_learn_too():
    numbers = {"inner_lr": 0.01, "outer_lr": 5.0, "meta_steps": 20}
    for method in (MaskedFTML(variant="code", **numbers), FFML(variant="code", **numbers)):
        curve = method.fit(TRAIN, VALIDATION, seed=0).diagnostics["validation_loss"]
        assert min(curve) < 0.6  # log 2 before


def parity_and_accuracy(method, seed: int) -> tuple[float, float]:
    """Return the demographic parity ratio and the accuracy on 1,000 fresh rows."""
    fitted = method.fit(make_samples(600, seed=10 + seed), make_samples(150, seed=20 + seed), seed=seed)
    test = make_samples(1000, seed=30 + seed)
    predictions = fitted.points["task"](test.inputs)
    selection = group_rates(test, predictions).selection
    return selection.min() / selection.max(), np.mean(predictions.y_pred == test.y)


@pytest.mark.training
def test_on_biased_data_the_fair_methods_are_more_even_at_a_modest_price():
    methods = {
        "m_ftml": MaskedFTML(meta_steps=40),
        "ffml": FFML(meta_steps=40, bound=0.02, outer_dual_lr=1.0),
        "fair_maml": FairMAML(gamma=1.0, iterations=300),
    }
    means = {name: np.mean([parity_and_accuracy(m, seed) for seed in range(5)], axis=0) for name, m in methods.items()}
    for name in ("ffml", "fair_maml"):
        assert means[name][0] > means["m_ftml"][0] + 0.1
        assert means[name][1] > means["m_ftml"][1] - 0.1
