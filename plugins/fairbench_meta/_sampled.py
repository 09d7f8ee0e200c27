"""Learning from tasks drawn at random: what Fair-MAML and PDFM share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from fairbench.api import parameter

from ._course import Course, Record, mean_of
from ._learner import MetaLearner


@dataclass(frozen=True)
class Sampled(MetaLearner):
    """Hyper-parameters of offline meta-learning, and its outer steps."""

    outer_lr: float = parameter(
        3e-3, "learning rate of Adam, outer loop (authors: 0.001)", source="own, by validation loss", minimum=0
    )
    tasks_per_step: int = parameter(8, "tasks in an outer step, drawn with replacement", minimum=1)
    iterations: int = parameter(2000, "the largest number of outer steps", minimum=1)
    evaluate_every: int = parameter(10, "outer steps between evaluations of the validation loss", minimum=1)

    def flips(self, course: Course, count: int) -> Sequence[bool]:
        """Return which of this many tasks have their labels exchanged."""
        return ()

    def schedule(self, course: Course) -> tuple[int, Callable[[int], Record]]:
        """Return epochs of several outer steps each, from one evaluation to the next."""

        def meta_step() -> Record:
            tasks = course.random.integers(len(course.members), size=self.tasks_per_step)
            return course.learn(tasks, self.flips(course, len(tasks)))

        def epoch(number: int) -> Record:
            left = self.iterations - number * self.evaluate_every
            return mean_of([meta_step() for _ in range(min(self.evaluate_every, left))])

        return -(-self.iterations // self.evaluate_every), epoch
