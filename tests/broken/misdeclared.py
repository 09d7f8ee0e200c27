"""Methods that use the group where they declare that they do not, each in another way."""

from dataclasses import dataclass, replace

import numpy as np

from fairbench.api import Predictions, hookimpl


def base_rate(rows):
    return float(rows.y.mean())


def everybody(inputs):
    return Predictions(np.ones(len(inputs), dtype=int))


@dataclass(frozen=True)
class ReadsInFit:
    """Reads the group of the training part."""

    name = "reads_in_fit"
    uses_group = ("prediction",)

    def fit(self, train, validation, *, seed):
        base_rate(train.select(train.group == 0))
        return everybody


@dataclass(frozen=True)
class ReadsValidation:
    """Reads who is protected in the validation part, of which it has made a smaller one."""

    name = "reads_validation"
    uses_group = ()

    def fit(self, train, validation, *, seed):
        some = validation.select(np.arange(len(validation)) % 2 == 0)
        base_rate(some.select(some.protected))
        return everybody


@dataclass(frozen=True)
class ReadsInPredict:
    """Reads the group of the rows that it predicts, of which it has made a copy."""

    name = "reads_in_predict"
    uses_group = ("training",)

    def fit(self, train, validation, *, seed):
        assert len(np.unique(train.group)) > 1

        def predict(inputs):
            copied = replace(inputs, X=inputs.X + 1)
            return Predictions((copied.group == 0).astype(int))

        return predict


@dataclass(frozen=True)
class DeclaresTooMuch:
    """Declares two uses, asks for the group at one, and does nothing with it."""

    name = "declares_too_much"
    uses_group = ("training", "prediction")

    def fit(self, train, validation, *, seed):
        assert len(train.group) == len(train)
        return everybody


@dataclass(frozen=True)
class Silent:
    """Declares nothing and uses the group to predict."""

    name = "silent"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions((inputs.group == 0).astype(int))


@hookimpl
def fairbench_methods():
    return [ReadsInFit, ReadsValidation, ReadsInPredict, DeclaresTooMuch, Silent]
