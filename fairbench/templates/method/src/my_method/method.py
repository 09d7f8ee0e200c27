"""A logistic regression on features whose means are the same in every group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Inputs, Method, NotApplicable, Predictions, Predictor, Samples, hookimpl, parameter

FAIRBENCH_API = 1


@dataclass(frozen=True)
class MyMethod:
    """Move each group's features to the mean of all rows, then fit a logistic regression.

    References:
        fairlearn's ``CorrelationRemover``, with a column for each group.
    """

    name = "my_method"
    uses_group = ("training", "prediction")  # elsewhere the group is withheld; () if it is never used
    amount: float = parameter(1.0, "0 leaves the features as they are, 1 makes the means equal.", minimum=0, maximum=1)
    grid = ({"amount": 0.0}, {"amount": 0.5}, {"amount": 1.0})  # what the scenario 'tuned' can choose from

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return a predictor that uses the group; nothing is chosen on validation."""
        from sklearn.linear_model import LogisticRegression  # here, so that other commands start fast

        if len(np.unique(train.y)) < 2:
            raise NotApplicable("all training rows have the same label")
        shift = np.zeros((len(train.group_names), train.X.shape[1]))  # of each group, in each feature
        for code in np.unique(train.group):
            shift[code] = train.X[train.group == code].mean(axis=0) - train.X.mean(axis=0)
        model = LogisticRegression(max_iter=5000, random_state=seed)
        model.fit(train.X - self.amount * shift[train.group], train.y)

        def predict(inputs: Inputs) -> Predictions:
            return Predictions.from_score(model.predict_proba(inputs.X - self.amount * shift[inputs.group])[:, 1])

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [MyMethod]
