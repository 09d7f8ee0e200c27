"""A method that takes as long as it is told to and needs no library, so that a process that runs it starts soon."""

import os
import time
from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Slow:
    """Draw scores from the seed, after $SLOW_SECONDS; never, if $STUCK_SHIFT is the shift."""

    name = "slow"
    shift: float = 0.0

    def fit(self, train, validation, *, seed):
        time.sleep(float(os.environ.get("SLOW_SECONDS", "0")))
        while os.environ.get("STUCK_SHIFT") == str(self.shift):
            time.sleep(60)
        return lambda inputs: Predictions.from_score(np.random.default_rng(seed).random(len(inputs)) * (1 - self.shift))


@hookimpl
def fairbench_methods():
    return [Slow]
