"""Multi-layer perceptrons for tables, whose mini-batch gradient is written out: no graph is built for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
MANY_ROWS, FEW_UNITS = 1024, 16  # where a product by columns begins to pay


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as seeded here; afterwards its state is as found."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the accelerators' generators as well
        yield


def linear(n_features: int, *, seed: int) -> Perceptron:
    """Return a linear model, X (n, n_features) -> logits (n, 1); the first weights come from the seed."""
    return mlp(n_features, (), seed=seed)


def mlp(n_features: int, hidden: Sequence[int], activation: str = "relu", *, seed: int) -> Perceptron:
    """Return a multi-layer perceptron, X (n, n_features) -> logits (n, 1).

    Args:
        n_features: columns of X.
        hidden: width of each hidden layer, the first one first; none for a linear model.
        activation: ``relu`` or ``tanh``, after each hidden layer.
        seed: of the first weights (torch's default initialisation).

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
    """Linear layers with an activation between them, X (n, d) -> logits (n, 1); ``mlp`` makes them."""

    def backpropagate(self, features: Tensor, labels: Tensor) -> Tensor:
        """Set ``.grad`` of every parameter to the gradient of the mean binary cross-entropy, and return that mean.

        The same bits as from ``zero_grad`` and ``backward``, faster on mini-batches, where torch's bookkeeping costs
        more than the sums. Many rows go through torch's graph, which is then as fast.

        Args:
            features: (n, d).
            labels: (n, 1), of the features' type.
        """
        if len(features) >= MANY_ROWS:
            loss: Tensor = cross_entropy(self(features), labels)
            self.zero_grad()
            torch.autograd.backward(loss)
            return loss.detach()
        layers = [(part.weight, part.bias) for part in self if isinstance(part, nn.Linear)]
        kinds = [_KINDS[type(part)] for part in self if type(part) in _KINDS]
        with torch.no_grad():
            inputs = [features]  # of each layer
            for (weight, bias), (activate, _) in zip(layers, kinds):
                inputs.append(activate(torch.addmm(bias, inputs[-1], weight.t())))
            weight, bias = layers[-1]
            logits = torch.addmm(bias, inputs[-1], weight.t())
            slope = (logits.sigmoid() - labels).div_(len(labels))  # of the mean, by what the layer puts out
            for place in range(len(layers) - 1, -1, -1):
                weight, bias = layers[place]
                weight.grad, bias.grad = slope.t().mm(inputs[place]), slope.sum(0)
                if place:
                    _, before = kinds[place - 1]
                    slope = before(slope.mm(weight), inputs[place])
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


class _Linear(nn.Linear):
    """A linear layer; few units times many rows are multiplied with the rows as columns, which is up to 1.8x faster."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, n_out) for features (n, n_in)."""
        if len(features) < MANY_ROWS or self.out_features > FEW_UNITS:
            return super().forward(features)
        return torch.addmm(self.bias.unsqueeze(1), self.weight, features.T).T
