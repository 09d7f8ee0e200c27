"""The plain convolutional network for images: what mitigations on images are compared with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from fairbench.api import (
    Fitted,
    Inputs,
    Method,
    Predictions,
    Range,
    Samples,
    derive_seed,
    hookimpl,
    images_only,
    parameter,
)

from . import _networks

SOURCE = "Wyllie, Shumailov & Papernot (2024), authors' code, ColoredMNIST"


@dataclass(frozen=True)
class CNN:
    """Train two convolutions and three dense layers for accuracy alone, for a fixed number of epochs.

    Images only, of at least 16 x 16 pixels. Nothing is chosen on validation.
    """

    name = "cnn"
    uses_group = ()
    ranges: ClassVar[Mapping[str, Range]] = {
        "lr": Range(1e-3, 0.3, log=True, source="own: from a hundredth to three times the authors'"),
    }

    epochs: int = parameter(30, "passes over the rows", source=SOURCE, minimum=1)
    batch_size: int = parameter(256, "rows per step", source=SOURCE, minimum=1)
    lr: float = parameter(0.1, "learning rate of gradient descent", source=SOURCE, minimum=0)
    momentum: float = parameter(0.0, "momentum of gradient descent", source=SOURCE, minimum=0, maximum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor; the group is not used.

        Raises:
            NotApplicable: the rows are those of a table, or images that are too small.
        """
        shape = images_only(train.schema, "method cnn")
        model = _networks.simple_cnn(shape, 2, seed=seed)
        optimizer = torch.optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum)
        order = derive_seed("batches", seed)
        curve = _networks.train(
            model, train.X, train.y, optimizer, epochs=self.epochs, batch_size=self.batch_size, seed=order
        )
        # float64, so that a row's decision does not depend on the rows beside it
        frozen = copy.deepcopy(model).double().eval().requires_grad_(False)

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(_networks.probabilities(frozen, inputs.X, dtype=torch.float64)[:, 1])

        return Fitted({"": predict}, chosen="", diagnostics={"training_loss": curve})


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the network."""
    return [CNN]
