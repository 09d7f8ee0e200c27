"""A small table drawn from a known distribution, made for feedback loops: a few minutes, no download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Dataset, DatasetSpec, derive_seed, hookimpl, parameter

POOL = 4  # rows drawn for each row that a split uses, so that repeats see different people
NOISE = 0.05


@dataclass(frozen=True)
class GaussLoop:
    """Eight features of two groups with base rates of about .7 and .3; y = 1 is favourable.

    y is a fair coin, and the group follows it: a favoured row is in the minoritized group with probability .3, any
    other row with .7. x0 moves with y, (x1, x2) lie on a wider ring for y = 1, x3 is informative about y in opposite
    directions for the two groups, x4 and x5 give the group away, x6 and x7 are noise; afterwards 5% of the labels are
    flipped. A split draws its rows anew from a larger pool: 1,500 for training, 500 for validation and 6,000 for the
    test.
    """

    name = "gauss_loop"
    files = ()
    licence = "none needed: drawn by fairbench"
    sensitive_features = ("group",)
    train: int = parameter(1500, "training rows of a split", minimum=50)
    validation: int = parameter(500, "validation rows of a split", minimum=50)
    test: int = parameter(6000, "test rows of a split", minimum=50)
    data_seed: int = parameter(0, "seed of the draw", minimum=0)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Draw the rows; no file is read."""
        import pandas as pd

        random = np.random.default_rng(self.data_seed)
        n = POOL * (self.train + self.validation + self.test)
        y = random.integers(0, 2, n)
        minoritized = random.random(n) < np.where(y == 1, 0.3, 0.7)
        label, side = 2 * y - 1, np.where(minoritized, -1, 1)
        X = random.standard_normal((n, 8))
        angle, radius = random.uniform(0, 2 * np.pi, n), 1 + 1.2 * y
        X[:, 0] += 1.1 * label
        X[:, 1] = radius * np.cos(angle) + 0.35 * X[:, 1]
        X[:, 2] = radius * np.sin(angle) + 0.35 * X[:, 2]
        X[:, 3] += 0.6 * label * side
        X[:, 4] += 2.2 * side
        X[:, 5] += 0.8 * side
        flipped = random.random(n) < NOISE
        return Dataset(
            name=self.name,
            X=pd.DataFrame({f"x{column}": X[:, column] for column in range(8)}),
            y=np.where(flipped, 1 - y, y),
            sensitive_features=pd.DataFrame({"group": np.where(minoritized, "minoritized", "majoritized")}),
            protected_group={"group": "minoritized"},
            partition=self.partition,
            overlap="unknown",  # two repeats share a quarter of their rows
        )

    def partition(self, seed: int) -> list[NDArray[np.intp]]:
        """Return the positions of a split's rows, drawn without replacement from the pool."""
        sizes = np.cumsum([self.train, self.validation, self.test])
        order = np.random.default_rng(derive_seed("partition", seed)).permutation(POOL * sizes[-1])
        return np.split(order[: sizes[-1]], sizes[:-1])


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [GaussLoop]
