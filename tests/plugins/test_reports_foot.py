"""Reports on what stands beside numbers: remarks, changes, skipped datasets, scenarios, paths, columns, widths."""

from __future__ import annotations

import csv
import dataclasses
import re

import pytest
from fairbench_reports._table import sections
from fairbench_reports.tradeoff import panel_titles
from report_helpers import ACCURACY, DP, EVIL, REPORTS, cell, done, latex_cells, markdown_cells, results, summary

from fairbench.cells import Choice
from fairbench.records import Record, Value

TEXTS = pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])


def flat(name, found) -> str:
    """Return a report with every run of blanks made one, and without escapes of underscores."""
    return " ".join(REPORTS[name].render(found).replace(r"\_", "_").split())


@TEXTS
def test_remarks_of_cells_stand_once_with_those_that_share_them(name: str) -> None:
    remark = "it changed the default dtype of torch, which was set back"
    records = [dataclasses.replace(done("a", repeat, accuracy=0.5), remarks=(remark,)) for repeat in (0, 1)]
    text = flat(name, results(*records, done("b", accuracy=0.5)))
    assert text.count(remark) == 1
    assert f"2 cells (a on adult by sex): {remark}" in text


@TEXTS
def test_accepted_changes_of_code_are_named(name: str) -> None:
    change = {
        "when": "2026-01-31T10:00:00+00:00",
        "source": "my_methods.py",
        "files": "my_methods.py changed",
        "cells": 3,
    }
    text = flat(name, results(done("a", accuracy=0.5), accepted=[change]))
    assert (
        "3 cells made by different code from the rest: my_methods.py changed (my_methods.py); accepted on 2026-01-31"
        in text
    )


@TEXTS
def test_a_skipped_dataset_has_no_table_but_its_reason(name: str) -> None:
    skipped = Record(cell(Choice("a"), dataset="german"), "skipped", "german.data: not found")
    text = flat(name, results(done("a", accuracy=0.5), skipped))
    assert "german by sex (scenario" not in text
    assert "## german" not in text
    assert text.count("german by sex") == 1
    assert "1 cell skipped (a on german by sex): german.data: not found" in text
    lines = csv.DictReader(REPORTS["csv"].render(results(skipped, done("a", accuracy=0.5))).splitlines())
    assert {line["dataset"] for line in lines} == {"adult"}


@TEXTS
def test_the_users_home_is_not_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    reason = "not found in /home/somebody/.cache/fairbench (the cache) or /home/somebodyelse/data, at https://host"
    skipped = Record(cell(Choice("a"), 1), "skipped", reason)
    text = flat(name, results(done("a", accuracy=0.5), skipped, notes={"adult": ["from /home/somebody/raw"]}))
    assert "/home/somebody/" not in text
    assert text.count("/.cache/fairbench (the cache) or /home/somebodyelse/data") == 1
    monkeypatch.setenv("HOME", "/")
    text = flat(name, results(done("a", accuracy=0.5), skipped))
    assert "in /home/somebody/.cache" in text
    assert "https://host" in text


def test_metrics_without_a_better_direction_are_tabulated_where_they_are_asked_for() -> None:
    records = [
        done(method, 0, {"f": {"selection_rate": 0.1}}, selection_rate=rate, **{DP: 0.1})
        for method, rate in (("a", 0.2), ("b", 0.3))
    ]
    named, every = ({"suite": {"metrics": [text]}} for text in (f"{DP}, selection_rate", "all"))
    rows, _ = markdown_cells(REPORTS["markdown"].render(results(*records, **named)))
    assert rows[0] == ["method", "repeats", "DP diff. ↓", "sel. rate"]
    assert [row[3] for row in rows[1:]] == ["0.200", "0.300"]  # no best
    assert summary(results(*records, **named))["a", "selection_rate"]["best"] == "false"
    rows, _ = markdown_cells(REPORTS["markdown"].render(results(*records, **every)))
    assert rows[0] == ["method", "repeats", "DP diff. ↓"]  # by group it stands in the groups report


def test_a_metric_that_is_not_taken_by_group_is_always_tabulated_and_a_scenarios_value_never() -> None:
    values = (Value(0, "", "", ACCURACY, 0.8), Value(0, "", "", "count", 7.0), Value(0, "", "", "loop_rows", 9.0))
    record = Record(cell(Choice("a")), "done", values=values)
    found = results(
        record, suite={"metrics": ["all"]}, labels={ACCURACY: ["accuracy", "higher"], "count": ["count", "neither"]}
    )
    found = dataclasses.replace(
        found, labels={**found.labels, "count": ("count", "neither"), "loop_rows": ("loop_rows", "neither")}
    )
    rows, _ = markdown_cells(REPORTS["markdown"].render(found))
    assert rows == [["method", "repeats", "accuracy ↑", "count"], ["a", "1", "0.800", "7.000"]]


