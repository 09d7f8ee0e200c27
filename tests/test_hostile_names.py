"""Names and reasons of strangers, full of what steers a terminal, LaTeX, Markdown or a spreadsheet, in all reports."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_helpers import Cells
from stored_runs import METRICS, PARTS, noisy

from fairbench.analysis import export
from fairbench.analysis.audit import audit_predictions
from fairbench.analysis.audited import Question, read_audited
from fairbench.analysis.bundle import tables, write_bundle
from fairbench.analysis.values import rows
from fairbench.api import Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.data.counts import supports
from fairbench.errors import FairbenchError
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILED, SKIPPED, Record, Results
from fairbench.running.outcomes import measure
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.truth import Truth
from fairbench.texts import without_formula

PIECES = [
    *(
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\r",
        "\n",
        "\t",
        "\x9b",
        "\u202e",
        "\u2028",
        "\0",
        "=",
        "+",
        "-",
        "@",
        "'",
        '"',
        ",",
        "|",
    ),
    *(
        "<script>",
        "</td>",
        "[a](b)",
        "![x](y)",
        "`",
        "*",
        "_",
        "~",
        "#",
        "\\input{x}",
        "\\",
        "$",
        "%",
        "&",
        "{",
        "}",
        "^",
    ),
    *("é", "x", " ", "--", "1", "[red]", "]", ";", "(", "%n", "$\\q{$"),
]
WORST = [
    "=\x1b]0;x\x07\r\n\x9b\u202e\u2028\0<script>[a](b)![x](y)`*_~#",
    "@\\input{x}$\\q{$%&{}^~_#--|\"',;</td>[red]é",
]
HOSTILE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
SOME = settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
REGISTRY = load_plugins()[0]


def made(folder: Path, text: str) -> Results:
    """Return a stored run in which every name, parameter, group and reason begins with a text."""
    methods = [Choice(f"{text}a", {f"{text}p": text}), Choice(f"{text}b"), Choice("mlp")]
    metrics, records = [REGISTRY.metric(name) for name in (*METRICS, "selection_rate")], []
    with Store(folder / FILE_NAME, create=True) as store:
        for repeat in range(3):
            draw = np.random.default_rng(repeat)
            group, y = draw.integers(0, 2, 120), draw.integers(0, 2, 120)
            schema = Schema((), (f"{text}f", f"{text}m"), 0)
            samples = Samples(np.zeros((120, 0)), group, schema, y)
            for place, method in enumerate(methods):
                cell = Cell(Choice(f"{text}data", {"q": text}), method, f"{text}sex", repeat)
                decided = noisy(samples, flips=0.2 + 0.1 * place, seed=repeat)
                values = tuple(measure(samples, decided, metrics))
                values = tuple(
                    value._replace(value=None, reason=f"{text} why")
                    if place == 1 and value.metric == METRICS[1]
                    else value
                    for value in values
                )
                record = Record(
                    cell,
                    DONE,
                    values=values,
                    parts=PARTS,
                    remarks=(f"{text} said",),
                    diagnostics={f"{text}loss": (1.0, 0.5)},
                    supports=supports(samples.group, samples.group_names),
                )
                store.add(Measured(record, {(0, ""): (Truth.of(samples), decided)}))
                records.append(record)
            for status in (FAILED, SKIPPED):
                cell = Cell(Choice(f"{text}data", {"q": text}), Choice(f"{text}{status}"), f"{text}sex", repeat)
                record = Record(cell, status, f"Traceback (most recent call last):\n  File x\nValueError: {text}")
                store.add(Measured(record, {}))
                records.append(record)
    labels = {metric.name: (metric.label, metric.better) for metric in metrics}
    run = {"suite": {"baseline": "mlp"}, "reference_methods": [], "notes": {f"{text}data": [f"{text} note"]}}
    run["unavailable"] = {f"{text}other": f"{text} is not there"}
    return Results(records, run, len(records) + 1, labels, folder)


def is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", cell))


def check_csv(text: str) -> None:
    """Check that each line has as many fields, and that no text in it is a formula."""
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(line) for line in lines}) == 1
    assert not [cell for line in lines for cell in line if cell.startswith(FORMULA) and not is_number(cell)]


def check_latex(text: str) -> None:
    r"""Check that only known commands are left; an escaped backslash is the command ``\textbackslash``."""
    assert "\\input" not in text
    assert text.count(r"\begin{") == text.count(r"\end{")
    body = text.split("\n", 1)[1]  # below the comment on packages
    assert not re.search(r"(?<!\\)[%#_$^~]", re.sub(r"\$\\[a-z]+\$", "", body))


def check_markdown(text: str) -> None:
    """Check that nothing but tables, lists and emphasis of our own is left, as an independent parser sees it."""
    seen = Cells()
    seen.feed(MarkdownIt("commonmark").enable("table").render(text))
    assert not seen.tags & {"script", "a", "img", "code", "td>"}


@SOME
@given(text=HOSTILE)
@example(text=WORST[0])
@example(text=WORST[1])
def test_no_report_lets_a_name_do_anything(text):
    rendered = 0
    with TemporaryDirectory() as folder:
        results = made(Path(folder), text)
        for name in REGISTRY.names("reports"):
            try:
                shown = REGISTRY.report(name).render(results)
            except FairbenchError:  # this run has nothing for it; the command line spells out what it says
                continue
            if isinstance(shown, bytes):
                continue  # a picture
            rendered += bool(shown)
            steers = {letter for letter in shown if letter != "\n" and not letter.isprintable()}
            assert not steers, f"{name}: {steers}"
            {"csv": check_csv, "latex": check_latex, "latex-column": check_latex, "markdown": check_markdown}.get(
                name, len
            )(shown)
    assert rendered >= 6


@SOME
@given(text=HOSTILE)
@example(text=WORST[0])
@example(text=WORST[1])
def test_exports_for_spreadsheets_run_nothing_and_json_keeps_every_name(text):
    with TemporaryDirectory() as folder:
        results = made(Path(folder), text)
        for kind in (rows, export.diagnostic_rows):
            sheet, lines = io.StringIO(newline=""), io.StringIO(newline="")
            export.write(kind(results), sheet, "csv", spreadsheet=True)
            check_csv(sheet.getvalue())
            export.write(kind(results), lines, "jsonl")
            told = [json.loads(line) for line in lines.getvalue().split("\n") if line]
            assert {f"{text}a", f"{text}b"} <= {row["method"] for row in told}
            assert {row["sensitive"] for row in told} == {f"{text}sex"}


def test_the_sheets_of_an_audit_run_nothing_and_its_json_keeps_every_name(tmp_path):
    draw = np.random.default_rng(0)
    table = pd.DataFrame(
        {"@sex": draw.choice(["=1+1", "-m", "+x"], 90), "y": draw.integers(0, 2, 90), "p": draw.integers(0, 2, 90)}
    )
    table.to_csv(tmp_path / "p.csv", index=False)
    found = audit_predictions(read_audited(Question(tmp_path / "p.csv", ("@sex",), "y", "p")), REGISTRY)
    write_bundle(tmp_path / "bundle", found, REGISTRY, ())
    for path in (tmp_path / "bundle").glob("*.csv"):
        check_csv(path.read_text(encoding="utf-8"))
    kept = json.loads((tmp_path / "bundle" / "audit.json").read_text(encoding="utf-8"))
    assert {row["category"] for row in kept["categories"]} == {"=1+1", "-m", "+x"}
    assert {row["by"] for row in tables(found)["categories"]} == {"@sex"}


def test_a_negative_number_is_no_formula_and_stays_one():
    assert [without_formula(cell) for cell in (-1.5, "-1.5", "=1", "a=1", None, "", True)] == [
        *(-1.5, "'-1.5", "'=1", "a=1", None, "", True)
    ]
