"""Scores of the better of two models that see the features and the group, for rows that they were not fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Inputs, Samples
from fairbench_baselines._hulls import Floats

Model = Callable[[Inputs], Floats]
"""Scores (n,) of any rows."""

Make = Callable[[], Any]
"""A new scikit-learn classifier, not fitted yet."""

LARGE = 20_000  # rows from which boosting grows larger trees
STEPS = 1000  # the most that the solver of the logistic regression takes
SURE = 1e-12  # how near to 0 and 1 the log loss takes a probability


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows with scores of a model that was not fitted to them, and the model that scores new rows.

    Args:
        group: (n,) codes.
        y: (n,) labels in {0, 1}.
        score: (n,) in [0, 1].
        model: scores (m,) of any rows.
        log_loss: of each candidate on these rows; the model is the candidate with the lowest.
    """

    group: NDArray[Any]
    y: NDArray[Any]
    score: Floats
    model: Model
    log_loss: Mapping[str, float]


@dataclass(frozen=True)
class Candidates:
    """The two score models: L2-penalised logistic regression, and gradient boosting on histograms.

    Args:
        C: inverse strength of the penalty.
        rounds: of boosting.
        leaves: of a tree; None for 8, or 31 where ``LARGE`` or more rows are fitted.
        lr: of boosting; None for .05, or .1 where ``LARGE`` or more rows are fitted.
    """

    C: float
    rounds: int
    leaves: Optional[int]
    lr: Optional[float]

    def makers(self, n: int, seed: int) -> dict[str, Make]:
        """Return what makes each classifier, for about n rows."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        leaves, lr = (31, 0.1) if n >= LARGE else (8, 0.05)
        return {
            "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=STEPS)),
            "boosting": lambda: HistGradientBoostingClassifier(
                max_iter=self.rounds,
                max_leaf_nodes=self.leaves or leaves,
                learning_rate=self.lr or lr,
                early_stopping=False,
                random_state=seed,
            ),
        }

    def cross_fitted(self, parts: tuple[Samples, Samples], folds: int, seed: int) -> Scored:
        """Return out-of-fold scores of the rows of both parts, and the better candidate fitted to all of them.

        Folds are stratified by label and group. Rows with equal features are taken for different people.

        Args:
            parts: train and validation, with at least two rows of each label together.
            folds: at least 2.
            seed: of the folds and of boosting.
        """
        X = np.concatenate([with_group(part.inputs) for part in parts])
        group, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("group", "y"))
        fold = stratified_folds(y, group, folds, seed)
        makers = self.makers(len(y), seed)
        scores = {name: np.empty(len(y)) for name in makers}
        for number in np.unique(fold):
            held = fold == number
            for name, make in makers.items():
                scores[name][held] = probability(fitted(make, X[~held], y[~held]), X[held])
        losses = {name: log_loss(score, y) for name, score in scores.items()}
        best = min(losses, key=lambda name: losses[name])
        return Scored(group, y, scores[best], scorer(fitted(makers[best], X, y)), losses)

    def validated(self, train: Samples, validation: Samples, seed: int) -> Scored:
        """Return scores of the validation rows, and the candidate fitted to train that is better on validation."""
        makers = self.makers(len(train), seed)
        X = with_group(train.inputs)
        models = {name: scorer(fitted(make, X, train.y)) for name, make in makers.items()}
        scores = {name: model(validation.inputs) for name, model in models.items()}
        losses = {name: log_loss(score, validation.y) for name, score in scores.items()}
        best = min(losses, key=lambda name: losses[name])
        return Scored(validation.group, validation.y, scores[best], models[best], losses)


def with_group(inputs: Inputs) -> Floats:
    """Return the features and an indicator of each of the G groups, (n, d + G)."""
    groups = np.arange(len(inputs.group_names))
    return np.hstack([inputs.X, inputs.group[:, None] == groups]).astype(np.float64)


def stratified_folds(y: NDArray[Any], group: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold (n,) of each row; folds hold as many rows of each label, and of each group within a label.

    "As many" means that numbers differ by one at most for labels and by two for groups.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.lexsort([group[order], y[order]])]
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % folds
    return fold


def fitted(make: Make, X: Floats, y: NDArray[Any]) -> Any:
    """Return a new classifier fitted to the rows."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after ``STEPS`` steps more change nothing that matters
        return make().fit(X, y)


def probability(model: Any, X: Floats) -> Floats:
    """Return the probabilities (n,) of y = 1 of a fitted classifier."""
    found: Floats = model.predict_proba(X)[:, 1]
    return found


def scorer(model: Any) -> Model:
    """Return the scores of any rows; those of the last rows are kept, because every operating point asks for them."""
    last: list[tuple[Inputs, Floats]] = []

    def score(inputs: Inputs) -> Floats:
        if not (last and last[0][0] is inputs):
            last[:] = [(inputs, probability(model, with_group(inputs)))]
        return last[0][1]

    return score


def log_loss(score: Floats, y: NDArray[Any]) -> float:
    """Return the mean of -log of the probability given to each row's label."""
    given = np.where(y == 1, score, 1 - score)
    return float(-np.log(np.maximum(given, SURE)).mean())
