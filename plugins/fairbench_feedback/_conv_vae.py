"""Convolutional variational autoencoders for images, with the sizes of the paper's data sets as presets.

The layers are those of the authors' code (Wyllie, Shumailov and Papernot, 2024); ``digits`` is our own, for 8 x 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, mse_loss

from fairbench.api import NotApplicable, derive_seed, parameter

from ._vae import VAE, FittedVAE, Training, build, train


def _halvings(widths: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Return an encoder of 4 x 4 convolutions with stride 2 and padding 1: each halves the sides."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), activation()]
    return nn.Sequential(*layers, nn.Flatten())


def _doublings(latent: int, widths: Sequence[int], side: int) -> nn.Sequential:
    """Return a decoder of 4 x 4 transposed convolutions with stride 2 and padding 1: each doubles the sides."""
    layers: list[nn.Module] = [nn.Linear(latent, widths[0] * side**2), nn.Unflatten(1, (widths[0], side, side))]
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


def digits() -> VAE:
    """Return a network for 3 x 8 x 8: convolutions to 32 and 64 channels, 12 latent variables."""
    return VAE(_halvings((3, 32, 64), nn.ReLU), 256, 12, _doublings(12, (64, 32, 3), side=2))


def mnist() -> VAE:
    """Return the network for 3 x 28 x 28: 20 latent variables, 651,179 parameters."""
    return VAE(_halvings((3, 64, 128), nn.ReLU), 6272, 20, _doublings(20, (128, 64, 3), side=7))


def svhn() -> VAE:
    """Return the network for 3 x 64 x 64: 32 latent variables, 4,348,547 parameters."""
    widths = (3, 32, 64, 128, 256)
    encoder: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:]):
        encoder += [nn.Conv2d(n_in, n_out, 4, 2), nn.LeakyReLU(0.2)]
    decoder: list[nn.Module] = [nn.Linear(32, 1024), nn.Unflatten(1, (1024, 1, 1))]
    for n_in, n_out, kernel in ((1024, 128, 5), (128, 64, 5), (64, 32, 6), (32, 3, 6)):
        decoder += [nn.ConvTranspose2d(n_in, n_out, kernel, 2), nn.ReLU()]
    return VAE(nn.Sequential(*encoder, nn.Flatten()), 1024, 32, nn.Sequential(*decoder[:-1], nn.Sigmoid()))


def celeba() -> VAE:
    """Return the network for 3 x 128 x 128: 500 latent variables, 85,680,747 parameters."""
    widths = (3, 128, 256, 512, 1024, 1024)
    encoder: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:]):
        encoder += [nn.Conv2d(n_in, n_out, 4, 2, 1), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2)]
    decoder: list[nn.Module] = [nn.Linear(500, 2048 * 16), nn.Unflatten(1, (2048, 4, 4))]
    widths = (2048, 1024, 512, 256, 128, 3)
    for n_in, n_out in zip(widths, widths[1:]):
        decoder += [nn.UpsamplingNearest2d(scale_factor=2), nn.ReplicationPad2d(1), nn.Conv2d(n_in, n_out, 3)]
        decoder += [nn.BatchNorm2d(n_out, eps=1e-3), nn.LeakyReLU(0.2)] if n_out > 3 else [nn.Sigmoid()]
    return VAE(nn.Sequential(*encoder, nn.Flatten()), 16384, 500, nn.Sequential(*decoder))


def _bce_sum(output: Tensor, X: Tensor) -> Tensor:
    return binary_cross_entropy(output, X, reduction="sum")


def _mse_sum(output: Tensor, X: Tensor) -> Tensor:
    return mse_loss(output.clamp(0, 1), X.clamp(0, 1), reduction="sum")


def _bce_mean(output: Tensor, X: Tensor) -> Tensor:
    return binary_cross_entropy(output, X)


@dataclass(frozen=True)
class Preset:
    """A network for images of one shape, its reconstruction loss, the divergence's weight, and how it is trained."""

    network: Callable[[], VAE]
    image_shape: tuple[int, ...]
    reconstruction: Callable[[Tensor, Tensor], Tensor]
    beta: float
    training: Training


# "digits" has beta = .15: at 64 pixels the divergence would outweigh the reconstruction, and samples would be alike.
PRESETS: Mapping[str, Preset] = {
    "digits": Preset(digits, (3, 8, 8), _bce_sum, 0.15, Training(torch.optim.Adam, 2e-3, 0.0, 128, 25)),
    "mnist": Preset(mnist, (3, 28, 28), _bce_sum, 1.0, Training(torch.optim.Adam, 1e-3, 1e-5, 256, 30)),
    "svhn": Preset(svhn, (3, 64, 64), _mse_sum, 1.0, Training(torch.optim.AdamW, 1e-3, 1e-2, 128, 30)),
    "celeba": Preset(celeba, (3, 128, 128), _bce_mean, 5e-6, Training(torch.optim.Adam, 1e-4, 0.0, 64, 30)),
}


@dataclass(frozen=True)
class ConvVAE:
    """Fit a convolutional variational autoencoder to images and sample its decoder's means."""

    name = "conv_vae"
    preset: str = parameter(
        "digits", "network, loss and training, by the images they are made for", choices=tuple(PRESETS)
    )
    epochs: Optional[int] = parameter(None, "passes over the rows; none for the preset's", minimum=1)
    batch_size: Optional[int] = parameter(None, "rows per step; none for the preset's", minimum=1)
    lr: Optional[float] = parameter(None, "learning rate; none for the preset's", minimum=0)
    beta: Optional[float] = parameter(None, "weight of the divergence; none for the preset's", minimum=0)

    def fit(self, X: NDArray[Any], image_shape: tuple[int, ...], *, seed: int) -> FittedVAE:
        """Return the trained decoder; its loss is a step's, in the preset's own unit.

        Raises:
            NotApplicable: the rows are those of a table, or images of a different shape from the preset's.
        """
        preset = PRESETS[self.preset]
        if tuple(image_shape) != preset.image_shape:
            seen = " x ".join(map(str, image_shape)) if image_shape else "rows of a table"
            expected = " x ".join(map(str, preset.image_shape))
            raise NotApplicable(
                f"generator conv_vae[preset={self.preset}] works on images of {expected} values, not {seen}; "
                f"choose another preset ({', '.join(PRESETS)}), or gaussian_mixture or tabular_vae for tables"
            )
        model = build(preset.network, derive_seed("weights", seed))
        beta = preset.beta if self.beta is None else self.beta

        def loss(rows: Tensor, random: torch.Generator) -> Tensor:
            latent, divergence = model.encode(rows, random)
            return preset.reconstruction(model.decoder(latent), rows) + beta * divergence

        usual = preset.training
        how = Training(
            usual.optimizer,
            usual.lr if self.lr is None else self.lr,
            usual.weight_decay,
            self.batch_size or usual.batch_size,
            self.epochs or usual.epochs,
        )
        images = torch.from_numpy(np.array(X, dtype=np.float32)).reshape(-1, *image_shape)
        reached = train(model, images, loss, how, derive_seed("train", seed))
        return FittedVAE(model, lambda output, random: output, reached)
