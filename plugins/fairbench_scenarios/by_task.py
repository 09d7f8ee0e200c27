"""Holdout with one more measurement: means over the data's own tasks, as studies of meta-learning report them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Callable

import numpy as np

from fairbench.api import Method, NotApplicable, Outcome, Predictions, Samples, Scenario, Split, hookimpl, parameter
from fairbench.api.tasks import TaskPlan, plan_tasks

from .holdout import Holdout
from .tuned import Tuned


def selection_ratio(samples: Samples, predictions: Predictions) -> float:
    """Return the protected rows' selection rate over the others', which may exceed 1; NaN if theirs is 0.

    References:
        Slack, Friedler and Givental (FAT* 2020), as their code computes demographic parity.
    """
    protected, others = (predictions.decision[side].mean() for side in (samples.protected, ~samples.protected))
    return float(protected / others) if others > 0 else float("nan")


def task_means(plan: TaskPlan, samples: Samples, predictions: Predictions, least: int) -> dict[str, float]:
    """Return how many tasks can be compared, and the means over them beside the same quantities for all rows at once.

    Args:
        plan: which task a row belongs to.
        samples: (n,) rows.
        predictions: for the same rows.
        least: rows that a task needs of the protected group and of the others.

    Returns:
        ``tasks_compared``; ``task_accuracy`` and ``task_selection_ratio``, plain means over the tasks; and
        ``pooled_selection_ratio``. A task in which the ratio is undefined does not count in its mean; a mean over
        nothing is NaN.
    """
    codes = plan.assign(samples.inputs)
    accuracies, ratios = [], []
    for task in range(len(plan)):
        rows = np.flatnonzero(codes == task)
        protected = int(samples.protected[rows].sum())
        if min(protected, len(rows) - protected) >= least:
            inside, decided = samples.select(rows), predictions.select(rows)
            accuracies.append(float(np.where(inside.y == 1, decided.decision, 1 - decided.decision).mean()))
            ratios.append(selection_ratio(inside, decided))
    defined = [ratio for ratio in ratios if not np.isnan(ratio)]
    return {
        "tasks_compared": float(len(accuracies)),
        "task_accuracy": float(np.mean(accuracies)) if accuracies else float("nan"),
        "task_selection_ratio": float(np.mean(defined)) if defined else float("nan"),
        "pooled_selection_ratio": selection_ratio(samples, predictions),
    }


@dataclass(frozen=True)
class ByTask:
    """Measure the test part as usual, and its tasks one by one, so that the effect of pooling them shows.

    The tasks are formed from the training part by the data's own key (age, state) and do not depend on the method; they
    are the default tasks of the meta-learners. Ratios over tasks may exceed 1 and average unfairness away: tasks with
    0.6 and 1.4 have mean 1.
    """

    name = "by_task"
    takes_unknown_group = True

    tuned: bool = parameter(False, "let validation choose among the method's configurations first, as tuned does")
    least_rows: int = parameter(10, "test rows that a task needs of the protected group and of the others", minimum=1)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome, with the means over tasks among its values.

        Raises:
            NotApplicable: the rows carry no key to form tasks by, or what ``tuned`` raises.
        """
        if not split.train.keys:
            raise NotApplicable("the data carry no key such as age or state, so they have no tasks of their own")
        plan = plan_tasks(split.train, seed=seed("tasks"))
        for outcome in (Tuned() if self.tuned else Holdout()).run(split, method, seed):
            chosen = outcome.predictions[outcome.chosen]
            yield replace(outcome, values=task_means(plan, outcome.samples, chosen, self.least_rows))


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [ByTask]
