"""Learning from tasks that arrive one after another: what m-FTML and FFML share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

import numpy as np
import torch
from torch import Tensor

from fairbench.api import parameter
from fairbench.api.optimisers import Adam
from fairbench.api.tasks import Shots

from ._course import Course, Record, mean_of
from ._inner import Rule
from ._learner import MetaLearner

ALL_STEPS = 600  # more overfit the states of communities (31 tasks) and gain little on compas (10) and adult (20)
CODE = "Zhao et al. (2021), the authors' code"


@dataclass(frozen=True)
class Stream(MetaLearner):
    """Hyper-parameters of online meta-learning, and its rounds.

    In round t the initial weights are scored on task t, which is new to them (adapt to its support, evaluate on its
    query rows: ``incoming_loss`` and ``incoming_accuracy``); then the task joins the buffer, and outer steps on tasks
    from the buffer follow.

    With ``variant=code`` the mechanics are those of the authors' code: first order; the inner loss divided by
    ``k_shot``; the losses of an outer step summed over the tasks and divided by ``query_rows``; plain gradient descent
    in the outer loop; the buffered tasks drawn once per round.
    """

    k_shot: int = parameter(100, "rows of each label in a support set, at most half of them", source=CODE, minimum=1)
    query_rows: int = parameter(200, "rows in a query set", source=CODE, minimum=1)
    meta_steps: int = parameter(
        0, "outer steps after each new task; 0: 600 in all, shared evenly", source="own, by validation loss", minimum=0
    )
    tasks_per_step: int = parameter(8, "tasks in an outer step, or all if there are fewer", source="own", minimum=1)
    order: str = parameter(
        "key",
        "order in which tasks arrive: that of the plan (rising ages, say), or shuffled",
        choices=("key", "shuffle"),
    )

    @property
    def shots(self) -> Shots:
        """Return how many rows an episode has."""
        return Shots(self.k_shot, self.query_rows, per_class=True)

    @property
    def variant(self) -> str:
        """Return whose mechanics to follow: a parameter of each method, which has its own choices."""
        raise NotImplementedError

    @property
    def as_code(self) -> bool:
        """Return whether to learn as the authors' code does."""
        return self.variant == "code"

    def descent(self, *, rounds: int = 1, dual_lr: float = 0.0) -> Rule:
        """Return the rule of the inner loop; for the arguments see ``Rule``."""
        lr = self.inner_lr / self.k_shot if self.as_code else self.inner_lr
        first_order = self.first_order or self.as_code
        return Rule(lr, self.inner_steps, rounds=rounds, dual_lr=dual_lr, first_order=first_order)

    def optimizer(self, course: Course) -> Union[torch.optim.Optimizer, Adam]:
        """Return what moves the initial weights."""
        kind: Callable[..., Union[torch.optim.Optimizer, Adam]] = torch.optim.SGD if self.as_code else Adam
        return kind(course.learned.net.parameters(), lr=self.outer_lr)

    def together(self, values: Tensor) -> Tensor:
        """Return the outer objective of values (B,), one for each task."""
        return values.sum() / self.query_rows if self.as_code else values.mean()

    def schedule(self, course: Course) -> tuple[int, Callable[[int], Record]]:
        """Return one epoch for each task that arrives."""
        arriving = np.arange(len(course.members))
        if self.order == "shuffle":
            arriving = course.random.permutation(arriving)
        meta_steps = self.meta_steps or max(1, round(ALL_STEPS / len(arriving)))

        def sample(buffer: np.ndarray) -> np.ndarray:
            return course.random.choice(buffer, size=min(self.tasks_per_step, len(buffer)), replace=False)

        def epoch(number: int) -> Record:
            scored, buffer = course.score(int(arriving[number])), arriving[: number + 1]
            fixed = sample(buffer)
            tasks = [fixed if self.as_code else sample(buffer) for _ in range(meta_steps)]
            return {**scored, **mean_of([course.learn(drawn) for drawn in tasks])}

        return len(arriving), epoch
