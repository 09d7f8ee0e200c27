"""Scores of one group replaced at random by its base rate, so that a cost is equal and calibration is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairbench.api import (
    Inputs,
    Method,
    Options,
    Predictions,
    Predictor,
    Samples,
    derive_seed,
    hookimpl,
    needs,
    parameter,
)
from fairbench.api.base_models import OnBaseModel

from ._library import at_work
from ._post import scored, true_and_predicted
from ._rows import PRIVILEGED, UNPRIVILEGED, favourable

needs("aif360")


@dataclass(frozen=True)
class CalibratedEqOdds(OnBaseModel):
    """Replace scores of the group that fares better by its base rate, at random, until both groups' costs are equal.

    AIF360's ``CalibratedEqOddsPostprocessing`` finds the share on the validation part. The library then draws the rows;
    here each row keeps its chance of being selected, and its score is the mean over the draw.

    References:
        Pleiss, Raghavan, Wu, Kleinberg and Weinberger (2017), On fairness and calibration, NeurIPS.
    """

    name = "aif360_calibrated_eq_odds"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Options]] = {
        "cost": Options("weighted", "fpr", "fnr", source="all values that it can have"),
    }

    cost: str = parameter(
        "weighted",
        "the cost that is made equal: generalised false positive or false negative rate, or both by base rates",
        source="AIF360's default",
        choices=("weighted", "fpr", "fnr"),
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the randomised predictor, which uses the group.

        Raises:
            NotApplicable: there are not two groups, or one lacks validation rows with one of the labels.
        """
        score, held = scored(self, train, validation, seed=seed, who=self.name)
        with at_work(seed):
            from aif360.algorithms.postprocessing import CalibratedEqOddsPostprocessing as Library

            library = Library(UNPRIVILEGED, PRIVILEGED, cost_constraint=self.cost, seed=seed)
            library.fit(*true_and_predicted(validation, held))
        rates = np.array([library.base_rate_unpriv, library.base_rate_priv])
        # The library replaces a score where a uniform number is <= the share, so 0/0 means never, and 2 always.
        shares = np.nan_to_num(np.array([library.unpriv_mix_rate, library.priv_mix_rate], dtype=np.float64)).clip(0, 1)
        toss = derive_seed("toss", seed)

        def predict(inputs: Inputs) -> Predictions:
            own, place = favourable(inputs.schema, score(inputs)), (~inputs.protected).astype(np.int64)
            share, rate = shares[place], rates[place]
            chance = (1 - share) * (own >= 0.5) + share * (rate >= 0.5)
            mixed = (1 - share) * own + share * rate
            decision, scores = (favourable(inputs.schema, values) for values in (chance, mixed))
            return Predictions.from_decision(decision, seed=toss, y_score=scores)

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [CalibratedEqOdds]
