"""Features without linear correlation with the group, then a base model: fairlearn's CorrelationRemover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Method, Predictor, Range, Samples, fit_estimator, hookimpl, needs, parameter
from fairbench.api.base_models import OnBaseModel

from ._parts import DEFAULT, fairlearn_called, need_groups

needs("fairlearn")

Groups = NDArray[np.str_]


class Decorrelated:
    """A classifier of features from which a ``remover`` has taken what correlates with the group.

    fairlearn reads the group from columns of X. Those are the indicators of all groups but one, whose indicator is what
    the others leave, less their means: fairlearn 0.13 centres several columns at one common mean.
    """

    def __init__(self, remover: Any, base: Any) -> None:
        """Take fairlearn's ``remover`` and the ``base`` model, neither of them fitted."""
        self.remover, self.base = remover, base

    def fit(self, X: NDArray[Any], y: NDArray[Any], *, sensitive_features: Groups) -> Decorrelated:
        """Fit the remover, and the base model to its output."""
        self.indicated = np.unique(sensitive_features)[1:]
        self.means = (sensitive_features[:, None] == self.indicated).mean(axis=0)
        d = X.shape[1]
        self.remover.set_params(sensitive_feature_ids=list(range(d, d + len(self.indicated))))
        self.base.fit(self.remover.fit_transform(self._joined(X, sensitive_features)), y)
        self.classes_ = self.base.classes_
        return self

    def predict(self, X: NDArray[Any], *, sensitive_features: Groups) -> NDArray[Any]:
        """Return the base model's labels (n,)."""
        labels: NDArray[Any] = self.base.predict(self.remover.transform(self._joined(X, sensitive_features)))
        return labels

    def predict_proba(self, X: NDArray[Any], *, sensitive_features: Groups) -> NDArray[Any]:
        """Return the base model's chances (n, 2)."""
        chances: NDArray[Any] = self.base.predict_proba(self.remover.transform(self._joined(X, sensitive_features)))
        return chances

    def _joined(self, X: NDArray[Any], groups: Groups) -> NDArray[Any]:
        return np.hstack([X, (groups[:, None] == self.indicated) - self.means])


@dataclass(frozen=True)
class CorrelationRemover(OnBaseModel):
    """Take from each feature what is linear in the group, then fit a base model.

    The group is needed to predict. Groups then have the same means of all features, but not the same distributions.

    References:
        fairlearn's ``preprocessing.CorrelationRemover``.
    """

    name = "fairlearn_correlation_remover"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Range]] = {"alpha": Range(0.0, 1.0, source="all values that it can have")}

    alpha: float = parameter(
        1.0, "share of the correlation to remove: 0 none, 1 all of it", source=DEFAULT, minimum=0, maximum=1
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor; nothing is chosen on validation.

        Raises:
            NotApplicable: the training part has one label or one group.
        """
        from fairlearn import preprocessing

        need_groups(train, self.name)
        remover = preprocessing.CorrelationRemover(sensitive_feature_ids=[], alpha=self.alpha)
        with fairlearn_called():
            return fit_estimator(Decorrelated(remover, self.estimator(seed=seed)), train, seed=seed)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [CorrelationRemover]
