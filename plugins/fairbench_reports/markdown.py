"""Results as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from fairbench.api import Report, Results, escape_markdown, hookimpl
from fairbench_reports._entries import Entry
from fairbench_reports._foot import foot
from fairbench_reports._table import ALIKE, MethodRow, MetricColumn, Section, number, sections
from fairbench_reports._verdicts import HEADINGS, VerdictTable, reading, verdict_tables


def render(results: Results) -> str:
    """Return a heading and a table for each section, the best of each column in bold, and the notes as a list."""
    shown = sections(results)
    lines = ["# Results", ""]
    verdicts = verdict_tables(results, shown)
    for section, judged in zip(shown, verdicts):
        lines += [f"## {escape_markdown(section.title)}", "", escape_markdown(section.setting), ""]
        lines += [*_table(section), ""]
        lines += bullets(section.notes())
        for verdict in judged:
            lines += [f"### {escape_markdown(verdict.title)}", "", *_verdict(verdict), "", *bullets(verdict.notes)]
    every = [verdict for judged in verdicts for verdict in judged]
    lines += ["## Notes", "", *bullets([*reading(results, every), *foot(results, shown, best="bold")])]
    return "\n".join(lines)


def _table(section: Section) -> list[str]:
    headings = ["method", "repeats", *map(_heading, section.columns)]
    rule = ["---", *("---:" for _ in headings[1:])]
    return [table_row(headings), table_row(rule), *(table_row(_cells(row)) for row in section.rows)]


def _verdict(verdict: VerdictTable) -> list[str]:
    rule = ["---", *("---:" for _ in HEADINGS[1:-1]), "---"]
    return [table_row(HEADINGS), table_row(rule), *(table_row(map(escape_markdown, row)) for row in verdict.rows)]


def table_row(cells: Iterable[str]) -> str:
    """Return a row of a table; the cells are escaped already."""
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


def bullets(sentences: Iterable[str]) -> list[str]:
    """Return the lines of a list of sentences, with an empty one at the end; none without sentences."""
    items = [f"- {escape_markdown(sentence)}" for sentence in sentences]
    return [*items, ""] if items else []


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("markdown", ".md", render)]
