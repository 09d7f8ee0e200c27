"""An outer step of each meta-learner: tasks side by side, and one after another through higher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from _timing import Row, alternately
from fairbench_meta._course import Course
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_meta.pdfm import PrimalDualFairMeta

from fairbench.api import Samples, Schema

SHAPES = {"as compas": (4320, 7, (8,)), "as communities": (1395, 97, (8,)), "as adult": (31655, 100, (8, 8))}
TASKS = 8


def make_samples(rows: int, features: int) -> Samples:
    """Return normal features, two groups, and labels that depend on both."""
    random = np.random.default_rng(0)
    X, group = random.normal(size=(rows, features)).astype(np.float32), random.integers(0, 2, rows)
    y = (X[:, 0] + group + random.normal(size=rows) > 0.5).astype(int)
    names = tuple(f"x{column}" for column in range(features))
    return Samples(X, group, Schema(names, ("other", "protected"), 1), y)


def outer_step(method, train: Samples):
    """Return a function that makes one outer step on eight tasks, and the course that it moves on."""
    course = Course(method, train, seed=0)
    return lambda: course.learn(range(TASKS)), course


def measure(quick: bool) -> Iterator[Row]:
    """Time an outer step of each learner on each shape, both loops in turns and checked to agree."""
    for shape, (rows, features, hidden) in list(SHAPES.items())[: 1 if quick else None]:
        train = make_samples(rows, features)
        for cls in (FairMAML,) if quick else (FairMAML, MaskedFTML, FFML, PrimalDualFairMeta):
            method = cls(hidden=hidden, task_count=TASKS)
            steps, courses = zip(
                *(outer_step(replace(method, inner_loop=loop), train) for loop in ("higher", "batched"))
            )
            found = alternately(dict(zip(("higher", "batched"), steps)), rounds=4, burst=0, budget=60.0)
            ends = [torch.cat([w.detach().reshape(-1) for w in course.learned.net.parameters()]) for course in courses]
            torch.testing.assert_close(*ends, rtol=0, atol=1e-4)  # float32, after as many steps of Adam
            name = f"an outer step of {cls.name} on {TASKS} tasks, {shape}"
            yield found["batched"].row(name, other=found["higher"], against="task by task through higher")
