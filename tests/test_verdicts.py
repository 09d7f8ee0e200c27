"""What is said of methods, from stored decisions whose merit is known."""

from __future__ import annotations

import numpy as np
import pytest
from stored_runs import DP, EO, coin_of, drawn_parts, equalised, noisy, optimal, people, stored_run, unfair, verdicts

from fairbench.analysis.counts import stored_rows
from fairbench.analysis.intervals import NO_INTERVAL
from fairbench.analysis.lines import BELOW, OPEN
from fairbench.analysis.verdicts import (
    NO_ATTAINABLE,
    NO_BETTER,
    NO_ROOM,
    REPEATS,
    ROWS,
    SectionLines,
)
from fairbench.api import Predictions
from fairbench.errors import StoreError

GAPS = (DP, EO)


@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("metric", GAPS)
def test_a_coin_in_expectation_has_no_points(tmp_path, groups, metric):
    methods = {"mlp": unfair, "half": coin_of(0.5), "little": coin_of(0.05), "none": coin_of(0.0)}
    told = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts(groups)}), metric)
    for name in methods:
        assert told[name].above.value == pytest.approx(0, abs=1e-12)
        assert told[name].reading == OPEN


@pytest.mark.parametrize("metric", GAPS)
def test_a_drawn_coin_is_seldom_called_above_on_the_rows_of_one_test_part(tmp_path, metric):
    runs = {f"d{place}": [people([0.3, 0.5], [75, 75], seed=place)] for place in range(100)}
    seeds = iter(range(10**6))

    def base(repeat, samples):
        return noisy(samples, flips=0.15, seed=int(samples.y[:40] @ (1 << np.arange(40))) % 10**9, select=[0, 0.3])

    def toss(repeat, samples):
        chance = 0.5 * base(repeat, samples).decision
        return Predictions((np.random.default_rng(next(seeds)).random(len(chance)) < chance).astype(int))

    found = stored_run(tmp_path, {"mlp": base, "toss": toss}, runs)
    told = [verdicts(found, metric, place)["toss"] for place in range(len(runs))]
    assert {verdict.basis for verdict in told} == {ROWS}
    assert np.mean([verdict.above.side == 1 for verdict in told]) <= 0.05
    assert np.mean([verdict.above.low <= 0 <= verdict.above.high for verdict in told]) >= 0.92


@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.05, 0.1])
def test_optimal_post_processing_reaches_all_of_the_room(tmp_path, tolerance):
    methods = {"mlp": unfair, "attainable": optimal, "best": lambda repeat, samples: equalised(tolerance)(samples)}
    verdict = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))["best"]
    assert verdict.skill == pytest.approx(1, abs=0.02)
    assert verdict.no_skill == ""


def test_half_of_the_way_is_half_of_the_skill(tmp_path):
    """A toss between the coin and the optimum at one gap lies half-way between the lines."""

    def halfway(repeat, samples):
        best, base = equalised(0.05)(samples).decision, unfair(repeat, samples).decision
        gaps = [abs(np.diff([made[samples.group == code].mean() for code in (0, 1)])[0]) for made in (best, base)]
        return Predictions.from_decision(0.5 * best + 0.5 * gaps[0] / gaps[1] * base, seed=0)

    methods = {"mlp": unfair, "attainable": optimal, "half": halfway}
    verdict = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))["half"]
    assert verdict.skill == pytest.approx(0.5, abs=0.01)


def test_where_there_is_no_room_words_stand_for_the_share(tmp_path):
    def same(repeat, samples):
        return {"unconstrained": unfair(repeat, samples), "dp<=0.1": coin_of(0.5)(repeat, samples)}

    methods = {"mlp": unfair, "attainable": same, "half": coin_of(0.5)}
    verdict = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))["half"]
    assert (verdict.skill, verdict.no_skill) == (None, NO_ROOM)


def test_without_an_attainable_line_only_points_are_said(tmp_path):
    verdict = verdicts(stored_run(tmp_path, {"mlp": unfair, "half": coin_of(0.5)}, {"d": drawn_parts()}))["half"]
    assert (verdict.room, verdict.skill, verdict.no_skill) == (None, None, NO_ATTAINABLE)
    assert not verdict.notes


