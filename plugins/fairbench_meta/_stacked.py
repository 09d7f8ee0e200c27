"""FaAlGrad's training for many settings at once: members of one shape, on the same rows, as one computation.

The rows are multiplied with the first layers of all members in one product, and the other layers side by side. A member
that stops early leaves the computation with the weights of its best epoch. The results equal those of training one
member after another up to the rounding of float32, because sums are added in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import cosine_similarity

from fairbench.api.torch import Batch

from ._members import Curves, train_members

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's
ACTIVATE = {"relu": torch.relu, "tanh": torch.tanh}


@dataclass(frozen=True, eq=False)
class Shared:
    """What the members of a stack share.

    Args:
        support: rows of the inner loop.
        query: rows of the outer loop.
        validation: rows on which the loss is watched.
        activation: ``relu`` or ``tanh``.
        inner_steps: of each epoch.
        epochs: the largest number.
        patience: epochs without a smaller validation loss before a member stops.
        first_order: leave out the second derivatives.
        record_cosine: record the cosine of the two parts' gradients.
    """

    support: Batch
    query: Batch
    validation: Batch
    activation: str
    inner_steps: int
    epochs: int
    patience: int
    first_order: bool
    record_cosine: bool

    def losses(self, weights: Sequence[Tensor], rows: Batch) -> Tensor:
        """Return the mean cross-entropy (M,) of each of M members, weights (M, n_out, n_in) and biases (M, n_out)."""
        first, bias = weights[0], weights[1]
        members, units, _ = first.shape
        output = torch.addmm(bias.reshape(-1, 1), first.reshape(members * units, -1), rows.X.T)
        output = output.reshape(members, units, -1)  # (M, units, n)
        for weight, bias in zip(weights[2::2], weights[3::2]):
            output = torch.baddbmm(bias.unsqueeze(2), weight, ACTIVATE[self.activation](output))
        logit = output.squeeze(1)
        return cross_entropy(logit, rows.y.T.expand_as(logit), reduction="none").mean(1)

    def slopes(self, weights: Sequence[Tensor], rows: Batch, *, graph: bool = False) -> list[Tensor]:
        """Return the gradients of each member's own loss."""
        return list(torch.autograd.grad(self.losses(weights, rows).sum(), weights, create_graph=graph))


@dataclass(eq=False)
class _Members:
    """The members that still train: their places in the stack, weights, Adam's moments and learning rates (M,)."""

    places: list[int]
    weights: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]
    inner_lr: Tensor
    outer_lr: Tensor

    def without(self, stopped: set[int]) -> _Members:
        """Return the members at the other places."""
        kept = torch.tensor([place not in stopped for place in self.places])
        parts = ([tensor.detach()[kept] for tensor in part] for part in (self.weights, self.first, self.second))
        places = [place for place in self.places if place not in stopped]
        weights, first, second = parts
        for weight in weights:
            weight.requires_grad_()
        return _Members(places, weights, first, second, self.inner_lr[kept], self.outer_lr[kept])


def train_together(
    models: Sequence[nn.Sequential], shared: Shared, inner_lr: Sequence[float], outer_lr: Sequence[float]
) -> list[Curves]:
    """Train the models as FaAlGrad does, leave each with the weights of its best epoch, and return their curves.

    Args:
        models: M perceptrons of one shape.
        shared: rows and settings.
        inner_lr: a rate for each model.
        outer_lr: a rate for each model.

    Raises:
        ArithmeticError: a model never has a finite validation loss.
    """
    weights = [torch.stack([w.detach() for w in same]) for same in zip(*(model.parameters() for model in models))]
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    rates = (torch.tensor(lr, dtype=torch.float32) for lr in (inner_lr, outer_lr))
    everyone = list(range(len(models)))
    active = _Members(everyone, [weight.requires_grad_() for weight in weights], first, second, *rates)

    def epoch(number: int, places: list[int]) -> dict[str, Tensor]:
        nonlocal active
        if places != active.places:
            active = active.without(set(active.places) - set(places))
        measured = _outer_step(active, shared, number + 1)
        with torch.no_grad():
            return {"validation_loss": shared.losses(active.weights, shared.validation), **measured}

    @torch.no_grad()
    def keep(position: int, place: int) -> None:
        for mine, stacked in zip(models[place].parameters(), active.weights):
            mine.copy_(stacked[position])

    names = [f"inner_lr={inner:g} and outer_lr={outer:g}" for inner, outer in zip(inner_lr, outer_lr)]
    return train_members(names, epoch, keep, epochs=shared.epochs, patience=shared.patience)


def _outer_step(active: _Members, shared: Shared, number: int) -> dict[str, Tensor]:
    """Move the members' weights once, and return the loss on the query rows and the cosine, (M,) each."""
    measured, ends, seen = {}, active.weights, None
    for _ in range(shared.inner_steps):
        slopes = shared.slopes(ends, shared.support, graph=not shared.first_order)
        seen = seen or [slope.detach() for slope in slopes]
        ends = [end - _beside(active.inner_lr, slope) * slope for end, slope in zip(ends, slopes)]
        if shared.first_order:
            ends = [end.detach().requires_grad_() for end in ends]
    loss = shared.losses(ends, shared.query)
    wanted = ends if shared.first_order else active.weights
    gradients = torch.autograd.grad(loss.sum(), wanted)
    measured["query_loss"] = loss.detach()
    if shared.record_cosine:
        by_support = seen or shared.slopes(active.weights, shared.support)
        measured["gradient_cosine"] = cosine_similarity(
            _vectors(by_support), _vectors(shared.slopes(active.weights, shared.query)), dim=1
        )
    with torch.no_grad():
        step_size = active.outer_lr / (1 - BETA1**number)
        for weight, gradient, first, second in zip(active.weights, gradients, active.first, active.second):
            first.lerp_(gradient, 1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            spread = (second.sqrt() / math.sqrt(1 - BETA2**number)).add_(EPSILON)
            weight.sub_(_beside(step_size, weight) * first / spread)
    return measured


def _beside(values: Tensor, tensor: Tensor) -> Tensor:
    """Return values (M,) with as many axes as a tensor (M, ...)."""
    return values.reshape(-1, *[1] * (tensor.dim() - 1))


def _vectors(slopes: Sequence[Tensor]) -> Tensor:
    """Return the gradients of each member as a vector, (M, p)."""
    return torch.cat([slope.flatten(1) for slope in slopes], dim=1)
