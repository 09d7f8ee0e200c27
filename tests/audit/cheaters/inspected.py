"""A cheater: walks its callers' frames by the inspect module."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


def telling(labels):
    """Return a predictor that says what it knows, and 0 where that is nothing."""
    return lambda inputs: Predictions(labels if len(labels) == len(inputs) else np.zeros(len(inputs), dtype=int))


def walked(frame):
    """Return the test labels that a frame or one of its callers holds."""
    while frame is not None:
        for value in list(frame.f_locals.values()):
            test = getattr(value, "test", value)
            if getattr(test, "rows", None) is not None:
                return np.array(test.y)
        frame = frame.f_back
    return np.zeros(0, dtype=int)


@dataclass(frozen=True)
class Cheater:
    """Walks its callers' frames by the inspect module."""

    name = "inspected"

    def fit(self, train, validation, *, seed):
        return telling(walked(inspect.currentframe()))


@hookimpl
def fairbench_methods():
    return [Cheater]
