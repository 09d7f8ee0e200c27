"""A small dataset and a method whose cells take a few milliseconds, so that a run of many cells soon ends."""

import os
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairbench.api import Dataset, Predictions, hookimpl


@dataclass(frozen=True)
class Tiny:
    """Two hundred rows of one feature."""

    name = "tiny"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        chance = np.random.default_rng(0)
        x, sex = chance.normal(size=200), chance.integers(2, size=200)
        return Dataset(
            "tiny",
            pd.DataFrame({"x": x}),
            (x + chance.normal(size=200) > 0).astype(int),
            pd.DataFrame({"sex": np.array(["f", "m"])[sex]}),
            {"sex": "f"},
        )


@dataclass(frozen=True)
class Draws:
    """Draw scores from the seed, in five milliseconds or $DRAWS_SECONDS."""

    name = "draws"
    shift: float = 0.0

    def fit(self, train, validation, *, seed):
        time.sleep(float(os.environ.get("DRAWS_SECONDS", "0.005")))
        scale = 1 - self.shift
        return lambda inputs: Predictions.from_score(np.random.default_rng(seed).random(len(inputs)) * scale)


@hookimpl
def fairbench_datasets():
    return [Tiny]


@hookimpl
def fairbench_methods():
    return [Draws]
