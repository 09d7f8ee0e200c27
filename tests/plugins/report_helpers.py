"""Results built by hand, and what independent readers make of the reports on them."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

from fairbench_reports import comma_separated, latex, markdown, terminal
from markdown_it import MarkdownIt  # rich depends on it

from fairbench.api import Results
from fairbench.cells import Cell, Choice
from fairbench.records import Record, Value, compares_groups

ACCURACY, DP, RATIO = "accuracy", "demographic_parity_difference", "demographic_parity_ratio"
LABELS = {
    ACCURACY: ("accuracy", "higher"),
    DP: ("DP diff.", "lower"),
    RATIO: ("DP ratio", "higher"),
    "n": ("n", "neither"),
    "selection_rate": ("sel. rate", "neither"),
    "true_positive_rate": ("TPR", "neither"),
}
NOBODY = "nobody is selected in 2 groups (0 of 40), so the ratio is 0/0"
TRACEBACK = 'Traceback (most recent call last):\n  File "fit.py", line 3, in fit\nRuntimeError: the loss is NaN\n'
EVIL = "a_b|c&d%e<script>alert(1)</script>[f](g)*h*`i`\\"
REPORTS = {
    report.name: report
    for module in (terminal, markdown, comma_separated, latex)
    for report in module.fairbench_reports()
}


def cell(method: Choice, repeat: int = 0, dataset: str = "adult", **fields: object) -> Cell:
    """Return a cell by sex."""
    return Cell(Choice(dataset), method, "sex", repeat, **fields)  # type: ignore[arg-type]


def done(
    method: object,
    repeat: int = 0,
    groups: object = (),
    alike: bool = False,
    supports: tuple[tuple[str, int], ...] = (),
    lacking: str = "",
    **overall: float | str | None,
) -> Record:
    """Return a finished cell; a metric's value that is a string is the reason why there is none.

    If a group is ``lacking``, differences and ratios say so.
    """
    choice = method if isinstance(method, Choice) else Choice(str(method))
    values = [
        Value(0, "", group, metric, None if isinstance(value, str) else value, value if isinstance(value, str) else "")
        for group, here in {"": overall, **dict(groups)}.items()
        for metric, value in here.items()
    ]
    if lacking:
        values = [value._replace(reason=lacking) if compares_groups(value.metric) else value for value in values]
    places = ((0, ""),) if alike else ()
    return Record(cell(choice, repeat), "done", values=tuple(values), alike=places, supports=supports)


def results(*records: Record, planned: int | None = None, **run: object) -> Results:
    """Return the results of a run."""
    return Results(records, run, len(records) if planned is None else planned, LABELS)


def summary(found: Results) -> dict[tuple[str, str], dict[str, str]]:
    """Return the lines of the CSV report by (method, metric)."""
    lines = csv.DictReader(io.StringIO(REPORTS["csv"].render(found)))
    return {(line["method"] + line["parameters"], line["metric"]): line for line in lines}


class Cells(HTMLParser):
    """Collect the text of table cells, and the names of all tags."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "strong":
            self.rows[-1][-1] += "!"

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


def markdown_cells(text: str) -> tuple[list[list[str]], set[str]]:
    """Return the rows of all tables as an independent Markdown parser sees them, bold with a "!", and the HTML tags."""
    parser = Cells()
    tables = "\n".join(line if line.startswith("|") else "" for line in text.split("\n"))
    parser.feed(MarkdownIt("commonmark").enable("table").render(tables))
    return parser.rows, parser.tags


def latex_cells(text: str) -> list[list[str]]:
    """Return the cells of all LaTeX rows."""
    rows = [line.strip()[:-2] for line in text.splitlines() if line.endswith(r"\\")]
    return [[piece.strip() for piece in re.split(r"(?<!\\)&", row)] for row in rows]
