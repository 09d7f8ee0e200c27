"""The report ``noise`` on runs as users make them: numbers from exported predictions, and words where none are."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fairbench_reports.noise import render
from report_helpers import DP, done, results
from scipy.stats import norm, t

from fairbench.analysis.gaps import newcombe

RUN = ("--datasets", "synthetic[rows=600]", "--workers", "1", "--out", "r")
PLUGIN = '''"""A dataset with a group of one row, and one whose test part it is in."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairbench.api import Dataset, hookimpl


@dataclass(frozen=True)
class Rare:
    """Three groups, one of them of three rows."""

    name = "rare"
    files = ()
    sensitive_features = ("letter",)

    def load(self, paths):
        draw = np.random.default_rng(0)
        x = draw.normal(size=300)
        y = (x + draw.normal(size=300) > 0).astype(int)
        letter = np.where(np.arange(300) % 3 == 0, "a", "b")
        letter[[0, 1, 299]] = "c"
        y[[0, 1, 299]] = 1
        parts = [np.arange(0, 200), np.arange(200, 240), np.arange(240, 300)]
        frame = pd.DataFrame({"letter": letter})
        return Dataset(self.name, pd.DataFrame({"x": x}), y, frame, {"letter": "a"}, partition=lambda seed: parts)


@hookimpl
def fairbench_datasets():
    return [Rare]
'''


def line(text, method, gap):
    """Return the numbers of a line as texts, and what its last column says."""
    found = next(row for row in text.splitlines() if row.startswith(method) and gap in row)
    *numbers, apart = found.split(gap)[1].split()
    return numbers, apart


def exported(fairbench, repeat, method="logistic"):
    """Return how many are selected, and rows, of the two groups in a repeat."""
    rows = map(json.loads, fairbench("export", "r", "--predictions", "--format", "jsonl")[1].splitlines())
    rows = [row for row in rows if (row["method"], row["repeat"]) == (method, repeat)]
    groups = sorted({row["group"] for row in rows})
    here = [[row["y_pred"] for row in rows if row["group"] == group] for group in groups]
    return np.array([sum(part) for part in here]), np.array([len(part) for part in here])


def test_one_repeat_has_the_interval_of_its_rows_alone(fairbench):
    assert fairbench("run", "--methods", "logistic,constant", "--repeats", "1", *RUN)[0] == 0
    status, out, _ = fairbench("report", "r", "--format", "noise")
    assert status == 0
    selected, rows = exported(fairbench, 0)
    low, high = newcombe(selected, rows)
    rates, pooled = selected / rows, selected.sum() / rows.sum()
    sd = np.sqrt(pooled * (1 - pooled) * (1 / rows).sum())
    (value, start, _, end, repeats, of_mean, floor, _), apart = line(out, "logistic", "DP diff.")
    assert float(value.strip("~")) == float(of_mean) == pytest.approx(np.ptp(rates), abs=5e-4)
    limits = sorted(map(abs, (low, high))) if low * high > 0 else (0, max(-low, high))
    assert (float(start), float(end)) == pytest.approx(tuple(limits), abs=5e-4)
    assert repeats == "-"
    assert float(floor) == pytest.approx(np.sqrt(2 / np.pi) * sd, abs=5e-4)
    assert apart == ("yes" if np.ptp(rates) > norm.ppf(0.975) * sd else "no")
    assert "one repeat: the interval is that of the test part's rows" in out


def test_rows_and_repeats_are_kept_apart(fairbench):
    assert fairbench("run", "--methods", "logistic", "--repeats", "4", *RUN)[0] == 0
    _, out, _ = fairbench("report", "r", "--format", "noise")
    selected, rows = (np.array(part) for part in zip(*(exported(fairbench, repeat) for repeat in range(4))))
    rates = selected / rows  # (4, 2)
    gaps = np.ptp(rates, axis=1)
    within = (rates * (1 - rates) / rows).sum(axis=1).mean()
    (value, by_rows, by_repeats, of_mean, _, smallest), _ = line(out, "logistic", "DP diff.")
    assert float(value.strip("~")) == pytest.approx(gaps.mean(), abs=5e-4)
    assert float(by_rows.strip("±")) == pytest.approx(norm.ppf(0.975) * np.sqrt(within), abs=5e-4)
    width = t.ppf(0.975, 3) * gaps.std(ddof=1) * np.sqrt(1 / 4 + 90 / 420)
    assert float(by_repeats.strip("±")) == pytest.approx(width, abs=5e-4)
    assert float(of_mean) == pytest.approx(np.ptp(rates.mean(axis=0)), abs=5e-4)
    assert 0 < float(smallest) < 1
    assert "one repeat" not in out


def test_a_constant_is_not_called_fair(fairbench):
    assert fairbench("run", "--methods", "constant,coin", "--repeats", "2", *RUN)[0] == 0
    _, out, _ = fairbench("report", "r", "--format", "noise")
    numbers, apart = line(out, "constant", "EO diff.")
    assert (numbers[:2], numbers[-1], apart) == (["0.000~", "±0.000"], "none", "‡")
    assert "decides alike for everybody in more than half of its repeats, so its gaps mean nothing" in " ".join(
        out.split()
    )
    assert line(out, "coin", "DP diff.")[0][1] == "±0.000"  # in expectation, rows leave nothing open


def test_a_group_without_positives_is_partial_and_said(fairbench, tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    more = ("--datasets", "rare", "--plugin", "own.py", "--workers", "1", "--out", "r")
    assert fairbench("run", "--methods", "logistic", "--repeats", "1", *more)[0] == 0
    status, out, _ = fairbench("report", "r", "--format", "noise", "--plugin", "own.py")
    text = " ".join(out.split())
    assert status == 0
    assert "nan" not in out.lower()
    assert "§ over the other groups in some repeats: group 'c' has no row with y = 0 in the test part" in text
    assert "group 'c' has only 1 row in a test part" in text
    assert re.search(r"EO diff\.\s+0\.\d{3}.?§", out)


def test_without_stored_predictions_the_report_says_so():
    records = [done("logistic", repeat, accuracy=0.8, **{DP: 0.1}) for repeat in range(2)]
    text = render(results(*records))
    assert text == "no predictions are stored from which gaps could be counted"
    gapless = [done("logistic", repeat, accuracy=0.8) for repeat in range(2)]
    assert render(results(*gapless)).startswith("the run has none of the gaps that could be shown: demographic_parity_")
