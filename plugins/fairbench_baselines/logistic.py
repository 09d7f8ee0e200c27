"""Logistic regression: the plain linear model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairbench.api import Inputs, Method, NotApplicable, Predictions, Predictor, Range, Samples, hookimpl, parameter


@dataclass(frozen=True)
class Logistic:
    """Fit an L2-penalised logistic regression (scikit-learn) for accuracy alone; nothing is chosen on validation."""

    name = "logistic"
    ranges: ClassVar[Mapping[str, Range]] = {
        "C": Range(1e-4, 1e4, log=True, source="the values that scikit-learn's LogisticRegressionCV tries by default")
    }

    C: float = parameter(1.0, "inverse strength of the penalty", source="scikit-learn's default", minimum=1e-12)
    steps: int = parameter(1000, "largest number of steps of L-BFGS", minimum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor; the group is not used, and nothing is random.

        Raises:
            NotApplicable: the training part has one label.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        if len(np.unique(train.y)) < 2:
            raise NotApplicable(
                f"logistic regression needs both labels; all {len(train)} training rows have {train.y[0]}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # ``steps`` is a limit set by the user
            model = LogisticRegression(C=self.C, max_iter=self.steps).fit(train.X.astype(np.float64), train.y)

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(model.predict_proba(inputs.X.astype(np.float64))[:, 1])

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Logistic]
