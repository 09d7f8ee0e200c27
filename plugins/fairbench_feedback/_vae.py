"""What both variational autoencoders share: a network with two heads, its training, and its samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fairbench.api.torch import one_thread, seeded

CHUNK = 1024  # rows decoded at once


class VAE(nn.Module):
    """An encoder X -> features (n, f), heads for mean and log-variance (n, latent), and a decoder latent -> output."""

    def __init__(self, encoder: nn.Module, n_features: int, latent: int, decoder: nn.Module) -> None:
        """Add the heads to the two halves."""
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.mean, self.log_variance = nn.Linear(n_features, latent), nn.Linear(n_features, latent)

    def encode(self, X: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a draw of the latent variables (n, latent), and their divergence from N(0, 1) summed over the rows."""
        features = self.encoder(X)
        mean, log_variance = self.mean(features), self.log_variance(features)
        noise = torch.randn(mean.shape, generator=random)
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        return mean + noise * (0.5 * log_variance).exp(), divergence


@dataclass(frozen=True)
class Training:
    """How a network is trained: optimiser and learning rate, weight decay, rows per step, passes over the rows."""

    optimizer: type[torch.optim.Optimizer]
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int


def train(model: VAE, X: Tensor, loss: Callable[[Tensor, torch.Generator], Tensor], how: Training, seed: int) -> float:
    """Train in place; return the mean loss of a step in the last epoch.

    Args:
        model: the network to train.
        X: (n, ...) rows.
        loss: (rows of a step, generator of the noise) -> scalar.
        how: see ``Training``.
        seed: for the order of the rows and the noise.

    Raises:
        ArithmeticError: the loss became NaN or infinite.
    """
    random = torch.Generator().manual_seed(seed)
    optimizer: Any = how.optimizer(model.parameters(), lr=how.lr, weight_decay=how.weight_decay)  # type: ignore[call-arg]
    total, steps = 0.0, 0
    with one_thread():
        model.train()
        for _ in range(how.epochs):
            order = torch.randperm(len(X), generator=random)
            total, steps = 0.0, 0
            for rows in torch.split(order, how.batch_size):
                if len(rows) == 1 < len(X):
                    continue  # batch normalisation has no variance to divide by for a single row
                value = loss(X[rows], random)
                optimizer.zero_grad()
                torch.autograd.backward(value)
                optimizer.step()
                total, steps = total + float(value.detach()), steps + 1
            if not np.isfinite(total):
                raise ArithmeticError(f"the generator's loss became {total} at lr={how.lr:g}; lower its learning rate")
        model.eval()
    return total / max(steps, 1)


@dataclass(frozen=True, eq=False)
class FittedVAE:
    """A trained decoder; ``emit`` turns its output for some rows into samples (rows, d)."""

    model: VAE
    emit: Callable[[Tensor, torch.Generator], Tensor]
    loss: float

    def sample(self, n: int, *, seed: int) -> NDArray[Any]:
        """Return n rows (n, d), decoded from independent standard normal latent variables."""
        random = torch.Generator().manual_seed(seed)
        with one_thread(), torch.no_grad():
            latent = torch.randn((n, self.model.latent), generator=random)
            parts = [self.emit(self.model.decoder(part), random) for part in torch.split(latent, CHUNK)]
        return np.concatenate([part.flatten(1).numpy() for part in parts])


def build(make: Callable[[], VAE], seed: int) -> VAE:
    """Return a network whose initial weights come from the seed."""
    with seeded(seed):
        return make()
