"""Decisions changed at random so that error rates are equal: equalized odds from decisions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairbench.api import (
    Inputs,
    Method,
    NotApplicable,
    Options,
    Predictions,
    Predictor,
    Samples,
    derive_seed,
    hookimpl,
    needs,
)
from fairbench.api.base_models import BASE_MODELS, OnBaseModel

from ._library import at_work
from ._post import favoured, scored, true_and_predicted
from ._rows import PRIVILEGED, UNPRIVILEGED, favourable

needs("aif360")


@dataclass(frozen=True)
class EqOddsPostprocessing(OnBaseModel):
    """Change decisions of the base model at random so that both groups have the same true and false positive rates.

    AIF360's ``EqOddsPostprocessing`` finds, on the validation part, the chance of the favourable outcome for each group
    and decision. The library then changes that share of the rows at hand; here each row keeps its chance, so that no
    decision depends on other rows, and rates are taken over the chances. Scores stay those of the base model.

    References:
        Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning, NeurIPS, for a binary predictor.
    """

    name = "aif360_eq_odds"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Options]] = {
        "base": Options(*BASE_MODELS, source="all models"),
    }

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the randomised predictor, which uses the group.

        Raises:
            NotApplicable: there are not two groups, one lacks validation rows with one of the labels, or the linear
                program has no solution.
        """
        score, held = scored(self, train, validation, seed=seed, who=self.name)
        with at_work(seed):
            from aif360.algorithms.postprocessing import EqOddsPostprocessing as Library

            found = Library(UNPRIVILEGED, PRIVILEGED, seed=seed).fit(*true_and_predicted(validation, held)).model_params
        if not found.success:
            raise NotApplicable(f"{self.name}: the linear program has no solution: {found.message}")
        from_yes, from_no, protected_from_yes, protected_from_no = np.clip(found.x, 0, 1)
        chance = np.array([[protected_from_no, protected_from_yes], [from_no, from_yes]])
        toss = derive_seed("toss", seed)

        def predict(inputs: Inputs) -> Predictions:
            scores = score(inputs)
            decision = chance[(~inputs.protected).astype(np.int64), favoured(inputs.schema, scores)]
            return Predictions.from_decision(favourable(inputs.schema, decision), seed=toss, y_score=scores)

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [EqOddsPostprocessing]
