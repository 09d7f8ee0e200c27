"""The two ways to compute the inner loop against each other: higher's gradients are the other's, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.torch import INNER_LOOPS, gradient, mlp, unroll

COMBINATIONS = {
    "hidden": st.lists(st.integers(1, 20), max_size=3),
    "activation": st.sampled_from(["relu", "tanh"]),
    "n_features": st.integers(1, 12),
    "rows": st.sampled_from([1, 2, 17, 64, 1100]),  # from 1,024 rows on, narrow layers are multiplied by columns
    "steps": st.integers(0, 10),
    "first_order": st.booleans(),
    "dual": st.booleans(),
    "dtype": st.sampled_from([torch.float32, torch.float64]),
    "seed": st.integers(0, 999),
}


def draw_rows(rows: int, n_features: int, dtype: torch.dtype, seed: int) -> tuple[Tensor, Tensor]:
    """Return normal features and random labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(rows, 1, generator=generator) < 0.5
    return torch.randn(rows, n_features, generator=generator).to(dtype), labels.to(dtype)


def everything(loop: str, model: nn.Module, support, query, steps: int, first_order: bool, dual: bool) -> list[Tensor]:
    """Return the adapted weights and every gradient; those of the model are added to ones that are there."""
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    multiplier = [torch.ones((), dtype=support[0].dtype, requires_grad=True)]
    factor = multiplier[0]

    def loss(inner: nn.Module) -> Tensor:
        return multiplier[-1] * cross_entropy(inner(support[0]), support[1])

    def after_step(inner: nn.Module) -> None:
        raised = multiplier[-1] + 0.1 * cross_entropy(inner(query[0]), query[1])
        multiplier.append(raised.detach() if first_order else raised)

    how = {"steps": steps, "lr": 0.3, "first_order": first_order, "after_step": after_step if dual else None}
    end = unroll(model, loss, **how, inner_loop=loop)
    cross_entropy(end(query[0]), query[1]).backward()
    grads = [parameter.grad for parameter in model.parameters()]
    passed = [] if factor.grad is None else [factor.grad]
    first = [end.first_gradient()] if steps else []
    return [*(weight.detach() for weight in end.parameters()), *end.detached().parameters(), *grads, *passed, *first]


@settings(max_examples=25)
@given(**COMBINATIONS)
def test_both_loops_give_the_same_bits(
    hidden, activation, n_features, rows, steps, first_order, dual, dtype, seed
) -> None:
    support, query = (draw_rows(rows + more, n_features, dtype, seed + more) for more in (0, 1))
    model = mlp(n_features, hidden, activation, seed=seed).to(dtype)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    one, other = (everything(loop, model, support, query, steps, first_order, dual) for loop in INNER_LOOPS)
    assert len(one) == len(other)
    assert all(map(torch.equal, one, other))
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("loop", INNER_LOOPS)
def test_the_first_gradient_is_that_of_the_loss_at_the_initial_weights(loop: str) -> None:
    X, y = draw_rows(40, 3, torch.float32, 0)
    model = mlp(3, (4,), seed=0)

    def loss(inner: nn.Module) -> Tensor:
        return cross_entropy(inner(X), y)

    for first_order in (False, True):
        end = unroll(model, loss, steps=2, lr=0.1, first_order=first_order, inner_loop=loop)
        assert torch.equal(end.first_gradient(), gradient(model, loss))
        assert not end.first_gradient().requires_grad
    with pytest.raises(ValueError, match="it needs a step whose loss depends on every weight"):
        unroll(model, loss, steps=0, lr=0.1, inner_loop=loop).first_gradient()


class Parts(nn.Module):
    """A frozen layer, a normalisation with running means, and two layers that share their weight."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.frozen, self.norm = nn.Linear(3, 3).requires_grad_(False), nn.BatchNorm1d(3)
        self.one, self.same, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.unused = nn.Linear(2, 2)
        self.same.weight = self.one.weight
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, X: Tensor) -> Tensor:
        """Return logits."""
        return self.last(self.same(self.one(self.norm(self.frozen(X))).tanh()))


@pytest.mark.parametrize("first_order", [False, True])
def test_frozen_shared_and_unused_weights_and_buffers_agree_and_the_model_keeps_its_own(first_order: bool) -> None:
    X, y = draw_rows(40, 3, torch.float32, 1)
    seen = []
    for loop in INNER_LOOPS:
        model = Parts()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        end = unroll(
            model,
            lambda inner: cross_entropy(inner(X), y) + inner.last(X).mean(),  # a part can be called too
            steps=3,
            lr=0.2,
            first_order=first_order,
            inner_loop=loop,
        )
        cross_entropy(end(X), y).backward()
        state = end.detached().state_dict()
        assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items())
        assert int(state["norm.num_batches_tracked"]) == 4
        assert torch.equal(state["frozen.weight"], before["frozen.weight"])
        seen.append([*state.values(), *(p.grad for p in model.parameters() if p.grad is not None)])
        with pytest.raises(ValueError, match="no first gradient"):
            end.first_gradient()
    assert len(seen[0]) == len(seen[1])
    assert all(map(torch.equal, *seen))


def test_an_unknown_loop_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="inner_loop is 'fast'; it must be one of functional, higher"):
        unroll(mlp(3, (), seed=0), lambda model: torch.zeros(()), steps=1, lr=0.1, inner_loop="fast")
