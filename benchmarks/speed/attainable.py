"""The attainable line beside its fits, and beside fairlearn.

With ``FAIRBENCH_DATA`` naming a folder that has Adult's raw files, on Adult; otherwise on as many synthetic rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from _timing import Row, alternately
from fairbench_baselines._constraints import CONSTRAINTS, ScoredRows
from fairbench_baselines._scores import Candidates
from fairbench_baselines.attainable import Attainable
from fairbench_datasets.adult import Adult
from fairbench_datasets.synthetic import Synthetic
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator

from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset

TOLERANCE = 0.05
ADULTS = 45_222


class Given(BaseEstimator):
    """A classifier for fairlearn whose scores are its only feature."""

    is_fitted_ = True

    def fit(self, X, y):
        """Return itself."""
        return self

    def predict(self, X):
        """Return the scores."""
        return X[:, 0]


def split(synthetic: int):
    """Return the parts of Adult, or of synthetic rows."""
    folder = os.environ.get("FAIRBENCH_DATA") if synthetic == ADULTS else None
    spec = Adult() if folder else Synthetic(rows=synthetic)
    dataset = spec.load({file.path: Path(folder) / file.path for file in spec.files} if folder else {})
    return split_dataset(dataset, group=dataset.sensitive_features.columns[0], seed=0, preparation=Preparation())


def measure(quick: bool) -> Iterator[Row]:
    """Time the fits, all points of the line, and one tolerance beside fairlearn's optimizer."""
    parts, method = split(4_000 if quick else ADULTS), Attainable()
    rows = len(parts.train) + len(parts.validation)
    candidates = Candidates(method.C, method.rounds, method.leaves, method.lr)
    kept = []
    fits = alternately(
        {"": lambda: kept.append(candidates.cross_fitted((parts.train, parts.validation), method.folds, 0))},
        rounds=1,
        budget=1.0,
    )[""]
    scored, groups = kept[0], len(parts.train.group_names)

    def fresh() -> ScoredRows:
        return ScoredRows(scored.group, scored.y, scored.score, groups)

    def every_point(solve: str) -> None:
        here = getattr(fresh(), solve)
        for constraint in CONSTRAINTS:
            for tolerance in method.tolerances:
                here(constraint, tolerance)

    works = {name: partial(every_point, name) for name in ("solve", "solve_certain")}
    found = alternately(works, rounds=3)
    points = f"all {len(CONSTRAINTS) * len(method.tolerances)} points of the line, {rows:,} rows"
    yield found["solve"].row(points, other=fits, against="fits of the score models")
    yield found["solve_certain"].row(f"{points}, without chance", other=fits, against="fits of the score models")
    ready = fresh()
    for constraint, theirs in zip(CONSTRAINTS, ("demographic_parity", "true_positive_rate_parity")):
        ready.solve(constraint, TOLERANCE)  # finds the hulls
        optimizer = ThresholdOptimizer(
            estimator=Given(), constraints=theirs, prefit=True, predict_method="predict", tol=TOLERANCE
        )
        X = scored.score[:, None]
        works = {
            "theirs": partial(optimizer.fit, X, scored.y, sensitive_features=scored.group),
            "here": lambda constraint=constraint: fresh().solve(constraint, TOLERANCE),
            "ready": partial(ready.solve, constraint, TOLERANCE),
        }
        found = alternately(works, rounds=3)
        chance = optimizer._pmf_predict(X, sensitive_features=scored.group)[:, 1]
        accuracy = np.where(scored.y == 1, chance, 1 - chance).mean()
        note = f"accuracies {ready.solve(constraint, TOLERANCE).accuracy:.5f} and {accuracy:.5f}"
        beside = {"other": found["theirs"], "against": "fairlearn's ThresholdOptimizer"}
        yield found["here"].row(f"{constraint.name}<={TOLERANCE}, {rows:,} rows", **beside, note=note)
        yield found["ready"].row(f"{constraint.name}<={TOLERANCE} where the hulls are known", **beside)
