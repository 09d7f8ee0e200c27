"""Logistic regression: the plain linear model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairbench.api import (
    ESTIMATOR,
    ExportablePredictor,
    Exported,
    Inputs,
    Method,
    NotApplicable,
    Predictions,
    Predictor,
    Range,
    Samples,
    base_models,
    hookimpl,
)


@dataclass(frozen=True)
class Logistic(base_models.Logistic):
    """Fit an L2-penalised logistic regression (scikit-learn) for accuracy alone; nothing is chosen on validation."""

    name = "logistic"
    uses_group = ()
    ranges: ClassVar[Mapping[str, Range]] = {
        "C": Range(1e-4, 1e4, log=True, source="the values that scikit-learn's LogisticRegressionCV tries by default")
    }

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor; the group is not used, and nothing is random.

        Raises:
            NotApplicable: the training part has one label.
        """
        if len(np.unique(train.y)) < 2:
            raise NotApplicable(
                f"logistic regression needs both labels; all {len(train)} training rows have {train.y[0]}"
            )
        with base_models.limits_accepted():
            model = self.estimator(seed=seed).fit(train.X.astype(np.float64), train.y)
        return self.from_export(Exported(ESTIMATOR, estimator=model))

    @staticmethod
    def from_export(exported: Exported) -> Predictor:
        """Return the predictor of a fitted model."""

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(exported.estimator.predict_proba(inputs.X.astype(np.float64))[:, 1])

        return ExportablePredictor(predict, lambda: exported)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Logistic]
