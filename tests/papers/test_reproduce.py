"""``fairbench reproduce`` on a stranger's tiny paper: document, resumption, missing data, missing extras."""

from __future__ import annotations

import csv
import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import fairbench.cli.running
import fairbench.papers.measured
from fairbench.analysis.intervals import NOT_COVERED, Correction
from fairbench.running.store import FILE_NAME, Store

HERE = Path(__file__).parent
PLUGIN = str(HERE / "tiny_paper.py")
LIMITS = ("--plugin", PLUGIN, "--offline", "--data-dir", ".", "--workers", "1")
SYNTHETIC = ("--datasets", "synthetic[rows=300]")


@pytest.fixture
def reproduce(fairbench, monkeypatch):
    """Run ``fairbench reproduce`` without any raw data."""
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    return lambda *arguments: fairbench("reproduce", *arguments, *LIMITS)


def tables(path: Path) -> str:
    """Return the document without its last part, which says when and where it was made."""
    text = path.read_text(encoding="utf-8")
    assert "## How this was made" in text
    return text.partition("## How this was made")[0]


def finished(path: Path) -> dict[str, float]:
    """Return the seconds of every finished cell."""
    with Store(path / FILE_NAME) as store:
        return {record.cell.key: record.seconds for record in store.records() if record.status == "done"}


@contextmanager
def interrupted_after(count):
    """Press Ctrl-C after so many cells that were run, not skipped."""
    done = []

    def advance(record):
        done.extend([record] if record.status == "done" else [])
        if len(done) == count:
            raise KeyboardInterrupt

    yield advance


def test_a_reproduction_is_resumed_grows_and_ends_with_the_same_tables(reproduce, tmp_path, monkeypatch):
    """Without the raw data of german, whose rows are skipped with the reason while the rest runs."""
    parts = "tiny:one,two,curve"
    status, out, err = reproduce(parts, "--out", "whole")
    assert status == 0
    assert "german is left out: german/german.data: not found" in err
    assert "tomorrows_method is left out of two" in err
    assert "Longer training raises accuracy. (section 3, one)\n  raw: " in out
    whole = tables(tmp_path / "whole" / "reproduction.md")
    for expected in (
        "# A tiny study: run again",
        "## In short\n\n- Protocol **raw**: as it is.\n- Protocol **scaled**: standardised.\n",
        "| Longer training raises accuracy. | not told apart (0 of 1) | ",
        "| There are many cells. | 12 cells; not run (nothing to count) | 12 cells; not run (nothing to count) |\n",
        "| Tomorrow's method is better. | not run | not run |",
        "**Cells.** 28 of 52 done; 24 skipped: [what is missing](#what-is-missing).",
        "### one, synthetic\\[rows=300\\]",
        "| short | accuracy | 0.6 | ",
        "| long | accuracy | 0.01 ± 0.02 (?) | ",
        "| constant | accuracy | - | ",
        "not reported",
        "|  | last validation\\_loss | left out | 0.",
        "| row | protocol | operating point | epochs made | mean of validation\\_loss |",
        "| mlp\\[epochs=3\\] | raw | - | 3.000 ± 0.000 | 0.",
        "| There are many cells. (section 4, one) | synthetic\\[rows=300\\]: 12 cells; german: not run (nothing ",
        "On german, protocol raw: not run (nothing to count).",
        "They were \\*counted\\*.\n\nCells:\n\n| method\\_of | cells |\n| --- | ---: |\n| constant | 4 |\n| mlp | 8 |",
        "(first 2: ",
        "Nothing was measured. skipped: german/german.data: not found",
        "- A note on table one.",
        "- Written for a test.",
        "![Thresholds](figures/curve-raw.png)",
    ):
        assert expected in whole, expected
    first, rest = whole.split("## How to read this")
    for protocol in ("raw", "scaled"):  # the first page sums over the tables that follow
        numbers = [int(text) for text in re.findall(rf"^\| {protocol} \| (\d+) \|", first, flags=re.MULTILINE)]
        counts = re.findall(rf"^\| \w+ \| {protocol} \| (\d.*) \|$", rest, flags=re.MULTILINE)
        met = [sum(column) for column in zip(*(map(int, line.split(" | ")) for line in counts))]
        assert numbers == [sum(met)]
        met_by = f"{met[0]} ({met[0] / sum(met):.0%})" if met[0] else "0"
        assert f"| {protocol} | {sum(met)} | {met_by} | " in first
        sides = re.findall(rf"^\| \w+ \| DP \| {protocol} \| (\d.*) \|$", rest, flags=re.MULTILINE)
        rows = sum(int(text) for line in sides for text in line.split(" | "))
        assert f"| {protocol} | DP | {rows} | " in first
    for stem in ("curve-raw", "curve-scaled"):
        assert (tmp_path / "whole" / "figures" / f"{stem}.png").stat().st_size > 10_000
        assert (tmp_path / "whole" / "figures" / f"{stem}.svg").read_text().startswith("<?xml")
    rows = list(csv.DictReader((tmp_path / "whole" / "reproduction.csv").read_text().splitlines()))
    measured = {row["repeats"] for row in rows if row["dataset"] != "german" and row["metric"] == "accuracy"}
    assert {"table", "published", "mean", "verdict", "measured_above_coin_dp", "reason"} <= set(rows[0])
    assert measured == {"2", "4"}

    status, _, _ = reproduce("tiny:two", "--out", "r")  # a part first
    assert status == 0
    before = finished(tmp_path / "r")
    with monkeypatch.context() as patched:
        patched.setattr(fairbench.cli.running, "cell_progress", lambda total, done: interrupted_after(4))
        status, out, err = reproduce(parts, "--out", "r")
    assert (status, out) == (130, "")
    assert "interrupted: to continue, give the same command with --out r" in err
    assert len(finished(tmp_path / "r")) >= len(before) + 4  # quick cells are written together
    status, _, _ = reproduce(parts, "--out", "r")
    after = finished(tmp_path / "r")
    assert status == 0
    assert {key: after[key] for key in before} == before  # nothing was done twice
    assert tables(tmp_path / "r" / "reproduction.md") == whole
    sessions = json.loads((tmp_path / "r" / "run.json").read_text())["sessions"]
    assert [bool(session["finished"]) for session in sessions] == [True, False, True]
    assert all(session["ended"] for session in sessions)

    status, _, _ = reproduce("tiny:two", "--out", "r", "--document", "docs/tiny.md")  # less again, from a fuller store
    assert status == 0
    text = (tmp_path / "docs" / "tiny.md").read_text()
    assert "`fairbench reproduce tiny:two --document docs/tiny.md" in text
    assert str(tmp_path) not in text
    assert "## one" not in text
    assert finished(tmp_path / "r") == after


