"""What plugins need from torch and higher: batches, small networks, losses, the differentiable inner loop, training.

The projections onto fairness constraints are those of ``fairbench.api.projection``.

Everything is deterministic: randomness comes from seeds that are passed in, and the harness's loops run on one thread,
because the order in which threads add changes the last bits of a sum.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, ClassVar, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.gaps import Gap, gap_by_label, group_means, parity_gap, squared_gap
from fairbench.api.perceptron import ACTIVATIONS, Perceptron, backward, linear, mlp, seeded, trace
from fairbench.api.projection import Contrasts, Infeasible, Projection, project, project_parity
from fairbench.data.rows import Inputs, Predictions, Samples, unchecked
from fairbench.data.withheld import GrouplessSamples
from fairbench.errors import FairbenchError, GroupWithheld
from fairbench.plugins.components import Predictor

with warnings.catch_warnings():
    # higher 0.2.1 compares an int with "is" and holds an invalid escape; both are reported when it is first compiled.
    warnings.filterwarnings("ignore", category=SyntaxWarning)
    warnings.filterwarnings("ignore", "invalid escape sequence", DeprecationWarning)
    import higher

__all__ = [
    "ACTIVATIONS",
    "Adapted",
    "Batch",
    "Contrasts",
    "Gap",
    "Infeasible",
    "Loss",
    "Model",
    "Perceptron",
    "Projection",
    "as_batch",
    "backward",
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
    "trace",
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


class Adapted:
    """A model with the final weights of an inner loop: it returns logits, and gradients reach the initial weights."""

    def __init__(self, functional: nn.Module, model: nn.Module) -> None:
        """Keep higher's functional model, and the module whose structure and initial weights it has."""
        self._functional = functional
        self._model = model

    def __call__(self, features: Tensor) -> Tensor:
        """Return the logits (n, 1) of features (n, d)."""
        logit: Tensor = self._functional(features)
        return logit

    def parameters(self) -> list[Tensor]:
        """Return the adapted weights, in the order of the model's parameters; they are part of the graph."""
        return list(self._functional.parameters())

    def detached(self) -> nn.Module:
        """Return an ordinary module with a copy of the adapted weights, free of the graph."""
        module = copy.deepcopy(self._model)
        ends = [*self.parameters(), *self._functional.buffers()]
        with torch.no_grad():
            for mine, end in zip([*module.parameters(), *module.buffers()], ends):
                mine.copy_(end)
        return module


def unroll(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    *,
    steps: int,
    lr: float,
    first_order: bool = False,
    after_step: Callable[[nn.Module], None] | None = None,
) -> Adapted:
    """Return the model after inner steps of gradient descent, theta <- theta - lr * grad loss(theta).

    ``backward()`` on a loss of the result adds to ``.grad`` of the model's own parameters, which stay as they are.

    Args:
        model: the module to start from.
        loss: model -> scalar; it is called once for each step.
        steps: number of inner steps, I >= 0.
        lr: inner learning rate.
        first_order: treat the derivative of the final by the initial weights as the identity, so that the gradient of a
            loss at the adapted weights reaches the model's parameters unchanged (first-order MAML). No gradient then
            flows through the inner loop, nor to anything that ``loss`` itself depends on.
        after_step: called with the functional model after each step, e.g. to update a multiplier that ``loss`` reads.
            What it computes stays in the graph, but the next step treats it as a constant: the gradient of that step is
            by the weights in ``loss`` only, as in primal-dual methods.

    References:
        Finn, Abbeel and Levine (2017), Model-agnostic meta-learning, eq. 1 and section 5.2 (first order).
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    loop = higher.innerloop_ctx(model, optimizer, copy_initial_weights=False, track_higher_grads=not first_order)
    with loop as (functional, inner):
        for _ in range(steps):
            if after_step is not None:  # other tensors of the same values, on which nothing computed so far depends
                functional.update_params([weight.view_as(weight) for weight in functional.fast_params])
            inner.step(loss(functional))
            if after_step is not None:
                after_step(functional)
    if first_order:
        # higher cuts the graph at every step, which leaves the end a leaf of its own: tie it to the start again, with
        # derivative one. p - p.detach() is exactly 0, so that the adapted weights keep their bits.
        ends = zip(functional.fast_params, model.parameters())
        functional.update_params([end.detach() + (start - start.detach()) for end, start in ends])
    return Adapted(functional, model)


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


def predictor(model: nn.Module | Adapted) -> Predictor:
    """Return the predictor of a model in its current state: Inputs -> scores, the sigmoid of the logits, cut at 0.5.

    It owns a copy of the weights in eval mode, keeps no graph alive, and computes in float64 on one thread, so that a
    row's decision does not depend on the other rows (in float32 the last bit does).
    """
    frozen = model.detached() if isinstance(model, Adapted) else copy.deepcopy(model)
    frozen.double().eval().requires_grad_(False)

    def predict(inputs: Inputs) -> Predictions:
        with one_thread(), torch.no_grad():
            logit = frozen(torch.tensor(inputs.X, dtype=torch.float64))  # (n, 1)
            score = logit.sigmoid().reshape(-1)
        return Predictions.from_score(np.array(score.numpy()))

    return predict
