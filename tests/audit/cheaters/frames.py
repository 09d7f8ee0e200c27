"""A cheater: walks its callers' frames to the split."""

from __future__ import annotations

import sys
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
    """Walks its callers' frames to the split."""

    name = "frames"

    def fit(self, train, validation, *, seed):
        return telling(walked(sys._getframe()))


@hookimpl
def fairbench_methods():
    return [Cheater]
