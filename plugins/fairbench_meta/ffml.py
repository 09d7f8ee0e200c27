"""FFML: online meta-learning under a fairness constraint, whose multiplier adapts to each task as the weights do.

Zhao, Chen & Thuraisingham, Fairness-aware online meta-learning (KDD 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from fairbench.api import Method, Range, Schema, hookimpl, parameter

from ._course import Course, OuterStep, move_multiplier
from ._inner import Judgement, Rule, Terms
from ._stream import CODE, Stream

PAPER = "Zhao et al. (2021)"


@dataclass(frozen=True)
class FFML(Stream):
    """Learn initial weights and multipliers online, from which primal-dual steps lead to fair weights for a task.

    The constraint of a task is g = |mean score of the protected - mean score of the others| - bound <= 0 (for
    ``equal_opportunity`` over rows with the favourable label, for ``equalized_odds`` one for each label). In adaptation
    the weights descend loss + multiplier g and the multiplier ascends it, in turn. After each new task the initial
    weights descend, and the initial multiplier ascends, the mean of loss + multiplier g after adaptation, minus
    ``dual_decay`` / 2 multiplier^2, plus ``norm_weight`` times the norm of the weights. A task without rows on both
    sides makes no dual step.

    With ``variant=code`` (see ``Stream``) the constraint is on the covariance of score and group, the fairness term
    does not reach the initial weights, the bound does not reach the initial multiplier, and weights whose norms, tensor
    by tensor, sum to more than ``radius`` are divided by that sum. The authors ran ``ffml[variant=code,inner_lr=0.001,
    dual_lr=0.001,outer_lr=0.001,outer_dual_lr=0.001,dual_rounds=1,meta_steps=3000,tasks_per_step=32,norm_weight=0.015,
    radius=10,dual_decay=0.05,hidden=(40,40)]`` with an initial multiplier drawn from 0.0001, ..., 1.

    The diagnostics ``multiplier`` and ``violation`` (g, both of the term where it is largest) are means over a round.

    References:
        Zhao, Chen and Thuraisingham (2021), Fairness-aware online meta-learning, KDD.
    """

    name = "ffml"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"criterion": criterion, "bound": bound, "dual_lr": lr, "outer_dual_lr": lr}
        for criterion in ("demographic_parity", "equalized_odds")
        for bound in (0.01, 0.05, 0.1)
        for lr in (0.01, 0.1)
    )
    rates = (
        "bound",
        "inner_lr",
        "dual_lr",
        "outer_lr",
        "outer_dual_lr",
        "dual_decay",
        "first_multiplier",
        "norm_weight",
        "radius",
    )
    ranges: ClassVar[Mapping[str, Range]] = {
        "bound": Range(0.01, 0.1, log=True, source="the ends of the grid"),
        "dual_lr": Range(0.01, 0.1, log=True, source="the ends of the grid"),
        "outer_dual_lr": Range(0.01, 0.1, log=True, source="the ends of the grid"),
    }

    variant: str = parameter("paper", "follow the paper, or the mechanics of its code", choices=("paper", "code"))
    criterion: str = parameter(
        "demographic_parity",
        "the rows whose mean scores should be equal: all, those with the favourable label, or those of each label",
        source=PAPER,
        choices=("demographic_parity", "equal_opportunity", "equalized_odds"),
    )
    bound: float = parameter(0.05, "the largest gap (covariance) in mean score allowed", source=CODE, minimum=0)
    dual_rounds: int = parameter(5, "dual steps of the inner loop, inner_steps before each", source="own", minimum=1)
    dual_lr: float = parameter(0.1, "learning rate of the multiplier in the inner loop", source="own", minimum=0)
    outer_dual_lr: float = parameter(
        0.1, "learning rate of the initial multiplier", source="own, by validation", minimum=0
    )
    dual_decay: float = parameter(0.05, "pull of the initial multiplier to 0", source=CODE, minimum=0)
    first_multiplier: float = parameter(0.0, "the initial multiplier before training", source="own", minimum=0)
    norm_weight: float = parameter(1e-4, "weight of the norm of the initial weights", source="own", minimum=0)
    radius: float = parameter(20.0, "the largest norm of the initial weights", source="own", minimum=0)

    def terms(self, schema: Schema) -> Terms:
        """Return the constraint."""
        form = "covariance" if self.as_code else "gap"
        return Terms(self.criterion, form, bound=self.bound, favorable_label=schema.favorable_label)

    def rule(self, *, prediction: bool = False) -> Rule:
        """Return primal-dual steps, the same for prediction."""
        return self.descent(rounds=self.dual_rounds, dual_lr=self.dual_lr)

    def outer_step(self, course: Course) -> OuterStep:
        """Return a step of the initial weights and multipliers."""
        outer, weights = self.optimizer(course), list(course.learned.net.parameters())
        multiplier = course.learned.multiplier

        def objective(judged: Judgement) -> Tensor:
            terms = (judged.terms + self.bound * judged.known).detach() if self.as_code else judged.terms
            penalty = (multiplier * terms).sum(1).mean()
            return self.together(judged.loss) + penalty + self.norm_weight * _norm(weights)

        def move(judged: Judgement) -> dict[str, float]:
            outer.step()
            self._bound_norm(weights)
            slope = cast(Tensor, multiplier.grad)  # which ``backward`` has set
            move_multiplier(multiplier, self.outer_dual_lr, slope - self.dual_decay * multiplier.detach())
            return {
                "query_loss": float(judged.loss.detach().mean()),
                "violation": float(judged.terms.detach().mean(0).max()),
                "multiplier": float(multiplier.detach().max()),
            }

        return OuterStep(objective, [*weights, multiplier], move)

    def _bound_norm(self, weights: Sequence[Tensor]) -> None:
        """Keep the weights within the ball; the code's rule resets the sum of their norms to 1 instead."""
        with torch.no_grad():
            norm = sum(map(torch.linalg.vector_norm, weights)) if self.as_code else _norm(weights)
            if norm > self.radius:
                for weight in weights:
                    weight.mul_(1 / norm if self.as_code else self.radius / norm)


def _norm(weights: Sequence[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.cat([weight.reshape(-1) for weight in weights]))
    return norm


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [FFML]
