"""Methods that do to the process and to their data what they should not, each in its own way."""

import ctypes
import os
import signal
import sys
from dataclasses import dataclass

import numpy as np
import torch

from fairbench.api import Fitted, Metric, Outcome, Predictions, hookimpl


def predict_nobody(inputs):
    return Predictions(np.zeros(len(inputs), int))


def overwrite(array):
    """Write to the memory itself, whatever numpy's flag says."""
    turned = np.ascontiguousarray(1 - array)
    ctypes.memmove(array.ctypes.data, turned.ctypes.data, array.nbytes)


@dataclass(frozen=True)
class Overwrites:
    """A method that writes to one of its inputs, while it is fitted or while it predicts."""

    name = "overwrites"
    part: str = "train"
    array: str = "y"

    def fit(self, train, validation, *, seed):
        if self.part != "test":
            overwrite(getattr({"train": train, "validation": validation}[self.part], self.array))

        def predict(inputs):
            if self.part == "test":
                overwrite(getattr(inputs, self.array))
            return predict_nobody(inputs)

        return predict


@dataclass(frozen=True)
class OverwritesByTorch:
    """A method that writes to its labels through torch."""

    name = "overwrites_by_torch"

    def fit(self, train, validation, *, seed):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.from_numpy(train.y).mul_(2).sub_(1)
        return predict_nobody


@dataclass(frozen=True)
class Renames:
    """A method that turns the protected group around."""

    name = "renames"

    def fit(self, train, validation, *, seed):
        object.__setattr__(train.schema, "protected", 1 - train.schema.protected)
        return predict_nobody


@dataclass(frozen=True)
class LearnsLabels:
    """A method whose predictions show the labels that it was given."""

    name = "learns_labels"

    def fit(self, train, validation, *, seed):
        share = float(train.y.mean())
        return lambda inputs: Predictions.from_score(np.full(len(inputs), share))


@dataclass(frozen=True)
class ChangesDtype:
    """A method that changes torch's default dtype and the working directory, and prints."""

    name = "changes_dtype"

    def fit(self, train, validation, *, seed):
        print("changing")
        torch.set_default_dtype(torch.float64)
        os.chdir("/")
        return predict_nobody


@dataclass(frozen=True)
class Ends:
    """A method that ends its cell in an unusual way."""

    name = "ends"
    how: str = "exit"

    def fit(self, train, validation, *, seed):
        if self.how == "exit":
            sys.exit("bye")
        if self.how == "base":
            raise BaseException("as odd as can be")
        if self.how == "alarm":
            signal.alarm(1)
            while True:
                sum(range(1000))
        if self.how == "surrogate":
            raise ValueError("lone \udc80")
        if self.how == "itself":
            try:
                int("x")
            except ValueError as error:
                raise error from error
        if self.how == "long":
            raise ValueError("x" * 100_000)
        if self.how == "fork" and not os.fork():
            return predict_nobody
        return predict_nobody


@dataclass(frozen=True)
class Points:
    """A method whose operating points share one buffer."""

    name = "points"

    def fit(self, train, validation, *, seed):
        buffer = {}

        def predictor(label):
            def predict(inputs):
                y_pred = buffer.setdefault("y_pred", np.empty(len(inputs), np.int64))
                score = buffer.setdefault("score", np.empty(len(inputs)))
                y_pred[:], score[:] = label, label
                return Predictions(y_pred, score)

            return predict

        return Fitted({"nobody": predictor(0), "everybody": predictor(1)}, "nobody")


@dataclass(frozen=True)
class YieldsNothing:
    """A scenario without an outcome."""

    name = "yields_nothing"

    def run(self, split, method, seed):
        return iter(())


@dataclass(frozen=True)
class OddPoints:
    """A scenario whose operating points have names that are not texts."""

    name = "odd_points"
    kind: str = "tuple"

    def run(self, split, method, seed):
        made = predict_nobody(split.test.inputs)
        names = {"tuple": [(1, 2)], "three": ["3", 3], "numpy": [np.float64(0.5), np.int64(2)], "lone": ["\ud800"]}
        yield Outcome(split.test, dict.fromkeys(names[self.kind], made), names[self.kind][0])


def overwriting_metric(samples, predictions):
    """Turn the labels around."""
    overwrite(samples.y)
    return 0.0


def metric_overwriting(name, *, predictions):
    """Return a metric that writes to one of the arrays that it is given."""

    def function(samples, made):
        overwrite(getattr(made if predictions else samples, name))
        return 0.5

    return Metric(f"overwriting_{name}", function)


@hookimpl
def fairbench_methods():
    return [Overwrites, OverwritesByTorch, Renames, LearnsLabels, ChangesDtype, Ends, Points]


@hookimpl
def fairbench_scenarios():
    return [YieldsNothing, OddPoints]


@hookimpl
def fairbench_metrics():
    return [
        Metric("overwriting", overwriting_metric),
        *(metric_overwriting(name, predictions=True) for name in ("y_pred", "decision")),
        metric_overwriting("group", predictions=False),
    ]
