"""One network, with a separate threshold for the protected group."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fairbench.api import (
    CannotExport,
    ExportablePredictor,
    Exported,
    Fitted,
    Inputs,
    Method,
    Predictions,
    Predictor,
    Samples,
    group_rates,
    hookimpl,
)
from fairbench.api.exports import network_of
from fairbench.api.networks import Network
from fairbench.api.torch import predictor

THRESHOLD = "protected_threshold"
THRESHOLDS = tuple(tenth / 10 for tenth in range(1, 11))
"""For the protected group: 0.1, 0.2, ..., 1.0 (Malik & Mopuri, FaAlGrad, TMLR, 5.2); everybody else keeps 0.5."""


def with_threshold(scorer: ExportablePredictor, threshold: float) -> ExportablePredictor:
    """Return the predictor that selects protected rows with scores from the threshold up, and others from 0.5 up."""

    def predict(inputs: Inputs) -> Predictions:
        return Predictions.from_score(scorer(inputs).y_score, np.where(inputs.protected, threshold, 0.5))

    def exported() -> Exported:
        network = scorer.export()
        return replace(network, about={**network.about, THRESHOLD: threshold})

    return ExportablePredictor(predict, exported)


def parity_and_accuracy(samples: Samples, predictions: Predictions) -> tuple[float, float]:
    """Return the largest gap in selection rate between groups that have rows, and the accuracy."""
    rates = group_rates(samples, predictions)
    gap = float(np.nanmax(rates.selection) - np.nanmin(rates.selection))
    return gap, float((predictions.y_pred == samples.y).mean())


@dataclass(frozen=True)
class GroupThreshold(Network):
    """Train the plain network and sweep the protected group's threshold.

    Every threshold is an operating point, ``threshold=0.1`` to ``threshold=1.0``. The one with the smallest demographic
    parity difference on validation is chosen; ties go to the more accurate one, then to the lowest. The paper does not
    say on which part it chose.

    References:
        Malik & Mopuri, FaAlGrad (TMLR), 5.2, "Threshold adjustment", and figure 2.
    """

    name = "threshold"
    uses_group = ("training", "prediction")

    @staticmethod
    def from_export(exported: Exported) -> Predictor:
        """Return the predictor again.

        Raises:
            CannotExport: it is no network with a threshold.
        """
        threshold = exported.about.get(THRESHOLD)
        if not isinstance(threshold, float) or not 0 <= threshold <= 1:
            raise CannotExport(f"{THRESHOLD} is {threshold!r}; it must be a number from 0 to 1")
        return with_threshold(predictor(network_of(exported)), threshold)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return a predictor for each threshold."""
        model, curves = self.train(train, validation, seed=seed)
        scorer = predictor(model)
        points = {f"threshold={threshold:.1f}": with_threshold(scorer, threshold) for threshold in THRESHOLDS}

        def rank(point: str) -> tuple[float, float]:
            gap, accuracy = parity_and_accuracy(validation, points[point](validation.inputs))
            return gap, -accuracy

        return Fitted(points, chosen=min(points, key=rank), diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [GroupThreshold]
