"""Decisions near the threshold turned in favour of the protected group."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fairbench.api import Fitted, Inputs, Method, Predictions, Range, Samples, hookimpl, needs, parameter
from fairbench.api.base_models import OnBaseModel

from ._library import at_work
from ._post import scored, true_and_predicted
from ._rows import PRIVILEGED, UNPRIVILEGED, favourable, labelled

needs("aif360")

SOURCE = "AIF360's default"
METRICS = {
    "statistical_parity": "Statistical parity difference",
    "average_odds": "Average odds difference",
    "equal_opportunity": "Equal opportunity difference",
}


@dataclass(frozen=True)
class RejectOption(OnBaseModel):
    """Near the threshold, give the protected group the favourable outcome and the other group the unfavourable one.

    AIF360's ``RejectOptionClassification`` tries thresholds and margins on the validation part, and keeps those with
    the best balanced accuracy among all within the bound. Where none is within it, the library keeps those with the
    lowest signed metric, protected minus unprotected, which need not be near parity: the diagnostic ``within_bound`` is
    then 0. Scores stay those of the base model.

    References:
        Kamiran, Karim and Zhang (2012), Decision theory for discrimination-aware classification, ICDM.
    """

    name = "aif360_reject_option"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Range]] = {
        "bound": Range(0.01, 0.2, log=True, source="own, around AIF360's default"),
    }

    metric: str = parameter("statistical_parity", "the metric that is bounded", source=SOURCE, choices=tuple(METRICS))
    bound: float = parameter(0.05, "the metric's largest absolute value", source=SOURCE, minimum=0, maximum=1)
    thresholds: int = parameter(100, "number of thresholds to try, from 0.01 to 0.99", source=SOURCE, minimum=1)
    margins: int = parameter(50, "number of margins to try at each threshold", source=SOURCE, minimum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor, which uses the group.

        Raises:
            NotApplicable: there are not two groups, or one lacks validation rows with one of the labels.
        """
        score, held = scored(self, train, validation, seed=seed, who=self.name)
        with at_work(seed), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            from aif360.algorithms.postprocessing import RejectOptionClassification as Library

            library = Library(
                UNPRIVILEGED,
                PRIVILEGED,
                num_class_thresh=self.thresholds,
                num_ROC_margin=self.margins,
                metric_name=METRICS[self.metric],
                metric_ub=self.bound,
                metric_lb=-self.bound,
            ).fit(*true_and_predicted(validation, held))
        failed = any("fairness constraints" in str(warning.message) for warning in caught)

        def predict(inputs: Inputs) -> Predictions:
            scores = score(inputs)
            with at_work(seed):
                labels = library.predict(labelled(inputs, score=scores)).labels.reshape(-1)
            return Predictions(favourable(inputs.schema, labels), scores)

        return Fitted({"": predict}, chosen="", diagnostics={"within_bound": [float(not failed)]})


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [RejectOption]
