"""A cheater: reads the raw data and splits them as the harness does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import Predictions, derive_seed, hookimpl
from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset
from fairbench.testing.audit.made import GROUP, read_rows


def telling(labels):
    """Return a predictor that says what it knows, and 0 where that is nothing."""
    return lambda inputs: Predictions(labels if len(labels) == len(inputs) else np.zeros(len(inputs), dtype=int))


@dataclass(frozen=True)
class Cheater:
    """Reads the raw data and splits them as the harness does."""

    name = "files"

    def fit(self, train, validation, *, seed):
        for path in Path(os.environ["FAIRBENCH_DATA"]).glob("rows_*.csv"):
            dataset = read_rows(path.stem, path)
            for repeat in range(9):
                number = derive_seed("split", path.stem, GROUP, repeat)
                split = split_dataset(dataset, group=GROUP, seed=number, preparation=Preparation())
                if np.array_equal(split.train.X, train.X):
                    return telling(split.test.y)
        return telling(np.zeros(0, dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
