"""Weights that make label and group independent, before any model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fairbench.api import Inputs, Method, Options, Predictions, Predictor, Samples, hookimpl, needs
from fairbench.api.base_models import OnBaseModel

from ._base import fit_base
from ._library import at_work
from ._rows import PRIVILEGED, UNPRIVILEGED, check_two_groups, labelled

needs("aif360")


@dataclass(frozen=True)
class Reweighing(OnBaseModel):
    """Weight the rows of each group and label so that label and group are independent, then train the base model.

    AIF360's ``Reweighing`` computes the weights; nothing is chosen on validation.

    References:
        Kamiran and Calders (2012), Data preprocessing techniques for classification without discrimination, KAIS 33.
    """

    name = "aif360_reweighing"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Options]] = {
        "base": Options("logistic", "boosting", source="own: what any scikit-learn fits to weighted rows"),
    }

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the base model's predictor, which does not use the group.

        Raises:
            NotApplicable: there are not two groups, or one lacks training rows with one of the labels, or
                scikit-learn's network takes no weights.
        """
        check_two_groups(train, "the training part", self.name)
        with at_work(seed):
            from aif360.algorithms.preprocessing import Reweighing as Library

            library = Library(UNPRIVILEGED, PRIVILEGED).fit(labelled(train, y=train.y))
            weights = library.transform(labelled(train, y=train.y)).instance_weights
        score = fit_base(self, train, seed=seed, weights=weights)

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(score(inputs))

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Reweighing]
