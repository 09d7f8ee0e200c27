"""Small networks for classes, (n, d) -> logits (n, C), and their training by plain mini-batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fairbench.api import NotApplicable
from fairbench.api.torch import one_thread, seeded

SMALLEST = 16  # side of an image that leaves one pixel after both convolutions


def dense(n_features: int, hidden: Sequence[int], n_classes: int, *, seed: int) -> nn.Module:
    """Return a multi-layer perceptron with ReLU; the initial weights come from the seed."""
    widths, layers = [n_features, *hidden], []
    with seeded(seed):
        for n_in, n_out in zip(widths, widths[1:]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))


def simple_cnn(image_shape: tuple[int, int, int], n_classes: int, *, seed: int) -> nn.Module:
    """Return two convolutions (5 x 5 to 6 and 16 channels, each with ReLU and pooling by 2) and three dense layers.

    Args:
        image_shape: (channels, height, width); the rows come flattened.
        n_classes: logits.
        seed: for the initial weights.

    Raises:
        NotApplicable: the images are too small for the convolutions.

    References:
        "SimpleCNN" of the authors' code (Wyllie, Shumailov and Papernot, 2024); 44 thousand parameters at 3 x 28 x 28.
    """
    channels, height, width = image_shape
    if min(height, width) < SMALLEST:
        raise NotApplicable(
            f"the convolutional network needs images of at least {SMALLEST} x {SMALLEST} pixels; these have "
            f"{height} x {width}: use a dense network, such as the method mlp"
        )
    height, width = (((side - 4) // 2 - 4) // 2 for side in (height, width))
    with seeded(seed):
        return nn.Sequential(
            nn.Unflatten(1, image_shape),
            *(nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
            *(nn.Linear(16 * height * width, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, n_classes),
        )


def train(
    model: nn.Module,
    X: NDArray[Any],
    y: NDArray[Any],
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> list[float]:
    """Minimise the cross-entropy in place; return each epoch's mean loss.

    Args:
        model: (n, d) -> logits (n, C).
        X: (n, d) rows; they are not copied as a whole.
        y: (n,) classes.
        optimizer: for the model's parameters.
        epochs: passes over the rows.
        batch_size: rows per step.
        seed: for the order of the rows.

    Raises:
        ArithmeticError: the loss became NaN or infinite.
    """
    random, curve = np.random.default_rng(seed), []
    with one_thread():
        model.train()
        for epoch in range(epochs):
            order, total = random.permutation(len(X)), 0.0
            for start in range(0, len(X), batch_size):
                rows = order[start : start + batch_size]
                loss = cross_entropy(model(torch.from_numpy(X[rows])), torch.from_numpy(y[rows]))
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                total += float(loss.detach()) * len(rows)
            if not np.isfinite(total):
                raise ArithmeticError(f"the loss became {total} in epoch {epoch}; lower the learning rate")
            curve.append(total / len(X))
        model.eval()
    return curve


def probabilities(model: nn.Module, X: NDArray[Any], *, dtype: torch.dtype = torch.float32) -> NDArray[np.float64]:
    """Return the classes' probabilities (n, C), computed a thousand rows at a time."""
    with one_thread(), torch.no_grad():
        parts: list[Tensor] = [
            model(torch.from_numpy(np.array(X[start : start + 1024])).to(dtype)).softmax(dim=1)
            for start in range(0, len(X), 1024)
        ]
    empty = np.zeros((0, 1))
    return np.concatenate([part.double().numpy() for part in parts]) if parts else empty
