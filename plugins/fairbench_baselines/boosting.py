"""Gradient boosting: the plain model that is hard to beat on tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fairbench.api import Method, Predictor, Range, Samples, base_models, fit_estimator, hookimpl

TUNABILITY = "Probst, Boulesteix and Bischl (2019), Tunability, JMLR 20, table 1, xgboost's"


@dataclass(frozen=True)
class Boosting(base_models.Boosting):
    """Fit gradient boosting on histograms (scikit-learn) for accuracy alone; nothing is chosen on validation."""

    name = "boosting"
    uses_group = ()
    ranges: ClassVar[Mapping[str, Range]] = {
        "lr": Range(2.0**-10, 1.0, log=True, source=f"{TUNABILITY} eta"),
        "l2": Range(2.0**-10, 2.0**10, log=True, source=f"{TUNABILITY} lambda"),
        "rounds": Range(20, 500, log=True, source="own"),
        "leaves": Range(4, 128, log=True, source="own"),
    }

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor; the group is not used.

        Raises:
            NotApplicable: the training part has one label.
        """
        return fit_estimator(self.estimator(seed=seed), train, seed=seed)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Boosting]
