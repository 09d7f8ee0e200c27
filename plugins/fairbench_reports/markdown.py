"""Results as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from fairbench.api import Report, Results, escape_markdown, hookimpl
from fairbench_reports._entries import Entry
from fairbench_reports._foot import foot
from fairbench_reports._table import ALIKE, MethodRow, MetricColumn, Section, number, sections


def render(results: Results) -> str:
    """Return a heading and a table for each section, the best of each column in bold, and the notes as a list."""
    shown = sections(results)
    lines = ["# Results", ""]
    for section in shown:
        lines += [f"## {escape_markdown(section.title)}", "", escape_markdown(section.setting), ""]
        lines += [*_table(section), ""]
        lines += _list(section.notes())
    lines += ["## Notes", "", *_list(foot(results, shown, best="bold"))]
    return "\n".join(lines)


def _table(section: Section) -> list[str]:
    headings = ["method", "repeats", *map(_heading, section.columns)]
    rule = ["---", *("---:" for _ in headings[1:])]
    return [_row(headings), _row(rule), *(_row(_cells(row)) for row in section.rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(column: MetricColumn) -> str:
    return f"{escape_markdown(column.heading)} {column.arrow}".strip()


def _cells(row: MethodRow) -> list[str]:
    label = escape_markdown(row.label) + (f" {ALIKE}" if row.constant else "")
    return [label, row.repeats, *map(_entry, row.entries)]


def _entry(entry: Entry) -> str:
    text = number(entry.estimate.mean)
    if entry.estimate.sd is not None:
        text += f" ± {number(entry.estimate.sd)}"
    return (f"**{text}**" if entry.best else text) + entry.mark


def _list(sentences: Iterable[str]) -> list[str]:
    items = [f"- {escape_markdown(sentence)}" for sentence in sentences]
    return [*items, ""] if items else []


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("markdown", ".md", render)]
