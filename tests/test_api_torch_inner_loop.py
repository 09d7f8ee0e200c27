"""The differentiable inner loop against hand-written double backwards, finite differences and its own expansion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Samples, Schema
from fairbench.api.torch import Batch, as_batch, gradient, linear, mlp, unroll, weighted_loss

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


def meta_gradient(
    model: torch.nn.Module, support: Batch, query: Batch, steps: int, lr: float, **options
) -> torch.Tensor:
    """Return the gradient of the query loss after the inner loop, through ``unroll``."""
    model.zero_grad()
    weighted_loss(query)(unroll(model, weighted_loss(support), steps=steps, lr=lr, **options)).backward()
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()])


def one_hidden_layer(weights: list[torch.Tensor], features: torch.Tensor, activation: str) -> torch.Tensor:
    """Return logits by matrix products, independent of modules and of higher."""
    w1, b1, w2, b2 = weights
    return getattr(torch, activation)(features @ w1.T + b1) @ w2.T + b2


def end_by_hand(model: torch.nn.Module, support: Batch, steps: int, lr: float, activation: str) -> tuple[list, list]:
    """Return the starting weights and those after the inner loop, both in one graph, by plain autograd."""
    start = [p.detach().clone().requires_grad_() for p in model.parameters()]
    end = start
    for _ in range(steps):
        loss = cross_entropy(one_hidden_layer(end, support.X, activation), support.y)
        end = [w - lr * g for w, g in zip(end, torch.autograd.grad(loss, end, create_graph=True))]
    return start, end


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_meta_gradient_equals_a_hand_written_double_backward(steps: int, activation: str) -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model = mlp(3, (8,), activation, seed=2).double()
    before = weights_of(model)
    ours = meta_gradient(model, support, query, steps, 0.3)
    start, end = end_by_hand(model, support, steps, 0.3, activation)
    loss = cross_entropy(one_hidden_layer(end, query.X, activation), query.y)
    by_hand = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, start)])
    torch.testing.assert_close(ours, by_hand, atol=DOUBLE, rtol=0)
    assert torch.equal(weights_of(model), before)


def test_meta_gradient_equals_finite_differences_of_the_whole_inner_loop() -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model = mlp(3, (4,), "tanh", seed=2).double()
    ours, start, h = meta_gradient(model, support, query, 3, 0.5), weights_of(model), 1e-5

    def value(vector: torch.Tensor) -> float:
        torch.nn.utils.vector_to_parameters(vector, model.parameters())
        return float(weighted_loss(query)(unroll(model, weighted_loss(support), steps=3, lr=0.5)).detach())

    for i, unit in enumerate(torch.eye(len(start), dtype=torch.float64)):
        difference = (value(start + h * unit) - value(start - h * unit)) / (2 * h)
        assert float(ours[i]) == pytest.approx(difference, abs=1e-8)  # h^2 and rounding / h, both about 1e-10


def test_meta_gradient_aligns_gradients_to_first_order_in_the_inner_rate() -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model = mlp(3, (8,), "tanh", seed=2).double()
    parameters = list(model.parameters())
    by_support = torch.autograd.grad(weighted_loss(support)(model), parameters, create_graph=True)
    by_query = torch.autograd.grad(weighted_loss(query)(model), parameters, create_graph=True)
    product = sum((s * q).sum() for s, q in zip(by_support, by_query))
    expected = torch.cat([g.reshape(-1) for g in torch.autograd.grad(product, parameters)])  # grad(grad L_q . grad L_s)
    plain = gradient(model, weighted_loss(query))
    rates = [1e-2, 1e-3, 1e-4]
    errors = []
    for lr in rates:
        alignment = (meta_gradient(model, support, query, 1, lr) - plain) / -lr
        errors.append(float((alignment - expected).abs().max()))
    assert errors[0] < 0.1 * float(expected.abs().max())
    for larger, smaller in zip(errors, errors[1:]):
        assert larger / smaller == pytest.approx(10, rel=0.1)  # O(lr): what is left of 10 is the next order


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_first_order_gradient_is_that_of_the_query_loss_at_the_adapted_weights(steps: int) -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model = mlp(3, (8,), "relu", seed=2).double()
    ours = meta_gradient(model, support, query, steps, 0.3, first_order=True)
    _, end = end_by_hand(model, support, steps, 0.3, "relu")
    end = [w.detach().requires_grad_() for w in end]
    loss = cross_entropy(one_hidden_layer(end, query.X, "relu"), query.y)
    by_hand = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, end)])
    torch.testing.assert_close(ours, by_hand, atol=DOUBLE, rtol=0)
    adapted = [unroll(model, weighted_loss(support), steps=steps, lr=0.3, first_order=flag) for flag in (True, False)]
    for one, other in zip(*(a.parameters() for a in adapted)):
        assert torch.equal(one, other)
    if steps:
        assert not torch.allclose(ours, meta_gradient(model, support, query, steps, 0.3), atol=1e-4)


@pytest.mark.parametrize(("steps", "lr"), [(0, 0.3), (3, 0.0)])
@pytest.mark.parametrize("first_order", [False, True])
def test_without_inner_movement_the_gradient_is_the_plain_one(steps: int, lr: float, first_order: bool) -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model = mlp(3, (8,), seed=2).double()
    ours = meta_gradient(model, support, query, steps, lr, first_order=first_order)
    torch.testing.assert_close(ours, gradient(model, weighted_loss(query)), atol=DOUBLE, rtol=0)


def test_inner_loop_passes_gradients_to_what_its_loss_depends_on() -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model = linear(3, seed=2).double()

    def outer(log_weight: torch.Tensor) -> torch.Tensor:
        loss = weighted_loss(support, log_weight.exp()[support.group])
        return weighted_loss(query)(unroll(model, loss, steps=3, lr=0.5))

    assert torch.autograd.gradcheck(outer, (torch.tensor([0.1, -0.2], dtype=torch.float64, requires_grad=True),))


def test_what_is_kept_after_a_step_is_given_to_the_next_one_and_stays_in_the_graph() -> None:
    support, query = double_batch(40, seed=0), double_batch(30, seed=1)
    model, rate = linear(3, seed=2).double(), 0.5
    factor = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    kept = [factor]

    def after_step(inner: torch.nn.Module) -> None:
        kept.append(kept[-1] * weighted_loss(support)(inner))

    end = unroll(model, lambda inner: kept[-1] * weighted_loss(support)(inner), steps=3, lr=rate, after_step=after_step)
    ours = torch.autograd.grad(weighted_loss(query)(end), [*model.parameters(), factor])
    # by hand: theta <- theta - rate * m * grad L, then m <- m * L, where grad L never sees that m came from theta
    start = [p.detach().clone().requires_grad_() for p in model.parameters()]
    multiplier = factor.detach().clone().requires_grad_()
    theta, m = start, multiplier

    def loss(weights: list[torch.Tensor], batch: Batch) -> torch.Tensor:
        return cross_entropy(batch.X @ weights[0].T + weights[1], batch.y)

    for _ in range(3):
        residual = ((support.X @ theta[0].T + theta[1]).sigmoid() - support.y) / len(support)
        slopes = [residual.T @ support.X, residual.sum(0)]
        theta = [w - rate * m * slope for w, slope in zip(theta, slopes)]
        m = m * loss(theta, support)
    by_hand = torch.autograd.grad(loss(theta, query), [*start, multiplier])
    for one, other in zip(ours, by_hand):
        torch.testing.assert_close(one, other, atol=DOUBLE, rtol=0)
