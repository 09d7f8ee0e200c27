"""Features moved so that their distributions are the same in both groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Union

import numpy as np
from numpy.typing import NDArray

from fairbench.api import (
    Inputs,
    Method,
    Predictions,
    Predictor,
    Range,
    Samples,
    hookimpl,
    needs,
    parameter,
    tables_only,
)
from fairbench.api.base_models import OnBaseModel

from ._base import Scorer, fit_base
from ._library import at_work
from ._rows import GROUP, check_two_groups, labelled, with_features

needs("aif360")
needs("BlackBoxAuditing")


@dataclass(frozen=True)
class DisparateImpactRemover(OnBaseModel):
    """Move each feature to the median of the groups' quantiles at its rank, and train the base model on that.

    AIF360's ``DisparateImpactRemover`` repairs a set of rows as a whole, so new rows are repaired together: a row's
    prediction depends on the others. It needs the group of new rows.

    References:
        Feldman, Friedler, Moeller, Scheidegger and Venkatasubramanian (2015), Certifying and removing disparate impact,
        KDD.
    """

    name = "aif360_disparate_impact_remover"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Range]] = {
        "repair": Range(0.0, 1.0, source="all values that it can have"),
    }

    repair: float = parameter(
        1.0, "how far features are moved: 0 not at all, 1 all the way", source="AIF360's default", minimum=0, maximum=1
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the base model's predictor of repaired rows; nothing is chosen on validation.

        Raises:
            NotApplicable: the rows are images, there are not two groups, or one lacks training rows with a label.
        """
        tables_only(train.schema, f"method {self.name}")
        check_two_groups(train, "the training part", self.name)
        score = fit_base(self, with_features(train, repaired(train, self.repair, seed)), seed=seed)
        return _Repairing(score, self.repair, seed)


def repaired(rows: Union[Inputs, Samples], level: float, seed: int) -> NDArray[np.float64]:
    """Return the features (n, d) of rows that are repaired together."""
    with at_work(seed):
        from aif360.algorithms.preprocessing import DisparateImpactRemover as Library

        made = Library(repair_level=level, sensitive_attribute=GROUP).fit_transform(labelled(rows, rows.X))
    features: NDArray[np.float64] = made.features[:, :-1]  # the last is the group
    return features


class _Repairing:
    """The predictor, which says that it decides on whole batches."""

    whole_batch = True

    def __init__(self, score: Scorer, level: float, seed: int) -> None:
        self._score, self._level, self._seed = score, level, seed

    def __call__(self, inputs: Inputs) -> Predictions:
        """Repair the rows together, and predict."""
        return Predictions.from_score(self._score(with_features(inputs, repaired(inputs, self._level, self._seed))))


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [DisparateImpactRemover]
