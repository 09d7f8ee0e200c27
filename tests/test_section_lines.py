"""What the lines of a section are drawn through, and what follows at their ends."""

from __future__ import annotations

import numpy as np
import pytest
from stored_runs import DP, EO, noisy, people, stored_run

from fairbench.analysis.counts import count_jointly, stored_rows
from fairbench.analysis.lines import AboveLine
from fairbench.analysis.resampling import draw_jointly, percentiles
from fairbench.analysis.values import finished, sections
from fairbench.analysis.verdicts import NO_ROOM, ROWS, SectionLines, Verdict
from fairbench.api import Predictions
from fairbench.running.truth import Truth

OPPORTUNITY = "equal_opportunity_difference"


def parts(repeats=5, rates=(0.2, 0.4)):
    return {"d": [people(rates, (200, 200), seed=repeat) for repeat in range(repeats)]}


def unfair(repeat, samples):
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0, 0.3])


def wider(repeat, samples):
    """Return the baseline's decisions with most of the first group's taken back: less accurate, at a wider gap."""
    kept = (samples.group == 1) | (np.random.default_rng(repeat).random(len(samples)) < 0.3)
    return Predictions(unfair(repeat, samples).y_pred * kept)


def in_lines(found, ask):
    """Return what ``ask`` finds in the lines of a run's only section, and the finished records by method."""
    (records,) = sections(found.records)
    with stored_rows(found) as rows:
        by_name = {}
        for record in finished(records):
            by_name.setdefault(record.cell.method.name, []).append(record)
        return ask(SectionLines.of(records, found, rows), by_name)


def verdict(found, name, metric=DP):
    return in_lines(found, lambda lines, by_name: lines.verdict(by_name[name], metric))


def test_a_share_is_shown_only_where_the_interval_of_the_room_lies_above_zero():
    above = AboveLine(0.02, 0.01, 0.03, 5)
    unsure = Verdict(DP, 0.1, above, AboveLine(0.04, -0.01, 0.09, 5))
    sure = Verdict(DP, 0.1, above, AboveLine(0.04, 0.01, 0.07, 5))
    assert (unsure.skill, unsure.no_skill) == (None, NO_ROOM)
    assert (sure.skill, sure.no_skill) == (pytest.approx(0.5), "")


def test_the_attainable_line_has_the_points_of_its_own_gap_and_the_model_as_it_is(tmp_path):
    def attainable(repeat, samples):
        names = ("dp<=0", "eo<=0", "eopp<=0", "dp<=0.1 deterministic")
        return {**{name: Predictions(0 * samples.y) for name in names}, "unconstrained": Predictions(samples.y)}

    found = stored_run(
        tmp_path, {"mlp": unfair, "attainable": attainable}, parts(), metrics=("accuracy", DP, EO, OPPORTUNITY)
    )
    expected = {
        DP: {"dp<=0", "dp<=0.1 deterministic", "unconstrained"},
        EO: {"eo<=0", "unconstrained"},
        OPPORTUNITY: {"eopp<=0", "unconstrained"},
    }
    assert in_lines(found, lambda lines, _: {metric: {*lines.points(metric)} for metric in expected}) == expected
    repeats = range(5)
    assert in_lines(found, lambda lines, _: lines.reached(DP, repeats).at(1.0)) == 1.0


def test_the_attainable_line_is_nowhere_below_the_coin(tmp_path):
    """The method attainable can be worse than the baseline; what the baseline reaches is attainable."""

    def poor(repeat, samples):
        return {"dp<=0": Predictions(0 * samples.y), "unconstrained": Predictions(1 - samples.y)}

    found = stored_run(tmp_path, {"mlp": unfair, "attainable": poor, "other": unfair}, parts())
    assert verdict(found, "other").room.value == pytest.approx(0, abs=1e-12)


def test_equal_opportunity_has_its_own_coin(tmp_path):
    """Half of the baseline's decisions have half of its gap in true positive rates, and lie on the line."""

    def half(repeat, samples):
        return Predictions.from_decision(0.5 * unfair(repeat, samples).decision, seed=0)

    metrics = ("accuracy", DP, EO, OPPORTUNITY)
    found = stored_run(tmp_path, {"mlp": unfair, "half": half}, parts(rates=(0.2, 0.4)), metrics=metrics)
    told = verdict(found, "half", OPPORTUNITY)
    gaps = []
    for repeat, samples in enumerate(parts()["d"]):
        made, right = unfair(repeat, samples).y_pred, samples.y == 1
        gaps.append(abs(np.diff([made[right & (samples.group == code)].mean() for code in (0, 1)])[0]) / 2)
    assert told.value == pytest.approx(np.mean(gaps))
    assert told.above.value == pytest.approx(0, abs=1e-12)


def test_a_slightly_wider_gap_than_the_baselines_is_said(tmp_path):
    """One more person of the group that is selected more often."""

    def one_more(repeat, samples):
        made = unfair(repeat, samples).y_pred.copy()
        made[np.flatnonzero((samples.group == 1) & (made == 0))[0]] = 1
        return Predictions(made)

    found = stored_run(tmp_path, {"mlp": unfair, "more": one_more, "same": unfair}, parts())
    assert verdict(found, "more").notes == ("wider gap than the baseline",)
    assert verdict(found, "same").notes == ()


# ------------------------------------------------------------------------ one repeat


def test_beyond_the_baselines_gap_one_repeat_is_set_against_the_baselines_accuracy(tmp_path):
    (samples,) = parts(1)["d"]
    told = verdict(stored_run(tmp_path, {"mlp": unfair, "wider": wider}, {"d": [samples]}), "wider")
    base, method = draw_jointly(count_jointly(Truth.of(samples), unfair(0, samples), wider(0, samples)))
    low, high = percentiles(method.accuracy - base.accuracy)
    assert told.basis == ROWS
    assert (told.above.low, told.above.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("rates", [(0.2, 0.4), (0.7, 0.9)])
def test_in_one_repeat_the_better_constant_is_the_coins_end_in_every_draw(tmp_path, rates):
    constant = int(np.mean(rates) > 0.5)
    methods = {"mlp": unfair, "all": lambda repeat, samples: Predictions(0 * samples.y + constant)}
    told = verdict(stored_run(tmp_path, methods, parts(1, rates)), "all")
    assert (told.above.low, told.above.value, told.above.high) == pytest.approx((0, 0, 0), abs=1e-12)
