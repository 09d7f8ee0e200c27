"""The headline metrics from one table of counts, and the same from fairlearn."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import partial

import numpy as np
from _timing import Row, alternately
from fairlearn import metrics as fairlearn
from sklearn.metrics import accuracy_score

from fairbench.api import Predictions, Samples, Schema
from fairbench.plugins.loading import load_plugins

GAPS = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
)


def measure(quick: bool) -> Iterator[Row]:
    """Time accuracy, two differences and two ratios together, for rows as adult's test part has, and for a million."""
    registry, _ = load_plugins()
    ours = [registry.metric(name) for name in ("accuracy", *GAPS)]
    for rows in (15_060,) if quick else (15_060, 1_000_000):
        generator = np.random.default_rng(0)
        y, group, y_pred = (generator.integers(0, 2, rows) for _ in range(3))
        samples = Samples(np.zeros((rows, 0)), group, Schema((), ("a", "b"), 0), y)
        predictions = Predictions(y_pred)

        found = {}

        def here(samples: Samples, predictions: Predictions, found: dict) -> None:
            predictions = copy(predictions)  # other predictions than last time, whose rows must be counted anew
            found["here"] = [metric(samples, predictions) for metric in ours]

        def theirs(y: np.ndarray, y_pred: np.ndarray, group: np.ndarray, found: dict) -> None:
            gaps = [getattr(fairlearn, name)(y, y_pred, sensitive_features=group) for name in GAPS]
            found["theirs"] = [accuracy_score(y, y_pred), *gaps]

        works = {"here": partial(here, samples, predictions, found), "theirs": partial(theirs, y, y_pred, group, found)}
        times = alternately(works, rounds=5, budget=2.0)
        assert np.allclose(found["here"], found["theirs"])
        name = f"accuracy, DP and EO difference and ratio, {rows:,} rows"
        aim = 5.0 if rows == 1_000_000 else None
        yield times["here"].row(name, other=times["theirs"], against="fairlearn and scikit-learn", aim=aim)
