"""Labels near the border are swapped between the groups before a model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import numpy as np
from numpy.typing import NDArray

from fairbench.api import (
    Method,
    NotApplicable,
    Options,
    Predictor,
    Range,
    Samples,
    fit_estimator,
    hookimpl,
    parameter,
)

FAIRBENCH_API = 1
PAPER = "Kamiran and Calders (2012), section 4.1"
RANKERS = ("naive_bayes", "logistic")


def swaps(train: Samples) -> float:
    """Return how many rows of each group must change their label for both groups to be favoured equally often.

    Negative if the protected group is favoured more often already.
    """
    favoured = train.y == train.schema.favorable_label
    protected = train.protected
    difference = favoured[~protected].mean() - favoured[protected].mean()
    return float(difference * protected.sum() * (~protected).sum() / len(train))


def massaged(train: Samples, score: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the labels (n,) after ``count`` rows of each group have changed theirs.

    Args:
        train: two groups.
        score: (n,) how likely the favourable label is for each row. The protected rows with the highest scores among
            those with the unfavourable label are promoted, and the other rows with the lowest scores among those with
            the favourable one are demoted.
        count: at least 0.
    """
    favourable, protected = train.schema.favorable_label, train.protected
    order = np.argsort(score, kind="stable")
    candidates = order[protected[order] & (train.y[order] != favourable)]
    y = np.array(train.y)
    y[candidates[len(candidates) - count :]] = favourable
    y[order[~protected[order] & (train.y[order] == favourable)][:count]] = 1 - favourable
    return y


@dataclass(frozen=True)
class Massaging:
    """Swap labels between the groups near the border until both are favoured equally often, then train a model.

    References:
        Kamiran and Calders (2012), Data preprocessing techniques for classification without discrimination, KAIS 33.
    """

    name = "massaging"
    uses_group = ("training",)
    share: float = parameter(1.0, "Share of the swaps that even the groups out.", source=PAPER, minimum=0, maximum=1)
    ranker: str = parameter("naive_bayes", "What finds the rows near the border.", source=PAPER, choices=RANKERS)
    strength: float = parameter(1.0, "Inverse of the regularisation of the final model.", minimum=1e-9)

    grid = ({"share": 0.5}, {"share": 1.0})  # for the scenario 'tuned'
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {  # for the scenario 'search'
        "share": Range(0.0, 1.0),
        "ranker": Options(*RANKERS),
        "strength": Range(1e-3, 1e3, log=True),
    }

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor of a logistic regression, which does not use the group; validation is not used.

        Raises:
            NotApplicable: there are not two groups with training rows, or only one label.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.naive_bayes import GaussianNB

        present = len(np.unique(train.group))
        if len(train.group_names) != 2 or present != 2:
            raise NotApplicable(f"massaging swaps labels between two groups; {present} have training rows here")
        if len(np.unique(train.y)) < 2:
            raise NotApplicable(f"all {len(train)} training rows have the label {train.y[0]}")
        ranker = GaussianNB() if self.ranker == "naive_bayes" else LogisticRegression(max_iter=5000, random_state=seed)
        favoured = train.y == train.schema.favorable_label
        score = ranker.fit(train.X.astype(np.float64), favoured).predict_proba(train.X.astype(np.float64))[:, 1]
        count = round(self.share * max(swaps(train), 0.0))
        evened = Samples(train.X, train.group, train.schema, massaged(train, score, count), train.keys)
        return fit_estimator(LogisticRegression(C=self.strength, max_iter=5000), evened, seed=seed)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Massaging]
