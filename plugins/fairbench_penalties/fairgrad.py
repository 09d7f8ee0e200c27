"""A network whose rows are weighed by how well their group fares."""

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

from ._criteria import compared_labels, criterion_parameter, deviations
from ._game import Game

PAPER = "Maheshwari & Perrot (2023)"


def shares(batch: Batch) -> Tensor:
    """Return the share (2, G) of the rows that have each label and group."""
    code = batch.y.reshape(-1).long() * batch.n_groups + batch.group
    count = torch.bincount(code, minlength=2 * batch.n_groups)
    return count.to(batch.X.dtype).reshape(2, -1) / len(batch)


def fairness(decision: Tensor, batch: Batch, labels: Sequence[int]) -> Tensor:
    """Return how much better each label and group fares than all groups together, (2, G); 0 where there are no rows.

    For demographic parity it is P(decision = label | group) - P(decision = label), for the other criteria P(decision =
    label | group, label) - P(decision = label | label), and 0 for a label that is not compared.

    Args:
        decision: (n,) in {0, 1}.
        batch: the rows.
        labels: among whose rows groups are compared; none for demographic parity.
    """
    if not labels:
        return torch.cat([deviations((decision == label).to(batch.X.dtype), batch, ()) for label in (0, 1)])
    right = (decision == batch.y.reshape(-1)).to(batch.X.dtype)
    level = torch.zeros(2, batch.n_groups, dtype=batch.X.dtype)
    level[list(labels)] = deviations(right, batch, labels)
    return level


def error_coefficients(share: Tensor, labels: Sequence[int]) -> Tensor:
    """Return C (2G, 2G): ``fairness`` is, up to a constant, C times the error rates of each label and group.

    Row and column label * G + group stand for a label and a group.

    Args:
        share: (2, G), see ``shares``.
        labels: see ``fairness``.

    References:
        Maheshwari and Perrot (2023), section 3.
    """
    groups, same_group = share.shape[1], torch.eye(share.shape[1], dtype=share.dtype)
    if not labels:  # an error takes a decision from one label and gives it to the other
        by_group = share / share.sum(dim=0).clamp(min=torch.finfo(share.dtype).tiny)  # P(label | group)
        moved = share.reshape(1, -1) - (same_group[:, None, :] * by_group).reshape(groups, -1)  # (G, 2G)
        sign = torch.tensor([1.0, -1.0], dtype=share.dtype).repeat_interleave(groups)
        return torch.cat([moved * sign, -moved * sign])
    coefficient = torch.zeros(2, groups, 2, groups, dtype=share.dtype)
    for label in labels:
        coefficient[label, :, label] = share[label] / share[label].sum() - same_group
    return coefficient.reshape(2 * groups, 2 * groups)


@dataclass(frozen=True)
class FairGrad(Game):
    """Weigh the rows of each label and group by how much better it fares than all groups, summed over training.

    A label and group that fares worse gains weight, one that fares better loses it, even below 0: its rows are then
    pushed towards errors. The weights are those of the Lagrangian of the constraint that all fare alike, whose
    multipliers grow with the advantage seen in each mini-batch. A group without rows in a mini-batch counts there as
    faring like all.

    References:
        Maheshwari and Perrot (2023), FairGrad: fairness aware gradient descent, TMLR, with the multipliers of the
        released package.
    """

    name = "fairgrad"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"dual_lr": rate, "epsilon": epsilon} for rate in (0.003, 0.01, 0.03) for epsilon in (0.0, 0.05)
    )
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "dual_lr": Range(1e-3, 1e-1, log=True, source="own: around the default"),
        "epsilon": Range(0.0, 0.1, source="own"),
    }

    dual_lr: float = parameter(
        0.01,
        "learning rate of the multipliers (fairness_rate); 0 is the plain network, with all epochs",
        source="the released package",
        minimum=0,
    )
    epsilon: float = parameter(0.0, "advantage that is allowed", source="the released package", minimum=0, maximum=1)
    criterion: str = criterion_parameter(PAPER)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the last epoch; it does not use the group.

        Curves: ``smallest_weight`` and ``largest_weight`` of a row after every epoch, besides those of training.

        Raises:
            NotApplicable: fewer than two groups have rows to compare.
        """
        labels = compared_labels(self.criterion, train)
        share = shares(as_batch(train))
        coefficient = error_coefficients(share, labels)
        multiplier = torch.zeros(2, *share.shape)  # of too large an advantage, and of too large a disadvantage
        weight = torch.ones_like(share)

        def weighted(model: Model, batch: Batch) -> Tensor:
            nonlocal multiplier, weight
            logit = model(batch.X)
            level = fairness((logit >= 0).long().reshape(-1), batch, labels)
            multiplier = grown(multiplier, level, self.dual_lr, self.epsilon)
            weight = row_weights(multiplier, coefficient, share)
            factor = weight[batch.y.reshape(-1).long(), batch.group].reshape(-1, 1)
            return (factor * cross_entropy(logit, batch.y, reduction="none")).mean()

        def diagnose() -> dict[str, float]:
            here = weight[share > 0]
            return {"smallest_weight": float(here.min()), "largest_weight": float(here.max())}

        model, curves = self.train(train, validation, seed=seed, learn=descend(weighted), diagnose=diagnose)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


def grown(multiplier: Tensor, level: Tensor, dual_lr: float, epsilon: float) -> Tensor:
    """Return the multipliers (2, 2, G) after a step along the advantage beyond epsilon, and the disadvantage.

    They stay >= 0.
    """
    beyond = torch.stack([level - epsilon, -level - epsilon])
    return (multiplier + dual_lr * beyond).clamp(min=0)


def row_weights(multiplier: Tensor, coefficient: Tensor, share: Tensor) -> Tensor:
    """Return the weight (2, G) of a row of each label and group; it is 1 where all multipliers are 0, or nobody is.

    Args:
        multiplier: (2, 2, G), see ``grown``.
        coefficient: (2G, 2G), see ``error_coefficients``.
        share: (2, G), see ``shares``.

    References:
        Maheshwari and Perrot (2023), section 3: the weight of a group's mean loss, divided by the group's share.
    """
    slope = (coefficient.T @ (multiplier[0] - multiplier[1]).reshape(-1)).reshape(share.shape)
    return torch.where(share > 0, 1 + slope / share.clamp(min=torch.finfo(share.dtype).tiny), torch.ones_like(share))


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [FairGrad]
