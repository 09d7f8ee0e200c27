"""What plugins need from torch and higher: batches, small networks, losses, the differentiable inner loop, training.

The projections onto fairness constraints are those of ``fairbench.api.projection``.

Everything is deterministic: randomness comes from seeds that are passed in, and the harness's loops run on one thread,
because the order in which threads add changes the last bits of a sum.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, ClassVar, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.exports import exported_network
from fairbench.api.gaps import Gap, gap_by_label, group_means, parity_gap, squared_gap
from fairbench.api.inner_loop import INNER_LOOPS, Adapted, unroll
from fairbench.api.perceptron import ACTIVATIONS, Layers, Perceptron, linear, mlp, seeded
from fairbench.api.projection import Contrasts, Infeasible, Projection, project, project_parity
from fairbench.data.arrays import unchecked
from fairbench.data.rows import Inputs, Predictions, Samples
from fairbench.data.withheld import GrouplessSamples
from fairbench.errors import FairbenchError, GroupWithheld
from fairbench.plugins.exported import ExportablePredictor

__all__ = [
    "ACTIVATIONS",
    "Adapted",
    "Batch",
    "Layers",
    "Contrasts",
    "Gap",
    "INNER_LOOPS",
    "Infeasible",
    "Loss",
    "Model",
    "Perceptron",
    "Projection",
    "as_batch",
    "deal",
    "gap_by_label",
    "gradient",
    "group_means",
    "linear",
    "minibatches",
    "mlp",
    "one_thread",
    "parity_gap",
    "predictor",
    "project",
    "project_parity",
    "seeded",
    "squared_gap",
    "train_model",
    "unroll",
    "weighted_loss",
]

Model = Callable[[Tensor], Tensor]
"""X (n, d) -> logits (n, 1)."""

Loss = Callable[[Model], Tensor]
"""A model -> a scalar on data that the loss already holds."""

Trained = TypeVar("Trained", bound=nn.Module)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread in the block, and restore torch's number of threads afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples as tensors: X (n, d) and y (n, 1) of one float type, group (n,) int64 codes, protected (n,) bool.

    ``n_groups`` counts all groups of the dataset, including those without a row here.
    """

    X: Tensor
    y: Tensor
    group: Tensor
    protected: Tensor
    n_groups: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.X)

    @property
    def n_features(self) -> int:
        """Return the number of columns of X."""
        return int(self.X.shape[1])

    @property
    def columns(self) -> tuple[Tensor, ...]:
        """Return what a row has beside X and y: group and protected."""
        return self.group, self.protected

    def part(self, X: Tensor, y: Tensor, *columns: Tensor) -> Batch:
        """Return a batch of some of the rows, of which X, y and the ``columns`` are given."""
        group, protected = columns
        return Batch(X, y, group, protected, self.n_groups)


@dataclass(frozen=True, eq=False)
class GrouplessBatch(Batch):
    """The batch of samples whose group is withheld: ``group`` and ``protected`` raise ``GroupWithheld``.

    Args:
        why: the message of the error.
        error: its type.
    """

    group: ClassVar[Any] = property(lambda batch: batch.refuse())  # type: ignore[misc]  # a field of the base class
    protected: ClassVar[Any] = property(lambda batch: batch.refuse())  # type: ignore[misc]  # as above
    why: str = ""
    error: type[FairbenchError] = GroupWithheld

    @property
    def columns(self) -> tuple[Tensor, ...]:
        """Return what a row has beside X and y: nothing."""
        return ()

    def part(self, X: Tensor, y: Tensor, *columns: Tensor) -> Batch:
        """Return a batch of some of the rows, of which X and y are given."""
        return unchecked(GrouplessBatch, X=X, y=y, n_groups=self.n_groups, why=self.why, error=self.error)

    def refuse(self) -> NoReturn:
        """Raise the error of these rows."""
        raise self.error(self.why)


def as_batch(samples: Samples, dtype: torch.dtype = torch.float32) -> Batch:
    """Return a copy of the samples as tensors, X and y with this dtype; writing to it does not change the samples.

    Where the group of the samples is withheld, it is withheld in the batch too.
    """
    X, y = torch.tensor(samples.X, dtype=dtype), torch.tensor(samples.y, dtype=dtype).reshape(-1, 1)
    n_groups = len(samples.group_names)
    if isinstance(samples, GrouplessSamples):
        return unchecked(GrouplessBatch, X=X, y=y, n_groups=n_groups, why=samples.why, error=samples.error)
    return Batch(X, y, torch.tensor(samples.group), torch.tensor(samples.protected), n_groups)


