"""Multi-layer perceptrons for tables, with gradients computed directly instead of through torch's graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Callable, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
"""The activation layers of ``mlp``, by the name that its argument ``activation`` takes."""

MANY_ROWS, FEW_UNITS = 1024, 16  # where a product by columns begins to pay


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Use torch's CPU generator with this seed in the block, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the accelerators' generators as well
        yield


def linear(n_features: int, *, seed: int) -> Perceptron:
    """Return a linear model, X (n, n_features) -> logits (n, 1); the initial weights come from the seed."""
    return mlp(n_features, (), seed=seed)


def mlp(n_features: int, hidden: Sequence[int], activation: str = "relu", *, seed: int) -> Perceptron:
    """Return a multi-layer perceptron, X (n, n_features) -> logits (n, 1).

    Args:
        n_features: columns of X.
        hidden: width of each hidden layer, the first one first; none for a linear model.
        activation: ``relu`` or ``tanh``, after each hidden layer.
        seed: seed of the initial weights (torch's default initialisation).

    Raises:
        ValueError: the activation is unknown, or a width is below 1.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")
    if any(width < 1 for width in hidden):
        raise ValueError(f"hidden is {tuple(hidden)}; every layer needs at least one unit")
    widths = [n_features, *hidden]
    layers: list[nn.Module] = []
    with seeded(seed):
        for n_in, n_out in zip(widths, widths[1:]):
            layers += [_Linear(n_in, n_out), ACTIVATIONS[activation]()]
        return Perceptron(*layers, _Linear(widths[-1], 1))


class Perceptron(nn.Sequential):
    """Linear layers with activations between them, X (n, d) -> logits (n, 1); ``mlp`` creates it."""

    def backpropagate(self, features: Tensor, labels: Tensor) -> Tensor:
        """Set ``.grad`` of every parameter to the gradient of the mean binary cross-entropy, and return that mean.

        The result is bit for bit that of ``zero_grad`` and ``backward``, but faster on mini-batches, where torch's
        bookkeeping costs more than the sums. Many rows go through torch's graph, which is then as fast.

        Args:
            features: (n, d).
            labels: (n, 1), of the features' type.
        """
        if len(features) >= MANY_ROWS:
            loss: Tensor = cross_entropy(self(features), labels)
            self.zero_grad()
            torch.autograd.backward(loss)
            return loss.detach()
        gradients, logits = Layers(self).gradients(features, labels)
        for parameter, gradient in zip(self.parameters(), gradients):
            parameter.grad = gradient
        mean: Tensor = cross_entropy(logits, labels)
        return mean


def _before_relu(slope: Tensor, output: Tensor) -> Tensor:
    before: Tensor = torch.ops.aten.threshold_backward.default(slope, output, 0)
    return before


# How to activate in place, and the slope by an activation's input from that by its output and the output.
_KINDS: Mapping[type[nn.Module], tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    nn.ReLU: (torch.relu_, _before_relu),
    nn.Tanh: (torch.tanh_, torch.ops.aten.tanh_backward.default),
}


class _Layer(NamedTuple):
    """A linear layer and the activation after it, if there is one: see ``_KINDS``."""

    bias: Tensor
    weight: Tensor
    across: Tensor  # the weight, transposed
    activate: Callable[[Tensor], Tensor] | None
    before: Callable[[Tensor, Tensor], Tensor] | None


class Layers:
    """Linear layers with their activations, looked up once, for passes that build no graph of torch's.

    To look a layer's weight up costs as much as a small product with it. What a pass returns is bit for bit what
    torch's graph gives. Later passes see steps that move the parameters in place, and no other tensors in their place.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        """Look the layers up.

        Args:
            layers: linear ones, each followed by an activation of ``ACTIVATIONS`` or by none; the first one is linear.
        """
        self._layers: list[_Layer] = []
        for layer in layers:
            if isinstance(layer, nn.Linear):
                weight = layer.weight.detach()
                self._layers.append(_Layer(layer.bias.detach(), weight, weight.t(), None, None))
            else:
                activate, before = _KINDS[type(layer)]
                self._layers[-1] = self._layers[-1]._replace(activate=activate, before=before)

    def __len__(self) -> int:
        """Return the number of linear layers."""
        return len(self._layers)

    def trace(self, features: Tensor) -> list[Tensor]:
        """Return the features (n, d) followed by the output of each linear layer with its activation, in order."""
        kept = [features]
        for layer in self._layers:
            output = torch.addmm(layer.bias, kept[-1], layer.across)
            kept.append(output if layer.activate is None else layer.activate(output))
        return kept

    def backward(
        self, kept: Sequence[Tensor], slope: Tensor, *, weights: bool = True, inputs: bool = True
    ) -> tuple[list[Tensor], Tensor]:
        """Return the gradients of a loss with respect to the parameters, in order, and to the features.

        Args:
            kept: what ``trace`` returned.
            slope: gradient of the loss by the output of the layers.
            weights: whether to compute the parameters' gradients; if not, the list is empty.
            inputs: whether to compute the gradient with respect to the features; if not, that with respect to the
                output of the first linear layer is returned in its place, which saves one product.
        """
        gradients: list[Tensor] = []
        for place in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[place]
            if layer.before is not None:
                slope = layer.before(slope, kept[place + 1])
            if weights:
                gradients += [slope.sum(0), slope.t().mm(kept[place])]
            if place or inputs:
                slope = slope.mm(layer.weight)
        return gradients[::-1], slope

    def gradients(self, features: Tensor, labels: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the gradients of the mean binary cross-entropy, in the order of the parameters, and the logits (n, 1).

        Args:
            features: (n, d).
            labels: (n, 1).
        """
        kept = self.trace(features)
        slope = kept[-1].sigmoid().sub_(labels).div_(labels.shape[0])  # of the mean, by the logits
        return self.backward(kept, slope, inputs=False)[0], kept[-1]


class _Linear(nn.Linear):
    """A linear layer; few units times many rows are multiplied with the rows as columns, which is up to 1.8x faster."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, n_out) for features (n, n_in)."""
        if len(features) < MANY_ROWS or self.out_features > FEW_UNITS:
            return super().forward(features)
        return torch.addmm(self.bias.unsqueeze(1), self.weight, features.T).T
