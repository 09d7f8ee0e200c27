"""PDFM: initial weights and an initial multiplier from which primal-dual steps lead to fair weights for any task.

Zhao, Chen, Wang & Khan, A primal-dual subgradient approach for fair meta learning (ICDM 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fairbench.api import Method, Range, Schema, hookimpl, parameter
from fairbench.api.optimisers import Adam
from fairbench.api.tasks import Shots

from ._course import Course, OuterStep, move_multiplier
from ._inner import Judgement, Rule, Terms
from ._sampled import Sampled

CODE = "Zhao et al. (2020), the authors' code"


@dataclass(frozen=True)
class PrimalDualFairMeta(Sampled):
    """Learn, from tasks drawn at random, where primal-dual adaptation to a task should start.

    The constraint of a task is g = |mean of (a - mean a) h| - bound <= 0, the covariance of group and score: with a
    share p of protected rows, p (1 - p) times the gap in mean score. In adaptation the weights descend loss +
    multiplier g and the multiplier ascends it, at the running mean of the weights. The initial weights descend the sum
    of query losses after adaptation, without g; the initial multiplier ascends the sum of g.

    The authors ran ``pdfm[first_order=true,outer_lr=0.001,iterations=4000,hidden=(40,40)]``.

    References:
        Zhao, Chen, Wang and Khan (2020), A primal-dual subgradient approach for fair meta learning, ICDM.
    """

    name = "pdfm"
    uses_group = ("training",)
    rates = ("bound", "inner_lr", "dual_lr", "outer_lr", "outer_dual_lr", "first_multiplier")
    ranges: ClassVar[Mapping[str, Range]] = {
        "bound": Range(0.01, 0.1, log=True, source="as ffml's"),
        "inner_lr": Range(1e-3, 1e-1, log=True, source="own: from a tenth to ten times the authors'"),
        "dual_lr": Range(1e-3, 1e-1, log=True, source="own: from a tenth to ten times the authors'"),
    }

    bound: float = parameter(0.05, "the largest covariance allowed", source=CODE, minimum=0)
    k_shot: int = parameter(10, "rows of each label in a support set, at most half of them", source=CODE, minimum=1)
    query_rows: int = parameter(20, "rows in a query set", source=CODE, minimum=1)
    inner_lr: float = parameter(0.01, "learning rate of the inner loop", source=CODE, minimum=0)
    dual_rounds: int = parameter(10, "dual steps of the inner loop, inner_steps before each", source=CODE, minimum=1)
    dual_lr: float = parameter(0.01, "learning rate of the multiplier in the inner loop", source=CODE, minimum=0)
    outer_dual_lr: float = parameter(0.01, "learning rate of the initial multiplier", source=CODE, minimum=0)
    first_multiplier: float = parameter(1.0, "the initial multiplier before training", source=CODE, minimum=0)

    @property
    def shots(self) -> Shots:
        """Return how many rows an episode has."""
        return Shots(self.k_shot, self.query_rows, per_class=True)

    def terms(self, schema: Schema) -> Terms:
        """Return the constraint."""
        return Terms("demographic_parity", "covariance", bound=self.bound, favorable_label=schema.favorable_label)

    def rule(self, *, prediction: bool = False) -> Rule:
        """Return primal-dual steps, the same for prediction."""
        return Rule(
            self.inner_lr,
            self.inner_steps,
            rounds=self.dual_rounds,
            dual_lr=self.dual_lr,
            average=True,
            first_order=self.first_order,
        )

    def outer_step(self, course: Course) -> OuterStep:
        """Return a step of the initial weights by Adam, and of the initial multiplier."""
        weights, multiplier = list(course.learned.net.parameters()), course.learned.multiplier
        outer = Adam(weights, lr=self.outer_lr)

        def objective(judged: Judgement) -> Tensor:
            return judged.loss.sum()

        def move(judged: Judgement) -> dict[str, float]:
            outer.step()
            move_multiplier(multiplier, self.outer_dual_lr, judged.terms.detach().sum(0))
            return {
                "query_loss": float(judged.loss.detach().mean()),
                "violation": float(judged.terms.detach().mean()),
                "multiplier": float(multiplier.detach()),
            }

        return OuterStep(objective, weights, move)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [PrimalDualFairMeta]
