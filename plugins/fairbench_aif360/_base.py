"""The base model of pre- and post-processing: it decides on features alone."""

from __future__ import annotations

from typing import Callable, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Inputs, NotApplicable, Samples
from fairbench.api.base_models import OnBaseModel, limits_accepted

Scorer = Callable[[Inputs], NDArray[np.float64]]
"""Scores (n,) of y = 1 of any rows; the group is not used."""


def fit_base(
    method: OnBaseModel, train: Samples, *, seed: int, weights: Optional[NDArray[np.float64]] = None
) -> Scorer:
    """Return the scores of a model trained for accuracy.

    Args:
        method: whose base model is fitted.
        train: the rows that are fitted.
        seed: of everything random in the model.
        weights: (n,) factors of the rows' losses; None means 1 for each.

    Raises:
        NotApplicable: the training part has one label, or this scikit-learn cannot fit the model to weighted rows.
    """
    if len(np.unique(train.y)) < 2:
        raise NotApplicable(f"a base model needs both labels; all {len(train)} training rows have y = {train.y[0]}")
    model = method.estimator(seed=seed, weighted=weights is not None)
    given = {} if weights is None else {"sample_weight": weights}
    with limits_accepted():
        model.fit(train.X.astype(np.float64), train.y, **given)

    def score(inputs: Inputs) -> NDArray[np.float64]:
        found: NDArray[np.float64] = model.predict_proba(inputs.X.astype(np.float64))[:, 1]
        return found

    return score
