"""A small dataset and a method whose cells take a few milliseconds, so that a run of many cells soon ends."""

import locale
import os
import random
import time
import warnings
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


def as_it_was() -> bool:
    """Return whether the process is as a run starts it, as far as plugins are known to change it."""
    return (
        os.path.exists("begun")  # in the folder of the run
        and np.geterr()["divide"] == "warn"
        and locale.setlocale(locale.LC_NUMERIC) == "C"
        and not any(entry[0] == "ignore" and entry[2] is Warning for entry in warnings.filters)
    )


def take_a_permit(pipe):
    """Wait for a byte, see ``Permits`` in ``fault_helpers.py``; a signal just before one long wait would not end it."""
    with open(os.open(pipe, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0) as file:
        while not file.read(1):
            time.sleep(0.002)


@dataclass(frozen=True)
class Draws:
    """Draw scores from the seed and the global generators, in five milliseconds or $DRAWS_SECONDS.

    With $DRAWS_PERMITS, the path of a pipe, each takes a permit first. Where the process is not as it was, they are
    turned around.
    """

    name = "draws"
    shift: float = 0.0

    def fit(self, train, validation, *, seed):
        if "DRAWS_PERMITS" in os.environ:
            take_a_permit(os.environ["DRAWS_PERMITS"])
        time.sleep(float(os.environ.get("DRAWS_SECONDS", "0.005")))
        share = (1 - self.shift) * (0.9 + 0.05 * np.random.random() + 0.05 * random.random())
        sound = as_it_was()

        def predict(inputs):
            scores = np.random.default_rng(seed).random(len(inputs)) * share
            return Predictions.from_score(scores if sound else 1 - scores)

        return predict


@hookimpl
def fairbench_datasets():
    return [Tiny]


@hookimpl
def fairbench_methods():
    return [Draws]
