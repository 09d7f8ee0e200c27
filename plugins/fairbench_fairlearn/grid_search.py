"""The reduction to weighted classification, by a grid of multipliers: fairlearn's GridSearch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fairbench.api import (
    Fitted,
    Method,
    Range,
    Samples,
    fit_estimator,
    hookimpl,
    needs,
    parameter,
    predictor_of,
)
from fairbench.api.base_models import OnBaseModel

from ._parts import DEFAULT, MOMENTS, fairlearn_called, moment, need_groups

needs("fairlearn")


@dataclass(frozen=True)
class GridSearch(OnBaseModel):
    """Fit a classifier for each of a grid of Lagrange multipliers, and keep the one with the best trade-off.

    Every classifier is an operating point, ``grid=0`` and so on. The chosen one is fairlearn's: the one with the
    smallest weighted sum of error and violation on the training part. The group is used in training only. With more
    than two groups the grid has more dimensions, and should be larger.

    References:
        Agarwal et al. (2018), grid search; fairlearn's ``reductions.GridSearch``.
    """

    name = "fairlearn_grid_search"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Range]] = {"constraint_weight": Range(0.0, 1.0, source="all values that it can have")}

    constraint: str = parameter("demographic_parity", "what groups are to share", source="own", choices=tuple(MOMENTS))
    grid_size: int = parameter(10, "number of multipliers", source=DEFAULT, minimum=1)
    grid_limit: float = parameter(2.0, "the largest multiplier", source=DEFAULT, minimum=1e-6)
    constraint_weight: float = parameter(
        0.5, "weight of the violation in the trade-off; the error has the rest", source=DEFAULT, minimum=0, maximum=1
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return a predictor for each multiplier; nothing is chosen on validation.

        Raises:
            NotApplicable: the training part has one label or one group, or the base model takes no weights.
        """
        from fairlearn import reductions

        need_groups(train, self.name)
        search = reductions.GridSearch(
            self.estimator(seed=seed, weighted=True),
            moment(self.constraint),
            constraint_weight=self.constraint_weight,
            grid_size=self.grid_size,
            grid_limit=self.grid_limit,
        )
        with fairlearn_called():
            fit_estimator(search, train, seed=seed)
        points = {
            f"grid={place}": predictor_of(classifier, train, seed=seed)
            for place, classifier in enumerate(search.predictors_)
        }
        return Fitted(points, chosen=f"grid={search.best_idx_}")


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [GridSearch]
