"""A game between a learner and an auditor who looks for a subgroup that is treated worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairbench.api import (
    Fitted,
    Inputs,
    Method,
    NotApplicable,
    Predictions,
    Range,
    Samples,
    hookimpl,
    needs,
    parameter,
    tables_only,
)

from ._library import at_work
from ._rows import favourable, labelled

needs("aif360")

SOURCE = "AIF360's default"
CRITERIA = {"false_positive": "FP", "false_negative": "FN"}


@dataclass(frozen=True)
class GerryFair:
    """Average the linear regressions of a learner, against an auditor who finds the subgroup with the worst error rate.

    AIF360's ``GerryFairClassifier`` takes any number of groups; subgroups are half-spaces over their flags. A positive
    is the favourable outcome. The score of a row is the share of the regressions that give it the favourable outcome,
    and half of them decide. The diagnostics ``error`` and ``violation`` are the library's, for each of its rounds.

    References:
        Kearns, Neel, Roth and Wu (2018), Preventing fairness gerrymandering: auditing and learning for subgroup
        fairness, ICML.
    """

    name = "aif360_gerryfair"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Range]] = {
        "gamma": Range(0.001, 0.1, log=True, source="own, around AIF360's default"),
    }

    criterion: str = parameter(
        "false_positive", "the error rate that is compared", source=SOURCE, choices=tuple(CRITERIA)
    )
    C: float = parameter(10.0, "bound on the auditor's weight", source=SOURCE, minimum=0)
    gamma: float = parameter(0.01, "largest violation allowed: rate difference times size", source=SOURCE, minimum=0)
    rounds: int = parameter(10, "one more than the number of regressions", source=SOURCE, minimum=2)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor, which uses the group; nothing is random.

        Raises:
            NotApplicable: the rows are images, or the training part has one label or rows of one group.
        """
        tables_only(train.schema, f"method {self.name}")
        for what, values in (("label", train.y), ("group", train.group)):
            if len(np.unique(values)) < 2:
                raise NotApplicable(f"{self.name}: the {len(train)} training rows have only one {what}")
        with at_work(seed):
            from aif360.algorithms.inprocessing import GerryFairClassifier as Library

            library = Library(
                C=self.C, gamma=self.gamma, max_iters=self.rounds, fairness_def=CRITERIA[self.criterion]
            ).fit(labelled(train, train.X, train.y))

        def predict(inputs: Inputs) -> Predictions:
            with at_work(seed):
                share = library.predict(labelled(inputs, inputs.X), threshold=None).labels.reshape(-1)
            labels = (share >= 0.5).astype(np.int64)
            return Predictions(favourable(inputs.schema, labels), favourable(inputs.schema, share))

        curves = {"error": library.errors, "violation": library.fairness_violations}
        return Fitted(
            {"": predict}, chosen="", diagnostics={name: [*map(float, curve)] for name, curve in curves.items()}
        )


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [GerryFair]
