"""The best prediction that ignores the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Inputs, Method, Predictions, Predictor, Samples, hookimpl


@dataclass(frozen=True)
class Constant:
    """Predict the majority class of the training part for everyone.

    Parity is perfect but meaningless: read every other method's gaps against this accuracy.
    """

    name = "constant"
    uses_group = ()
    is_reference = True

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return a predictor whose score is the training part's share of y = 1 (selected if at least one half)."""
        share = float(train.y.mean())

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(np.full(len(inputs), share))

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the constant."""
    return [Constant]
