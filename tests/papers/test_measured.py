"""Verdicts, coins and claims from numbers made by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from fairbench.analysis.intervals import NO_INTERVAL, CorrectedT, corrected_t
from fairbench.analysis.lines import BELOW, OPEN
from fairbench.papers import summaries, words
from fairbench.papers.checked import Node
from fairbench.papers.claim_form import Claim, read_claims
from fairbench.papers.claims import (
    CONTRARY,
    HELD,
    MISSING,
    MIXED,
    PARTLY,
    Chance,
    Contrast,
    Judgement,
    adjust,
    judge,
    judge_claim,
)
from fairbench.papers.claims import OPEN as UNDECIDED
from fairbench.papers.columns import CPU_SECONDS_PER, DIAGNOSTIC, MEAN_OF, NUMBER_OF, Column, Names
from fairbench.papers.document import render
from fairbench.papers.drawn import Drawn
from fairbench.papers.grids import CONSTANT, plan_reproduction
from fairbench.papers.measured import (
    HIGHER,
    LOWER,
    WITHIN,
    Measurements,
    constants,
    measure_table,
    verdict,
    whole_constant,
)
from fairbench.papers.published import Number
from fairbench.papers.reproduced import Reproduced
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, SKIPPED, UNKNOWN, Parts, Record, Results, Value

DATASET = "synthetic[rows=300]"


@pytest.mark.parametrize(
    ("published", "mean", "own_sd", "expected"),
    [
        (Number(0.60, 0.02), 0.61, 0.5, (WITHIN, False)),
        (Number(0.60, 0.02), 0.62, 0.5, (WITHIN, False)),  # exactly the spread, whatever binary fractions make of it
        (Number(0.07, 0.06), 0.13, None, (WITHIN, False)),
        (Number(0.60, 0.02), 0.6201, 0.5, (HIGHER, False)),
        (Number(0.60, 0.02), 0.5799, 0.5, (LOWER, False)),
        (Number(0.60, 0.0), 0.60, 0.5, (WITHIN, False)),
        (Number(0.60), 0.65, 0.05, (WITHIN, True)),
        (Number(0.60), 0.66, 0.05, (HIGHER, True)),
        (Number(0.60), 0.54, 0.05, (LOWER, True)),
        (Number(0.60), 0.60, None, ("", True)),
    ],
)
def test_the_verdict_follows_the_stated_rule(published, mean, own_sd, expected):
    assert verdict(published, mean, own_sd) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected", "outcome"),
    [
        (-0.3, -0.1, "lower", HELD),
        (-0.3, -0.1, "higher", CONTRARY),
        (0.1, 0.3, "lower", CONTRARY),
        (0.1, 0.3, "higher", HELD),
        (-0.1, 0.3, "lower", UNDECIDED),
        (0.0, 0.0, "lower", UNDECIDED),
        (None, None, "lower", NO_INTERVAL),
    ],
)
def test_a_comparison_is_judged_by_the_side_of_its_interval(low, high, expected, outcome):
    assert judge(CorrectedT(0.0, 0.1, 5, low, high, None, None), expected) == outcome
    assert judge(None, expected) == MISSING


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ([HELD, HELD], HELD),
        ([HELD, MISSING], HELD),
        ([HELD, UNDECIDED], PARTLY),
        ([HELD, CONTRARY], MIXED),
        ([HELD, UNDECIDED, CONTRARY], MIXED),
        ([UNDECIDED, CONTRARY], CONTRARY),
        ([UNDECIDED, UNDECIDED], UNDECIDED),
        ([NO_INTERVAL, MISSING], NO_INTERVAL),
        ([NO_INTERVAL, UNDECIDED], UNDECIDED),
        ([NO_INTERVAL, CONTRARY], CONTRARY),
        ([HELD, NO_INTERVAL], PARTLY),
        ([MISSING], MISSING),
        ([], MISSING),
    ],
)
def test_a_claim_is_judged_by_all_its_comparisons(outcomes, word):
    contrasts = tuple(
        Contrast("d", ("a", "b"), Column("accuracy"), None, None, outcome, (0, 5)) for outcome in outcomes
    )
    assert Judgement(None, "raw", contrasts).outcome == word


def compared(p, sign=1):
    """Return a comparison of a claim that expects more, whose difference has this p and sign."""
    low = (0.01 if p <= 0.05 else -0.1) if sign > 0 else -0.3
    measured = CorrectedT(0.1 * sign, 0.1, 5, low, 0.3 if sign > 0 else -0.01, None, p)
    return Contrast("d", ("a", "b"), Column("accuracy"), None, measured, judge(measured, "higher"), (0, 5))


def judged(*contrasts):
    """Return the judgement of a claim with these comparisons."""
    claim = Claim("one", "One is more.", "section 1", "one", (), "higher", (), "")
    return Judgement(claim, "raw", adjust(contrasts))


def test_holm_is_over_all_comparisons_of_the_claim():
    found = judged(compared(0.01), compared(0.02), compared(0.6))
    assert (found.outcome, found.corrected) == (PARTLY, PARTLY)
    assert [contrast.adjusted for contrast in found.contrasts] == pytest.approx([0.03, 0.04, 0.6])
    assert found.corrected_outcomes == [HELD, HELD, UNDECIDED]
    found = judged(compared(0.02), compared(0.03), compared(0.6))
    assert (found.outcome, found.corrected) == (PARTLY, UNDECIDED)  # .06 and .06
    found = judged(compared(0.001), compared(0.002, -1))
    assert (found.outcome, found.corrected) == (MIXED, MIXED)
    found = judged(compared(0.001), compared(0.03, -1), compared(0.04))
    assert (found.outcome, found.corrected) == (MIXED, PARTLY)


def test_the_document_says_where_holms_correction_takes_an_outcome_away(outcome):
    text = render(
        dataclasses.replace(outcome, judgements=(judged(compared(0.02), compared(0.03)),)), Drawn((), ()), "", ""
    )
    assert "| +0.100 [+0.010, +0.300] held |" in text  # .04 after it
    lost = judged(compared(0.001), compared(0.04), compared(0.6))
    text = render(dataclasses.replace(outcome, judgements=(lost,)), Drawn((), ()), "", "")
    assert "| +0.100 [+0.010, +0.300] held (not with Holm's correction: p 0.080) |" in text


def test_comparisons_without_an_interval_do_not_count_for_holm_and_chance():
    missing = Contrast("d", ("a", "b"), Column("accuracy"), None, None, MISSING, (0, 0))
    single = CorrectedT(0.1, 0.0, 1, None, None, None, None)
    one_repeat = dataclasses.replace(missing, measured=single, outcome=judge(single, "higher"))
    equal = dataclasses.replace(missing, measured=CorrectedT(0.0, 0.0, 5, 0.0, 0.0, None, None), outcome=UNDECIDED)
    found = judged(missing, one_repeat, equal, compared(0.02))
    assert [contrast.adjusted for contrast in found.contrasts] == [None, None, 1.0, pytest.approx(0.04)]
    assert found.chance == Chance(2, 1)


def test_chance_is_binomial_with_a_fortieth():
    one_of_28 = Chance(28, 1)
    assert one_of_28.expected == pytest.approx(0.7)
    assert one_of_28.probability == pytest.approx(1 - 0.975**28)
    assert Chance(40, 2).probability == pytest.approx(1 - 0.975**40 - 40 * 0.025 * 0.975**39)
    assert Chance(40, 0).probability == 1
    assert summaries.by_chance(one_of_28) == "by chance 0.7 of 28 would be held, 1 or more with probability 0.51"
    assert summaries.by_chance(Chance(28, 0)) == "by chance 0.7 of 28 would be held"
    assert (
        summaries.by_chance(Chance(32, 24))
        == "by chance 0.8 of 32 would be held, 24 or more with probability below 0.01"
    )


def test_the_summary_has_both_readings_and_chance(outcome):
    both = dataclasses.replace(outcome, judgements=(judged(compared(0.02), compared(0.03), compared(0.6)),))
    assert summaries.claims(both)[1][0][1] == (
        "not told apart (of 3: 3 not told apart); uncorrected: held in part (2 held; 1 not told apart); "
        "by chance 0.075 of 3 would be held, 2 or more with probability below 0.01"
    )
    same = dataclasses.replace(outcome, judgements=(judged(compared(0.2), compared(0.3)),))
    assert summaries.claims(same)[1][0][1] == (
        "not told apart (of 2: 2 not told apart); uncorrected: the same; by chance 0.05 of 2 would be held"
    )


PARTS = Parts(60, 20, 30)


def result(cell, accuracy, gap, selected):
    """Return the record of a cell that measured this, and decides alike where nearly all or nobody is selected."""
    alike = ((0, ""),) if abs(selected - 0.5) > 0.4 else ()
    measured = {
        "accuracy": accuracy,
        "demographic_parity_difference": gap,
        "equalized_odds_difference": gap,
        "selection_rate": selected,
    }
    values = tuple(Value(0, "", "", name, value) for name, value in measured.items())
    return Record(cell, DONE, values=values, parts=PARTS, alike=alike)


@pytest.fixture(scope="module")
def outcome():
    """Table one of the tiny paper with made-up results: 4 repeats of three rows, german skipped."""
    plugin = str(__import__("pathlib").Path(__file__).parent / "tiny_paper.py")
    reproduction = plan_reproduction("tiny:one", load_plugins([plugin])[0])
    records = []
    for cell in reproduction.cells:
        if cell.dataset.name == "german":
            records.append(Record(cell, SKIPPED, "no such file"))
        elif cell.method.name == "constant":
            ones = (0.48, 0.55, 0.56, 0.57)[cell.repeat]  # its training majority is wrong in the first repeat
            records.append(result(cell, ones if cell.repeat else 1 - ones, 0.0, 1.0 if cell.repeat else 0.0))
        elif cell.method.params["epochs"] == 3:
            records.append(result(cell, 0.70 + 0.01 * cell.repeat, 0.20, 0.5))
        else:
            records.append(
                result(cell, 0.60 + 0.02 * cell.repeat, 0.10 - 0.01 * cell.repeat, (0.97, 0.98, 0.02, 0.5)[cell.repeat])
            )
    return Reproduced.of(reproduction, Results(records, {}, len(records), {}))


def test_the_better_constant_is_taken_from_both(outcome):
    grid = outcome.reproduction.grids[0]
    assert constants(outcome.measurements, grid, DATASET) == pytest.approx({0: 0.48, 1: 0.55, 2: 0.56, 3: 0.57})
    assert grid.row(DATASET, CONSTANT)[0] == DATASET


def test_means_are_over_the_papers_runs_and_over_all(outcome):
    rows = {row.label: row for row in outcome.tables[0].rows[DATASET]["raw"]}
    accuracy, gap = rows["long"].comparisons
    assert (accuracy.few.mean, accuracy.few.n) == (pytest.approx(0.61), 2)
    assert (accuracy.all.mean, accuracy.all.n) == (pytest.approx(0.63), 4)
    assert accuracy.all.sd == pytest.approx(0.02 * math.sqrt(5 / 3))
    assert accuracy.difference == pytest.approx(0.62)
    assert (accuracy.verdict, accuracy.own_spread) == (HIGHER, False)
    assert (gap.difference, gap.verdict) == (None, "")  # not reported
    assert rows["long"].alike == 3
    assert not rows["constant"].contender


def test_points_above_the_coin_go_through_the_means(outcome):
    """The line has 0.54 at 0 and 0.715 at 0.2; at 0.085 it has 0.614375, and the row has 0.63."""
    rows = {row.label: row for row in outcome.tables[0].rows[DATASET]["raw"]}
    coin = rows["long"].coins[0]
    assert coin.measured.value == pytest.approx(0.63 - (0.54 + 0.175 * 0.425), abs=1e-12)
    assert coin.measured.reading == OPEN
    assert rows["short"].coins[0].measured.value == pytest.approx(0, abs=1e-12)
    assert rows["constant"].coins[0].measured.value == pytest.approx((0.52 + 0.55 + 0.56 + 0.57) / 4 - 0.54)
    # published: 0.6 at 0.2 against our constant 0.54; no gap is published for the other row
    assert rows["short"].coins[0].published.value == pytest.approx(0)
    assert coin.published is None


def test_published_rows_use_the_constant_of_the_whole_dataset_where_the_run_knows_it(outcome):
    known = dataclasses.replace(outcome.results, run={"base_rates": {DATASET: 0.42}})
    found = Reproduced.of(outcome.reproduction, known)
    rows = {row.label: row for row in found.tables[0].rows[DATASET]["raw"]}
    assert whole_constant(found.measurements, DATASET) == pytest.approx(0.58)
    assert rows["short"].coins[0].published.value == pytest.approx(0)  # the published baseline itself
    assert rows["short"].coins[0].measured.value == pytest.approx(0, abs=1e-12)
    better = dataclasses.replace(outcome.results, run={"base_rates": {DATASET: 0.7}})
    found = Reproduced.of(outcome.reproduction, better)
    rows = {row.label: row for row in found.tables[0].rows[DATASET]["raw"]}
    assert rows["short"].coins[0].published.value == pytest.approx(0.6 - 0.7)  # no better than that constant
    assert rows["short"].coins[0].measured.value == pytest.approx(0, abs=1e-12)
    assert found.without_base_rate() == []
    assert outcome.without_base_rate() == [
        f"For published rows on {DATASET}, the better constant is the mean over our test parts: this run does not "
        "record the share of positives in the whole dataset."
    ]


def test_a_column_that_is_not_judged_is_shown_without_verdict_and_not_counted(outcome):
    counted = summaries.verdicts(outcome)[1][0]
    table = outcome.reproduction.published.tables["one"]
    shown = dataclasses.replace(table.columns[0], judged=False)
    grids = [
        dataclasses.replace(grid, table=dataclasses.replace(table, columns=(shown, *table.columns[1:])))
        for grid in outcome.reproduction.grids
    ]
    found = Reproduced.of(dataclasses.replace(outcome.reproduction, grids=tuple(grids)), outcome.results)
    rows = {row.label: row for row in found.tables[0].rows[DATASET]["raw"]}
    accuracy = rows["long"].comparisons[0]
    assert (accuracy.all.mean, accuracy.difference, accuracy.verdict) == (pytest.approx(0.63), None, "")
    assert words.off(accuracy) == "not judged"
    assert words.off(rows["constant"].comparisons[0]) == ""  # nothing is published that could be judged
    assert sum(map(int, counted[2:])) - sum(map(int, summaries.verdicts(found)[1][0][2:])) == 4


def test_a_claim_is_the_paired_difference(outcome):
    judgement = next(found for found in outcome.judgements if (found.claim.name, found.protocol) == ("longer", "raw"))
    measured = {contrast.dataset: contrast for contrast in judgement.contrasts}
    found = measured[DATASET]
    assert found.measured.mean == pytest.approx(-0.085)
    assert found.measured.n == 4
    assert found.outcome == CONTRARY  # -0.10, -0.09, -0.08, -0.07: never above 0
    assert found.mostly_alike
    assert found.published == pytest.approx(0.01 - 0.6)
    assert measured["german"].outcome == MISSING
    assert judgement.outcome == CONTRARY


@pytest.mark.parametrize(
    ("more", "outcomes"),
    [
        ({"expected": [0.63, 0.1]}, [HELD]),  # [0.559, 0.701]
        ({"expected": [0.8, 0.05]}, [CONTRARY]),
        ({"expected": "above the coin", "metrics": ["demographic_parity_difference"]}, [UNDECIDED]),
        (
            {"expected": "lower", "loss": {"accuracy": 0.2}, "against": "mlp[epochs=3]"},
            [HELD, HELD],
        ),  # [-0.121, -0.049]
        ({"expected": "lower", "loss": {"accuracy": 0.01}, "against": "mlp[epochs=3]"}, [HELD, CONTRARY]),
    ],
)
def test_a_papers_claims_have_the_form_of_claim_files(outcome, more, outcomes):
    compare = {"method": "mlp[epochs=4]", "datasets": DATASET}
    compare.update({key: value for key, value in more.items() if key == "against"})
    table = {"text": "x", "table": "one", "metrics": ["accuracy"], "compare": [compare], **more}
    table.pop("against", None)
    grid = outcome.reproduction.grids[0]
    (claim,) = read_claims(Node({"claims": {"one": table}}, "here"), {}, Names(grid.registry, ()), {"one": None})
    found = judge_claim(claim, grid, outcome.measurements, {})
    assert [contrast.outcome for contrast in found.contrasts] == outcomes
    assert not any(contrast.reason for contrast in found.contrasts)


def test_a_claim_with_a_test_gets_the_finished_records_of_its_table(outcome):
    judgement = next(found for found in outcome.judgements if (found.claim.name, found.protocol) == ("many", "raw"))
    here, german = judgement.trials
    assert (here.dataset, here.verdict) == (DATASET, "12 cells")
    assert here.evidence.tables["Cells"] == [
        {"method_of": "constant", "cells": "4"},
        {"method_of": "mlp", "cells": "8"},
    ]
    assert german.verdict == "not run (nothing to count)"
    assert summaries.claims(outcome)[1][1][1] == f"{DATASET}: 12 cells; german: not run (nothing to count)"


def test_diagnostics_and_seconds_are_read_off_records(outcome):
    records = [
        dataclasses.replace(record, diagnostics={"loss": (0.9, 0.5 + record.cell.repeat)}, seconds=9.0, cpu_seconds=3.0)
        for record in outcome.results.records
    ]
    grid, measurements = outcome.reproduction.grids[0], Measurements(records, {})
    row, skipped = grid.row(DATASET, CONSTANT), grid.row("german", CONSTANT)
    last, pace = Column("loss", kind=DIAGNOSTIC), Column("loss", kind=CPU_SECONDS_PER)
    assert measurements.series(grid, row, last) == {0: 0.5, 1: 1.5, 2: 2.5, 3: 3.5}
    assert measurements.series(grid, row, pace) == dict.fromkeys(range(4), 1.5)
    assert measurements.series(grid, row, Column("loss", kind=NUMBER_OF)) == dict.fromkeys(range(4), 2)
    assert measurements.series(grid, row, Column("loss", kind=MEAN_OF))[1] == pytest.approx((0.9 + 1.5) / 2)
    assert measurements.series(grid, row, Column("other", kind=DIAGNOSTIC)) == {}
    assert measurements.series(grid, skipped, pace) == {}
    assert (last.quantity, pace.quantity) == ("last loss", "CPU seconds per loss")
    assert last == Column("loss", heading="another", kind=DIAGNOSTIC) != Column("loss")


def test_the_operating_points_that_stood_for_a_row_are_counted(outcome):
    records = [
        dataclasses.replace(record, chosen="late" if record.cell.repeat else "early")
        for record in outcome.results.records
    ]
    grid, measurements = outcome.reproduction.grids[0], Measurements(records, {})
    assert measurements.chosen(grid, grid.row(DATASET, CONSTANT)) == (("late", 3), ("early", 1))
    assert measurements.chosen(grid, grid.row("german", CONSTANT)) == ()
    (row, *_) = measure_table(measurements, grid, DATASET)
    assert words.chosen(row) == "late (3/4)"


def with_parts(outcome, parts):
    """Return what is found if the splits had these parts."""
    records = [dataclasses.replace(record, parts=parts) for record in outcome.results.records]
    return Reproduced.of(outcome.reproduction, dataclasses.replace(outcome.results, records=records))


def test_intervals_have_the_ratio_of_the_records_own_splits(outcome):
    wider, differences = with_parts(outcome, Parts(60, 20, 120)), [-0.10, -0.09, -0.08, -0.07]
    for found, ratio in ((outcome, 30 / 60), (wider, 120 / 60)):
        measured = found.judgements[0].contrasts[0].measured
        assert (measured.low, measured.high) == pytest.approx(
            (corrected_t(differences, ratio).low, corrected_t(differences, ratio).high)
        )
    coin, wide = (o.tables[0].rows[DATASET]["raw"][2].coins[0].measured for o in (outcome, wider))
    assert (wide.high - wide.value) / (coin.high - coin.value) == pytest.approx(math.sqrt((1 / 4 + 2) / (1 / 4 + 0.5)))
    assert outcome.without_interval() == []
    assert {line["no_interval"] for line in outcome.lines()} == {""}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (None, "the store does not say how large the parts of the splits are"),
        (Parts(60, 20, 30, UNKNOWN), "the splits of the repeats overlap in a way that no correction covers"),
    ],
)
def test_without_a_valid_interval_there_is_no_verdict_and_the_words_say_why(outcome, parts, reason):
    found = with_parts(outcome, parts)
    judgement = next(one for one in found.judgements if (one.claim.name, one.protocol) == ("longer", "raw"))
    assert judgement.contrasts[0].outcome == judgement.outcome == NO_INTERVAL
    assert summaries.claims(found)[1][0][1] == "no valid interval (of 1: 1 with no valid interval)"
    coin = found.tables[0].rows[DATASET]["raw"][2].coins[0].measured
    assert (coin.low, coin.reading) == (None, NO_INTERVAL)
    headings, rows = summaries.coins(found)
    assert headings[-1] == NO_INTERVAL
    assert rows[-1][-4:] == ["0", "0", "0", "1"]
    assert {line["no_interval"] for line in found.lines() if line["dataset"] == DATASET} == {reason}
    assert found.without_interval() == [f"There is no valid interval on {DATASET}: {reason}."]
    text = render(found, Drawn((), ()), "fairbench reproduce tiny", "tiny")
    assert f"There is no valid interval on {words.escape(DATASET)}: {reason}." in text
    assert "-0.085 no valid interval" in text


def test_values_over_fewer_groups_are_left_out_and_named(outcome):
    reason = "group 'c' has no row in the test part"
    records = [
        dataclasses.replace(
            record, values=tuple(v._replace(reason=reason) if "difference" in v.metric else v for v in record.values)
        )
        if record.cell.repeat == 0
        else record
        for record in outcome.results.records
    ]
    found = Reproduced.of(outcome.reproduction, dataclasses.replace(outcome.results, records=records))
    accuracy, gap = found.tables[0].rows[DATASET]["raw"][2].comparisons
    assert (accuracy.all.n, gap.all.n, gap.all.mean) == (4, 3, pytest.approx(0.08))
    sentence = f"values that compare groups are left out of 6 cells on {DATASET}: {reason}"
    assert sentence in found.missing()


def test_a_dataset_that_was_skipped_has_its_reason(outcome):
    rows = outcome.tables[0].rows["german"]["raw"]
    assert {row.reason for row in rows} == {"skipped: no such file"}
    assert outcome.missing()[-1] == "24 cells skipped (constant, mlp on german): no such file"


def test_values_of_other_runs_in_the_same_directory_do_not_count(outcome):
    grid = outcome.reproduction.grids[0]
    records = [record for record in outcome.results.records if record.cell.repeat < 2]
    rows = measure_table(Measurements(records, {}), grid, DATASET)
    assert {comparison.all.n for row in rows for comparison in row.comparisons} == {2}


def test_a_row_below_the_coin_is_read_so(outcome):
    grid = outcome.reproduction.grids[0]
    worse = [
        result(record.cell, 0.4 + 0.001 * record.cell.repeat, 0.1, 0.5)
        if record.status == DONE and record.cell.method.params.get("epochs") == 4
        else record
        for record in outcome.results.records
    ]
    rows = {row.label: row for row in measure_table(Measurements(worse, {}), grid, DATASET)}
    assert rows["long"].coins[0].measured.reading == BELOW
