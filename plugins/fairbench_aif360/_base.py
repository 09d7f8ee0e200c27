"""The models between pre- and post-processing: logistic regression, a network, gradient boosting."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Inputs, NotApplicable, Samples, parameter

Scorer = Callable[[Inputs], NDArray[np.float64]]
"""Scores (n,) of y = 1 of any rows; the group is not used."""

BASES = ("logistic", "mlp", "boosting")


@dataclass(frozen=True)
class WithBase:
    """What a method declares whose algorithm works before or after another model."""

    base: str = parameter("logistic", "base model, trained for accuracy on the features alone", choices=BASES)


def fit_base(base: str, train: Samples, *, seed: int, weights: Optional[NDArray[np.float64]] = None) -> Scorer:
    """Return the scores of a model trained for accuracy.

    Args:
        base: scikit-learn's ``logistic`` regression, ``mlp`` with 64 hidden units, or histogram gradient ``boosting``.
        train: the rows that are fitted.
        seed: of the network's weights and batches, and of the rows that boosting bins by.
        weights: (n,) factors of the rows' losses; None means 1 for each.

    Raises:
        NotApplicable: the training part has one label, or this scikit-learn's network takes no weights.
    """
    if len(np.unique(train.y)) < 2:
        raise NotApplicable(f"a base model needs both labels; all {len(train)} training rows have y = {train.y[0]}")
    model = _model(base, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the number of steps is a limit, as in the method logistic
        if weights is None:
            model.fit(train.X.astype(np.float64), train.y)
        else:
            _check_takes_weights(model)
            model.fit(train.X.astype(np.float64), train.y, sample_weight=weights)

    def score(inputs: Inputs) -> NDArray[np.float64]:
        found: NDArray[np.float64] = model.predict_proba(inputs.X.astype(np.float64))[:, 1]
        return found

    return score


def _model(base: str, seed: int) -> Any:
    if base == "mlp":
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier((64,), max_iter=100, random_state=seed)
    if base == "boosting":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(early_stopping=False, random_state=seed)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _check_takes_weights(model: Any) -> None:
    import sklearn
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(model, "sample_weight"):
        raise NotApplicable(
            f"{type(model).__name__} of scikit-learn {sklearn.__version__} takes no weights of rows; choose another "
            "base model, or scikit-learn 1.7 or newer"
        )
