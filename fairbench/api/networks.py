"""The plain network and how it is trained: what baselines and in-processing methods share.

A method that changes what the network learns says so in one function, and keeps everything else: initial weights,
mini-batches, optimiser and early stopping. Hence methods differ in what they do and not in where they start, and a
penalty of weight 0 leaves the plain network, bit for bit::

    @dataclass(frozen=True)
    class SquaredGap(Network):
        name = "squared_gap"
        weight: float = parameter(1.0, "weight of the penalty", minimum=0)

        def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
            def objective(model: Model, batch: Batch) -> Tensor:
                logit = model(batch.X)
                return cross_entropy(logit, batch.y) + self.weight * parity_gap(logit.sigmoid(), batch.group) ** 2

            model, _ = self.minimise(objective, train, validation, seed=seed)
            return predictor(model)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, ClassVar, Optional, Union

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.optimisers import FusedAdamW
from fairbench.api.perceptron import MANY_ROWS, Layers
from fairbench.api.torch import (
    ACTIVATIONS,
    Batch,
    Loss,
    Model,
    Perceptron,
    as_batch,
    minibatches,
    mlp,
    train_model,
    weighted_loss,
)
from fairbench.data.rows import Samples
from fairbench.plugins.components import parameter
from fairbench.plugins.ranges import Options, Range
from fairbench.seeding import derive_seed

__all__ = ["Curves", "Learn", "Network", "Objective", "descend"]

PAPER = "Malik & Mopuri, FaAlGrad (TMLR)"
TABULAR = "Gorishniy et al. (2021), Revisiting deep learning models for tabular data, NeurIPS: an MLP's"

Curves = dict[str, list[float]]
"""A value for each epoch, by name."""

Objective = Callable[[Model, Batch], Tensor]
"""A model and rows -> the scalar that it should make small on them, differentiable by its parameters."""

Learn = Callable[[Perceptron, Batch], Tensor]
"""A model and a mini-batch -> the loss, detached; it sets ``.grad`` of every parameter, and the optimiser follows."""


def descend(objective: Objective) -> Learn:
    """Return what sets the gradients of the ``objective``, a function of a model and rows."""

    def learn(model: Perceptron, batch: Batch) -> Tensor:
        loss = objective(model, batch)
        model.zero_grad()
        torch.autograd.backward(loss)
        return loss.detach()

    return learn


def sum_of_losses(batches: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the sum over mini-batches of mean cross-entropy times rows, as adding one after the other gives it.

    Args:
        batches: logits (n, 1) and labels (n, 1) of each; all but the last one have the same n.
    """
    size = len(batches[0][0])
    equal = [batch for batch in batches if len(batch[0]) == size]
    logits, labels = (torch.cat(part).reshape(-1, size) for part in zip(*equal))
    losses = list(cross_entropy(logits, labels, reduction="none").mean(1) * size)
    losses += [cross_entropy(logit, label) * len(label) for logit, label in batches[len(equal) :]]
    return torch.from_numpy(np.add.accumulate(torch.stack(losses).numpy()))[-1]


@dataclass(frozen=True)
class Network:
    """Hyper-parameters of a multi-layer perceptron, which is trained for accuracy alone unless told otherwise.

    Args:
        hidden: width of each hidden layer.
        activation: activation function after each hidden layer.
        lr: learning rate of AdamW.
        batch_size: rows per step; 0 for all of them.
        epochs: the largest number of epochs.
        patience: epochs without a smaller validation loss before stopping with the best weights; None for all epochs
            and the last weights.
        weight_decay: decoupled weight decay of AdamW.
    """

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
    patience: Optional[int] = parameter(
        10,
        "epochs without a smaller validation loss before stopping; none for all epochs and the last weights",
        source=f"{PAPER}, reference code",
        minimum=1,
    )
    weight_decay: float = parameter(0.0, "decoupled weight decay of AdamW", minimum=0)

    def train(
        self,
        train: Samples,
        validation: Samples,
        *,
        seed: int,
        learn: Optional[Learn] = None,
        validation_loss: Optional[Loss] = None,
        diagnose: Optional[Callable[[], Mapping[str, float]]] = None,
    ) -> tuple[Perceptron, Curves]:
        """Return the trained module, with the weights of its best epoch, and its curves.

        The initial weights and the mini-batches are the same for every method with this architecture and seed.

        Args:
            train: the rows to learn from.
            validation: the rows on which the loss is watched.
            seed: of the initial weights and of the order of the rows.
            learn: sets the gradients for a mini-batch; None means those of the cross-entropy.
            validation_loss: what early stopping watches, model -> scalar; None means the cross-entropy on
                ``validation``.
            diagnose: called after each epoch for further values to record, with the same names every time.
        """
        rows = as_batch(train)
        model = mlp(rows.n_features, self.hidden, self.activation, seed=seed)
        order = torch.Generator().manual_seed(derive_seed("batches", seed))
        optimizer = FusedAdamW(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        columns = () if learn is None else rows.columns  # which cost time
        # Where only the gradients are needed in a step, the losses of all mini-batches are computed after the epoch.
        together = learn is None and 0 < self.batch_size < MANY_ROWS
        layers = Layers(model)

        def step(epoch: int) -> dict[str, float]:
            total, logits = torch.zeros(()), []
            for features, labels, *others in minibatches(rows, self.batch_size, order, *columns):
                if together:
                    gradients, logit = layers.gradients(features, labels)
                    logits.append((logit, labels))
                    optimizer.follow(gradients)
                    continue
                if learn is None:
                    total += model.backpropagate(features, labels) * len(labels)
                else:
                    total += learn(model, rows.part(features, labels, *others)) * len(labels)
                optimizer.step()
            if together:
                total = sum_of_losses(logits)
            return {"training_loss": float(total) / len(rows), **(diagnose() if diagnose else {})}

        watched = validation_loss or weighted_loss(as_batch(validation))
        return model, train_model(model, step, watched, epochs=self.epochs, patience=self.patience)

    def minimise(
        self, objective: Objective, train: Samples, validation: Samples, *, seed: int
    ) -> tuple[Perceptron, Curves]:
        """Return the module trained to make an objective small, and its curves; see ``train``.

        Args:
            objective: of a model and rows. Each step descends it on a mini-batch, and early stopping watches it on the
                whole validation part.
            train: the rows to learn from.
            validation: the rows on which the objective is watched.
            seed: of the initial weights and of the order of the rows.
        """
        held = as_batch(validation)
        return self.train(
            train,
            validation,
            seed=seed,
            learn=descend(objective),
            validation_loss=lambda model: objective(model, held),
        )
