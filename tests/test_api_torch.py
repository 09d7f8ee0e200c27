"""The torch part of the plugin API, but for the inner loop, against closed forms and numbers worked out by hand."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import dataclass

import fairlearn.metrics
import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Predictor, Samples, Schema
from fairbench.api.torch import (
    Batch,
    as_batch,
    gradient,
    linear,
    minibatches,
    mlp,
    parity_gap,
    predictor,
    seeded,
    train_model,
    unroll,
    weighted_loss,
)

SCHEMA = Schema(feature_names=("a", "b", "c"), group_names=("other", "protected"), protected=1)
DOUBLE = 1e-10  # float64 on sums of some dozens of terms of order one; the order of the additions is all that differs


def make_samples(n: int, *, seed: int) -> Samples:
    """Return n rows whose label follows the features, with a shift for the protected group."""
    random = np.random.default_rng(seed)
    features, group = random.normal(size=(n, 3)), random.integers(0, 2, size=n)
    y = (features @ [1.0, -2.0, 0.5] - 0.8 * group + random.normal(size=n) > 0).astype(int)
    return Samples(features.astype(np.float32), group, SCHEMA, y)


def double_batch(n: int, *, seed: int) -> Batch:
    """Return n rows in float64."""
    return as_batch(make_samples(n, seed=seed), torch.float64)


def weights_of(model: torch.nn.Module) -> torch.Tensor:
    """Return all weights as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


# --- The example of a complete method: a plugin's author starts from these lines ---


