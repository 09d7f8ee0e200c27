"""FaAlGrad's gradients with the derivatives of its inner steps written out, for ReLU networks.

Torch's graph takes new memory for every inner step, and a small network costs it more in bookkeeping than in products.
Here the memory stays from epoch to epoch. The products are those of the graph, in the same layouts, and are added in
the same order, so the results have the graph's bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.perceptron import FEW_UNITS, MANY_ROWS
from fairbench.api.torch import Batch, Perceptron

Weights = Sequence[Tensor]
"""Weight (n_out, n_in) and bias (n_out,) of each layer, in order."""


class Rows:
    """Rows on which networks of some widths have their mean cross-entropy; values are (n, units).

    Args:
        batch: the rows, X (n, d) and y (n, 1).
        widths: units of each layer; the last one has 1.
        passes: how many passes, under different weights, are kept for ``carry_back``.
    """

    graph_adds_forward_last = False

    def __init__(self, batch: Batch, widths: Sequence[int], passes: int = 1) -> None:
        """Take the memory of all passes."""
        self.n, self.X, self.y = len(batch), self.turned(batch.X), self.turned(batch.y)
        self.outputs, self.slopes = ([self._memory(widths) for _ in range(passes)] for _ in range(2))
        self._along, self._back, self._spare = (self._memory(widths) for _ in range(3))
        self._scores = [self._memory(widths[-1:])[0] for _ in range(passes)]

    def _memory(self, widths: Sequence[int]) -> list[Tensor]:
        return [self.turned(torch.empty(self.n, units)) for units in widths]

    def gradient(self, weights: Weights, number: int = 0) -> list[Tensor]:
        """Return the derivative of the loss by the weights, and keep this pass under its number."""
        outputs, slopes = self.outputs[number], self.slopes[number]
        values, last = self.X, len(outputs) - 1
        for place, out in enumerate(outputs):
            values = self.layer(weights[2 * place], weights[2 * place + 1], values, out)
            if place < last:
                torch.relu_(values)
        torch.sigmoid(values, out=self._scores[number])
        torch.sub(self._scores[number], self.y, out=slopes[last]).div_(self.n)
        found: list[Tensor] = []
        for place in range(last, -1, -1):
            found[:0] = [self.by_weight(slopes[place], self._inputs(number, place)), self.by_bias(slopes[place])]
            if place:
                before = self.by_input(weights[2 * place], slopes[place], slopes[place - 1])
                _mask(before, outputs[place - 1])
        return found

    def loss(self, number: int = 0) -> Tensor:
        """Return the loss of a pass."""
        return cross_entropy(self.turned(self.outputs[number][-1]), self.turned(self.y))

    def carry_back(self, weights: Weights, after: Weights, lr: float, number: int) -> list[Tensor]:
        """Return the derivative by the weights before an inner step, given that by the weights after it.

        Args:
            weights: before the step.
            after: derivative of the outer loss by the weights after the step, weights - lr * gradient.
            lr: of the inner loop.
            number: of the step's pass.
        """
        outputs, slopes, last = self.outputs[number], self.slopes[number], len(self.slopes[number]) - 1
        by_slope = [each * -lr for each in after]
        in_backward: list[Tensor] = []  # what reaches the weights of the later layers through the backward pass
        for place in range(last + 1):  # the backward pass, from its end to its beginning
            weight, towards, along = weights[2 * place], by_slope[2 * place], self._along[place]
            ways = [(towards, self._inputs(number, place))]
            if place:
                before = self._along[place - 1]
                ways.append((weight, before))
                in_backward.append(self.by_weight(slopes[place], before))
                self.by_input(towards, slopes[place], self._back[place - 1])
            if self.graph_adds_forward_last:
                ways.reverse()
            self.plus(by_slope[2 * place + 1], self.times(*ways[0], along))
            for way in ways[1:]:
                along.add_(self.times(*way, self._spare[place]))
            if place < last:
                _mask(along, outputs[place])
        by_output = self._along[last].div_(self.n)
        torch.ops.aten.sigmoid_backward.grad_input(by_output, self._scores[number], grad_input=by_output)
        found = list(after)
        for place in range(last, -1, -1):  # the forward pass
            in_forward = self.by_weight(by_output, self._inputs(number, place))
            found[2 * place] = self._sum(after[2 * place], in_backward[place - 1 : place], in_forward)
            found[2 * place + 1] = after[2 * place + 1] + self.by_bias(by_output)
            if place:
                through = self.by_input(weights[2 * place], by_output, self._spare[place - 1])
                by_output = self._back[place - 1].add_(through)
                _mask(by_output, outputs[place - 1])
        return found

    def _inputs(self, number: int, place: int) -> Tensor:
        return self.outputs[number][place - 1] if place else self.X

    def _sum(self, after: Tensor, in_backward: Sequence[Tensor], in_forward: Tensor) -> Tensor:
        if not in_backward:
            return after + in_forward
        if self.graph_adds_forward_last:
            return (after + in_backward[0]) + in_forward
        return after + (in_backward[0] + in_forward)

    @staticmethod
    def turned(values: Tensor) -> Tensor:
        """Return values (n, units) in the layout of this class, or back."""
        return values

    @staticmethod
    def layer(weight: Tensor, bias: Tensor, values: Tensor, out: Tensor) -> Tensor:
        """Return a layer's output."""
        return torch.addmm(bias, values, weight.t(), out=out)

    @staticmethod
    def times(weight: Tensor, values: Tensor, out: Tensor) -> Tensor:
        """Return a layer's output without the bias."""
        return torch.mm(values, weight.t(), out=out)

    @staticmethod
    def plus(bias: Tensor, values: Tensor) -> None:
        """Add a bias to a layer's output."""
        values.add_(bias)

    @staticmethod
    def by_weight(by_output: Tensor, inputs: Tensor) -> Tensor:
        """Return the derivative by a layer's weight, given that by its output."""
        return by_output.t().mm(inputs)

    @staticmethod
    def by_bias(by_output: Tensor) -> Tensor:
        """Return the derivative by a layer's bias, given that by its output."""
        return by_output.sum(0)

    @staticmethod
    def by_input(weight: Tensor, by_output: Tensor, out: Tensor) -> Tensor:
        """Return the derivative by a layer's input, given that by its output."""
        return torch.mm(by_output, weight, out=out)


