"""The differentiable inner loop: a model after steps of gradient descent, in the graph of its initial weights.

There are two ways to compute it. ``functional`` calls the model with other weights through
``torch.func.functional_call``; ``higher`` patches a copy of the model through the library of this name, which costs
about a millisecond for each loop and is what the first one is tested against: their gradients are the same, bit for
bit, because torch computes the same operations in the same order.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

import torch
from torch import Tensor, nn
from torch.func import functional_call

with warnings.catch_warnings():
    # higher 0.2.1 compares an int with "is" and holds an invalid escape; both are reported when it is first compiled.
    warnings.filterwarnings("ignore", category=SyntaxWarning)
    warnings.filterwarnings("ignore", "invalid escape sequence", DeprecationWarning)
    import higher

State = Mapping[str, Tensor]
"""Weights or buffers of a module by name."""

Slopes = Sequence[Optional[Tensor]]
"""A gradient for each weight, in order; None where the loss does not depend on it."""


class Adapted:
    """A model with the final weights of an inner loop: it returns logits, and gradients reach the initial weights."""

    def __init__(self, model: nn.Module, weights: State, buffers: State, slopes: Slopes) -> None:
        """Keep what the loop ended with.

        Args:
            model: the module whose structure and initial weights it has.
            weights: at the end.
            buffers: at the end.
            slopes: the gradients of the first step, free of the graph.
        """
        self._model, self._weights, self._buffers, self._slopes = model, weights, buffers, slopes

    def __call__(self, features: Tensor) -> Tensor:
        """Return the logits (n, 1) of features (n, d)."""
        logit: Tensor = functional_call(self._model, {**self._weights, **self._buffers}, (features,))
        return logit

    def parameters(self) -> list[Tensor]:
        """Return the adapted weights, in the order of the model's parameters; they are part of the graph."""
        return list(self._weights.values())

    def first_gradient(self) -> Tensor:
        """Return the gradient (p,) that the first inner step followed, that of its loss at the initial weights.

        Raises:
            ValueError: the loop had no step, or its loss does not depend on one of the weights.
        """
        if not self._slopes or None in self._slopes:
            raise ValueError("the inner loop has no first gradient: it needs a step whose loss depends on every weight")
        return torch.cat([slope.reshape(-1) for slope in self._slopes if slope is not None])

    def detached(self) -> nn.Module:
        """Return an ordinary module with a copy of the adapted weights, free of the graph."""
        module = copy.deepcopy(self._model)
        ends = {**self._weights, **self._buffers}
        with torch.no_grad():
            for name, mine in [*module.named_parameters(), *module.named_buffers()]:
                mine.copy_(ends[name])
        return module


def unroll(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    *,
    steps: int,
    lr: float,
    first_order: bool = False,
    after_step: Optional[Callable[[nn.Module], None]] = None,
    inner_loop: str = "functional",
) -> Adapted:
    """Return the model after inner steps of gradient descent, theta <- theta - lr * grad loss(theta).

    ``backward()`` on a loss of the result adds to ``.grad`` of the model's own parameters, which stay as they are.

    Args:
        model: the module to start from.
        loss: module -> scalar; it is called once for each step, with a module that has the weights of that step and
            is valid during the call only.
        steps: number of inner steps, I >= 0.
        lr: inner learning rate.
        first_order: treat the derivative of the final by the initial weights as the identity, so that the gradient of a
            loss at the adapted weights reaches the model's parameters unchanged (first-order MAML). No gradient then
            flows through the inner loop, nor to anything that ``loss`` itself depends on.
        after_step: called with such a module after each step, e.g. to update a multiplier that ``loss`` reads. What it
            computes stays in the graph, but the next step treats it as a constant: the gradient of that step is by the
            weights in ``loss`` only, as in primal-dual methods.
        inner_loop: ``functional`` or ``higher``: how to compute it. The results agree bit for bit.

    Raises:
        ValueError: the inner loop is unknown.

    References:
        Finn, Abbeel and Levine (2017), Model-agnostic meta-learning, eq. 1 and section 5.2 (first order).
    """
    if inner_loop not in INNER_LOOPS:
        raise ValueError(f"inner_loop is {inner_loop!r}; it must be one of {', '.join(INNER_LOOPS)}")
    loop = INNER_LOOPS[inner_loop](model, lr, not first_order)
    for _ in range(steps):
        if after_step is not None:  # other tensors of the same values, on which nothing computed so far depends
            loop.weights = [weight.view_as(weight) for weight in loop.weights]
        loop.step(loss)
        if after_step is not None:
            loop.apply(after_step)
    ends = loop.weights
    if first_order:
        # The graph is cut at every step, which leaves the end a leaf of its own: tie it to the start again, with
        # derivative one. p - p.detach() is exactly 0, so that the adapted weights keep their bits.
        ends = [end.detach() + (start - start.detach()) for end, start in zip(ends, model.parameters())]
    names = [name for name, _ in model.named_parameters()]
    return Adapted(model, dict(zip(names, ends)), loop.buffers, loop.first)


