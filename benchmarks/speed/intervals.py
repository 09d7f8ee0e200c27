"""Drawn test parts beside fairlearn's MetricFrame bootstrap, and intervals without draws.

Run ``python benchmarks/speed/intervals.py``. Both draw as many test parts for the same rates by group, and the ends of
their intervals are compared.
"""

from __future__ import annotations

import time
import warnings
from functools import partial

import numpy as np
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, count
from fairbench.analysis.gaps import gap_interval
from fairbench.analysis.noise import noise_floor
from fairbench.analysis.resampling import draw_counts
from fairbench.api import Predictions
from fairbench.running.truth import Truth

DRAWS = 50  # fairlearn takes a tenth of a second for each
RATES = {SELECTION: selection_rate, TRUE_POSITIVE: true_positive_rate, FALSE_POSITIVE: false_positive_rate}
ENDS = [0.025, 0.975]


def seconds(work, repeats: int):
    """Return the best time of a call, and what it returned."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - started)
    return min(times), result


def main() -> None:
    """Print milliseconds and ratios for test parts of german and of adult."""
    warnings.simplefilter("ignore")
    for rows in (150, 6784):
        generator = np.random.default_rng(0)
        y, group, chance = generator.integers(0, 2, rows), generator.integers(0, 2, rows), generator.random(rows)
        y_pred = (chance < 0.3 + 0.3 * y + 0.1 * group).astype(int)
        truth, predictions = Truth(y, group, ("a", "b")), Predictions(y_pred)

        def theirs(y=y, y_pred=y_pred, group=group):
            return MetricFrame(
                metrics=RATES,
                y_true=y,
                y_pred=y_pred,
                sensitive_features=group,
                n_boot=DRAWS,
                ci_quantiles=ENDS,
                random_state=0,
            ).by_group_ci

        def ours(truth=truth, predictions=predictions):
            drawn = draw_counts(count(truth, predictions), DRAWS)
            return {rate: np.quantile(drawn.rates(rate), ENDS, axis=0) for rate in RATES}  # (2, G) each

        slow, expected = seconds(theirs, 1)
        fast, found = seconds(ours, 5)
        for rate in RATES:
            low_and_high = np.array([frame[rate].to_numpy() for frame in expected])
            assert np.abs(found[rate] - low_and_high).max() < 1 / np.sqrt(rows / 4), rate  # two standard deviations
        speed = f"fairlearn {1000 * slow:8.1f} ms, here {1000 * fast:6.2f} ms, x{slow / fast:.0f}"
        print(f"{rows:6,} rows, {DRAWS} draws: {speed}")
        counts = count(truth, predictions)
        for metric in ("demographic_parity_difference", "equalized_odds_difference"):
            interval = seconds(partial(gap_interval, counts, metric), 20)[0]
            floor = seconds(partial(noise_floor, counts, metric), 20)[0]
            print(f"  {metric}: interval {1000 * interval:.2f} ms, noise floor {1000 * floor:.2f} ms")


if __name__ == "__main__":
    main()
