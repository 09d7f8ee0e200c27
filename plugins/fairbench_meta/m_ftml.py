"""m-FTML: follow the meta-leader over tasks that arrive one after another, with the group masked.

Finn, Rajeswaran, Kakade & Levine, Online meta-learning (ICML 2019), as the baseline of Zhao et al. (KDD 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from fairbench.api import Method, Range, Schema, hookimpl, parameter

from ._course import Course, OuterStep
from ._inner import Judgement, Rule, Terms
from ._stream import Stream


@dataclass(frozen=True)
class MaskedFTML(Stream):
    """Learn initial weights online, for accuracy after adaptation alone.

    After each new task the initial weights descend the mean loss, after adaptation, over the tasks seen so far.
    "Masked" means that the group is not an input; there is no fairness term at all: this is FFML without its
    constraint.

    FFML's authors ran ``m_ftml[variant=code,inner_lr=0.01,outer_lr=0.01,meta_steps=10,tasks_per_step=32,
    hidden=(40,40)]``.

    References:
        Finn, Rajeswaran, Kakade and Levine (2019), Online meta-learning, ICML.
        Zhao, Chen and Thuraisingham (2021), Fairness-aware online meta-learning, KDD.
    """

    name = "m_ftml"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"inner_lr": inner, "outer_lr": outer} for inner in (0.01, 0.1) for outer in (1e-3, 1e-2)
    )
    ranges: ClassVar[Mapping[str, Range]] = {
        "inner_lr": Range(0.01, 0.1, log=True, source="the ends of the grid"),
        "outer_lr": Range(1e-3, 1e-2, log=True, source="the ends of the grid"),
    }

    variant: str = parameter(
        "ftml", "follow the paper, or the mechanics of the code of FFML's authors", choices=("ftml", "code")
    )

    def terms(self, schema: Schema) -> Terms:
        """Return no terms."""
        return Terms()

    def rule(self, *, prediction: bool = False) -> Rule:
        """Return gradient descent, the same for prediction."""
        return self.descent()

    def outer_step(self, course: Course) -> OuterStep:
        """Return a step down the loss on the query sets."""
        outer = self.optimizer(course)

        def objective(judged: Judgement) -> Tensor:
            return self.together(judged.loss)

        def move(judged: Judgement) -> dict[str, float]:
            outer.step()
            return {"query_loss": float(judged.loss.detach().mean())}

        return OuterStep(objective, list(course.learned.net.parameters()), move)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [MaskedFTML]
