"""How often intervals within one test part cover the truth, by simulation.

``FAIRBENCH_LONG=1 pytest -s tests/test_coverage.py`` draws 3,000 test parts in each setting, in some minutes, and
prints the table; a larger number is the number of test parts.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, Counts
from fairbench.analysis.gaps import GAPS, accuracy_interval, gap_interval
from fairbench.analysis.noise import noise_floor
from fairbench.analysis.resampling import draw_counts, percentiles

ASKED = int(os.environ.get("FAIRBENCH_LONG", "0"))
TEST_PARTS = 3000 if ASKED == 1 else ASKED
DRAWS = 1000
DP, EO = "demographic_parity_difference", "equalized_odds_difference"

# Rows of each group with y = 0 and with y = 1, and the chances of being selected.
EVEN = [
    ("10, 140; .75, .75", (10, 140), (0.75, 0.75)),
    ("10, 140; .50, .75", (10, 140), (0.50, 0.75)),
    ("46, 104; .75, .75", (46, 104), (0.75, 0.75)),
    ("46, 104; .70, .80", (46, 104), (0.70, 0.80)),
    ("46, 104; .55, .85", (46, 104), (0.55, 0.85)),
    ("30, 270; .05, .05", (30, 270), (0.05, 0.05)),
    ("30, 270; .05, .15", (30, 270), (0.05, 0.15)),
    ("129, 171; .50, .50", (129, 171), (0.50, 0.50)),
    ("129, 171; .65, .40", (129, 171), (0.65, 0.40)),
    ("476, 450; .45, .45", (476, 450), (0.45, 0.45)),
    ("476, 450; .45, .50", (476, 450), (0.45, 0.50)),
    ("2200, 4584; .20, .20", (2200, 4584), (0.20, 0.20)),
    ("2200, 4584; .08, .26", (2200, 4584), (0.08, 0.26)),
    ("three groups, fair", (60, 50, 40), (0.50, 0.50, 0.50)),
    ("five groups, fair", (476, 315, 76, 51, 8), (0.45,) * 5),
    ("five groups, mixed", (476, 315, 76, 51, 8), (0.55, 0.35, 0.40, 0.35, 0.30)),
    ("five groups, one apart", (476, 315, 76, 51, 8), (0.70, 0.35, 0.35, 0.35, 0.35)),
]
ODDS = [
    ("EO as german, fair", ((16, 30), (30, 75)), ((0.5, 0.9), (0.5, 0.9))),
    ("EO as german, gap .2", ((16, 30), (30, 75)), ((0.4, 0.75), (0.6, 0.9))),
    ("EO as compas, fair", ((227, 249), (277, 172)), ((0.3, 0.6), (0.3, 0.6))),
    ("EO as compas, gap .2", ((227, 249), (277, 172)), ((0.4, 0.7), (0.2, 0.55))),
]
CASES = [(name, DP, [(0, n) for n in rows], [(0, p) for p in rates]) for name, rows, rates in EVEN]
CASES += [(name, EO, rows, rates) for name, rows, rates in ODDS]


def true_gap(metric, rates):
    columns = {SELECTION: 1, TRUE_POSITIVE: 1, FALSE_POSITIVE: 0}  # with y = 1 alone, the selection rate is this one
    return max(np.ptp([pair[columns[rate]] for pair in rates]) for rate in GAPS[metric])


def covers(low, high, truth):
    return low is not None and low - 1e-12 <= truth <= high + 1e-12


def largest(drawn, metric):
    return np.max([np.ptp(drawn.rates(rate), axis=1) for rate in GAPS[metric]], axis=0)


def simulated(metric, rows, rates, parts, naive=True):
    """Return coverages in per cent (gap, percentiles of the gap itself, accuracy), the gaps and the mean floor."""
    draw = np.random.default_rng(0)
    rows, rates = np.array(rows), np.array(rates)
    truth = true_gap(metric, rates)
    right = float((rows * np.abs([1, 0] - rates)).sum() / rows.sum())
    hits, gaps, floors = np.zeros(3), [], []
    for part in range(parts):
        counts = Counts(tuple(map(str, range(len(rows)))), rows.astype(float), draw.binomial(rows, rates).astype(float))
        ours, accuracy = gap_interval(counts, metric), accuracy_interval(counts)
        theirs = percentiles(largest(draw_counts(counts, DRAWS, part), metric)) if naive else None
        hits += [
            covers(ours.low, ours.high, truth),
            covers(*(theirs or (None, None)), truth),
            covers(accuracy.low, accuracy.high, right),
        ]
        gaps.append(ours.value)
        floors.append(noise_floor(counts, metric, part).mean)
    return *(100 * hits / parts), np.array(gaps), np.mean(floors)


def test_a_gap_among_five_groups_is_covered():
    """The setting in which intervals of single pairs fail most often; the whole table takes long."""
    for _, metric, rows, rates in (CASES[14], CASES[17]):
        assert simulated(metric, rows, rates, 150, naive=False)[0] >= 92


def test_the_gap_of_randomised_decisions_is_covered():
    """People with chances of .1, .5 and .9, in other shares in each group: percentiles of drawn counts, signed."""
    draw, levels = np.random.default_rng(0), np.array([0.1, 0.5, 0.9])
    shares, rows = np.array([[0.3, 0.4, 0.3], [0.4, 0.4, 0.2]]), (90, 130)
    truth, hits = float(np.ptp(shares @ levels)), 0
    for part in range(300):
        of_group = draw.multinomial(rows, shares).astype(float)  # (2, L)
        at = np.stack([np.zeros_like(of_group), of_group], axis=1)
        counts = Counts(("a", "b"), at.sum(axis=2), at @ levels, True, levels, at)
        found = gap_interval(counts, DP, draws=DRAWS, seed=part)
        hits += covers(found.low, found.high, truth)
    assert 92 <= hits / 3 <= 98.5


@pytest.mark.skipif(not ASKED, reason="takes some minutes: FAIRBENCH_LONG=1 asks for it")
def test_intervals_cover_as_often_as_they_say():
    sampling = 300 * (0.05 * 0.95 / TEST_PARTS) ** 0.5  # three standard errors, in per cent
    print(f"\n{TEST_PARTS:,} test parts; coverage of nominal 95% intervals in %")
    print(f"{'setting':24} {'gap':>6} {'naive':>6} {'acc.':>6} {'E gap':>6} {'true':>6} {'floor':>6}")
    found = {}
    for name, metric, rows, rates in CASES:
        covered, naive, accuracy, gaps, floor = simulated(metric, rows, rates, TEST_PARTS)
        found[name] = (covered, naive, accuracy)
        truth, mean = true_gap(metric, rates), gaps.mean()
        print(
            f"{name:24} {covered:6.1f} {naive:6.1f} {accuracy:6.1f} {mean:6.3f} {truth:6.3f} {floor:6.3f}", flush=True
        )
        if truth == 0:
            assert mean == pytest.approx(floor, abs=0.004 + 3 * gaps.std() / TEST_PARTS**0.5)
    for name, (covered, _, accuracy) in found.items():
        assert covered >= 94.5 - sampling, name
        assert accuracy >= 93 - sampling, name
    two_groups = [name for name, rows, rates in EVEN if len(rows) == 2 and min(rates) >= 0.2 and sum(rows) >= 150]
    assert all(found[name][0] <= 98 + sampling for name in two_groups)
    assert found["46, 104; .75, .75"][1] < 5  # percentiles of the gap itself never reach 0
