"""Thresholds for each group, randomised where two are mixed: fairlearn's ThresholdOptimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Optional

import numpy as np

from fairbench.api import (
    Method,
    NotApplicable,
    Options,
    Predictor,
    Samples,
    SuiteError,
    fit_estimator,
    hookimpl,
    needs,
    parameter,
)
from fairbench.api.base_models import OnBaseModel

from ._parts import DEFAULT, fairlearn_called, need_groups

needs("fairlearn")

RATES = tuple(f"{side}_{label}_rate_parity" for side in ("true", "false") for label in ("positive", "negative"))
CONSTRAINTS = ("demographic_parity", "equalized_odds", *RATES)
OBJECTIVES = ("accuracy_score", "balanced_accuracy_score")
ONE_RATE = ("selection_rate", "true_positive_rate", "true_negative_rate")  # which equalized odds cannot have as aims


@dataclass(frozen=True)
class ThresholdOptimizer(OnBaseModel):
    """Fit a base model, then give each group the threshold, or the mixture of two, that is best under a constraint.

    The group is needed to predict. Decisions have chances where thresholds are mixed, and there are no scores.

    References:
        Hardt, Price & Srebro (2016), Equality of opportunity in supervised learning, NIPS; fairlearn's
        ``postprocessing.ThresholdOptimizer``.
    """

    name = "fairlearn_threshold_optimizer"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Options]] = {
        "constraint": Options("demographic_parity", "equalized_odds", source="own: the two criteria of most papers"),
        "part": Options("train", "validation", source="all values that it can have"),
    }

    constraint: str = parameter("demographic_parity", "what groups are to share", source=DEFAULT, choices=CONSTRAINTS)
    objective: str = parameter(
        "accuracy_score", "what thresholds are best at", source=DEFAULT, choices=(*OBJECTIVES, *ONE_RATE)
    )
    part: str = parameter(
        "train",
        "whose scores the thresholds are chosen on; the base model is fitted to train",
        source="fairlearn's default, prefit=False",
        choices=("train", "validation"),
    )
    grid_size: int = parameter(1000, "steps of the rate that is to be shared", source=DEFAULT, minimum=1)
    flip: bool = parameter(False, "whether decisions can be turned round where that is better", source=DEFAULT)
    tol: Optional[float] = parameter(
        None, "largest difference in the rate; none for equal rates", source=DEFAULT, minimum=0, maximum=1
    )

    def __post_init__(self) -> None:
        """Refuse what fairlearn cannot do under equalized odds.

        Raises:
            SuiteError: equalized odds with a tolerance, or with a single rate as the objective.
        """
        super().__post_init__()
        if self.constraint == "equalized_odds" and self.tol is not None:
            raise SuiteError(f"{self.name}: tol is {self.tol:g}; fairlearn has no tolerance for equalized_odds")
        if self.constraint == "equalized_odds" and self.objective in ONE_RATE:
            raise SuiteError(
                f"{self.name}: objective is {self.objective}; for equalized_odds it must be {' or '.join(OBJECTIVES)}"
            )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor; validation is used only where ``part`` says so.

        Raises:
            NotApplicable: the training part has one label or one group, or a group has one label where thresholds are
                chosen.
        """
        from fairlearn import postprocessing

        need_groups(train, self.name)
        base, rows = self.estimator(seed=seed), train
        held_out = self.part == "validation"
        with fairlearn_called():
            if held_out:
                rows = validation
                fit_estimator(base, train, seed=seed)
            self._need_labels(rows)
            optimizer = postprocessing.ThresholdOptimizer(
                estimator=base,
                constraints=self.constraint,
                objective=self.objective,
                grid_size=self.grid_size,
                flip=self.flip,
                prefit=held_out,
                tol=self.tol,
            )
            return fit_estimator(optimizer, rows, seed=seed)

    def _need_labels(self, rows: Samples) -> None:
        for code in np.unique(rows.group):
            labels = np.unique(rows.y[rows.group == code])
            if len(labels) < 2:
                group, only = rows.group_names[code], f"all have label {labels[0]}"
                raise NotApplicable(
                    f"{self.name} needs both labels in every group; the {self.part} rows of {group!r} {only}"
                )


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [ThresholdOptimizer]
