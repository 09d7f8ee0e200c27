"""Select by one feature: a method plugin as a third party writes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Inputs, Predictions, Predictor, Samples, hookimpl, parameter


@dataclass(frozen=True)
class ByScore:
    """Select the rows whose feature is above its training quantile."""

    name = "by_score"
    feature: int = parameter(0, "Which column decides.", minimum=0)
    quantile: float = parameter(0.5, "Share of the training part that is not selected.", minimum=0, maximum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Learn the quantile."""
        cut = float(np.quantile(train.X[:, self.feature], self.quantile))

        def predict(inputs: Inputs) -> Predictions:
            return Predictions((inputs.X[:, self.feature] > cut).astype(int))

        return predict


@hookimpl
def fairbench_methods():
    """Offer the method."""
    return [ByScore]
