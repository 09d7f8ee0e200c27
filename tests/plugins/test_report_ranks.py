"""The report on ranks: tiers, tests from six datasets on, the sentence below that, and who is not ranked."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from fairbench_reports import ranks, ranks_diagram
from fairbench_reports._ranked import EO, rankings
from report_helpers import DP, done, results

from fairbench.api import Results
from fairbench.api.analysis import SectionLines, by_method, stored_rows
from fairbench.cells import Choice
from fairbench.records import Parts, Record
from fairbench.running.rundir import load_results

LEVELS = {"good": 0.9, "fair": 0.8, "poor": 0.6}


def there(record: Record, dataset: str, group: str = "sex") -> Record:
    """Return the record on another dataset, with a split whose repeats overlap."""
    cell = replace(record.cell, dataset=Choice(dataset), group=group)
    return replace(record, cell=cell, parts=Parts(70, 15, 15))


def run(datasets: int, levels=LEVELS, repeats: int = 3, **fields) -> Results:
    """Return repeats of methods whose accuracies are clearly apart on every dataset, and gaps that are equal."""
    return results(
        *(
            there(done(method, repeat, accuracy=level + (repeat + number) / 1000, **{DP: 0.1}), f"data{number}")
            for number in range(datasets)
            for method, level in levels.items()
            for repeat in range(repeats)
        ),
        **fields,
    )


def test_six_datasets_show_three_tiers_only_if_they_suffice_for_all_pairs():
    """Three pairs need seven datasets."""
    six, seven = (ranks.render(run(number)) for number in (6, 7))
    assert "6 datasets cannot show a difference at 5%" in six
    assert "7 for the 3 pairs here" in " ".join(six.split())
    assert "cannot show" not in seven.partition("DP diff.")[0]
    accuracy = rankings(run(7))[0]
    assert [accuracy.across.tiers[place] for place in range(3)] == [1, 2, 3]
    lines = [" ".join(line.split()) for line in seven.splitlines()]
    assert "good 1 1.00" in lines
    assert "good fair 7 0 7 0.016 0.047" in lines
    assert "chi-squared 14.00, F(2, 12) infinite, p <0.001 by 20,000 random permutations" in " ".join(lines)


def test_fewer_datasets_have_the_sentence_and_wins_but_no_test_and_no_diagram():
    text = ranks.render(run(4))
    flat = " ".join(text.split())
    assert "4 datasets cannot show a difference at 5%: the smallest possible p of a pair is 0.125; it takes 6" in flat
    assert "good fair 4 0" in flat
    assert "mean rank" not in text
    assert "Friedman" not in text
    assert ranks_diagram.render(run(4)) == b""


def test_within_a_dataset_tiers_come_from_the_repeats():
    (accuracy, gap) = rankings(run(1))
    assert [(row.method, row.tier) for row in accuracy.within[0].placed] == [("good", 1), ("fair", 2), ("poor", 3)]
    assert {row.tier for row in gap.within[0].placed} == {1}
    assert "cannot show" not in ranks.render(run(1))  # nobody asked over datasets


def test_a_smaller_gap_is_the_better_one_and_is_shown_without_a_sign():
    found = results(*(done(method, accuracy=0.5, **{DP: gap}) for method, gap in (("wide", 0.4), ("narrow", 0.1))))
    gap = rankings(found)[1]
    assert [row.method for row in gap.within[0].placed] == ["narrow", "wide"]
    assert "narrow 0.100, wide 0.400" in ranks.render(found)


def test_one_repeat_says_so():
    assert "data0 by sex: one repeat has no spread, so no methods are told apart" in ranks.render(run(2, repeats=1))


def test_reference_methods_and_empty_decisions_have_no_rank():
    alike = [there(done("empty", repeat, alike=True, accuracy=0.5, **{DP: 0.0}), "data0") for repeat in range(3)]
    whole = run(1)
    found = replace(whole, records=[*whole.records, *alike], run={"reference_methods": ["good"]})
    accuracy, gap = rankings(found)
    assert accuracy.across.methods == ("fair", "poor", "empty")
    assert gap.across.methods == ("fair", "poor")
    flat = " ".join(ranks.render(found).split())
    assert "reference methods, with which others are compared, have no rank: good" in flat
    assert "decides alike for everybody in most repeats: empty" in flat


def test_a_missing_cell_excludes_the_dataset_and_another_plan_the_method():
    whole = run(7)
    failed = [
        Record(record.cell, "failed", "RuntimeError: no") if _is(record, "poor", "data3") else record
        for record in whole.records
    ]
    text = " ".join(ranks.render(replace(whole, records=failed)).split())
    assert "data3 is left out over datasets, without a value of poor" in text
    assert "data3 by sex: no value of poor" in text
    assert "6 datasets cannot show" in text
    fewer = [record for record in whole.records if not _is(record, "poor", "data3")]
    accuracy = rankings(replace(whole, records=fewer))[0]
    assert accuracy.across.methods == ("good", "fair")
    assert "not compared over datasets, because the run has it on some of them only: poor" in accuracy.notes


def _is(record: Record, method: str, dataset: str) -> bool:
    return (record.cell.method.name, record.cell.dataset.name) == (method, dataset)


def test_attributes_of_one_dataset_are_one_observation():
    whole = run(2)
    by_race = [there(record, record.cell.dataset.name, "race") for record in whole.records]
    found = replace(whole, records=[*whole.records, *by_race])
    accuracy = rankings(found)[0]
    assert len(accuracy.within) == 4
    assert accuracy.across.datasets == ("data0", "data1")
    assert "data0 by sex, data0 by race count as one dataset, with their mean" in accuracy.notes


def test_different_repeats_are_compared_over_those_that_all_have():
    whole = run(1)
    fewer = [record for record in whole.records if not _is(record, "poor", "data0") or record.cell.repeat < 2]
    text = " ".join(ranks.render(replace(whole, records=fewer)).split())
    assert "data0 by sex: means over the 2 of 3 repeats that all methods have" in text
    none = [record for record in whole.records if _is(record, "poor", "data0") == (record.cell.repeat == 2)]
    text = " ".join(ranks.render(replace(whole, records=none)).split())
    assert "data0 by sex: no repeat has values of all methods, so none are compared" in text


def test_nothing_to_compare_is_said():
    assert "there are no two methods to compare yet" in ranks.render(results(done("only", accuracy=0.5)))
    assert "there are no two methods to compare yet" in ranks.render(results())


def test_the_diagram_joins_what_is_not_told_apart():
    pytest.importorskip("matplotlib", reason="pictures need the extra plots")
    from PIL import Image

    eight = run(8, {"good": 0.9, "equal": 0.9, "fair": 0.8, "poor": 0.6})
    across = rankings(eight)[0].across
    assert [[across.methods[method] for method in joined] for joined in ranks_diagram.told_together(across)] == [
        ["good", "equal"]
    ]
    made = ranks_diagram.render(eight)
    assert made == ranks_diagram.render(eight)
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.size[0] == 1200
        assert len(picture.convert("L").getcolors()) > 10


def test_points_above_the_coin_by_repeat_have_the_verdicts_value_as_mean(fairbench):
    methods = ("--methods", "logistic,tree,threshold", "--datasets", "synthetic[rows=300]")
    status, _, _ = fairbench("run", *methods, "--repeats", "3", "--workers", "1", "--out", "r", "--offline")
    assert status == 0
    found = load_results(Path("r"))
    with stored_rows(found) as rows:
        lines = SectionLines.of(found.records, found, rows)
        for done in by_method(found.records):
            for metric in (DP, EO):
                heights = lines.heights(done, metric)
                assert len(heights) == 3
                assert sum(heights.values()) / 3 == pytest.approx(lines.verdict(done, metric).above.value)
        assert lines.heights([], DP) == {}


def test_a_run_of_fast_methods_is_ranked_from_the_command_line(fairbench):
    methods = ("--methods", "always_0,logistic,tree", "--datasets", "synthetic[rows=300],sklearn-diabetes")
    status, _, _ = fairbench("run", *methods, "--repeats", "2", "--workers", "1", "--out", "r", "--offline")
    assert status == 0
    status, out, _ = fairbench("report", "r", "--format", "ranks")
    flat = " ".join(out.split())
    assert status == 0
    assert "2 datasets cannot show a difference at 5%" in flat
    assert "logistic tree" in flat
    assert "EO diff. ↓" in out
    assert "points of accuracy above the coin at DP diff. ↑" in out
    _, _, err = fairbench("report", "r", "--format", "ranks-diagram")
    assert "nothing for the report 'ranks-diagram' to show" in err
