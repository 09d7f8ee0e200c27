"""A variational autoencoder for tables: numbers are Gaussian given the latent variables, categories categorical."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from fairbench.api import NotApplicable, derive_seed, parameter

from ._generators import one_hot_blocks
from ._vae import VAE, FittedVAE, Training, build, train


class _Table(nn.Module):
    """A decoder latent -> (n, d): means of numeric columns and logits of categories; numeric noise is a parameter."""

    def __init__(self, latent: int, hidden: int, d: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, d))
        self.log_variance = nn.Parameter(torch.zeros(d))  # of a column given the latent variables

    def forward(self, latent: Tensor) -> Tensor:
        output: Tensor = self.layers(latent)
        return output


@dataclass(frozen=True)
class TabularVAE:
    """Fit a variational autoencoder to the rows of a table; one-hot blocks are found in the rows themselves.

    Numeric columns are standardised inside. A sample is drawn from the decoder's distribution, not set to its mean,
    which would lose the spread that the latent variables do not explain.
    """

    name = "tabular_vae"
    latent: int = parameter(8, "latent variables", minimum=1)
    hidden: int = parameter(64, "width of the hidden layers", minimum=1)
    epochs: int = parameter(60, "passes over the rows", minimum=1)
    batch_size: int = parameter(128, "rows per step", minimum=1)
    lr: float = parameter(5e-3, "learning rate of Adam", minimum=0)
    beta: float = parameter(1.0, "weight of the divergence", minimum=0)

    def fit(self, X: NDArray[Any], image_shape: tuple[int, ...], *, seed: int) -> FittedVAE:
        """Return the trained decoder; its loss is the negative evidence lower bound of a step, in nats per row.

        Raises:
            NotApplicable: the rows are images.
        """
        if image_shape:
            raise NotApplicable(
                f"generator tabular_vae works on tables, and these rows are images of "
                f"{' x '.join(map(str, image_shape))} values; choose conv_vae or gaussian_mixture"
            )
        d = X.shape[1]
        blocks = one_hot_blocks(X)
        numeric = np.ones(d, dtype=bool)
        for block in blocks:
            numeric[block] = False
        centre = np.where(numeric, X.mean(axis=0), 0)
        spread = np.where(numeric & (X.std(axis=0) > 0), X.std(axis=0), 1)
        columns = torch.from_numpy(np.flatnonzero(numeric))

        def network() -> VAE:
            encoder = nn.Sequential(nn.Linear(d, self.hidden), nn.ReLU())
            return VAE(encoder, self.hidden, self.latent, _Table(self.latent, self.hidden, d))

        model = build(network, derive_seed("weights", seed))
        log_variance: Tensor = model.decoder.log_variance  # type: ignore[assignment]

        def loss(rows: Tensor, random: torch.Generator) -> Tensor:
            latent, divergence = model.encode(rows, random)
            output = model.decoder(latent)
            variance = log_variance[columns].clamp(min=-6)  # a constant column would drive it to zero
            gaps = (output[:, columns] - rows[:, columns]) ** 2
            total: Tensor = 0.5 * (gaps / variance.exp() + variance + np.log(2 * np.pi)).sum()
            for block in blocks:
                total = total + cross_entropy(output[:, block], rows[:, block].argmax(dim=1), reduction="sum")
            return (total + self.beta * divergence) / len(rows)

        def emit(output: Tensor, random: torch.Generator) -> Tensor:
            noise = torch.randn(output.shape, generator=random)
            rows = output + noise * (0.5 * log_variance.clamp(min=-6)).exp()
            for block in blocks:
                chance = output[:, block].softmax(dim=1)
                drawn = torch.multinomial(chance, 1, generator=random).squeeze(1)
                rows[:, block] = one_hot(drawn, chance.shape[1]).to(rows.dtype)
            return rows * torch.from_numpy(spread).to(rows.dtype) + torch.from_numpy(centre).to(rows.dtype)

        standard = torch.from_numpy(((X - centre) / spread).astype(np.float32))
        how = Training(torch.optim.Adam, self.lr, 0.0, self.batch_size, self.epochs)
        return FittedVAE(model, emit, train(model, standard, loss, how, derive_seed("train", seed)))
