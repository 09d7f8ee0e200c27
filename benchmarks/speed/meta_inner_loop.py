"""How long an outer step of each meta-learner takes: tasks side by side, and one after another through higher.

Both loops are timed in turns within one run, on data of the shapes of three datasets, and checked to agree.

    python benchmarks/speed/meta_inner_loop.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from fairbench_meta._learner import Course
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
    step = method.outer_step(course)
    return lambda: course.learn(range(TASKS), step), course


def main() -> None:
    """Print milliseconds for each method and shape, the fastest of some rounds, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each loop is timed (default: 5)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{'method':10} {'shape':16} {'higher ms':>10} {'batched ms':>10} {'ratio':>6}")
    for shape, (rows, features, hidden) in SHAPES.items():
        train = make_samples(rows, features)
        for cls in (FairMAML, MaskedFTML, FFML, PrimalDualFairMeta):
            method = cls(hidden=hidden, task_count=TASKS)
            steps, courses = zip(
                *(outer_step(replace(method, inner_loop=loop), train) for loop in ("higher", "batched"))
            )
            fastest = [float("inf")] * 2
            for _ in range(rounds):
                for which, repeats in ((0, 2), (1, 10)):
                    started = time.process_time()
                    for _ in range(repeats):
                        steps[which]()
                    fastest[which] = min(fastest[which], (time.process_time() - started) / repeats)
                for _ in range(8):  # so that both have made as many steps, on the same draws
                    steps[0]()
            ends = [torch.cat([w.detach().reshape(-1) for w in course.learned.net.parameters()]) for course in courses]
            torch.testing.assert_close(*ends, rtol=0, atol=1e-4)  # float32, after many steps of Adam
            slow, fast = (seconds * 1e3 for seconds in fastest)
            print(f"{cls.name:10} {shape:16} {slow:10.1f} {fast:10.2f} {slow / fast:6.1f}")


if __name__ == "__main__":
    main()
