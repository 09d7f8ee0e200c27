"""The two constant predictions, whatever the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Inputs, Method, Predictions, Predictor, Samples, hookimpl


def _always(label: int) -> Predictor:
    def predict(inputs: Inputs) -> Predictions:
        return Predictions(np.full(len(inputs), label))

    return predict


@dataclass(frozen=True)
class AlwaysZero:
    """Select nobody."""

    name = "always_0"
    uses_group = ()
    is_reference = True

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor of 0; nothing is read."""
        return _always(0)


@dataclass(frozen=True)
class AlwaysOne:
    """Select everybody."""

    name = "always_1"
    uses_group = ()
    is_reference = True

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor of 1; nothing is read."""
        return _always(1)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return both constants."""
    return [AlwaysZero, AlwaysOne]
