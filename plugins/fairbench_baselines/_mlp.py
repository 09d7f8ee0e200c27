"""The network that all the baselines here share, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Union

import torch
from torch import nn

from fairbench.api import Options, Range, Samples, derive_seed, parameter
from fairbench.api.torch import ACTIVATIONS, as_batch, minibatches, mlp, train_model, weighted_loss

PAPER = "Malik & Mopuri, FaAlGrad (TMLR)"
TABULAR = "Gorishniy et al. (2021), Revisiting deep learning models for tabular data, NeurIPS: an MLP's"


@dataclass(frozen=True)
class Network:
    """Hyper-parameters of a multi-layer perceptron trained for accuracy alone."""

    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        "lr": Range(1e-5, 1e-2, log=True, source=TABULAR),
        "hidden": Options((8,), (32,), (64,), (64, 32), (128, 64), source="own"),
    }

    hidden: tuple[int, ...] = parameter((64,), "width of each hidden layer", source="own, by validation accuracy")
    activation: str = parameter(
        "relu", "activation function after each hidden layer", source=f"{PAPER}, 5.2", choices=tuple(ACTIVATIONS)
    )
    lr: float = parameter(1e-3, "learning rate of AdamW", source=f"{PAPER}, 5.2", minimum=0)
    batch_size: int = parameter(256, "rows per step; 0 for all of them", minimum=0)
    epochs: int = parameter(100, "the largest number of epochs", source=f"{PAPER}, reference code", minimum=1)
    patience: int = parameter(
        10, "epochs without a smaller validation loss before stopping", source=f"{PAPER}, reference code", minimum=1
    )
    weight_decay: float = parameter(0.0, "decoupled weight decay of AdamW", minimum=0)

    def train(self, train: Samples, validation: Samples, *, seed: int) -> tuple[nn.Module, dict[str, list[float]]]:
        """Return the trained module, with the weights of its best epoch, and its curves.

        The initial weights are the same for every method with this architecture and seed, so that methods differ in
        what they do and not in where they start.
        """
        rows = as_batch(train)
        model = mlp(rows.n_features, self.hidden, self.activation, seed=seed)
        order = torch.Generator().manual_seed(derive_seed("batches", seed))
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)

        def step(epoch: int) -> dict[str, float]:
            total = torch.zeros(())
            for features, labels in minibatches(rows, self.batch_size, order):
                loss = model.backpropagate(features, labels)
                optimizer.step()
                total += loss * len(labels)
            return {"training_loss": float(total) / len(rows)}

        validation_loss = weighted_loss(as_batch(validation))
        return model, train_model(model, step, validation_loss, epochs=self.epochs, patience=self.patience)
