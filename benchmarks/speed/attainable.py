"""The cost of the attainable line beside its fits, and beside fairlearn: ``python benchmarks/speed/attainable.py``.

With ``FAIRBENCH_DATA`` naming a folder that has Adult's raw files, on Adult; otherwise on as many synthetic rows.
"""

from __future__ import annotations

import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from fairbench_baselines._constraints import CONSTRAINTS, ScoredRows
from fairbench_baselines._scores import Candidates
from fairbench_baselines.attainable import Attainable
from fairbench_datasets.adult import Adult
from fairbench_datasets.synthetic import Synthetic
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator

from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset
from fairbench.system.threads import one_thread

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


def seconds(work, repeats: int = 1) -> float:
    """Return the best time of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def split():
    """Return the parts of Adult, or of synthetic rows."""
    folder = os.environ.get("FAIRBENCH_DATA")
    spec = Adult() if folder else Synthetic(rows=ADULTS)
    dataset = spec.load({file.path: Path(folder) / file.path for file in spec.files} if folder else {})
    parts = split_dataset(dataset, group=dataset.sensitive_features.columns[0], seed=0, preparation=Preparation())
    print(f"{spec.name}: {len(parts.train) + len(parts.validation):,} rows to fit, {parts.train.X.shape[1]} features")
    return parts


def main() -> None:
    """Print the times on one thread, and how they compare."""
    warnings.simplefilter("ignore")
    parts, method = split(), Attainable()
    candidates = Candidates(method.C, method.rounds, method.leaves, method.lr)
    kept = []
    fits = seconds(lambda: kept.append(candidates.cross_fitted((parts.train, parts.validation), method.folds, 0)))
    scored, groups = kept[0], len(parts.train.group_names)

    def rows() -> ScoredRows:
        return ScoredRows(scored.group, scored.y, scored.score, groups)

    def from_scratch(constraint) -> None:
        rows().solve(constraint, TOLERANCE)

    def everything() -> None:
        fresh = rows()
        for constraint in CONSTRAINTS:
            for tolerance in method.tolerances:
                fresh.solve(constraint, tolerance)

    def without_chance() -> None:
        fresh = rows()
        for constraint in CONSTRAINTS:
            for tolerance in method.tolerances:
                fresh.solve_certain(constraint, tolerance)

    line, certain = seconds(everything, 5), seconds(without_chance, 3)
    points = len(CONSTRAINTS) * len(method.tolerances)
    print(f"fits of the score models {fits:.1f} s; all {points} points {line:.3f} s, x{fits / line:.0f} less")
    print(f"the same points without chance, on request: {certain:.3f} s")
    ready = rows()
    for constraint, theirs in zip(CONSTRAINTS, ("demographic_parity", "true_positive_rate_parity")):
        ready.solve(constraint, TOLERANCE)  # finds the hulls
        optimizer = ThresholdOptimizer(
            estimator=Given(), constraints=theirs, prefit=True, predict_method="predict", tol=TOLERANCE
        )
        X = scored.score[:, None]
        slow = seconds(partial(optimizer.fit, X, scored.y, sensitive_features=scored.group), 3)
        fast = seconds(partial(from_scratch, constraint), 5)
        sweep = seconds(partial(ready.solve, constraint, TOLERANCE), 20)
        chance = optimizer._pmf_predict(X, sensitive_features=scored.group)[:, 1]
        accuracy = np.where(scored.y == 1, chance, 1 - chance).mean()
        ours = ready.solve(constraint, TOLERANCE).accuracy
        print(f"{constraint.name}<={TOLERANCE}, accuracies {accuracy:.5f} (fairlearn) and {ours:.5f}: ", end="")
        print(f"fairlearn {1000 * slow:.0f} ms, here {1000 * fast:.1f} ms (x{slow / fast:.0f}), ", end="")
        print(f"{1000 * sweep:.2f} ms where the hulls are known (x{slow / sweep:.0f})")


if __name__ == "__main__":
    with one_thread():
        main()