def test_the_document_lies_beside_its_figures(reproduce, tmp_path):
    status, _, err = reproduce("tiny:curve", "--times", "1", *SYNTHETIC, "--document", "docs/tiny.md")
    assert status == 0
    assert "the document is docs/tiny.md" in err
    text = (tmp_path / "docs" / "tiny.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert sorted(set(links)) == [f"tiny/curve-{name}" for name in ("raw.png", "raw.svg", "scaled.png", "scaled.svg")]
    assert all((tmp_path / "docs" / link).stat().st_size for link in links)
    assert (tmp_path / "runs" / "reproduce-tiny" / "reproduction.md").exists()
    assert "2 repeats." in text
    status, out, _ = reproduce("tiny:curve", "--quick", *SYNTHETIC, "--json")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["table"] for row in rows} == {"one", "two"}
    assert all(row["repeats"] == 2 for row in rows if row["metric"] == "accuracy")


def test_without_a_valid_interval_the_command_says_why(reproduce, monkeypatch):
    unknown = Correction(None, NOT_COVERED)
    monkeypatch.setattr(fairbench.papers.measured, "overlap_correction", lambda records: unknown)
    _, out, _ = reproduce("tiny:one", *SYNTHETIC)
    assert "raw: no valid interval (of 1: 1 with no valid interval)" in out
    assert "There is no valid interval on synthetic[rows=300]: the splits of the repeats overlap in a way" in out


def test_dry_run_prints_the_cells_and_runs_nothing(reproduce, tmp_path):
    status, out, err = reproduce("tiny:one", "--quick", *SYNTHETIC, "--dry-run")
    assert status == 0
    assert len(out.splitlines()) == 2 * 3 * 2
    assert "12 cells" in err
    status, out, _ = reproduce("tiny:one", "--quick", *SYNTHETIC, "--dry-run", "--json")
    assert {json.loads(line)["preparation"]["scale"] for line in out.splitlines()} == {"none", "standard"}
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("teeny",), "no paper is named 'teeny'; did you mean 'tiny'?"),
        (("tiny:tow",), "no table or figure of paper tiny is named 'tow'; did you mean 'two'?"),
        (("tiny", "--datasets", "adult"), "no dataset of this reproduction is named 'adult'"),
        (("tiny", "--times", "0"), "0 is not in the range x>=1"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(reproduce, arguments, message):
    status, out, err = reproduce(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_directory_of_something_else_is_refused(reproduce, fairbench):
    fairbench("run", "--methods", "coin", *SYNTHETIC, "--repeats", "1", "--workers", "1", "--out", "r")
    status, _, err = reproduce("tiny:two", "--out", "r")
    assert status == 2
    assert "r holds a run of another suite (coin, 1 cell), and 1 of its cells is not among the" in err


@pytest.mark.parametrize(
    ("part", "module", "message"),
    [
        ("curve", "matplotlib", "figures need the package 'matplotlib': install the extra plots (pip install "),
        ("why", "shap", "explanations need the package 'shap': install the extra explain (pip install "),
    ],
)
def test_without_an_extra_the_tables_come_and_the_figure_says_what_to_install(
    reproduce, tmp_path, monkeypatch, part, module, message
):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    status, _, err = reproduce(f"tiny:two,{part}", "--quick", *SYNTHETIC, "--out", "r")
    assert status == 0
    assert f"{part} (raw) is left out: {message}" in err
    assert message.partition("(")[0] in (tmp_path / "r" / "reproduction.md").read_text()


def test_papers_are_listed_and_shown(fairbench):
    status, out, _ = fairbench("list", "papers", "--plugin", PLUGIN, "--json")
    listed = {row["name"]: row["what"] for row in map(json.loads, out.splitlines())}
    assert status == 0
    assert listed["tiny"] == "A tiny study"
    assert listed["faalgrad"].startswith("FaAlGrad: Fairness through Alignment")
    _, out, _ = fairbench("show", "paper", "tiny", "--plugin", PLUGIN, "--json")
    shown = json.loads(out)
    assert [part["part"] for part in shown["parts"]] == ["one", "two", "curve", "why"]
    assert shown["reference"] == "Nobody (2024), Journal of Examples"
    _, out, _ = fairbench("show", "paper", "faalgrad")
    assert "figure4" in out


@pytest.mark.parametrize("text", ["tiny:", "tiny:,", "tiny:one,"])
def test_an_empty_part_is_refused_with_those_that_there_are(reproduce, text):
    status, out, err = reproduce(text, "--dry-run")
    assert (status, out) == (2, "")
    assert f"{text!r} names an empty part; write tiny:PART,... with parts of one, two, " in err
