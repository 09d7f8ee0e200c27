"""What FairBiNN's methods come to on all of Adult: means over three splits, 20 epochs, the bounds of the specification.

``FAIRBENCH_LONG=1 pytest tests/plugins/test_fairbinn_acceptance.py`` runs it, with Adult's files in the folder that
FAIRBENCH_DATA names: 72 fits, some three minutes of one core. The bounds come from runs of the released code and of an
independent program on the published split. The harness draws splits of its own, which have a little more favourable
labels, and scales by standard deviations; where a bound does not hold here, the test says what was measured instead.
"""

from __future__ import annotations

import os

import pytest
from adult_helpers import PLAIN, Adult
from fairbench_papers._fairbinn_claim import chosen_front, front
from fairbench_papers._fairbinn_evidence import _series, lower_loss
from scipy.stats import spearmanr

pytestmark = [
    pytest.mark.skipif("FAIRBENCH_LONG" not in os.environ, reason="takes three minutes: FAIRBENCH_LONG=1 asks for it"),
    pytest.mark.skipif("FAIRBENCH_DATA" not in os.environ, reason="FAIRBENCH_DATA names no folder with adult's files"),
]

ETAS = ("0.1", "1", "3", "10", "30")


@pytest.fixture(scope="module")
def adult() -> Adult:
    return Adult(repeats=3)


@pytest.fixture(scope="module")
def coupled(adult):
    """Return the coupled method's means for each eta."""
    return {eta: adult.means(f"fairbinn_coupled[eta={eta}]") for eta in ETAS}


def sweep(adult: Adult, method: str, etas=ETAS) -> list:
    return [record for eta in etas for record in adult.records(f"{method}[eta={eta}]")]


def test_a1_the_plain_network(adult) -> None:
    plain = adult.means(PLAIN)
    assert 0.83 <= plain["accuracy"] <= 0.855
    assert 0.17 <= plain["score_gap"] <= 0.21
    assert 0.16 <= plain["gap"] <= 0.21


def test_a2_the_coupled_gap_falls_as_eta_grows(adult, coupled) -> None:
    score_gap, gap = ([coupled[eta][name] for eta in ETAS] for name in ("score_gap", "gap"))
    assert spearmanr(range(len(ETAS)), score_gap).statistic <= -0.9
    assert score_gap[0] >= 0.16
    assert score_gap[-1] <= 0.03
    assert gap[0] >= 0.14
    assert gap[-1] <= 0.06
    assert min(coupled[eta]["accuracy"] for eta in ETAS[:-1]) >= 0.83
    assert coupled["30"]["accuracy"] >= 0.81


def test_a2_the_released_loss_does_the_same_at_its_own_weights(adult) -> None:
    released = [adult.means(f"fairbinn_coupled[loss=dp_legacy,eta={eta}]")["score_gap"] for eta in (100, 1000, 10000)]
    assert released[0] == pytest.approx(0.16, abs=0.01)
    assert released[1] == pytest.approx(0.05, abs=0.01)
    assert released[2] <= 0.02


def test_a3_a_huge_eta_selects_nobody_and_is_kept_out_of_front_and_choice(adult) -> None:
    collapsed, constant = adult.means("fairbinn_coupled[eta=1000]"), adult.means("constant")
    assert collapsed["accuracy"] == pytest.approx(constant["accuracy"], abs=0.001)
    assert collapsed["selected"] < 0.01
    records = sweep(adult, "fairbinn_coupled", (*ETAS, "1000")) + sweep(adult, "lagrangian_dp")
    runs = _series(records)["fairbinn_coupled"]
    assert {run.eta for run in runs if run.trivial} == {1000.0}
    assert chosen_front(runs) == chosen_front([run for run in runs if run.eta < 1000])
    losses = next(iter(lower_loss([*adult.records("constant"), *records]).tables.values()))
    told = {row["eta"]: row["trivial"] for row in losses if row["method"] == "fairbinn_coupled"}
    assert told == {**dict.fromkeys(ETAS, "0 of 3"), "1000": "3 of 3"}
    several = adult.records("fairbinn_coupled[eta=(3,1000),accuracy_slack=1]")
    assert {record.chosen for record in several} == {"eta=3"}


def test_a4_odds_rise_while_parity_falls(coupled) -> None:
    odds = [coupled[eta]["odds"] for eta in ETAS]
    assert odds[:4] == sorted(odds[:4])
    # The specification has about .09 and about .20 at the ends. Here the rise is steeper, and its top is at eta = 10.
    assert odds[0] == pytest.approx(0.07, abs=0.01)
    assert odds[3] == pytest.approx(0.27, abs=0.01)
    assert odds[4] == pytest.approx(0.24, abs=0.01)


def test_a4_the_odds_loss_keeps_odds_and_accuracy(adult) -> None:
    odds = adult.means("fairbinn_coupled[loss=eo_sq,eta=1]")
    assert odds["odds"] <= 0.09
    assert odds["accuracy"] >= 0.84


def test_a5_the_printed_algorithm_stays_at_the_plain_networks_gap_or_collapses(adult) -> None:
    plain = adult.means(PLAIN)["score_gap"]
    for eta in ETAS:
        assert adult.means(f"fairbinn[eta={eta}]")["score_gap"] == pytest.approx(plain, abs=0.04)
    for rate in ("0.001", "0.01"):
        records = adult.records(f"fairbinn[eta=1,fair_lr={rate}]")
        assert max(record.diagnostics["validation_positive_rate"][-1] for record in records) < 0.01
        assert all(run.trivial for run in _series([*records, *sweep(adult, "lagrangian_dp")])["fairbinn"])


def test_a6_the_baseline_lies_on_the_coupled_curve_and_the_claim_is_tested(adult, coupled) -> None:
    for eta in ("1", "3", "10"):
        baseline = adult.means(f"lagrangian_dp[eta={eta}]")
        assert baseline["accuracy"] == pytest.approx(coupled[eta]["accuracy"], abs=0.006)
        assert baseline["score_gap"] == pytest.approx(coupled[eta]["score_gap"], abs=0.02)
    fits = [record for name in ("fairbinn", "fairbinn_coupled", "lagrangian_dp") for record in sweep(adult, name)]
    evidence = lower_loss([*adult.records("constant"), *fits])
    # sign tests over three repeats cannot come to anything else: it takes five
    both = "inconclusive as released (fairbinn_coupled), inconclusive as printed (fairbinn)"
    assert evidence.verdict == f"training loss: {both}; test loss: {both}"
    assert [len(rows) for rows in evidence.tables.values()] == [15, 4, 10, 3]


def test_a7_four_points_make_the_front_on_validation_and_none_dominates_another_on_test(adult) -> None:
    records = sweep(adult, "fairbinn_coupled")
    points = chosen_front(_series([*records, *sweep(adult, "lagrangian_dp")])["fairbinn_coupled"])
    assert len(points) >= 4
    assert len(front(dict(enumerate(points)))) == len(points)
    curves = {name for record in records for name in record.diagnostics}
    assert not any("test" in name for name in curves)  # an epoch's test values are not even computed
    measured = {value.metric for record in records for value in record.values}
    assert {"mean_score_difference", "demographic_parity_difference"} <= measured