def _detached(slopes: Slopes) -> Slopes:
    return tuple(None if slope is None else slope.detach() for slope in slopes)


class _Functional:
    """The inner loop through ``torch.func.functional_call`` and ``torch.autograd.grad``."""

    def __init__(self, model: nn.Module, lr: float, track: bool) -> None:
        """Start at the weights of the model; ``track`` keeps the steps in the graph."""
        self._lr, self._track, self._call = lr, track, _Call(model)
        self._names = [f"model.{name}" for name, _ in model.named_parameters()]
        self.weights: Sequence[Tensor] = [weight.clone() for weight in model.parameters()]
        self.buffers: State = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
        self.first: Slopes = ()

    def apply(self, function: Callable[[nn.Module], Any]) -> Any:
        """Return what a function computes from the module with the present weights and buffers."""
        buffers = {f"model.{name}": buffer for name, buffer in self.buffers.items()}
        return functional_call(self._call, {**dict(zip(self._names, self.weights)), **buffers}, (function,))

    def step(self, loss: Callable[[nn.Module], Tensor]) -> None:
        """Descend the loss once."""
        targets = [weight for weight in self.weights if weight.requires_grad]
        found = iter(torch.autograd.grad(self.apply(loss), targets, create_graph=self._track, allow_unused=True))
        slopes = [next(found) if weight.requires_grad else None for weight in self.weights]
        self.first = self.first or _detached(slopes)
        ends = [
            weight if slope is None else weight + (-self._lr * slope) for weight, slope in zip(self.weights, slopes)
        ]
        self.weights = (
            ends
            if self._track
            else [end.detach().requires_grad_(weight.requires_grad) for end, weight in zip(ends, self.weights)]
        )


class _Call(nn.Module):
    """Functions of a module, as a module that ``functional_call`` can compute with other weights."""

    def __init__(self, model: nn.Module) -> None:
        """Keep the module."""
        super().__init__()
        self.model = model

    def forward(self, function: Callable[[nn.Module], Any]) -> Any:
        """Return what the function computes from the module."""
        return function(self.model)


class _Higher:
    """The inner loop through ``higher``."""

    def __init__(self, model: nn.Module, lr: float, track: bool) -> None:
        """Start at the weights of the model; ``track`` keeps the steps in the graph."""
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        loop = higher.innerloop_ctx(model, optimizer, copy_initial_weights=False, track_higher_grads=track)
        with loop as (self._functional, self._inner):  # leaving it changes nothing
            self.first: Slopes = ()

    @property
    def weights(self) -> Sequence[Tensor]:
        """The present weights."""
        return list(self._functional.fast_params)

    @weights.setter
    def weights(self, weights: Sequence[Tensor]) -> None:
        self._functional.update_params(weights)

    @property
    def buffers(self) -> State:
        """The present buffers."""
        return dict(self._functional.named_buffers())

    def apply(self, function: Callable[[nn.Module], Any]) -> Any:
        """Return what a function computes from the module with the present weights and buffers."""
        return function(self._functional)

    def step(self, loss: Callable[[nn.Module], Tensor]) -> None:
        """Descend the loss once."""

        def keep(slopes: list[Optional[Tensor]]) -> list[Optional[Tensor]]:
            self.first = self.first or _detached(slopes)
            return slopes

        frozen = [not weight.requires_grad for weight in self.weights]
        self._inner.step(loss(self._functional), grad_callback=keep)
        for weight, stays in zip(self.weights, frozen):  # without a graph, higher lets all weights move from now on
            if stays:
                weight.requires_grad_(False)


INNER_LOOPS: Mapping[str, Callable[[nn.Module, float, bool], Any]] = {"functional": _Functional, "higher": _Higher}
"""The ways to compute the inner loop, by the name that the argument ``inner_loop`` of ``unroll`` takes."""
