"""Where the lines of a section come from: its baseline, its scenario, and one threshold for everybody."""

from __future__ import annotations

import numpy as np
import pytest
from stored_runs import DP, EO, coin_of, drawn_parts, optimal, people, stored_run, unfair, verdicts

from fairbench.analysis.counts import Counts, StoredRows, stored_rows
from fairbench.analysis.gaps import gap
from fairbench.analysis.lines import ABOVE, AboveLine
from fairbench.analysis.thresholds import LEVELS, Sweep, Sweeps
from fairbench.analysis.values import sections
from fairbench.analysis.verdicts import (
    ABOVE_BOTH,
    ABOVE_COIN,
    SectionLines,
    Verdict,
)
from fairbench.api import Predictions
from fairbench.cells import Choice
from fairbench.running.truth import Truth

GAPS = (DP, EO)


# ------------------------------------------------------------ baselines, scenarios


def test_of_several_variants_of_the_baseline_the_first_is_taken_and_the_others_are_judged(tmp_path):
    methods = {"mlp[epochs=5]": unfair, "mlp[epochs=9]": coin_of(0.5), "half": coin_of(0.2)}
    told = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))
    assert told["mlp[epochs=9]"].above.value == pytest.approx(0, abs=1e-12)
    named = stored_run(_made(tmp_path / "b"), methods, {"d": drawn_parts()}, baseline="mlp[epochs=9]")
    with stored_rows(named) as rows:
        lines = SectionLines.of(named.records, named, rows)
    assert lines.baseline.records[0].cell.method == Choice("mlp", {"epochs": 9})


def test_a_tuned_section_takes_its_lines_from_holdout(tmp_path):
    methods = {"mlp": unfair, "attainable": optimal, "half": coin_of(0.5)}
    scenario = {"mlp": "holdout", "attainable": "holdout", "half": "tuned"}
    found = stored_run(tmp_path, methods, {"d": drawn_parts()}, scenario=scenario)
    verdict = verdicts(found, place=1)["half"]
    assert verdict.above.value == pytest.approx(0, abs=1e-12)
    assert verdict.room is not None


def test_a_scenario_with_test_parts_of_its_own_takes_none(tmp_path):
    methods = {"mlp": unfair, "attainable": optimal, "half": coin_of(0.5)}
    scenario = {"mlp": "holdout", "attainable": "holdout", "half": "feedback_loop"}
    found = stored_run(tmp_path, methods, {"d": drawn_parts()}, scenario=scenario)
    with stored_rows(found) as rows:
        lines = SectionLines.of(sections(found.records)[1], found, rows)
    assert lines.baseline.name == "half"  # the most accurate here
    assert not lines.attainable


# ------------------------------------------------------------- a common threshold


def test_thresholds_select_the_best_scores_with_ties_together():
    samples = people([0.3, 0.6], [30, 50], seed=3)
    score = np.round(np.random.default_rng(1).random(80), 1)
    found = Sweep.of(Truth.of(samples), Predictions.from_score(score))
    cuts = sorted({*score.tolist()}, reverse=True)
    expected = {
        tuple(
            int(((score >= cut) & (samples.group == group) & (samples.y == y)).sum())
            for group in (0, 1)
            for y in (0, 1)
        )
        for cut in [2.0, *cuts]
    }
    assert {tuple(map(int, selected.ravel())) for selected in found.selected} == expected
    assert found.rows.sum() == 80
    assert found.selected[0].sum() == 0
    assert found.selected[-1].sum() == 80


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rates", [[0.3, 0.6], [0.3, 0.6, 0.4], [0.3, 0.0]])
@pytest.mark.parametrize("metric", GAPS)
def test_all_repeats_at_once_have_the_gaps_of_each(metric, rates, ties):
    sweeps = []
    for repeat in range(4):
        samples = people(rates, [30, 50, 40][: len(rates)], seed=repeat)
        score = np.random.default_rng(repeat).random(len(samples.y))
        sweeps.append(
            Sweep.of(Truth.of(samples), Predictions.from_score(score.round(repeat % 2 + 1) if ties else score))
        )
    single = [[Counts(sweep.groups, sweep.rows, selected) for selected in sweep.selected] for sweep in sweeps]
    if len({*map(len, single)}) > 1:
        single = [[found[round(at * (len(found) - 1))] for at in LEVELS] for found in single]
    expected = [
        ([gap(one, metric).value for one in column], [one.accuracy for one in column]) for column in zip(*single)
    ]
    found = [(vertex.gap.tolist(), vertex.accuracy.tolist()) for vertex in Sweeps.of(sweeps).vertices(metric)]
    assert found == [pair for pair in expected if None not in pair[0]]
    assert found or metric == EO


def scored(repeat, samples):
    """Return a baseline whose score orders the best cases well: a stricter threshold narrows its gap cheaply."""
    draw = np.random.default_rng(repeat)
    sure = samples.y * (draw.random(len(samples)) < 0.7)
    lucky = (samples.group == 1) * (draw.random(len(samples)) < 0.5)
    return Predictions.from_score(np.clip(0.9 * sure + 0.6 * (1 - sure) * lucky, 0, 1))


def stricter(repeat, samples):
    return Predictions((scored(repeat, samples).y_score > 0.7).astype(int))


@pytest.mark.parametrize(
    ("method", "reading"),
    [(stricter, ABOVE_COIN), (lambda repeat, samples: Predictions(samples.y), ABOVE_BOTH)],
    ids=["the threshold itself", "the truth"],
)
def test_a_stricter_threshold_is_not_mistaken_for_mitigation(tmp_path, method, reading):
    verdict = verdicts(stored_run(tmp_path, {"mlp": scored, "own": method}, {"d": drawn_parts()}))["own"]
    assert verdict.reading == reading


def test_a_baseline_without_scores_leaves_the_threshold_out(tmp_path):
    methods = {"mlp": lambda r, s: Predictions(scored(r, s).y_pred), "own": stricter}
    verdict = verdicts(stored_run(tmp_path, methods, {"d": drawn_parts()}))["own"]
    assert (verdict.common, verdict.reading) == (None, ABOVE)


def test_nothing_is_said_of_a_threshold_without_an_interval():
    above = AboveLine(0.05, 0.02, 0.08, 1)
    assert Verdict(DP, 0.1, above, common=AboveLine(0.01, None, None, 1)).reading == ABOVE


def test_lines_of_one_section_are_drawn_once(tmp_path, monkeypatch):
    methods = {"mlp": scored, "a": stricter, "b": stricter, "c": stricter}
    found, drawn = stored_run(tmp_path, methods, {"d": drawn_parts(repeats=2)}), []
    monkeypatch.setattr(
        SectionLines, "_common", lambda self, metric, repeats, draw=SectionLines._common: (
            drawn.append(metric),
            draw(self, metric, repeats),
        )[1]
    )  # fmt: skip
    verdicts(found)
    assert drawn == [DP]


def test_without_a_store_nothing_is_known_of_rows(tmp_path):
    found = stored_run(tmp_path, {"mlp": unfair, "half": coin_of(0.5)}, {"d": drawn_parts(repeats=1)})
    lines = SectionLines.of(found.records, found, StoredRows(None))
    assert lines.ones == {}


def _made(path):
    path.mkdir()
    return path
