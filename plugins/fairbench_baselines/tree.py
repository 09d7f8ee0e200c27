"""A decision tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairbench.api import Inputs, Method, Predictions, Predictor, Range, Samples, hookimpl, parameter

TUNABILITY = "Probst, Boulesteix and Bischl (2019), Tunability, JMLR 20, table 1"


@dataclass(frozen=True)
class Tree:
    """Fit a decision tree (scikit-learn) for accuracy alone; nothing is chosen on validation.

    In a feedback loop it is the negative control: a tree copies the labels of the tree before it almost exactly.
    """

    name = "tree"
    uses_group = ()
    ranges: ClassVar[Mapping[str, Range]] = {
        "depth": Range(1, 30, source=TUNABILITY),
        "leaf": Range(1, 60, source=TUNABILITY),
    }

    depth: int = parameter(7, "largest depth", source="own", minimum=1)
    leaf: int = parameter(1, "smallest number of rows in a leaf", source="scikit-learn's default", minimum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor, whose score is the share of y = 1 in a leaf; the group is not used."""
        from sklearn.tree import DecisionTreeClassifier

        model = DecisionTreeClassifier(max_depth=self.depth, min_samples_leaf=self.leaf, random_state=seed)
        model.fit(train.X, train.y)
        positive = np.flatnonzero(model.classes_ == 1)

        def predict(inputs: Inputs) -> Predictions:
            share = model.predict_proba(inputs.X)[:, positive].sum(axis=1)
            return Predictions.from_score(np.clip(share, 0, 1))

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Tree]
