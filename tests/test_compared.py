"""Two runs compared: identities, oracles, what is lost."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from compared_runs import ALL, deciding, failing, found, run_in
from scipy import stats
from stored_runs import DP, PARTS, drawn_parts

from fairbench.analysis.changes import IDENTICAL, PAIRED, PAIRED_ROWS, UNPAIRED, UNPAIRED_ROWS
from fairbench.analysis.compared import compare_runs
from fairbench.analysis.compared_shown import as_text
from fairbench.analysis.differences import paired_rows, unpaired_t
from fairbench.analysis.gate import gate
from fairbench.analysis.intervals import Correction
from fairbench.analysis.paired import change_limits
from fairbench.analysis.ranks import holm
from fairbench.analysis.wanted import Wanted
from fairbench.api import Predictions
from fairbench.data.score_limits import wilson
from fairbench.errors import SuiteError, UnknownName
from fairbench.records import FRESH
from fairbench.running.truth import Truth


@pytest.fixture
def runs(tmp_path):
    return partial(run_in, tmp_path)


def accuracies(results, metric="accuracy"):
    return [v.value for r in results.records for v in r.values if v.metric == metric and not v.group]


# identities


def test_a_run_compared_with_itself_has_not_changed(runs):
    run = runs({"mlp": deciding(0.1, 0), "other": deciding(0.2, 50), "broken": failing})
    compared = compare_runs(run, run)
    assert len(compared.changes) == 2 * len(ALL)
    assert {change.how for change in compared.changes} == {IDENTICAL}
    assert compared.same
    assert (compared.told, compared.lost, compared.gained, compared.tested) == ((), (), (), 0)
    assert [(lost.method, lost.reason) for lost in compared.unfinished] == [("broken", "failed: ValueError: it broke")]
    assert "not checked: d by sex: broken: no cell done in either run" in as_text(compared, gate(compared, {}))
    assert "nothing changed" in as_text(compared)
    assert gate(compared, {}).passed


WAYS = {
    PAIRED: (drawn_parts(), drawn_parts()),
    UNPAIRED: (drawn_parts(), drawn_parts(rows=240)),
    PAIRED_ROWS: (drawn_parts(repeats=1), drawn_parts(repeats=3)),
    UNPAIRED_ROWS: (drawn_parts(repeats=1), drawn_parts(repeats=1, rows=240)),
}


@pytest.mark.parametrize("how", WAYS)
def test_swapped_runs_have_the_same_changes_with_the_other_sign(runs, how):
    one, other = (runs({"mlp": deciding(flips, 7)}, parts) for flips, parts in zip((0.1, 0.25), WAYS[how]))
    there, back = compare_runs(one, other), compare_runs(other, one)
    assert {change.how for change in there.changes} == {how}
    for change, reverse in zip(there.changes, back.changes):
        assert (change.before, change.after) == (reverse.after, reverse.before)
        assert change.difference.value == pytest.approx(-reverse.difference.value, abs=1e-12)
        if change.difference.low is not None:
            assert change.difference.low == pytest.approx(-reverse.difference.high, abs=1e-12)
            assert change.difference.p == pytest.approx(reverse.difference.p, abs=1e-9)
            assert change.difference.low <= change.difference.value <= change.difference.high
        assert change.side in (None, 0) or change.side == -reverse.side
    assert found(there).reading == "worse"
    assert found(back).reading == "better"


# oracles


def test_paired_repeats_have_scipys_paired_t_with_the_correction_for_overlap(runs):
    one, other = runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.14, 90)})
    change = found(compare_runs(one, other))
    t = stats.ttest_rel(accuracies(other), accuracies(one))
    ratio = PARTS.test / PARTS.train
    corrected = t.statistic * math.sqrt((1 / 5) / (1 / 5 + ratio))
    assert change.how == PAIRED
    assert change.difference.value == pytest.approx(np.mean(accuracies(other)) - np.mean(accuracies(one)))
    assert change.difference.p == pytest.approx(2 * stats.t.sf(abs(corrected), 4))
    interval = t.confidence_interval(0.95)
    stretch = math.sqrt((1 / 5 + ratio) / (1 / 5))
    half = (interval.high - interval.low) / 2 * stretch
    assert change.difference.high - change.difference.low == pytest.approx(2 * half)


def test_unpaired_repeats_have_scipys_welch_test_where_no_correction_is_needed(runs):
    fresh = replace(PARTS, overlap=FRESH)
    one = runs({"mlp": deciding(0.1, 0)}, parts=drawn_parts())
    other = runs({"mlp": deciding(0.14, 90)}, parts=drawn_parts(rows=240, repeats=4))
    one, other = (replace(run, records=[replace(r, parts=fresh) for r in run.records]) for run in (one, other))
    change = found(compare_runs(one, other))
    oracle = stats.ttest_ind(accuracies(other), accuracies(one), equal_var=False)
    assert (change.how, change.repeats) == (UNPAIRED, (5, 4))
    assert change.difference.p == pytest.approx(oracle.pvalue)
    assert "the test parts hold other rows" in change.reason
    if hasattr(oracle, "confidence_interval"):
        interval = oracle.confidence_interval(0.95)
        assert (change.difference.low, change.difference.high) == pytest.approx((interval.low, interval.high))


def test_the_overlap_of_each_runs_splits_widens_an_unpaired_interval():
    values = [0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.5]
    plain = unpaired_t(*values, [Correction(0.0), Correction(0.0)])
    wide = unpaired_t(*values, [Correction(0.0), Correction(0.5)])
    variances = [np.var(v, ddof=1) for v in values]
    errors = [variances[0] / 4, variances[1] * (1 / 3 + 0.5)]
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / 3 + errors[1] ** 2 / 2)
    assert wide.high - wide.low > plain.high - plain.low
    assert wide.high - wide.value == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(sum(errors)))
    assert unpaired_t(*values, [Correction(None, "no idea"), Correction(0.0)]).why == "no idea"


def test_one_shared_repeat_has_newcombes_interval_over_its_rows(runs):
    parts = drawn_parts(repeats=1)
    first, second = deciding(0.1, 0), deciding(0.2, 90)
    change = found(compare_runs(runs({"mlp": first}, parts), runs({"mlp": second}, parts)))
    right = [decide(0, parts[0]).y_pred == parts[0].y for decide in (first, second)]
    table = np.array([[np.sum((right[0] == a) & (right[1] == b)) for b in (0, 1)] for a in (0, 1)], dtype=float)
    assert change.how == PAIRED_ROWS
    assert (change.difference.low, change.difference.high) == pytest.approx(change_limits(table))
    touching = change_limits(table, 1 - change.difference.p)
    assert min(map(abs, touching)) == pytest.approx(0, abs=1e-6), "p is where the interval reaches 0"


def test_a_gaps_interval_over_rows_has_the_tables_of_its_groups(eight_rows, eight_predictions):
    truth, second = Truth.of(eight_rows), Predictions(np.array([1, 1, 0, 0, 1, 0, 1, 0]))  # gap 0 instead of 1/2
    change = paired_rows(((truth, eight_predictions), (truth, second)), DP, -0.5)
    assert change.low < -0.5 < change.high
    assert change.low == pytest.approx(-change_of(((truth, second), (truth, eight_predictions))).high)


def change_of(predicted):
    return paired_rows(predicted, DP, 0.5)


def test_two_single_repeats_of_other_rows_have_wilsons_limits_combined(runs):
    parts = drawn_parts(repeats=1), drawn_parts(repeats=1, rows=240)
    one, other = (runs({"mlp": deciding(flips, 7)}, part) for flips, part in zip((0.1, 0.2), parts))
    change = found(compare_runs(one, other))
    (low, high), (low2, high2) = (
        wilson(np.array(value * n), np.array(n)) for value, n in ((change.before, 400), (change.after, 480))
    )
    assert change.difference.low == pytest.approx(
        change.difference.value - math.hypot(change.after - low2, high - change.before)
    )
    assert change.difference.high == pytest.approx(
        change.difference.value + math.hypot(high2 - change.after, change.before - low)
    )


def test_holms_correction_is_over_all_changes_that_were_tested(runs):
    one = runs({"mlp": deciding(0.1, 0), "same": deciding(0.2, 50)})
    other = runs({"mlp": deciding(0.16, 90), "same": deciding(0.2, 50)})
    compared = compare_runs(one, other)
    tested = [change for change in compared.changes if change.how != IDENTICAL]
    assert len(tested) == len(ALL) == compared.tested
    assert [change.adjusted for change in tested] == holm([change.difference.p for change in tested])
    assert found(compare_runs(one, other, Wanted.of("mlp", "", "accuracy"))).adjusted < found_of(tested).adjusted


def found_of(changes):
    (change,) = [change for change in changes if change.metric == "accuracy"]
    return change


# what has no interval, and what is not there


def test_without_predictions_repeats_are_not_paired_and_the_reason_is_said(runs):
    change = found(compare_runs(runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.2, 9)}, kept=False)))
    assert change.how == UNPAIRED
    assert "no stored predictions" in change.reason


def test_one_repeat_of_a_metric_of_scores_has_no_interval(runs):
    parts = drawn_parts(repeats=1)
    compared = compare_runs(runs({"mlp": deciding(0.1, 0)}, parts), runs({"mlp": deciding(0.2, 9)}, parts))
    change = found(compared, "roc_auc")
    assert (change.side, change.adjusted, change.reading) == (None, None, "no valid interval")
    assert "for this metric" in change.reason
    assert [c.metric for c in gate(compared, {}).unchecked] == ["roc_auc"]
    assert "roc_auc" not in {c.metric for c in gate(compared, {}).checked}


def test_a_single_repeat_of_other_rows_is_not_compared_with_several(runs):
    one = runs({"mlp": deciding(0.1, 0)}, drawn_parts(repeats=1, rows=240))
    change = found(compare_runs(one, runs({"mlp": deciding(0.2, 0)})))
    assert (change.how, change.repeats, change.side) == (UNPAIRED, (1, 5), None)


def test_repeats_that_only_one_run_has_are_left_out_of_what_is_paired(runs):
    compared = compare_runs(runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.2, 0)}, drawn_parts(repeats=3)))
    change = found(compared)
    assert (change.how, change.repeats) == (PAIRED, (3, 3))
    assert "2 repeats left out" in change.reason
    assert [(lost.what, lost.reason[:7]) for lost in compared.lost] == [("2 of 5 cells", "not in ")]
    assert (compared.unshared[0].before, compared.unshared[0].after) == (2, 0)


def test_a_method_that_fails_or_vanishes_is_lost_and_a_new_one_is_gained(runs):
    one = runs({"mlp": deciding(0.1, 0), "fails": deciding(0.1, 0), "goes": deciding(0.1, 0)})
    other = runs({"mlp": deciding(0.1, 0), "fails": failing, "comes": deciding(0.1, 0)})
    compared = compare_runs(one, other)
    assert {lost.method: lost.reason for lost in compared.lost} == {
        "fails": "failed: ValueError: it broke",
        "goes": f"not in {other.path}",
    }
    assert [gained.method for gained in compared.gained] == ["comes"]
    assert not gate(compared, {}).passed
    assert gate(compared, {}, allow_missing=True).passed


def test_a_value_that_the_second_run_lacks_is_lost(runs):
    one, other = runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.1, 0)})
    fewer = [replace(r, values=tuple(v for v in r.values if v.metric != DP)) for r in other.records]
    compared = compare_runs(one, replace(other, records=fewer))
    assert [(lost.what, lost.reason) for lost in compared.lost] == [(DP, "not measured")]
    assert not gate(compared, {}).passed


def test_a_method_with_one_variant_in_each_run_is_the_same_with_other_parameters(runs):
    one, other = runs({"mlp[epochs=5]": deciding(0.1, 0)}), runs({"mlp[epochs=9]": deciding(0.3, 0)})
    compared = compare_runs(one, other)
    assert compared.parameters == (("d by sex", "mlp", "epochs", "5", "9"),)
    assert found(compared).reading == "worse"
    several = runs({"mlp[epochs=7]": deciding(0.1, 0), "mlp[epochs=9]": deciding(0.3, 0), "x": deciding(0.1, 0)})
    with pytest.raises(SuiteError, match="no method in common"):
        compare_runs(one, several)


def test_what_produced_the_runs_is_told_where_it_differs(runs):
    run = runs({"mlp": deciding(0.1, 0)})
    session = {"python": "3.9", "versions": {"torch": "1", "numpy": "2"}, "plugins": {"acme": "1"}}
    about = [
        {"sessions": [session], "datasets": {"d": "aa"}, "sources": {"p": {"sha256": "cc"}}, "suite": {"repeats": 3}},
        {"sessions": [{}, {**session, "versions": {"torch": "2", "numpy": "2"}}], "datasets": {"d": "bb"}},
    ]
    compared = compare_runs(*(replace(run, run=one) for one in about))
    assert {fact.what: (fact.before, fact.after) for fact in compared.told} == {
        "version of torch": ("1", "2"),
        "digest of dataset d": ("aa", "bb"),
        "code of p": ("cc", None),
        "suite: repeats": ("3", None),
    }


def test_all_stands_for_everything_as_in_reports():
    assert Wanted.of("all", "all,d", "all") == Wanted.of("", "", "") == Wanted()


def test_cells_of_one_run_are_told_once(runs):
    one = runs({"mlp": deciding(0.1, 0), "goes": deciding(0.1, 0), "fails": failing})
    shown = as_text(compare_runs(one, runs({"mlp": deciding(0.1, 0)})))
    assert shown.count("d by sex: goes: ") == 1
    assert "d by sex: goes: 5 of 5 cells" in shown
    assert "d by sex: fails: 5 cells of A, 0 of B" in shown, "no value is lost with them, so nothing else tells"


def test_runs_without_a_value_say_so(runs):
    shown = as_text(compare_runs(runs({"mlp": failing}), runs({"mlp": failing})))
    assert shown.splitlines()[-1] == "no value is in both runs"


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (("mpl", "", ""), "no method of these runs is named 'mpl'; did you mean 'mlp'"),
        (("", "adult", ""), "no dataset of these runs is named 'adult'"),
        (("", "", "acuracy"), "no metric of these runs is named 'acuracy'; did you mean 'accuracy'"),
    ],
)
def test_a_name_that_neither_run_has_is_refused(runs, lists, message):
    run = runs({"mlp": deciding(0.1, 0)})
    with pytest.raises(UnknownName, match=message.replace("?", r"\?")):
        compare_runs(run, run, Wanted.of(*lists))


def test_two_runs_with_nothing_in_common_are_refused(runs):
    with pytest.raises(SuiteError, match=r"no method in common.*has mlp on d by sex.*has other on d by sex"):
        compare_runs(runs({"mlp": deciding(0.1, 0)}), runs({"other": deciding(0.1, 0)}))