def test_a_gap_below_every_measured_one_is_said_to_lie_under_a_mixture_with_the_constant(tmp_path):
    def wide(repeat, samples):
        return {"dp<=0.1": equalised(0.1)(samples), "unconstrained": Predictions(samples.y)}

    methods = {
        "mlp": unfair,
        "attainable": wide,
        "narrow": lambda repeat, samples: equalised(0.02)(samples),
        "wider": lambda repeat, samples: equalised(0.12)(samples),
    }
    found = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))
    (said,) = found["narrow"].notes
    assert said.startswith("narrower gap than was measured for the attainable line")
    assert not found["wider"].notes


def test_an_attainable_line_that_lacks_a_repeat_is_not_drawn_and_the_reason_is_said(tmp_path):
    methods = {
        "mlp": unfair,
        "attainable": lambda repeat, samples: None if repeat == 2 else optimal(repeat, samples),
        "half": coin_of(0.5),
    }
    verdict = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))["half"]
    assert verdict.room is None
    assert verdict.notes == ("no attainable line: 'attainable' lacks repeats in which these are compared",)


# ------------------------------------------------------------------ poor baselines


@pytest.mark.parametrize(
    ("baseline", "notes"),
    [
        (lambda repeat, samples: Predictions(0 * samples.y), ("the baseline makes the same decision for everybody",)),
        (lambda repeat, samples: Predictions(1 - samples.y), ()),
    ],
    ids=["constant", "worse than a constant"],
)
def test_a_baseline_no_better_than_a_constant_leaves_no_skill(tmp_path, baseline, notes):
    methods = {"mlp": baseline, "attainable": optimal, "good": lambda repeat, samples: equalised(0.0)(samples)}
    found = stored_run(tmp_path, methods, {"d": drawn_parts()})
    verdict = verdicts(found)["good"]
    constant = np.mean([1 - samples.y.mean() for samples in drawn_parts()])
    accuracy = np.mean([value.value for record in found.records if record.cell.method.name == "good"
                        for value in record.values if value.metric == "accuracy"])  # fmt: skip
    assert verdict.above.value == pytest.approx(accuracy - constant, abs=1e-12)
    assert (verdict.skill, verdict.no_skill) == (None, NO_BETTER)
    assert {*notes, NO_BETTER} <= {*verdict.notes}
    assert ("the baseline makes the same decision for everybody" in verdict.notes) == bool(notes)


def test_a_collapsed_method_is_not_told_apart_from_the_coin_and_the_wrong_constant_is_below(tmp_path):
    methods = {
        "mlp": unfair,
        "zero": lambda repeat, samples: Predictions(0 * samples.y),
        "one": lambda repeat, samples: Predictions(0 * samples.y + 1),
    }
    told = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))
    assert (told["zero"].reading, told["zero"].above.value) == (OPEN, pytest.approx(0, abs=1e-12))
    assert told["one"].reading == BELOW
    assert told["one"].notes == ("below always predicting 0",)
    assert told["zero"].notes == ()


def test_a_gap_wider_than_the_baselines_is_said(tmp_path):
    def wide(repeat, samples):
        return noisy(samples, flips=0.05, seed=repeat, select=[0, 0.8])

    verdict = verdicts(stored_run(tmp_path, {"mlp": unfair, "wide": wide}, {"d": drawn_parts()}))["wide"]
    assert "wider gap than the baseline" in verdict.notes


# ------------------------------------------------------------- repeats and groups


def test_methods_are_compared_in_the_repeats_that_they_share_with_the_baseline(tmp_path):
    methods = {
        "mlp": lambda repeat, samples: None if repeat == 0 else unfair(repeat, samples),
        "half": lambda repeat, samples: None if repeat == 4 else coin_of(0.5)(repeat, samples),
        "early": lambda repeat, samples: coin_of(0.5)(repeat, samples) if repeat == 0 else None,
    }
    told = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))
    assert told["half"].above.n == 3
    assert told["half"].above.value == pytest.approx(0, abs=1e-12)
    assert told["half"].notes == ("compared in 3 of 4 repeats: those in which mlp too has this gap and an accuracy",)
    assert told["early"].reading == "no verdict: no repeat is finished and defined for both it and mlp"


def test_a_repeat_in_which_a_group_lacks_a_label_does_not_count_for_equalized_odds(tmp_path):
    tests = drawn_parts(repeats=4)
    tests[1] = people([0.0, 0.5], [200, 200], seed=1)
    found = stored_run(tmp_path, {"mlp": unfair, "half": coin_of(0.5)}, {"d": tests})
    assert verdicts(found, DP)["half"].above.n == 4
    equal = verdicts(found, EO)["half"]
    assert equal.above.n == 3
    assert "compared in 3 of 4 repeats: those in which mlp too has this gap and an accuracy" in equal.notes


