"""Learned fair representations: soft assignments to prototypes that tell little about the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar, Union

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
from fairbench.api.base_models import BASE_MODELS, OnBaseModel

from ._base import fit_base
from ._library import at_work, check_optimiser
from ._rows import PRIVILEGED, UNPRIVILEGED, check_two_groups, favourable, labelled, with_features

needs("aif360")
check_optimiser(version("aif360"), version("scipy"))

SOURCE = "AIF360's default"
OWN = "own"


@dataclass(frozen=True)
class LearnedFairRepresentations(OnBaseModel):
    """Represent each row by prototypes that the groups use alike, and decide on that.

    AIF360's ``LFR`` learns the prototypes from features, group and labels, by finite differences: time grows with the
    square of the number of features. It needs the group of new rows.

    References:
        Zemel, Wu, Swersky, Pitassi and Dwork (2013), Learning fair representations, ICML.
    """

    name = "aif360_lfr"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Range]] = {
        "fairness": Range(0.1, 100.0, log=True, source="own, around AIF360's default"),
        "prototypes": Range(5, 20, source="own"),
    }

    base: str = parameter(
        OWN,
        f"what decides: the prototypes' own labels ({OWN}), or a model ({', '.join(BASE_MODELS)}, with parameters in "
        "brackets) trained on the representation with the true labels",
        source="Zemel et al. (2013), eq. 7",
    )
    prototypes: int = parameter(5, "number of prototypes, k", source=SOURCE, minimum=1)
    reconstruction: float = parameter(0.01, "weight of the reconstruction error, A_x", source=SOURCE, minimum=0)
    prediction: float = parameter(1.0, "weight of the prediction error, A_y", source=SOURCE, minimum=0)
    fairness: float = parameter(50.0, "weight of the groups' difference, A_z", source=SOURCE, minimum=0)
    steps: int = parameter(5000, "largest number of steps of L-BFGS", source=SOURCE, minimum=1)
    evaluations: int = parameter(5000, "largest number of evaluations of the objective", source=SOURCE, minimum=1)

    def __post_init__(self) -> None:
        """Refuse a base model that cannot be built; see ``OnBaseModel``."""
        if self.base != OWN:
            super().__post_init__()

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor.

        Raises:
            NotApplicable: the rows are images, there are not two groups, or one lacks training rows with a label.
        """
        tables_only(train.schema, f"method {self.name}")
        check_two_groups(train, "the training part", self.name)
        with at_work(seed):
            from aif360.algorithms.preprocessing import LFR

            library = LFR(
                UNPRIVILEGED,
                PRIVILEGED,
                k=self.prototypes,
                Ax=self.reconstruction,
                Ay=self.prediction,
                Az=self.fairness,
                seed=seed,
            ).fit(labelled(train, train.X, train.y), maxiter=self.steps, maxfun=self.evaluations)

        def transformed(rows: Union[Inputs, Samples]) -> Any:
            with at_work(seed):
                return library.transform(labelled(rows, rows.X))

        def predict_own(inputs: Inputs) -> Predictions:
            made = transformed(inputs)
            label, score = (favourable(inputs.schema, column.reshape(-1)) for column in (made.labels, made.scores))
            return Predictions(label, score)

        if self.base == OWN:
            return predict_own
        score = fit_base(self, with_features(train, transformed(train).features), seed=seed)

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(score(with_features(inputs, transformed(inputs).features)))

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [LearnedFairRepresentations]
