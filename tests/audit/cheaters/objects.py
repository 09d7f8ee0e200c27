"""A cheater: looks through all objects for the split."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


def telling(labels):
    """Return a predictor that says what it knows, and 0 where that is nothing."""
    return lambda inputs: Predictions(labels if len(labels) == len(inputs) else np.zeros(len(inputs), dtype=int))


@dataclass(frozen=True)
class Cheater:
    """Looks through all objects for the split."""

    name = "objects"

    def fit(self, train, validation, *, seed):
        for found in gc.get_objects():
            if type(found).__name__ == "Split" and found.train.X is train.X:
                return telling(np.array(found.test.y))
        return telling(np.zeros(0, dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