def test_a_single_repeat_has_the_interval_of_its_rows(tmp_path):
    """Against a bootstrap of the rows themselves, with the gaps in the direction that was measured."""
    (samples,) = drawn_parts(repeats=1)

    def careful(repeat, samples):
        return noisy(samples, flips=0.12, seed=5, select=[0, 0.1])

    found = stored_run(tmp_path, {"mlp": unfair, "half": careful}, {"d": [samples]})
    verdict = verdicts(found)["half"]
    base, own = unfair(0, samples).y_pred, careful(0, samples).y_pred
    draw, points = np.random.default_rng(0), []
    for _ in range(3000):
        rows = draw.integers(0, len(samples), len(samples))
        y, group = samples.y[rows], samples.group[rows]
        gaps = [made[rows][group == 1].mean() - made[rows][group == 0].mean() for made in (own, base)]
        accuracy = [(made[rows] == y).mean() for made in (own, base)]
        constant = 1 - y.mean()
        points.append(accuracy[0] - constant - (accuracy[1] - constant) * np.clip(gaps[0] / gaps[1], 0, 1))
    expected = np.quantile(points, [0.025, 0.975])
    assert verdict.basis == ROWS
    assert (verdict.above.low, verdict.above.high) == pytest.approx(expected, abs=0.006)
    assert verdict.above.low <= verdict.above.value <= verdict.above.high
    assert NO_INTERVAL not in verdict.reading


def test_a_single_repeat_without_comparable_rows_has_no_interval(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "half": coin_of(0.5)}, {"d": drawn_parts(repeats=1)}, parts=None)
    assert verdicts(found)["half"].basis == ROWS  # needs no correction for overlap
    several = stored_run(_made(tmp_path / "b"), {"mlp": unfair, "half": coin_of(0.5)}, {"d": drawn_parts()}, parts=None)
    verdict = verdicts(several)["half"]
    assert (verdict.basis, verdict.reading, verdict.above.low) == (REPEATS, NO_INTERVAL, None)


def _made(path):
    path.mkdir()
    return path


# ----------------------------------------------------------------- what is missing


def test_without_stored_predictions_the_reason_is_said(tmp_path):
    methods = {"mlp": unfair, "half": coin_of(0.5)}
    found = stored_run(tmp_path, methods, {"d": drawn_parts()}, kept=False)
    reason = "the run has no stored predictions, which tell how accurate a constant is"
    assert verdicts(found)["half"].reading == f"no verdict: {reason}"
    assert verdicts(found)["half"].no_skill == reason


def test_a_metric_that_was_not_measured_is_said(tmp_path):
    methods = {"mlp": unfair, "half": coin_of(0.5)}
    found = stored_run(tmp_path, methods, {"d": drawn_parts()}, metrics=(DP,), baseline="mlp")
    assert verdicts(found)["half"].reading == "no verdict: no repeat has an accuracy"
    other = stored_run(_made(tmp_path / "b"), methods, {"d": drawn_parts()}, metrics=("accuracy", DP))
    assert verdicts(other, EO)["half"].reading == "no verdict: no repeat has this gap over all groups"


def test_without_any_method_but_references_there_is_no_baseline(tmp_path):
    found = stored_run(tmp_path, {"attainable": optimal}, {"d": drawn_parts()})
    assert verdicts(found)["attainable"].reading == (
        "no verdict: there is no baseline: no method but reference methods has a finished repeat with an accuracy"
    )


def test_a_baseline_whose_gap_is_undefined_is_said(tmp_path):
    tests = [people([0.0, 0.5], [200, 200], seed=repeat) for repeat in range(3)]
    found = stored_run(tmp_path, {"mlp": unfair, "half": coin_of(0.5)}, {"d": tests})
    with stored_rows(found) as rows:
        lines = SectionLines.of(found.records, found, rows)
        assert lines.shared(EO) == []
        assert lines._nothing_shared(EO) == "the baseline mlp has no repeat with both this gap and an accuracy"


def test_a_damaged_store_is_refused(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "half": coin_of(0.5)}, {"d": drawn_parts(repeats=2)})
    path = next(tmp_path.glob("*.sqlite"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match="damaged"):
        verdicts(found)