class Columns(Rows):
    """The same with values (units, n), as the layers of ``mlp`` compute few units of many rows."""

    graph_adds_forward_last = True

    @staticmethod
    def turned(values: Tensor) -> Tensor:
        """Return values (n, units) as (units, n), or back."""
        return values.t()

    def _memory(self, widths: Sequence[int]) -> list[Tensor]:
        return [torch.empty(units, self.n) if units > 1 else torch.empty(self.n, units).t() for units in widths]

    @staticmethod
    def layer(weight: Tensor, bias: Tensor, values: Tensor, out: Tensor) -> Tensor:
        """Return a layer's output."""
        return torch.addmm(bias.unsqueeze(1), weight, values, out=out)

    @staticmethod
    def times(weight: Tensor, values: Tensor, out: Tensor) -> Tensor:
        """Return a layer's output without the bias."""
        if len(weight) == 1:  # the graph's choice, which can have other bits
            return torch.mm(values.t(), weight.t(), out=out.t()).t()
        return torch.mm(weight, values, out=out)

    @staticmethod
    def plus(bias: Tensor, values: Tensor) -> None:
        """Add a bias to a layer's output."""
        values.add_(bias.unsqueeze(1))

    @staticmethod
    def by_weight(by_output: Tensor, inputs: Tensor) -> Tensor:
        """Return the derivative by a layer's weight, given that by its output."""
        return by_output.mm(inputs.t())

    @staticmethod
    def by_bias(by_output: Tensor) -> Tensor:
        """Return the derivative by a layer's bias, given that by its output."""
        return by_output.sum(1)

    @staticmethod
    def by_input(weight: Tensor, by_output: Tensor, out: Tensor) -> Tensor:
        """Return the derivative by a layer's input, given that by its output."""
        return torch.mm(weight.t(), by_output, out=out)


def _mask(slope: Tensor, output: Tensor) -> None:
    """Set the derivative by a layer's output to that by the input of its ReLU."""
    torch.ops.aten.threshold_backward.grad_input(slope, output, 0, grad_input=slope)


class Outer(NamedTuple):
    """What an epoch computes at the weights: the loss on the query rows after the inner steps, and gradients.

    Args:
        loss: after the inner steps.
        gradient: of that loss by each weight and bias before the inner steps.
        plain: gradients (p,) of the support loss and of the query loss without any inner step; None if not wanted.
    """

    loss: Tensor
    gradient: Weights
    plain: Optional[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class InnerLoop:
    """Settings of the inner loop.

    Args:
        steps: of gradient descent.
        lr: of the steps.
        first_order: take the derivative of the last weights by the first ones to be the identity.
        plain: compute the plain gradients too.
    """

    steps: int
    lr: float
    first_order: bool
    plain: bool


def written_out(model: Perceptron, support: Batch, query: Batch, loop: InnerLoop) -> Optional[Callable[[], Outer]]:
    """Return what computes an epoch from the model's weights; None where the graph can have other bits.

    That is so with other activations than ReLU, and with wide layers on many rows. A linear model is left to it too.
    """
    widths = [layer.out_features for layer in model if isinstance(layer, nn.Linear)]
    wide = max(widths) > FEW_UNITS and max(len(support), len(query)) >= MANY_ROWS
    if len(widths) == 1 or wide or any(isinstance(layer, nn.Tanh) for layer in model):
        return None
    passes = 1 if loop.first_order else max(loop.steps, 1)
    inner, outer = (
        (Columns if len(batch) >= MANY_ROWS else Rows)(batch, widths, count)
        for batch, count in ((support, passes), (query, 1))
    )

    @torch.no_grad()
    def epoch() -> Outer:
        seen: list[Weights] = [[weight.detach() for weight in model.parameters()]]
        by_support: Weights = ()
        for step in range(loop.steps):
            slopes = inner.gradient(seen[-1], 0 if loop.first_order else step)
            by_support = by_support or slopes
            seen.append([weight + (-loop.lr * slope) for weight, slope in zip(seen[-1], slopes)])
        plain = None
        if loop.plain:
            plain = _vector(by_support or inner.gradient(seen[0])), _vector(outer.gradient(seen[0]))
        gradient = outer.gradient(seen[-1])
        if not loop.first_order:
            for step in reversed(range(loop.steps)):
                gradient = inner.carry_back(seen[step], gradient, loop.lr, step)
        return Outer(outer.loss(), gradient, plain)

    return epoch


def _vector(slopes: Weights) -> Tensor:
    return torch.cat([slope.reshape(-1) for slope in slopes])
