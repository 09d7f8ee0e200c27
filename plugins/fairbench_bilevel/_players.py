"""The network whose layers belong to two players, and a player: parameters with an optimiser of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from fairbench.api import NotApplicable
from fairbench.api.torch import seeded

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def block_place(hidden: Sequence[int], fair_layers: Sequence[int], position: int) -> int:
    """Return how many hidden layers precede the fairness block; see ``SplitNetwork`` for the arguments.

    Raises:
        NotApplicable: there is no such position, a width is below 1, or the block does not fit there.
    """
    layers = len(hidden) + 1
    if position > layers:
        raise NotApplicable(
            f"position is {position}; with hidden={tuple(hidden)} it must be 1 to {layers}, the last linear layer "
            "(or 0 for that one)"
        )
    if min((*hidden, *fair_layers), default=1) < 1:
        raise NotApplicable(
            f"hidden={tuple(hidden)}, fair_layers={tuple(fair_layers)}: a layer needs at least one unit"
        )
    before = (position or layers) - 1
    if before:
        check_block(fair_layers, hidden[before - 1], f"hidden layer {before}")
    return before


def check_block(fair_layers: Sequence[int], width: int, where: str) -> None:
    """Refuse a fairness block that does not begin and end with the width of what it follows.

    Raises:
        NotApplicable: it does not.
    """
    if fair_layers and (len(fair_layers) < 2 or fair_layers[0] != width or fair_layers[-1] != width):
        raise NotApplicable(
            f"fair_layers={tuple(fair_layers)} must begin and end with {width}, the width of {where}, and have two or "
            "more entries: n entries make n - 1 layers"
        )


class SplitNetwork(nn.Module):
    """A perceptron with a fairness block inserted: X (n, d) -> logits (n, 1).

    ``before``, ``block`` and ``after`` run in this order. Every linear layer but the last one is followed by ReLU.

    Args:
        n_features: d.
        hidden: widths of the hidden layers of the accuracy player.
        fair_layers: widths of the block, beginning and ending with that of its input (n entries make n - 1 layers);
            none for one square layer.
        position: number of the linear layer of the accuracy player before which the block is inserted, from 1 (the
            block sees the raw features); 0 for the last one.
        seed: for the initial weights (torch's default initialisation).

    References:
        Yazdani-Jahromi et al. (2024), FairBiNN, NeurIPS, table 2.
    """

    def __init__(
        self, n_features: int, hidden: Sequence[int], fair_layers: Sequence[int], position: int, *, seed: int
    ) -> None:
        """Build the layers.

        Raises:
            NotApplicable: the block does not fit.
        """
        super().__init__()
        before = block_place(hidden, fair_layers, position)
        widths = [n_features, *hidden]
        check_block(fair_layers, widths[before], f"hidden layer {before}" if before else "the features")
        with seeded(seed):
            self.before = _relu_layers(widths[: before + 1])
            self.block = _relu_layers(fair_layers or (widths[before], widths[before]))
            self.after = _relu_layers(widths[before:]).append(nn.Linear(widths[-1], 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, 1) of features (n, d)."""
        logit: Tensor = self.after(self.block(self.before(features)))
        return logit

    @property
    def parts(self) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
        """Return the layers in three parts, in the order in which they run."""
        return self.before, self.block, self.after

    def leading(self) -> list[nn.Parameter]:
        """Return the accuracy player's parameters: those before and after the block."""
        return [*self.before.parameters(), *self.after.parameters()]

    def following(self) -> list[nn.Parameter]:
        """Return the fairness player's parameters: those of the block."""
        return list(self.block.parameters())


def _relu_layers(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers)


class Player:
    """Parameters that one optimiser moves along gradients that are handed to it.

    Nothing is read from ``.grad``: which loss moves which player is decided where the gradients are computed. The
    parameters become views of one vector, so that Adam costs a dozen operations rather than a dozen for each layer.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, *, decay: float = 1.0, optimizer: str = "adam"
    ) -> None:
        """Take over the parameters; their values stay the same.

        Args:
            parameters: what the player moves.
            lr: learning rate.
            decay: what the learning rate is multiplied by each time it falls.
            optimizer: ``adam`` or ``sgd`` (plain gradient descent).
        """
        self.parameters = list(parameters)
        self.vector = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        start = 0
        for parameter in self.parameters:
            parameter.data = self.vector[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        self.first = self.vector.clone()
        self.lr, self.decay = lr, decay
        self.optimizer: torch.optim.Optimizer = OPTIMIZERS[optimizer]([self.vector], lr=lr)

    def begin(self, falls: int) -> None:
        """Set the learning rate to its value after this number of decays."""
        self.optimizer.param_groups[0]["lr"] = self.lr * self.decay**falls

    @property
    def rate(self) -> float:
        """Return the learning rate as it is now."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move against the gradients, one for each parameter in their order."""
        self.vector.grad = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self.optimizer.step()

    def move(self, values: Sequence[Tensor]) -> None:
        """Set the parameters to these values, given in their order."""
        self.vector.copy_(torch.cat([value.detach().reshape(-1) for value in values]))

    def displacement(self) -> float:
        """Return the Euclidean distance from the initial weights."""
        return float((self.vector - self.first).norm())
