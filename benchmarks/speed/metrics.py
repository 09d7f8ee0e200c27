"""Metrics from one table of counts, against the same from fairlearn: ``python benchmarks/speed/metrics.py``."""

from __future__ import annotations

import time
import warnings

import numpy as np
from fairlearn import metrics as fairlearn

from fairbench.api import Predictions, Samples, Schema
from fairbench.plugins.loading import load_plugins

NAMES = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
)


def seconds(work, repeats: int) -> float:
    """Return the best time of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print milliseconds and ratios for two sizes."""
    warnings.simplefilter("ignore")
    registry, _ = load_plugins()
    ours = [registry.metric(name) for name in NAMES]
    for rows, repeats in ((15_060, 5), (1_000_000, 1)):
        generator = np.random.default_rng(0)
        y, group, y_pred = (generator.integers(0, 2, rows) for _ in range(3))
        samples = Samples(np.zeros((rows, 0)), group, Schema((), ("a", "b"), 0), y)
        predictions = Predictions(y_pred)
        theirs = [getattr(fairlearn, name)(y, y_pred, sensitive_features=group) for name in NAMES]
        assert np.allclose([metric(samples, predictions) for metric in ours], theirs)
        fast = seconds(lambda: [metric(samples, predictions) for metric in ours], repeats)  # noqa: B023 - called at once
        slow = seconds(
            lambda: [getattr(fairlearn, name)(y, y_pred, sensitive_features=group) for name in NAMES],  # noqa: B023 - called at once
            repeats,
        )
        print(f"{rows:9,} rows: fairlearn {1000 * slow:9.1f} ms, here {1000 * fast:6.2f} ms, x{slow / fast:.0f}")


if __name__ == "__main__":
    main()
