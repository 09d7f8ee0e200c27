"""Verdicts, means and coins from numbers made by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from fairbench.analysis.intervals import NO_INTERVAL, corrected_t
from fairbench.analysis.lines import BELOW, OPEN
from fairbench.papers import summaries, words
from fairbench.papers.columns import CPU_SECONDS_PER, DIAGNOSTIC, MEAN_OF, NUMBER_OF, Column
from fairbench.papers.document import render
from fairbench.papers.drawn import Drawn
from fairbench.papers.grids import CONSTANT
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
from fairbench.records import UNKNOWN, Parts

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
    def worse(record):
        if record.cell.method.params.get("epochs") != 4:
            return record
        values = (v._replace(value=v.value - 0.2) if v.metric == "accuracy" else v for v in record.values)
        return dataclasses.replace(record, values=tuple(values))

    measurements = Measurements(list(map(worse, outcome.results.records)), {})
    rows = {row.label: row for row in measure_table(measurements, outcome.reproduction.grids[0], DATASET)}
    assert rows["long"].coins[0].measured.reading == BELOW
