"""A fit of a meta-learner in progress: its tasks, what is learned so far, and its outer steps."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import torch
from torch import Tensor, nn

from fairbench.api import Samples, derive_seed
from fairbench.api.tasks import draw_rows, plan_tasks
from fairbench.api.torch import mlp

from ._inner import INNER_LOOPS, Judgement, Setting, Table, TaskBatch, adapt, forward, judge, judge_together

if TYPE_CHECKING:
    from ._learner import MetaLearner

Record = Mapping[str, Any]
"""What an outer step or an epoch records: numbers, or arrays with one for each course of a stack."""


@dataclass(frozen=True)
class OuterStep:
    """Moves what is learned, given the evaluation after adaptation.

    Args:
        objective: the scalar to descend.
        by: the parameters whose ``.grad`` the objective sets.
        move: makes the step, and returns what to record.
    """

    objective: Callable[[Judgement], Tensor]
    by: Sequence[Tensor]
    move: Callable[[Judgement], Mapping[str, float]]

    def __call__(self, judged: Judgement) -> Mapping[str, float]:
        """Make the step."""
        (said,) = step_together([self], [judged])
        return said


def step_together(steps: Sequence[OuterStep], judged: Sequence[Judgement]) -> list[Mapping[str, float]]:
    """Make each step with its own evaluation; all are parts of one graph."""
    by = [parameter for step in steps for parameter in step.by]
    for each in by:
        each.grad = None
    torch.autograd.backward([step.objective(one) for step, one in zip(steps, judged)], inputs=by)
    return [step.move(one) for step, one in zip(steps, judged)]


class Learned(nn.Module):
    """What is meta-learned: the net's initial weights and, where a method learns them, its multipliers (m,)."""

    def __init__(self, net: nn.Sequential, multiplier: Tensor) -> None:
        """Keep both."""
        super().__init__()
        self.net = net
        self.multiplier = nn.Parameter(multiplier)


def move_multiplier(multiplier: Tensor, lr: float, slope: Tensor) -> None:
    """Go up the slope (m,), and stay at 0 or above."""
    with torch.no_grad():
        multiplier.add_(lr * slope).clamp_(min=0)


class Course:
    """One fit in progress: the training rows as tasks, what is learned so far, and how it adapts."""

    def __init__(self, learner: MetaLearner, train: Samples, seed: int) -> None:
        """Form the tasks and draw the initial weights."""
        self.learner, self.y = learner, train.y
        self.plan = plan_tasks(
            train,
            learner.tasks,
            seed=derive_seed("tasks", seed),
            count=learner.task_count,
            min_rows=learner.min_task_rows,
        )
        self.members = [self.plan.rows(task) for task in range(len(self.plan))]
        self.table = Table(train, learner.terms(train.schema))
        net = mlp(train.X.shape[1], learner.hidden, learner.activation, seed=seed)
        self.random = np.random.default_rng(derive_seed("episodes", seed))
        self._begin(learner, net)

    def _begin(self, learner: MetaLearner, net: nn.Sequential) -> None:
        self.learner, self.terms = learner, learner.terms(self.table.schema)
        self.learned = Learned(net, torch.full((len(self.terms),), learner.first_multiplier))
        self.inner, self.rule = INNER_LOOPS[learner.inner_loop], learner.rule()
        self.step = learner.outer_step(self)

    def of(self, learner: MetaLearner) -> Course:
        """Return the course, at its beginning, of a learner that differs in rates alone; rows and draws are shared."""
        course = copy.copy(self)
        course._begin(learner, copy.deepcopy(self.learned.net))
        return course

    def draw(self, tasks: Iterable[int], flip: Sequence[bool] = ()) -> tuple[TaskBatch, TaskBatch]:
        """Return a support and a query set for each of the tasks."""
        drawn = [draw_rows(self.y, self.members[task], self.learner.shots, self.random) for task in tasks]
        return (
            self.table.batch([support for support, _ in drawn], flip),
            self.table.batch([query for _, query in drawn], flip),
        )

    def learn(self, tasks: Iterable[int], flip: Sequence[bool] = ()) -> Record:
        """Adapt to new draws of the tasks, evaluate on their query sets, and make an outer step."""
        support, query = self.draw(tasks, flip)
        net = self.learned.net
        weights = self.inner(net, self.learned.multiplier, support, self.terms, self.rule)
        return self.step(judge(forward(net, weights, query.X), query, self.terms))

    def score(self, task: int) -> Record:
        """Return loss and accuracy on the query set of a new draw of a task, after adaptation as for prediction."""
        return self.scored(*self.draw([task]))

    @torch.no_grad()
    def scored(self, support: TaskBatch, query: TaskBatch) -> dict[str, float]:
        """Return loss and accuracy on the query set of one task."""
        net, rule = self.learned.net, self.learner.rule(prediction=True)
        weights = adapt(net, self.learned.multiplier, support, self.terms, rule)
        logit = forward(net, weights, query.X)
        right = ((logit >= 0) == (query.y == 1)).to(logit)  # no row is padding: there is one task
        loss = judge(logit, query, self.terms).loss
        return {"incoming_loss": float(loss), "incoming_accuracy": float(right.mean())}


class Stack(Course):
    """Courses of several settings that see the same tasks; those at the ``active`` places learn, as one computation."""

    def __init__(self, courses: Sequence[Course]) -> None:
        """Keep the courses, which share rows and draws."""
        vars(self).update(vars(courses[0]))
        self.courses, self.active = courses, list(range(len(courses)))

    def learn(self, tasks: Iterable[int], flip: Sequence[bool] = ()) -> Record:
        """Make an outer step of each active course with the same draws of the tasks."""
        support, query = self.draw(tasks, flip)
        courses = [self.courses[place] for place in self.active]
        settings = [Setting(one.learned.net, one.learned.multiplier, one.terms, one.rule) for one in courses]
        return beside(step_together([one.step for one in courses], judge_together(settings, support, query)))

    def score(self, task: int) -> Record:
        """Return loss and accuracy of each active course on the same draw of a task."""
        support, query = self.draw([task])
        return beside([self.courses[place].scored(support, query) for place in self.active])


def beside(records: Sequence[Mapping[str, float]]) -> Record:
    """Return the values of several records with the same names as arrays."""
    return {name: np.array([record[name] for record in records]) for name in records[0]}


def mean_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return the mean of each value over records with the same names."""
    return {name: sum(record[name] for record in records) / len(records) for name in records[0]}
