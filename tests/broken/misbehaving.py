"""Components that load well and go wrong at work, each in its own way."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from fairbench.api import Dataset, Metric, NotApplicable, Predictions, Report, Undefined, hookimpl


def predict_nobody(inputs):
    return Predictions(np.zeros(len(inputs), int))


@dataclass(frozen=True)
class Raises:
    """A method that raises."""

    name = "raises"

    def fit(self, train, validation, *, seed):
        raise ValueError("the matrix is singular <b>& more</b>")


@dataclass(frozen=True)
class Refuses:
    """A method that does not apply."""

    name = "refuses"

    def fit(self, train, validation, *, seed):
        raise NotApplicable(f"needs four groups, there are {len(train.group_names)}")


@dataclass(frozen=True)
class TooFew:
    """A method that forgets rows."""

    name = "too_few"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.zeros(3, int))


@dataclass(frozen=True)
class GlobalRandom:
    """A method that draws from numpy's global generator."""

    name = "global_random"

    def fit(self, train, validation, *, seed):
        chance = np.random.random()
        return lambda inputs: Predictions.from_score(np.full(len(inputs), chance))


@dataclass(frozen=True)
class Peeks:
    """A method whose predictor looks for the labels and finds none."""

    name = "peeks"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(inputs.y)


def tiny(**changes):
    n = 40
    fields = {
        "name": "tiny",
        "X": pd.DataFrame({"a": np.arange(n, dtype=float)}),
        "y": np.arange(n) % 2,
        "sensitive_features": pd.DataFrame({"sex": ["f", "m"] * (n // 2)}),
        "protected_group": {"sex": "f"},
    }
    return Dataset(**{**fields, **changes})


@dataclass(frozen=True)
class NanFeatures:
    """A dataset with a missing value that it does not declare."""

    name = "nan_features"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        return tiny(X=pd.DataFrame({"a": [np.nan] + [1.0] * 39}))


@dataclass(frozen=True)
class OneGroup:
    """A dataset of women only."""

    name = "one_group"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        return tiny(sensitive_features=pd.DataFrame({"sex": ["f"] * 40}))


@dataclass(frozen=True)
class OneClass:
    """A dataset in which nobody succeeds."""

    name = "one_class"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        return tiny(y=np.zeros(40, int))


@dataclass(frozen=True)
class LoadRaises:
    """A dataset whose loader raises."""

    name = "load_raises"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        raise KeyError("income")


@dataclass(frozen=True)
class LoadsNothing:
    """A dataset whose loader forgets to return it."""

    name = "loads_nothing"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        tiny()


@dataclass(frozen=True)
class OwnPartition:
    """A dataset that says of its one fixed partition that every repeat draws it anew."""

    name = "own_partition"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        return tiny(partition=lambda seed: np.split(np.arange(40), [20, 30]), overlap="pool")


def nan_metric(samples, predictions):
    """Return what is not a number."""
    return float("nan")


def undefined_metric(samples, predictions):
    """Have no value."""
    raise Undefined("there is nothing to measure")


def render(results, words):
    """Return the words."""
    return words


@hookimpl
def fairbench_methods():
    return [Raises, Refuses, TooFew, GlobalRandom, Peeks]


@hookimpl
def fairbench_datasets():
    return [NanFeatures, OneGroup, OneClass, LoadRaises, LoadsNothing, OwnPartition]


@hookimpl
def fairbench_metrics():
    return [Metric("nan_metric", nan_metric), Metric("undefined_metric", undefined_metric)]


@hookimpl
def fairbench_reports():
    return [Report("partial", "", partial(render, words="nothing"))]
