"""A network trained for the group that it serves worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Fitted, Method, Options, Range, Samples, hookimpl, parameter
from fairbench.api.networks import Network, descend
from fairbench.api.torch import Batch, Model, as_batch, predictor

PAPER = "Sagawa et al. (2020)"


def cell_losses(logit: Tensor, batch: Batch, *, by_label: bool) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy (C,) of each cell, 0 for one without rows, and the rows of each (C,).

    A cell is a group, or with ``by_label`` a group and a label: cell 2 * group + label.
    """
    cell = batch.group * 2 + batch.y.reshape(-1).long() if by_label else batch.group
    none = logit.new_zeros(batch.n_groups * (2 if by_label else 1))
    loss = cross_entropy(logit, batch.y, reduction="none").reshape(-1)
    rows = none.index_add(0, cell, torch.ones_like(loss))
    return none.index_add(0, cell, loss) / rows.clamp(min=1), rows


def raised(weight: Tensor, loss: Tensor, step_size: float) -> Tensor:
    """Return the cells' weights (C,) after a step of exponentiated gradient ascent on their losses (C,); they add to 1.

    References:
        Sagawa et al. (2020), algorithm 1.
    """
    grown = weight * (step_size * loss).exp()
    return grown / grown.sum()


@dataclass(frozen=True)
class GroupDRO(Network):
    """Minimise the loss of the worst cell: of a group, or of a group with a label.

    The network descends the sum of the cells' mean losses with weights that add to 1, and those weights rise
    exponentially with the losses, a step in every mini-batch. Early stopping watches the largest loss of a cell on
    validation. It evens out losses and errors, not rates of selection. A large ``weight_decay`` matters where the
    network can fit every training row, as then no cell is worse than another. The paper's adjustment for the size of
    groups is left out (C = 0).

    References:
        Sagawa, Koh, Hashimoto and Liang (2020), Distributionally robust neural networks for group shifts, ICLR.
    """

    name = "group_dro"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"step_size": size, "weight_decay": decay} for size in (0.01, 0.1) for decay in (0.0, 0.01, 0.1)
    )
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "step_size": Range(1e-3, 1.0, log=True, source="own: around the default"),
        "weight_decay": Range(1e-4, 1.0, log=True, source=f"{PAPER}, whose strongest is 1"),
    }

    step_size: float = parameter(
        0.01, "step size of the cells' weights; 0 leaves them equal", source=f"{PAPER}, released code", minimum=0
    )
    by_label: bool = parameter(
        True,
        "whether the rows of a group with each label are a cell of their own",
        source=f"{PAPER}, whose groups are pairs of attribute and label",
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the epoch with the smallest loss of the worst cell; it does not use the group.

        Curves: the weight of each cell after every epoch, besides those of training.
        """
        held, rows = as_batch(validation), as_batch(train)
        _, there = cell_losses(torch.zeros_like(rows.y), rows, by_label=self.by_label)
        weight = (there > 0) / (there > 0).sum()  # (C,)
        names = [
            f"weight of {name}{label}"
            for name in train.group_names
            for label in ((", y = 0", ", y = 1") if self.by_label else ("",))
        ]

        def robust_loss(model: Model, batch: Batch) -> Tensor:
            nonlocal weight
            loss, _ = cell_losses(model(batch.X), batch, by_label=self.by_label)
            weight = raised(weight, loss.detach(), self.step_size)
            return weight @ loss

        def worst(model: Model) -> Tensor:
            loss, _ = cell_losses(model(held.X), held, by_label=self.by_label)
            return loss.amax()

        def diagnose() -> dict[str, float]:
            return dict(zip(names, weight.tolist()))

        model, curves = self.train(
            train, validation, seed=seed, learn=descend(robust_loss), validation_loss=worst, diagnose=diagnose
        )
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [GroupDRO]
