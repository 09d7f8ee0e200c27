"""The reports on results built by hand: numbers, marks, notes, and text that reads back whatever the names hold."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import pytest
from fairbench_reports import comma_separated
from markdown_it import MarkdownIt
from report_helpers import (
    ACCURACY,
    DP,
    EVIL,
    LABELS,
    NOBODY,
    RATIO,
    REPORTS,
    TRACEBACK,
    Cells,
    cell,
    done,
    latex_cells,
    markdown_cells,
    results,
    summary,
)

from fairbench.api import Report, Results
from fairbench.cells import Choice, Preparation
from fairbench.notation import show_value
from fairbench.records import Record, Value


@pytest.fixture
def run() -> Results:
    """Three methods on three repeats: one constant, one that is undefined once, one that failed once; and a skip."""
    accuracy, gap = (0.7, 0.8, 0.9), (0.1, 0.2, None)
    records = []
    for repeat in range(3):
        constant = {ACCURACY: 0.75, DP: 0.0, RATIO: NOBODY, "selection_rate": 0.0}
        plain = {ACCURACY: accuracy[repeat], DP: gap[repeat] or "only group 'male' has rows", RATIO: 0.5}
        records += [
            done("majority", repeat, alike=True, **constant),
            done("logistic", repeat, alike=not repeat, selection_rate=0.4, **plain),
            done("network", repeat, selection_rate=0.3, **{ACCURACY: 0.8004, DP: 0.25, RATIO: 0.25})
            if repeat
            else Record(cell(Choice("network")), "failed", TRACEBACK),
            Record(cell(Choice("repair"), repeat), "skipped", "needs 3 groups"),
        ]
    session = {"started": "2026-01-31T10:11:12+00:00", "python": "3.11.9"}
    session["versions"] = {"fairbench-harness": "0.1.0", "torch": "2.13.0"}  # type: ignore[assignment]
    return results(
        *records,
        planned=14,
        suite={"repeats": 3},
        notes={"adult": ["43 rows are duplicates"]},
        unavailable={"census": "census.zip cannot be had"},
        sessions=[session],
    )


def test_csv_holds_means_and_sample_deviations_worked_out_by_hand(run: Results) -> None:
    lines = summary(run)
    assert float(lines["logistic", ACCURACY]["mean"]) == pytest.approx(0.8)
    assert float(lines["logistic", ACCURACY]["std"]) == pytest.approx(0.1)  # sqrt((.01 + 0 + .01) / 2)
    assert float(lines["logistic", DP]["mean"]) == pytest.approx(0.15)  # over the two repeats where it is defined
    assert float(lines["logistic", DP]["std"]) == pytest.approx(0.005**0.5)
    assert (lines["logistic", DP]["n"], lines["logistic", DP]["undefined"]) == ("2", "1")
    assert lines["logistic", DP]["reason"] == "only group 'male' has rows"
    assert float(lines["majority", ACCURACY]["std"]) == 0
    nothing = lines["majority", RATIO]
    assert [nothing[name] for name in ("mean", "std", "n", "undefined", "reason")] == ["", "", "0", "3", NOBODY]
    assert lines["repair", ACCURACY]["n"] == "0"
    assert {metric for _, metric in lines} == {ACCURACY, DP, RATIO}


def test_best_is_marked_by_direction_with_ties_as_shown(run: Results) -> None:
    best = {key for key, line in summary(run).items() if line["best"] == "true"}
    # .8 and .8004 look alike at three decimals; a lower difference and a higher ratio are better; the constant
    # majority, whose difference is 0 by saying nothing, does not compete for it
    assert best == {("logistic", ACCURACY), ("network", ACCURACY), ("logistic", DP), ("logistic", RATIO)}


def test_nothing_is_best_without_a_rival() -> None:
    assert summary(results(done("logistic", accuracy=0.8)))["logistic", ACCURACY]["best"] == "false"


def test_methods_that_decide_alike_in_most_repeats_are_marked_constant(run: Results) -> None:
    lines = summary(run)
    assert {method for (method, _), line in lines.items() if line["constant"] == "true"} == {"majority"}
    assert {method: line["alike"] for (method, _), line in lines.items()} == {
        "majority": "3",
        "logistic": "1",
        "network": "0",
        "repair": "0",
    }


@pytest.mark.parametrize(("alike", "marked"), [(2, False), (3, True)])
def test_half_of_the_repeats_are_not_most(alike: int, marked: bool) -> None:
    found = results(*(done("half", repeat, alike=repeat < alike, accuracy=0.5) for repeat in range(4)))
    assert (summary(found)["half", ACCURACY]["constant"] == "true") is marked


def test_the_mark_hangs_on_no_metric_and_goes_with_the_point_and_the_step_that_count() -> None:
    record = done("coin", accuracy=0.5, **{DP: 0.0})
    other = dataclasses.replace(record, alike=((0, "other"), (1, "")))
    assert summary(results(record, done("a", **{DP: 0.1})))["coin", DP]["constant"] == "false"
    assert summary(results(other, done("a", **{DP: 0.1})))["coin", DP]["constant"] == "false"
    marked = summary(
        results(done("coin", alike=True, accuracy=0.5, **{DP: 0.0}), done("a", **{DP: 0.1}), done("b", **{DP: 0.2}))
    )
    assert (marked["coin", DP]["constant"], marked["coin", DP]["best"], marked["a", DP]["best"]) == (
        "true",
        "false",
        "true",
    )


def test_repeats_are_counted_against_the_plan(run: Results) -> None:
    counted = {method: line["repeats"] for (method, _), line in summary(run).items()}
    assert counted == {"majority": "3", "logistic": "3", "network": "2/3", "repair": "0/3"}


def test_markdown_table_shows_the_numbers_and_marks(run: Results) -> None:
    rows, _ = markdown_cells(REPORTS["markdown"].render(run))
    assert rows == [
        ["method", "repeats", "accuracy ↑", "DP diff. ↓", "DP ratio ↑"],
        ["majority ‡", "3", "0.750 ± 0.000", "0.000 ± 0.000", "-†"],
        ["logistic", "3", "!0.800 ± 0.100", "!0.150 ± 0.071†", "!0.500 ± 0.000"],
        ["network", "2/3", "!0.800 ± 0.000", "0.250 ± 0.000", "0.250 ± 0.000"],
        ["repair", "0/3", "-", "-", "-"],
    ]


def test_latex_table_shows_the_numbers_and_marks(run: Results) -> None:
    text = REPORTS["latex"].render(run)
    rows = latex_cells(text)
    assert rows[0][2:] == [r"accuracy $\uparrow$", r"DP diff. $\downarrow$", r"DP ratio $\uparrow$"]
    assert rows[1][0] == r"majority $\ddagger$"
    assert rows[1][3] == r"0.000{\scriptsize\,$\pm$\,0.000}"
    assert rows[1][4] == r"--\textsuperscript{$\dagger$}"
    assert rows[2][3] == r"\textbf{0.150}{\scriptsize\,$\pm$\,0.071}\textsuperscript{$\dagger$}"
    assert [len(row) for row in rows] == [5] * 5
    assert r"\begin{tabular}{lrrrr}" in text
    assert r"\label{tab:adult-by-sex}" in text


@pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])
def test_notes_say_what_is_missing_and_what_the_signs_mean(run: Results, name: str) -> None:
    text = " ".join(REPORTS[name].render(run).split())
    plus_minus = r"$\pm$" if name == "latex" else "±"
    for sentence in (
        f"mean {plus_minus} standard deviation over 3 repeats",
        "makes the same decision for everybody in more than half of its repeats",
        "makes the same decision for everybody: logistic in 1 of 3 repeats",
        f"DP ratio undefined in 3 of 3 repeats (majority): {NOBODY}",
        "DP diff. undefined in 1 of 3 repeats (logistic): only group 'male' has rows",
        "3 cells skipped (repair on adult by sex): needs 3 groups",
        "1 cell failed (network on adult by sex): RuntimeError: the loss is NaN",
        "2 of 14 cells not run yet",
        "no results on census: census.zip cannot be had",
        "adult: 43 rows are duplicates",
        "produced by fairbench 0.1.0, Python 3.11.9, torch 2.13.0 on 2026-01-31",
    ):
        assert sentence in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])
def test_signs_are_explained_only_where_they_are_used(name: str) -> None:
    text = REPORTS[name].render(results(done("logistic", accuracy=0.8)))
    assert "one repeat" in text
    assert not re.search(r"†|‡|dagger|±|pm|best|skipped|failed|not run|produced", text)


def test_runs_under_several_versions_are_all_named() -> None:
    sessions = [
        {"started": f"2026-01-0{day}T00:00:00", "python": "3.11.9", "versions": {"fairbench-harness": version}}
        for day, version in ((1, "0.1.0"), (2, "0.2.0"), (3, "0.2.0"))
    ]
    text = REPORTS["markdown"].render(results(done("logistic", accuracy=0.8), sessions=sessions))
    assert "- produced by fairbench 0.1.0, Python 3.11.9 on 2026-01-01\n" in text
    assert "- produced by fairbench 0.2.0, Python 3.11.9 on 2026-01-02, 2026-01-03\n" in text


def test_rows_are_told_apart_by_the_parameters_that_differ() -> None:
    variants = [Choice("tuned", {"lr": 0.1, "steps": steps, "deep": True}) for steps in (1, 10)]
    records = [done(method, accuracy=0.8) for method in [*variants, Choice("plain", {"lr": 0.1})]]
    rows, _ = markdown_cells(REPORTS["markdown"].render(results(*records)))
    assert [row[0] for row in rows] == ["method", "tuned[steps=1]", "tuned[steps=10]", "plain"]
    assert ("tuneddeep=true,lr=0.1,steps=1", ACCURACY) in summary(results(*records))  # the CSV holds all


def test_each_setting_has_a_section_of_its_own() -> None:
    settings = [
        {"dataset": "adult"},
        {"dataset": "compas"},
        {"preparation": Preparation(scale="none")},
        {"preparation": Preparation(sensitive_as_feature=True, stratify=True)},
        {"scenario": Choice("feedback", {"generations": 4})},
    ]
    values = (Value(0, "", "", ACCURACY, 0.8),)
    found = results(*(Record(cell(Choice("logistic"), **fields), "done", values=values) for fields in settings))
    text = REPORTS["markdown"].render(found)
    assert text.count("\n## ") == 6  # the notes too
    assert "compas by sex" in text
    assert "features as they are" in text
    assert "features standardised; sensitive attribute among the features; split stratified by label and group" in text
    assert "scenario feedback\\[generations=4\\]" in text
    labels = re.findall(r"\\label{(.*)}", REPORTS["latex"].render(found))
    assert len(set(labels)) == len(labels) == 5


def test_the_chosen_point_at_the_last_step_counts() -> None:
    values = tuple(
        Value(step, point, "", ACCURACY, value)
        for step, point, value in [(7, "a", 0.3), (7, "b", 0.4), (0, "a", 0.1), (0, "b", 0.2)]
    )
    found = results(Record(cell(Choice("loop")), "done", values=values, chosen="a"))
    assert summary(found)["loop", ACCURACY]["mean"] == "0.3"
    assert "values at the last step (7)" in REPORTS["markdown"].render(found)


def test_a_metric_that_some_cells_lack_is_undefined_there_and_says_so() -> None:
    both = {ACCURACY: 0.8, DP: 0.1}
    line = summary(results(done("old", 0, accuracy=0.7), done("old", 1, **both)))["old", DP]
    assert (line["mean"], line["n"], line["undefined"]) == ("0.1", "1", "1")
    assert line["reason"].startswith("not measured")


def test_differing_reasons_are_told_by_the_first() -> None:
    reasons = [f"group 'female' has no row with y = 1 (0 of {n})" for n in (31, 32)]
    found = results(*(done("logistic", repeat, accuracy=0.8, **{DP: reason}) for repeat, reason in enumerate(reasons)))
    expected = f"DP diff. undefined in 2 of 2 repeats (logistic): {reasons[0]} (and the like)"
    assert expected in " ".join(REPORTS["terminal"].render(found).split())


def test_a_metric_whose_plugin_is_gone_is_shown_without_a_best() -> None:
    found = results(done("a", lost=0.1), done("b", lost=0.2))
    rows, _ = markdown_cells(REPORTS["markdown"].render(found))
    assert rows == [["method", "repeats", "lost"], ["a", "1", "0.100"], ["b", "1", "0.200"]]


def test_no_negative_zero_is_shown() -> None:
    rows, _ = markdown_cells(REPORTS["markdown"].render(results(done("a", accuracy=-0.0001))))
    assert rows[1][2] == "0.000"


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_run_without_records_or_values_is_reported(report: Report) -> None:
    empty = report.render(results(planned=3))
    failed = report.render(results(Record(cell(Choice("broken")), "failed", "")))
    if report.name != "csv":
        assert "there are no results" in empty
        assert "3 of 3 cells not run yet" in empty
        assert "1 cell failed (broken on adult by sex): no reason was kept" in failed
    else:
        assert empty == failed == ",".join(comma_separated.FIELDS) + "\n"


def evil() -> Results:
    """Return results in which a method, a group, a note, a heading and a reason hold every special character."""
    groups = {EVIL: {"n": 40.0}}
    records = [
        done(Choice(name, {"p": value}), 0, groups, accuracy=0.8, **{DP: f"because {EVIL}\x1b[31m\nof that"})
        for name, value in ((EVIL, 1), (EVIL, EVIL), ("[*]", 1))
    ]
    found = results(*records, notes={"adult": [EVIL]})
    return Results(found.records, found.run, found.planned, {**LABELS, DP: (EVIL, "lower")})


def test_markdown_renders_any_name_as_it_is_and_no_html() -> None:
    text = REPORTS["markdown"].render(evil())
    rows, tags = markdown_cells(text)
    assert [row[0] for row in rows] == ["method", f"{EVIL}[p=1]", f"{EVIL}[p={show_value(EVIL)}]", "[*]"]
    assert rows[0][3] == f"{EVIL} ↓"
    assert {len(row) for row in rows} == {4}
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "strong"}
    whole = Cells()
    whole.feed(MarkdownIt("commonmark").enable("table").render(text))
    assert not whole.tags & {"script", "a", "em", "code", "img"}


def test_latex_escapes_any_name() -> None:
    text = REPORTS["latex"].render(evil())
    escaped = (
        r"a\_b\textbar{}c\&d\%e\textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{}"
        r"{[}f](g){*}h{*}`i`\textbackslash{}"
    )
    labels = [f"{escaped}{{[}}p=1]", f"{escaped}{{[}}p=''{escaped}\\textbackslash{{}}'']", "{[}{*}]"]
    assert [row[0] for row in latex_cells(text)[1:]] == labels
    assert [len(row) for row in latex_cells(text)] == [4] * 4
    body = text.split("\n", 1)[1]  # below the comment on packages
    assert not re.search(r"(?<!\\)[%#_]", body)
    assert body.count("{") == body.count("}")


def test_csv_reads_back_any_name() -> None:
    lines = list(csv.DictReader(io.StringIO(REPORTS["csv"].render(evil()))))
    assert [line["method"] for line in lines] == [EVIL] * 4 + ["[*]"] * 2
    assert [line["parameters"] for line in lines[::2]] == ["p=1", f"p={show_value(EVIL)}", "p=1"]
    assert all(None not in line and None not in line.values() for line in lines)  # as many fields in every line


@pytest.mark.parametrize("name", ["terminal", "groups"])
def test_terminal_shows_any_name_without_markup_or_control_characters(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = REPORTS[name].render(evil())
    assert f"{EVIL}[p=1]" in text
    assert "[*]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_terminal_keeps_to_the_width_and_loses_no_number(
    width: int, run: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    many = {f"metric_{letter}": 0.1 + ord(letter) / 1000 for letter in "abcdefghij"}
    wide = results(*(done("equalized_odds_thresholds", repeat, **many) for repeat in range(2)))
    for found, numbers in ((run, [0.8, 0.15, 0.071, 0.1]), (wide, many.values())):
        text = REPORTS["terminal"].render(found)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert all(f"{value:.3f}" in text for value in numbers)


def test_terminal_puts_deviations_beside_the_means_if_there_is_room(
    run: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert "0.800 ± 0.100*" in REPORTS["terminal"].render(run)
    monkeypatch.setenv("COLUMNS", "50")
    lines = REPORTS["terminal"].render(run).splitlines()
    row = next(index for index, line in enumerate(lines) if line.startswith("logistic"))
    assert lines[row].split() == ["logistic", "3", "0.800*", "0.150*†", "0.500*"]
    assert lines[row + 1].split() == ["±0.100", "±0.071", "±0.000"]


def test_groups_report_shows_means_within_each_group() -> None:
    records = []
    for repeat, (n, rate) in enumerate([(40, 0.2), (42, 0.4)]):
        groups = {
            "female": {"n": n, "selection_rate": rate, "true_positive_rate": "no row has y = 1 (0 of 40)"},
            "male": {"n": 60.0, "selection_rate": 0.5, "true_positive_rate": 0.75 if repeat else "no row has y = 1"},
        }
        records.append(done("logistic", repeat, groups, accuracy=0.8))
    text = REPORTS["groups"].render(results(*records, planned=3))
    rows = [line.split() for line in text.splitlines()]
    assert ["method", "group", "n", "sel.", "rate", "TPR"] in rows
    assert ["logistic", "female", "41", "0.300", "-†"] in rows
    assert ["male", "60", "0.500", "0.750†"] in rows
    assert "† TPR of male undefined in 1 of 2 repeats (logistic): no row has y = 1" in text
    assert "1 of 3 cells not run yet" in text


def test_reports_have_distinct_names_and_files() -> None:
    suffixes = {"terminal": "", "groups": "", "markdown": ".md", "csv": ".csv", "latex": ".tex", "latex-column": ""}
    assert {name: report.suffix for name, report in REPORTS.items()} == suffixes
