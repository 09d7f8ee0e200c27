"""A network that guesses the group, and learns while the one that it watches learns to mislead it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fairbench.api import parameter

from ._game import Game


class Opponent:
    """Parameters that Adam moves against a loss of their own."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        """Take over the parameters."""
        self._optimizer = torch.optim.Adam(parameters, lr=lr)
        self._losses: list[float] = []

    def step(self, loss: Tensor) -> None:
        """Descend the loss, and remember its value."""
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._losses.append(float(loss.detach()))

    def diagnose(self) -> dict[str, float]:
        """Return the mean loss since the last call."""
        mean, self._losses = sum(self._losses) / len(self._losses), []
        return {"adversary_loss": mean}


@dataclass(frozen=True)
class Adversarial(Game):
    """Hyper-parameters of a network that is trained against an adversary."""

    adversary_lr: float = parameter(1e-2, "learning rate of the adversary's Adam", source="own", minimum=0)