@dataclass(frozen=True)
class LearnedGroupWeights:
    """Weight groups so that a fit to the support set is even on the query set."""

    name = "learned_group_weights"
    inner_steps: int = 10
    inner_lr: float = 0.5
    outer_steps: int = 20
    outer_lr: float = 0.1

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the model adapted with the last weights."""
        support, query = as_batch(train), as_batch(validation)
        model = linear(support.n_features, seed=seed)
        log_weight = torch.zeros(support.n_groups, requires_grad=True)  # (n_groups,)
        outer = torch.optim.Adam([log_weight], lr=self.outer_lr)
        for _ in range(self.outer_steps):
            loss = weighted_loss(support, log_weight.exp()[support.group])
            adapted = unroll(model, loss, steps=self.inner_steps, lr=self.inner_lr)
            logit = adapted(query.X)  # (n_query, 1)
            outer.zero_grad()
            (cross_entropy(logit, query.y) + parity_gap(logit.sigmoid(), query.group)).backward()
            outer.step()
        return predictor(adapted)


def test_example_method_lowers_its_objective_and_is_deterministic() -> None:
    train, validation = make_samples(200, seed=0), make_samples(150, seed=1)

    def objective(method: LearnedGroupWeights) -> float:
        score = method.fit(train, validation, seed=3)(validation.inputs).y_score
        loss = -np.log(np.where(validation.y == 1, score, 1 - score)).mean()
        return float(loss + abs(score[validation.protected].mean() - score[~validation.protected].mean()))

    once, often = objective(LearnedGroupWeights(outer_steps=1)), objective(LearnedGroupWeights())
    assert often < once - 0.01  # the first round has weights of one; 19 more must gain more than rounding
    assert objective(LearnedGroupWeights()) == often


# --- Batches, models, randomness ---


def test_batch_has_the_documented_shapes_and_is_a_copy() -> None:
    samples = make_samples(12, seed=0)
    batch = as_batch(samples)
    assert (len(batch), batch.n_features, batch.n_groups) == (12, 3, 2)
    assert (batch.X.shape, batch.y.shape, batch.group.shape, batch.protected.shape) == ((12, 3), (12, 1), (12,), (12,))
    assert (batch.X.dtype, batch.y.dtype) == (torch.float32, torch.float32)
    assert (batch.group.dtype, batch.protected.dtype) == (torch.int64, torch.bool)
    before = samples.X.copy(), samples.y.copy(), samples.group.copy()
    for tensor in (batch.X, batch.y, batch.group):
        tensor.add_(1)
    for kept, now in zip(before, (samples.X, samples.y, samples.group)):
        np.testing.assert_array_equal(kept, now)


def fail_while_drawing(seed: int) -> None:
    """Draw from the seeded generator and raise."""
    with seeded(seed):
        torch.rand(4)
        raise KeyError


def test_seeded_draws_the_same_and_leaves_the_global_state_even_after_an_error() -> None:
    state = torch.get_rng_state()
    draws = []
    for seed in (5, 5, 6):
        with seeded(seed):
            draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    with pytest.raises(KeyError):
        fail_while_drawing(5)
    assert torch.equal(torch.get_rng_state(), state)


def test_mlp_has_the_layers_asked_for_and_weights_from_the_seed_alone() -> None:
    model = mlp(3, (5, 2), "tanh", seed=1)
    assert [tuple(p.shape) for p in model.parameters()] == [(5, 3), (5,), (2, 5), (2,), (1, 2), (1,)]
    w1, b1, w2, b2, w3, b3 = (p.detach() for p in model.parameters())
    features = torch.linspace(-2, 2, 12).reshape(4, 3)
    by_hand = torch.tanh(torch.tanh(features @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(model(features), by_hand)
    with seeded(99):
        torch.rand(7)
        again = mlp(3, (5, 2), "tanh", seed=1)
    assert torch.equal(weights_of(again), weights_of(model))
    assert not torch.equal(weights_of(mlp(3, (5, 2), "tanh", seed=2)), weights_of(model))
    assert [tuple(p.shape) for p in linear(3, seed=0).parameters()] == [(1, 3), (1,)]


@pytest.mark.parametrize("width", [3, 40])
def test_many_rows_have_the_logits_and_gradients_that_few_at_a_time_have(width) -> None:
    model = mlp(5, (width, 3), seed=1).double()
    X = torch.randn(3000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parts = torch.cat([model(part) for part in X.split(100)])
    torch.testing.assert_close(model(X), parts, rtol=0, atol=1e-14)  # two orders of the same few sums
    whole = torch.autograd.grad(model(X).square().sum(), list(model.parameters()))
    in_parts = torch.autograd.grad(parts.square().sum(), list(model.parameters()))
    torch.testing.assert_close(whole, in_parts, rtol=1e-11, atol=1e-11)  # sums of 3,000 terms


@pytest.mark.parametrize("rows", [37, 1500])
@pytest.mark.parametrize(("hidden", "activation"), [((), "relu"), ((6,), "relu"), ((40, 3), "tanh"), ((5, 4), "relu")])
def test_the_written_out_gradient_has_the_bits_of_the_one_through_the_graph(hidden, activation, rows) -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, 7, generator=generator)
    y = (torch.rand(rows, 1, generator=generator) < 0.3).float()
    ours, theirs = (mlp(7, hidden, activation, seed=1) for _ in range(2))
    ours.backpropagate(X, y.neg())  # what was there before must not be added to
    loss = ours.backpropagate(X, y)
    expected = cross_entropy(theirs(X), y)
    expected.backward()
    assert torch.equal(loss, expected)
    assert not loss.requires_grad
    for own, other in zip(ours.parameters(), theirs.parameters()):
        assert torch.equal(own.grad, other.grad)


def test_mlp_refuses_unknown_activations_and_empty_layers() -> None:
    with pytest.raises(ValueError, match="activation is 'gelu'; it must be one of relu, tanh"):
        mlp(3, (4,), "gelu", seed=0)
    with pytest.raises(ValueError, match=r"hidden is \(4, 0\)"):
        mlp(3, (4, 0), seed=0)


def test_minibatches_hold_every_row_once_in_the_generators_order() -> None:
    batch = double_batch(23, seed=0)
    parts = list(minibatches(batch, 5, torch.Generator().manual_seed(1)))
    assert [len(y) for _, y in parts] == [5, 5, 5, 5, 3]
    rows = torch.cat([torch.cat(part, dim=1) for part in parts])
    order = torch.randperm(23, generator=torch.Generator().manual_seed(1))
    assert torch.equal(rows, torch.cat([batch.X, batch.y], dim=1)[order])
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    [(features, labels)] = minibatches(batch, 0, generator)
    assert torch.equal(features, batch.X)
    assert torch.equal(labels, batch.y)
    assert torch.equal(generator.get_state(), before)


# --- Losses ---


def test_weighted_loss_is_the_mean_over_rows_and_linear_in_the_weights() -> None:
    batch, model = double_batch(9, seed=0), linear(3, seed=0).double()
    signed = (1 - 2 * batch.y) * model(batch.X).detach()
    terms = torch.log1p(signed.exp()).reshape(-1)  # -log P(y), written out
    weight = torch.linspace(0, 2, 9, dtype=torch.float64, requires_grad=True)
    loss = weighted_loss(batch, weight)(model)
    torch.testing.assert_close(loss, (weight * terms).sum() / 9, atol=DOUBLE, rtol=0)
    (by_weight,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(by_weight, terms / 9, atol=DOUBLE, rtol=0)
    torch.testing.assert_close(weighted_loss(batch)(model), terms.mean(), atol=DOUBLE, rtol=0)
    with pytest.raises(ValueError, match="weight has 8 values but the batch has 9 rows"):
        weighted_loss(batch, weight[:8])


def test_parity_gap_of_hard_decisions_is_fairlearns_demographic_parity_difference() -> None:
    random = np.random.default_rng(0)
    for n_groups in (2, 3, 5):
        group, decision = random.integers(0, n_groups, 60), random.integers(0, 2, 60)
        theirs = fairlearn.metrics.demographic_parity_difference(decision, decision, sensitive_features=group)
        ours = parity_gap(torch.tensor(decision, dtype=torch.float64).reshape(-1, 1), torch.tensor(group))
        assert float(ours) == pytest.approx(theirs, abs=DOUBLE)


def test_parity_gap_skips_codes_without_rows_and_is_zero_for_one_group() -> None:
    score = torch.tensor([0.9, 0.7, 0.1])
    assert float(parity_gap(score, torch.tensor([0, 0, 2]))) == pytest.approx(0.7)
    assert float(parity_gap(score, torch.tensor([1, 1, 1]))) == 0.0


def test_parity_gap_has_the_gradient_of_finite_differences() -> None:
    score = torch.tensor([0.9, 0.2, 0.4, 0.5, 0.8], dtype=torch.float64, requires_grad=True)
    group = torch.tensor([0, 1, 1, 0, 2])
    assert torch.autograd.gradcheck(lambda s: parity_gap(s, group), (score,))


# --- Predictors ---


def test_predictor_is_the_sigmoid_cut_at_one_half_and_ignores_later_training() -> None:
    samples, model = make_samples(30, seed=0), mlp(3, (8,), seed=0)
    predict = predictor(model)
    with torch.no_grad():
        logit = model(as_batch(samples).X).reshape(-1).numpy().astype(float)
        for p in model.parameters():
            p.fill_(math.nan)
    predictions = predict(samples.inputs)
    np.testing.assert_allclose(predictions.y_score, 1 / (1 + np.exp(-logit)), atol=1e-6)  # the logits are float32
    np.testing.assert_array_equal(predictions.y_pred, predictions.y_score >= 0.5)
    assert predictions.y_score.dtype == np.float64


def test_predictor_selects_a_score_of_exactly_one_half() -> None:
    model = linear(3, seed=0)
    torch.nn.utils.vector_to_parameters(torch.zeros(4), model.parameters())
    assert predictor(model)(make_samples(5, seed=0).inputs).y_pred.tolist() == [1] * 5


def test_predictor_of_an_adapted_model_keeps_no_graph_alive() -> None:
    samples, batch = make_samples(30, seed=0), as_batch(make_samples(40, seed=1))
    model = mlp(3, (8,), seed=0)
    adapted = unroll(model, weighted_loss(batch), steps=2, lr=0.5)
    expected = torch.sigmoid(adapted(as_batch(samples).X)).detach().reshape(-1).numpy()
    predict = predictor(adapted)
    held = weakref.ref(adapted.parameters()[0])
    assert held().grad_fn is not None
    del adapted
    gc.collect()
    assert held() is None
    np.testing.assert_allclose(predict(samples.inputs).y_score, expected, atol=1e-6)  # the network ran in float32


def test_predictor_runs_in_eval_mode_on_one_thread_and_restores_the_number_of_threads() -> None:
    seen = []

    class Spy(torch.nn.Dropout):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            seen.append((self.training, torch.get_num_threads(), torch.is_grad_enabled()))
            return super().forward(features)

    model = torch.nn.Sequential(Spy(0.5), torch.nn.Linear(3, 1)).train()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        predictor(model)(make_samples(30, seed=0).inputs)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert seen == [(False, 1, False)]
    assert model.training


def test_predictions_do_not_depend_on_the_order_of_the_rows() -> None:
    samples, predict = make_samples(500, seed=0), predictor(mlp(3, (64,), seed=0))
    order = np.random.default_rng(0).permutation(500)
    direct, moved = predict(samples.inputs), predict(samples.select(order).inputs)
    np.testing.assert_allclose(moved.y_score, direct.y_score[order], atol=1e-15, rtol=1e-15)  # float64's last bit
    np.testing.assert_array_equal(moved.y_pred, direct.y_pred[order])


# --- Training ---


def follow(losses: list[float], *, epochs: int, patience: int | None) -> tuple[float, dict[str, list[float]]]:
    """Train a single weight that becomes each of the losses in turn; return where it ends, and the curves."""
    model = torch.nn.Linear(1, 1, bias=False)

    def step(epoch: int) -> dict[str, float]:
        with torch.no_grad():
            model.weight.fill_(losses[epoch])
        return {"epoch": float(epoch)}

    curves = train_model(model, step, lambda _: model.weight.sum(), epochs=epochs, patience=patience)
    return model.weight.item(), curves


def test_training_stops_after_patience_epochs_and_restores_the_best_weights() -> None:
    losses = [5.0, 3.0, 4.0, 2.0, 2.5, 2.0, 3.5, 1.0, 0.5]
    end, curves = follow(losses, epochs=9, patience=3)
    assert end == 2.0  # epoch 3; epoch 5 only equals it, and after epoch 6 patience is over: 1.0 is never seen
    assert curves == {"validation_loss": losses[:7], "epoch": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
    assert follow(losses, epochs=9, patience=4)[0] == 0.5
    assert follow(losses, epochs=3, patience=3)[0] == 3.0


def test_training_ignores_epochs_without_a_finite_loss_and_fails_if_there_is_no_other() -> None:
    assert follow([4.0, math.nan, 3.0, math.inf, math.nan], epochs=5, patience=2)[0] == 3.0
    with pytest.raises(ArithmeticError, match="validation loss was nan after 2 epochs and never finite"):
        follow([math.inf, math.nan, 1.0], epochs=3, patience=2)


def test_without_patience_all_epochs_are_made_and_the_last_weights_are_left() -> None:
    losses = [1.0, 5.0, math.nan, 4.0]
    end, curves = follow(losses, epochs=4, patience=None)
    assert end == 4.0
    assert len(curves["epoch"]) == 4
    with pytest.raises(ArithmeticError, match="validation loss was nan after 3 epochs; lower the learning rate"):
        follow(losses, epochs=3, patience=None)
    assert follow(losses, epochs=0, patience=None)[1] == {"validation_loss": []}


def test_training_steps_in_train_mode_validates_without_gradients_and_uses_one_thread() -> None:
    model, seen = linear(3, seed=0), []

    def step(epoch: int) -> dict[str, float]:
        seen.append((model.training, torch.is_grad_enabled(), torch.get_num_threads()))
        return {}

    def validation_loss(_: object) -> torch.Tensor:
        seen.append((model.training, torch.is_grad_enabled(), torch.get_num_threads()))
        return torch.ones(())

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_model(model, step, validation_loss, epochs=1, patience=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert seen == [(True, True, 1), (False, False, 1)]


def test_number_of_threads_is_restored_after_an_error() -> None:
    def step(epoch: int) -> dict[str, float]:
        raise KeyError(torch.get_num_threads())

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError, match="1"):
            train_model(linear(3, seed=0), step, lambda _: torch.ones(()), epochs=1, patience=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_gradient_is_the_closed_form_of_logistic_regression_and_accumulates_nothing() -> None:
    batch, model = double_batch(50, seed=0), linear(3, seed=1).double()
    residual = (torch.sigmoid(model(batch.X)) - batch.y).detach()  # (n, 1)
    closed_form = torch.cat([(residual * batch.X).mean(dim=0), residual.mean(dim=0)])
    torch.testing.assert_close(gradient(model, weighted_loss(batch)), closed_form, atol=DOUBLE, rtol=0)
    assert all(p.grad is None for p in model.parameters())
