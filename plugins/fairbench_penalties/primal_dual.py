"""A network under constraints, whose multipliers rise where decisions violate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Fitted, Method, Options, Range, Samples, hookimpl, parameter
from fairbench.api.networks import Network, descend
from fairbench.api.torch import Batch, Model, predictor

from ._criteria import compared_labels, criterion_parameter, deviations
from ._game import Game

PAPER = "Cotter, Jiang & Sridharan (2019)"


def violations(value: Tensor, batch: Batch, labels: Sequence[int], tolerance: float) -> Tensor:
    """Return by how much each group's mean lies too far above that of all groups, and too far below it: (2, S, G).

    A negative number is the room that is left.

    Args:
        value: (n,) scores or decisions.
        batch: the rows.
        labels: among whose rows groups are compared; none for all rows.
        tolerance: the largest deviation allowed.
    """
    above = deviations(value, batch, labels)
    return torch.stack([above, -above]) - tolerance


def ascended(multiplier: Tensor, violation: Tensor, dual_lr: float, bound: float) -> Tensor:
    """Return the multipliers after a step of projected gradient ascent: they stay in [0, bound]."""
    return (multiplier + dual_lr * violation).clamp(0, bound)


@dataclass(frozen=True)
class PrimalDual(Game):
    """Minimise cross-entropy such that no group's rate is further than a tolerance from that of all groups together.

    Each group has two constraints, from above and from below (for equalized odds two within each label). The network
    descends the Lagrangian, in which scores stand for decisions; the multipliers ascend along what the decisions
    themselves violate, a step in every mini-batch. Two groups can thus differ by twice the tolerance.

    That the two players see different constraints is the paper's proposal. Simpler than there: the multipliers take
    additive steps, without the updates that make up for swaps, and each is bounded by itself; and the last iterate is
    used, not a random choice among all of them. So the paper's guarantees do not hold here.

    References:
        Cotter, Jiang and Sridharan (2019), Two-player games for efficient non-convex constrained optimization, ALT.
    """

    name = "primal_dual"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"tolerance": tolerance} for tolerance in (0.0, 0.01, 0.02, 0.05, 0.1)
    )
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "tolerance": Range(0.0, 0.1, source="the ends of the grid"),
        "dual_lr": Range(1e-3, 1e-1, log=True, source="own: around the default"),
    }

    tolerance: float = parameter(
        0.01,
        "largest distance allowed between a group's rate and that of all groups together",
        source="as fairlearn's ExponentiatedGradient",
        minimum=0,
        maximum=1,
    )
    dual_lr: float = parameter(
        0.01, "learning rate of the multipliers; 0 is the plain network, with all epochs", source="own", minimum=0
    )
    bound: float = parameter(10.0, "largest multiplier", source="own", minimum=0)
    criterion: str = criterion_parameter(PAPER)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the last epoch; it does not use the group.

        Curves: ``largest_multiplier`` after every epoch, besides those of training.

        Raises:
            NotApplicable: fewer than two groups have rows to compare.
        """
        labels = compared_labels(self.criterion, train)
        multiplier = torch.zeros(2, max(len(labels), 1), len(train.group_names))

        def lagrangian(model: Model, batch: Batch) -> Tensor:
            nonlocal multiplier
            logit = model(batch.X)
            score, decision = logit.sigmoid().reshape(-1), (logit >= 0).to(logit.dtype).reshape(-1)
            violated = (multiplier * violations(score, batch, labels, self.tolerance)).sum()
            there = violations(decision, batch, labels, self.tolerance)
            multiplier = ascended(multiplier, there, self.dual_lr, self.bound)
            return cross_entropy(logit, batch.y) + violated

        def diagnose() -> dict[str, float]:
            return {"largest_multiplier": float(multiplier.max())}

        model, curves = self.train(train, validation, seed=seed, learn=descend(lagrangian), diagnose=diagnose)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [PrimalDual]