def minibatches(batch: Batch, size: int, generator: torch.Generator, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield mini-batches X (size, d), y (size, 1) and further columns: each row once, in a newly drawn order.

    Args:
        batch: the rows.
        size: rows in a mini-batch (the last one can have fewer); 0 yields all rows at once, in their own order, and
            draws nothing.
        generator: source of the order.
        columns: tensors with a first axis of the batch's length.
    """
    tensors = (batch.X, batch.y, *columns)
    if size == 0:
        yield tensors
        return
    order = torch.randperm(len(batch), generator=generator)
    for rows in torch.split(order, size):  # small parts stay in the cache; one large copy costs five times as much
        yield tuple(tensor.index_select(0, rows) for tensor in tensors)


def deal(stratum: Tensor, batches: int, generator: torch.Generator) -> list[Tensor]:
    """Return the positions of the rows of each batch: rows are dealt like cards, one stratum after the other.

    Every batch gets its share of each stratum, rounded up or down, and the sizes of the batches differ by at most one
    row. If a stratum has fewer rows than there are batches, its rows are repeated, one in each batch and equally often
    up to a difference of one; all other rows occur once. So every batch contains every stratum.

    Args:
        stratum: (n,) codes.
        batches: number of batches, >= 1.
        generator: source of the order within the strata.
    """
    shuffled = torch.randperm(len(stratum), generator=generator)
    by_stratum = shuffled[torch.argsort(stratum[shuffled], stable=True)]
    rows = torch.bincount(stratum)
    if rows[rows > 0].min() < batches:
        cards = [part for part in torch.split(by_stratum, rows.tolist()) if len(part)]
        by_stratum = torch.cat([part.repeat(-(-batches // len(part)))[: max(batches, len(part))] for part in cards])
    return [by_stratum[first::batches] for first in range(batches)]


def weighted_loss(batch: Batch, weight: Tensor | None = None) -> Loss:
    """Return the loss: model -> mean over the rows of weight times binary cross-entropy on logits.

    The mean is over the n rows, not over the weights' sum: the loss is linear in the weights, and gradients reach them.

    Args:
        batch: the rows.
        weight: (n,) or (n, 1), a factor for each row; None means 1 for each row.
    """
    if weight is None:
        return lambda model: cross_entropy(model(batch.X), batch.y)
    factor = weight.reshape(-1, 1)
    if len(factor) != len(batch):
        raise ValueError(f"weight has {len(factor)} values but the batch has {len(batch)} rows; every row needs one")
    # torch gives the argument weight= no gradient, hence reduction="none".
    return lambda model: (factor * cross_entropy(model(batch.X), batch.y, reduction="none")).mean()


def gradient(model: nn.Module, loss: Loss) -> Tensor:
    """Return the gradient (p,) of the loss by all parameters of the model, in order; nothing is accumulated."""
    parts = torch.autograd.grad(loss(model), list(model.parameters()))
    return torch.cat([part.reshape(-1) for part in parts])


def train_model(
    model: Trained,
    step: Callable[[int], Mapping[str, float]],
    validation_loss: Callable[[Trained], Tensor],
    *,
    epochs: int,
    patience: int | None,
) -> dict[str, list[float]]:
    """Train until the validation loss stops falling; leave the model with its best weights, in eval mode.

    The loop computes only the loss: fairness metrics in every epoch would cost hundreds of times as much as the steps
    themselves.

    Args:
        model: the module that ``step`` changes.
        step: called with the number of the epoch, from 0; runs one epoch (one full-batch step or all mini-batches) and
            returns the values to record, with the same names every time.
        validation_loss: model -> scalar, computed after every epoch without gradients and in eval mode.
        epochs: the largest number of epochs.
        patience: stop after this many consecutive epochs without a new smallest validation loss. None runs all epochs
            and keeps the last weights, for procedures that choose nothing during training.

    Returns:
        A value for each epoch, by name: ``validation_loss`` and what ``step`` returned.

    Raises:
        ArithmeticError: the weights that would be left have no finite validation loss.
    """
    curves: dict[str, list[float]] = {"validation_loss": []}
    best, best_epoch, weights = math.inf, -1, {}
    with one_thread():
        for epoch in range(epochs):
            model.train()
            diagnostics = step(epoch)
            model.eval()
            with torch.no_grad():
                value = float(validation_loss(model))
            for name, measured in {"validation_loss": value, **diagnostics}.items():
                curves.setdefault(name, []).append(measured)
            if patience is None:
                best = value
            elif value < best:  # false for NaN too
                best, best_epoch = value, epoch
                weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            elif epoch - best_epoch >= patience:
                break
    if epochs and not math.isfinite(best):
        seen, never = len(curves["validation_loss"]), "" if patience is None else " and never finite"
        raise ArithmeticError(
            f"training diverged: the validation loss was {value} after {seen} epochs{never}; "
            "lower the learning rate or scale the features"
        )
    if weights:
        model.load_state_dict(weights)
    return curves


def predictor(model: nn.Module | Adapted) -> ExportablePredictor:
    """Return the predictor of a model in its current state: Inputs -> scores, the sigmoid of the logits, cut at 0.5.

    It owns a copy of the weights in eval mode, keeps no graph alive, and computes in float64 on one thread, so that a
    row's decision does not depend on the other rows (in float32 the last bit does). ``fairbench export-model``
    can write it if the model is a ``Sequential`` of linear layers and of ``ACTIVATIONS``.
    """
    frozen = model.detached() if isinstance(model, Adapted) else copy.deepcopy(model)
    frozen.double().eval().requires_grad_(False)

    def predict(inputs: Inputs) -> Predictions:
        with one_thread(), torch.no_grad():
            logit = frozen(torch.tensor(inputs.X, dtype=torch.float64))  # (n, 1)
            score = logit.sigmoid().reshape(-1)
        return Predictions.from_score(np.array(score.numpy()))

    return ExportablePredictor(predict, lambda: exported_network(frozen))
