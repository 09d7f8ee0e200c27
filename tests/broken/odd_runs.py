"""An executor that loses a cell, and datasets whose loaders end the process or change it."""

import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairbench.api import RETURNED, Dataset, Ended, hookimpl


@dataclass(frozen=True)
class Forgetful:
    """An executor that forgets the first cell."""

    name = "forgetful"

    def map(self, function, items, limits):
        yield from (Ended(item, RETURNED, function(item)) for item in items[1:])


@dataclass(frozen=True)
class ExitsOnLoad:
    """A dataset whose loader exits."""

    name = "exits_on_load"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        sys.exit("no data today")


@dataclass(frozen=True)
class NoDataset:
    """A dataset whose loader returns a table."""

    name = "no_dataset"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        return pd.DataFrame({"sex": ["f"]})


@dataclass(frozen=True)
class ChangesOnLoad:
    """A dataset whose loader prints, draws from the global generator, and changes numpy's error state."""

    name = "changes_on_load"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        print("loading")
        np.seterr(all="raise")
        n = 60
        return Dataset(
            "changes_on_load",
            pd.DataFrame({"a": np.random.random(n)}),
            np.arange(n) % 2,
            pd.DataFrame({"sex": ["f", "m", "m"] * (n // 3)}),
            {"sex": "f"},
        )


@hookimpl
def fairbench_executors():
    return [Forgetful]


@hookimpl
def fairbench_datasets():
    return [ExitsOnLoad, NoDataset, ChangesOnLoad]
