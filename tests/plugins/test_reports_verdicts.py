"""What every report shows of verdicts, from runs whose decisions are made by hand."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from fairbench_reports import latex, lines
from fairbench_reports._verdicts import HEADINGS
from report_helpers import REPORTS, latex_cells, markdown_cells
from stored_runs import DP, PARTS, noisy, people, stored_run

from fairbench.analysis.lines import published_above_coin
from fairbench.analysis.standings import section_standings
from fairbench.api import Predictions

ALL = ("terminal", "markdown", "latex", "latex-column", "csv")


def unfair(repeat, samples):
    return noisy(samples, flips=0.1, seed=100 + repeat, select=[0.0, 0.3])


def half(repeat, samples):
    return Predictions.from_decision(0.5 * unfair(repeat, samples).decision, seed=repeat)


def better(repeat, samples):
    y = samples.y * (np.random.default_rng(repeat).random(len(samples)) < np.take([1.0, 0.75], samples.group))
    return Predictions(y)


def worse(repeat, samples):
    return noisy(samples, flips=0.4, seed=repeat)


def optimal(repeat, samples):
    drop = np.take([1.0, 0.5], samples.group)
    return {
        "dp<=0": Predictions.from_decision(samples.y * drop, seed=0),
        "dp<=0.2": Predictions(samples.y),
        "unconstrained": unfair(repeat, samples),
    }


CLAIMED = {"tolerance": (0.0, 0.2), "claimed_accuracy_dp": (0.9, 0.99), "claimed_gap_dp": (0.0, 0.1)}
METHODS = {"mlp": unfair, "attainable": optimal, "half": half, "better": better, "worse": worse}


def parts(repeats=5, rows=200):
    return {"adult": [people((0.2, 0.4), (rows, rows), seed=repeat) for repeat in range(repeats)]}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return stored_run(tmp_path_factory.mktemp("run"), METHODS, parts(), diagnostics=CLAIMED)


def text_of(name, results):
    return str(REPORTS[name].render(results))


def flat(name, results):
    return " ".join(text_of(name, results).split())


def expected_rows(results, metric=DP):
    """Return the table that follows from the standings, each cell as text."""
    rows = []
    for done, here in section_standings(results)[0].methods:
        told = here[metric]
        above, room = told.verdict.above, told.verdict.room
        points = [round(100 * value, 1) + 0.0 for value in (above.value, above.low, above.high)]
        rows.append(
            [
                done[0].cell.method.name,
                f"{told.gap.mean:.3f}" + ("~" if told.faint else ""),
                f"{told.gap.high - told.gap.mean:.3f}",
                f"{told.rows:.3f}",
                f"{told.floor.mean:.3f}",
                "{:+.1f} [{:+.1f}, {:+.1f}]".format(*points),
                f"{100 * room.value:.1f} ({told.verdict.skill:.0%})",
                told.verdict.reading,
            ]
        )
    return rows


def test_markdown_shows_every_number_of_the_standings(found):
    rows, _ = markdown_cells(text_of("markdown", found))
    place = rows.index(list(HEADINGS))
    assert rows[place + 1 : place + 4] == expected_rows(found)


def test_latex_shows_the_same(found):
    rows = latex_cells(text_of("latex", found))
    for row in expected_rows(found):
        cells = [cell for here in rows if here[0] == row[0] for cell in here]
        assert [text for text in map(latex.escape, row[2:]) if text not in cells] == []


@pytest.mark.parametrize("columns", [60, 100, 160])
def test_the_terminal_shows_the_same_at_every_width(found, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = text_of("terminal", found)
    assert max(map(len, text.splitlines())) <= columns
    for row in expected_rows(found):
        for number in row[1:7]:
            assert number in text
    assert "not told apart from the coin" in flat("terminal", found)


def test_csv_has_the_numbers_in_full(found):
    told = {done[0].cell.method.name: here[DP] for done, here in section_standings(found)[0].methods}
    lines_of = {
        line["method"]: line for line in csv.DictReader(io.StringIO(text_of("csv", found))) if line["metric"] == DP
    }
    for name, standing in told.items():
        line, verdict = lines_of[name], standing.verdict
        assert float(line["above_coin"]) == verdict.above.value
        assert float(line["above_coin_low"]) == verdict.above.low
        assert float(line["above_coin_high"]) == verdict.above.high
        assert float(line["room"]) == verdict.room.value
        assert float(line["room_low"]) == verdict.room.low
        assert float(line["skill"]) == verdict.skill
        assert float(line["floor"]) == standing.floor.mean
        assert float(line["rows"]) == standing.rows
        assert float(line["low"]) == standing.gap.low
        assert line["verdict"] == verdict.reading
    assert lines_of["mlp"]["above_coin"] == lines_of["attainable"]["verdict"] == ""


@pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])
def test_the_sentence_and_how_to_read_it_stand_in_every_report(found, name):
    plain = flat(name, found).replace("\\%", "%")
    assert "of 3 methods, compared at their own demographic parity difference, 1 is above a coin" in plain
    assert "read the interval, not the points" in plain
    assert "a coin costs nothing" in plain


# ------------------------------------------------------------------------ bad input


def constant(repeat, samples):
    return Predictions(0 * samples.y)


WRONG = r"\b(nan|NaN|inf|None)\b|\x1b"
BAD = {
    "one repeat": ({**METHODS}, {}, parts(1)),
    "constant baseline": ({**METHODS, "mlp": constant}, {}, parts()),
    "worse than constant": ({**METHODS, "mlp": lambda r, s: Predictions(1 - s.y)}, {}, parts()),
    "no baseline": ({"attainable": optimal}, {}, parts()),
    "references failed": ({**METHODS, "attainable": lambda r, s: None, "mlp": lambda r, s: None}, {}, parts()),
    "references failed once": ({**METHODS, "attainable": lambda r, s: None if r else optimal(r, s)}, {}, parts()),
    "other repeats": ({**METHODS, "half": lambda r, s: half(r, s) if r in (1, 2) else None}, {}, parts()),
    "none shared": (
        {"mlp": lambda r, s: unfair(r, s) if r else None, "half": lambda r, s: None if r else half(r, s)},
        {},
        parts(),
    ),
    "no predictions": (METHODS, {"kept": False}, parts()),
    "no parts": (METHODS, {"parts": None}, parts()),
    "no accuracy": (METHODS, {"metrics": (DP,)}, parts()),
    "a group without positives": (METHODS, {}, {"adult": [people((0, 0.4), (40, 200), seed=r) for r in range(3)]}),
    "a group of five": (METHODS, {}, {"adult": [people((0.4, 0.4), (5, 200), seed=r) for r in range(3)]}),
    "evil names": ({"mlp": unfair, "half[a='\x1b[31m|&%$#_{}']": half}, {}, parts()),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_words_and_never_a_nan(tmp_path, case):
    methods, fields, tests = BAD[case]
    results = stored_run(tmp_path, methods, tests, diagnostics=CLAIMED, **fields)
    for name in ALL:
        assert not re.search(WRONG, text_of(name, results)), name
    assert not re.search(WRONG, lines.render(results))


def bad(tmp_path, case):
    methods, fields, tests = BAD[case]
    return flat("markdown", stored_run(tmp_path, methods, tests, diagnostics=CLAIMED, **fields)).replace("\\", "")


@pytest.mark.parametrize(
    ("case", "sentences"),
    [
        ("one repeat", ["a single repeat has no spread: intervals are over the rows of its test part"]),
        (
            "constant baseline",
            [
                "- the baseline makes the same decision for everybody -",
                "- the baseline is no better than a constant -",
                "| undefined |",
            ],
        ),
        ("worse than constant", ["- the baseline is no better than a constant", "| undefined |"]),
        ("references failed", ["10 cells failed (mlp, attainable on adult by sex): ValueError: it broke"]),
        ("references failed once", ["no attainable line: 'attainable' lacks repeats in which these are compared"]),
        ("other repeats", ["| half | 2/5 |", "compared"]),
        ("none shared", ["no verdict: no repeat is finished and defined for both it and mlp"]),
        ("no predictions", ["no verdict: the run has no stored predictions"]),
        ("no parts", ["no valid interval"]),
        ("no accuracy", ["no verdict: no repeat has an accuracy"]),
    ],
)
def test_bad_input_is_told_in_words(tmp_path, case, sentences):
    text = bad(tmp_path, case)
    for sentence in sentences:
        assert sentence in text


def test_without_the_usual_baseline_the_most_accurate_method_is_compared_with(tmp_path):
    text = bad(tmp_path, "references failed")
    assert "accuracy above the coin of better and a constant" in text


def test_results_without_a_directory_have_no_verdicts(found):
    text = flat("markdown", replace(found, path=None))
    assert "above the coin" not in text


# -------------------------------------------------------------------------- german


def selecting(numbers):
    """Return a method that selects so many of each group, the deserving first."""

    def decide(repeat, samples):
        made = np.zeros(len(samples), dtype=int)
        for code, number in enumerate(numbers):
            own = np.flatnonzero(samples.group == code)
            made[own[np.argsort(-samples.y[own], kind="stable")][:number]] = 1
        return Predictions(made)

    return decide


def test_a_dataset_too_small_for_its_gaps_says_so(tmp_path):
    """German by sex: 46 and 104 rows, of which 30 and 75 have y = 1; the gaps of published rows are within noise."""

    def shaken(numbers, seed):
        def decide(repeat, samples):
            return selecting(numbers + np.random.default_rng([seed, repeat]).integers(-5, 6, 2))(repeat, samples)

        return decide

    methods = {
        "mlp": shaken((36, 88), 3),
        "attainable": lambda r, s: {"unconstrained": shaken((36, 88), 3)(r, s), "dp<=0": shaken((37, 86), 2)(r, s)},
        "ours": shaken((35, 86), 2),
    }
    tests = {"german": [people((30 / 46, 75 / 104), (46, 104), seed=repeat) for repeat in range(5)]}
    results = stored_run(tmp_path, methods, tests, parts=replace(PARTS, train=700, test=150))
    rows, _ = markdown_cells(text_of("markdown", results))
    row = rows[rows.index(list(HEADINGS)) + 1]
    assert row[0] == "ours"
    assert row[1].endswith("~")
    assert float(row[4]) == pytest.approx(0.06, abs=0.006)
    assert row[6] == "no room"
    assert row[7] == "not told apart from the coin"


# Accuracy, DP difference, each with its spread, in per cent: Malik & Mopuri, table 1; no spread of the baseline.
PUBLISHED = {
    "adult": (0.752, (0.8286, 0.21), [((0.5258, 0.07), (0.10, 0.06)), ((0.6458, 0.06), (0.07, 0.07))]),
    "compas": (0.545, (0.6737, 0.24), [((0.5933, 0.02), (0.07, 0.06)), ((0.6021, 0.02), (0.06, 0.02))]),
}


@pytest.mark.parametrize(
    ("dataset", "reading"), [("adult", "below the coin"), ("compas", "not told apart from the coin")]
)
def test_published_rows_read_as_the_specification_says(dataset, reading):
    constant_accuracy, baseline, rows = PUBLISHED[dataset]
    for accuracy, gap in rows:
        assert published_above_coin(accuracy, gap, baseline, constant_accuracy, 5, 0.15 / 0.70).reading == reading


# ------------------------------------------------------------------ the report lines


def test_lines_are_drawn_at_a_few_gaps_beside_what_was_claimed(found):
    text = " ".join(lines.render(found).split())
    assert "adult by sex baseline mlp (none is named; the usual baseline), 5 repeats" in text
    assert "attainable: 5 repeats, 7.5 s of CPU time" in text
    coin_at_0 = np.mean([1 - samples.y.mean() for samples in parts()["adult"]])
    assert re.search(rf"demographic parity difference coin .* 0 {coin_at_0:.3f} ", text)
    accuracy = np.mean(
        [np.mean(np.where(samples.y == 1, np.take([1.0, 0.5], samples.group), 1.0)) for samples in parts()["adult"]]
    )
    assert f"0 0.900 {accuracy:.3f} {0.9 - accuracy:.3f} 0.000 0.000 0.000" in text


def test_lines_name_the_groups_that_are_not_constrained(tmp_path):
    results = stored_run(tmp_path, METHODS, parts(), diagnostics={**CLAIMED, "left_out_of_dp: 'g1'": (3.0, 4.0)})
    assert "groups too small for a constraint: dp: 'g1'" in " ".join(lines.render(results).split())


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (
            {"mlp": unfair},
            "no attainable line: the method 'attainable' has no finished repeat; 'fairbench lines RUN' runs it",
        ),
        ({"attainable": optimal}, "no lines: no method but reference methods has a finished repeat with an accuracy"),
    ],
)
def test_lines_say_what_is_missing(tmp_path, methods, sentence):
    assert sentence in " ".join(lines.render(stored_run(tmp_path, methods, parts())).split())