def wide(metrics: int):
    """Return two methods with so many metrics."""
    return results(
        *(done(method, **{f"metric_{number}": 0.1 for number in range(metrics)}) for method in ("one", "two"))
    )


@pytest.mark.parametrize(
    ("name", "metrics", "blocks"), [("latex", 6, 1), ("latex", 7, 2), ("latex-column", 2, 1), ("latex-column", 7, 4)]
)
def test_a_latex_table_goes_on_below_itself_where_the_width_is_used_up(name: str, metrics: int, blocks: int) -> None:
    text = REPORTS[name].render(wide(metrics))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == blocks
    assert text.count(r"\label") == 1
    headings = [heading for row in latex_cells(text) if row[0] == "method" for heading in row[2:]]
    assert headings == [rf"metric\_{number}" for number in range(metrics)]
    counts = re.findall(r"\\begin{tabular}{l(r+)}", text)
    assert [len(row) for row in latex_cells(text)] == [1 + len(count) for count in counts for _ in range(3)]
    environment = {"latex": "table*", "latex-column": "table"}[name]
    assert rf"\begin{{{environment}}}" in text
    assert rf"\end{{{environment}}}" in text


def test_latex_has_one_full_stop_and_no_dash_that_was_not_meant() -> None:
    skipped = Record(cell(Choice("b")), "skipped", "name it with --data-dir, or ---.")
    text = REPORTS["latex"].render(results(done("a", accuracy=0.5, **{DP: "no row has y = 1."}), skipped))
    assert ".." not in text
    assert "y = 1." in text
    assert "with -{}-data-dir, or -{}-{}-." in text


def test_the_report_on_loops_escapes_names_too() -> None:
    from fairbench_feedback.generations import render

    values = tuple(Value(step, "", group, ACCURACY, 0.5) for step in (0, 1) for group in ("", EVIL))
    loop = cell(Choice(EVIL), dataset=EVIL, scenario=Choice("loop", {"generations": 2}))
    text = render(results(Record(loop, "done", values=values)))
    assert "<script>" not in text
    rows, tags = markdown_cells(text)
    assert rows[0][-1] == f"end states ({EVIL})"
    assert not tags & {"script", "a", "em", "code", "img"}


def test_a_very_long_reason_is_cut() -> None:
    method = Choice("tree")
    failed = Record(cell(method), "failed", "Traceback (most recent call last):\nRuntimeError: " + "z" * 9_000)
    text = flat("markdown", results(done("logistic", accuracy=0.9), failed))
    assert 900 < text.count("z") <= 1000
    assert "z …" in text


@TEXTS
def test_an_error_of_several_lines_is_told_with_its_type_and_first_line(name: str) -> None:
    lines = 'Traceback (most recent call last):\n  File "fit.py", line 3, in fit\n    f()\n    ~^^\n'
    failed = Record(cell(Choice("a")), "failed", f"{lines}ValueError: shapes differ\n  expected 3\nsee the manual\n")
    text = flat(name, results(failed, done("b", accuracy=0.5)))
    assert "1 cell failed (a on adult by sex): ValueError: shapes differ …" in text
    assert "see the manual" not in text


COSTLY = "adversarial: 1; " * 10 + "lfr: 0"


def swept(**params: object) -> Record:
    scenario = Choice("sweep", {"costly": COSTLY, **params})
    return Record(cell(Choice("a"), scenario=scenario), "done", values=(Value(0, "", "", ACCURACY, 0.8),))


@TEXTS
def test_a_scenario_that_fills_lines_heads_no_section_but_stands_in_the_foot_and_in_exports(name: str) -> None:
    found = results(swept(trials=4))
    text = " ".join(re.sub(r"[\\{}]", "", REPORTS[name].render(found)).split())
    assert "scenario sweep; features standardised" in text
    assert text.count(COSTLY) == 1
    assert f"every sweep here: sweep[costly={COSTLY},trials=4]" in text
    assert f"sweep[costly={COSTLY},trials=4]" in REPORTS["csv"].render(found)


def test_the_titles_of_panels_have_a_scenarios_name_and_what_tells_it_apart() -> None:
    alone = Record(cell(Choice("a")), "done", values=(Value(0, "", "", ACCURACY, 0.8),))
    assert panel_titles(sections(results(swept(trials=4)))) == ["adult by sex"]
    both = results(swept(trials=4), alone)
    assert panel_titles(sections(both)) == ["adult by sex; scenario sweep", "adult by sex; scenario holdout"]
    variants = results(swept(rule="x; y"), swept(rule="z"))
    assert panel_titles(sections(variants)) == [
        "adult by sex; scenario sweep[rule=x; y]",
        "adult by sex; scenario sweep[rule=z]",
    ]
