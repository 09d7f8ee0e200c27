"""A cheater: asks the harness's own cache for the split."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl
from fairbench.data.files import DataSource
from fairbench.running.cell import CellRunner, _workbench


def telling(labels):
    """Return a predictor that says what it knows, and 0 where that is nothing."""
    return lambda inputs: Predictions(labels if len(labels) == len(inputs) else np.zeros(len(inputs), dtype=int))


@dataclass(frozen=True)
class Cheater:
    """Asks the harness's own cache for the split."""

    name = "workbench"

    def fit(self, train, validation, *, seed):
        plugins = tuple(value for flag, value in zip(sys.argv, sys.argv[1:]) if flag == "--plugin")
        bench = _workbench(CellRunner(DataSource(None, True), plugins))
        for split in bench._splits.values():
            found = split.own().split if hasattr(split, "own") else split
            if np.array_equal(found.train.X, train.X):
                return telling(np.array(found.test.y))
        return telling(np.zeros(0, dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
