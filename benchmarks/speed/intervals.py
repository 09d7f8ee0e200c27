"""Bootstrap replicates beside fairlearn's MetricFrame, and intervals without draws.

Both draw test parts for the same rates by group, and the ends of their intervals are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from _timing import Row, Times, alternately
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, count
from fairbench.analysis.gaps import gap_interval
from fairbench.analysis.noise import noise_floor
from fairbench.analysis.resampling import draw_counts
from fairbench.api import Predictions
from fairbench.running.truth import Truth

DRAWS = 1_000
SHARE = 50  # of them for fairlearn, which takes a tenth of a second for each
RATES = {SELECTION: selection_rate, TRUE_POSITIVE: true_positive_rate, FALSE_POSITIVE: false_positive_rate}
ENDS = [0.025, 0.975]


def measure(quick: bool) -> Iterator[Row]:
    """Time 1,000 drawn test parts, and intervals and noise floors, for as many rows as german and adult have."""
    for rows in (150,) if quick else (150, 6784):
        generator = np.random.default_rng(0)
        y, group, chance = generator.integers(0, 2, rows), generator.integers(0, 2, rows), generator.random(rows)
        y_pred = (chance < 0.3 + 0.3 * y + 0.1 * group).astype(int)
        truth, predictions = Truth(y, group, ("a", "b")), Predictions(y_pred)
        kept = {}

        def theirs(y=y, y_pred=y_pred, group=group, kept=kept):
            frame = MetricFrame(
                metrics=RATES,
                y_true=y,
                y_pred=y_pred,
                sensitive_features=group,
                n_boot=SHARE,
                ci_quantiles=ENDS,
                random_state=0,
            )
            kept["theirs"] = frame.by_group_ci

        def here(truth=truth, predictions=predictions, kept=kept):
            drawn = draw_counts(count(truth, predictions), DRAWS)
            kept["here"] = {rate: np.quantile(drawn.rates(rate), ENDS, axis=0) for rate in RATES}  # (2, G) each

        found = alternately({"here": here, "theirs": theirs}, rounds=3, budget=2.0)
        for rate in RATES:
            low_and_high = np.array([frame[rate].to_numpy() for frame in kept["theirs"]])
            assert np.abs(kept["here"][rate] - low_and_high).max() < 1 / np.sqrt(rows / 4), rate  # two deviations
        slow = Times(*(DRAWS / SHARE * seconds for seconds in found["theirs"]))
        name = f"{DRAWS:,} bootstrap replicates of three rates by group, {rows:,} rows"
        against = f"fairlearn's MetricFrame, {DRAWS // SHARE} times what {SHARE} take"
        yield found["here"].row(name, other=slow, against=against)
        counts = count(truth, predictions)
        for metric in ("demographic_parity_difference", "equalized_odds_difference"):
            works = {
                "interval": partial(gap_interval, counts, metric),
                "noise floor": partial(noise_floor, counts, metric),
            }
            for what, times in alternately(works, rounds=3).items():
                yield times.row(f"{what} of {metric}, {rows:,} rows")
