"""Where the spread of each metric comes from: test rows, training data, tuning rows and the model's seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, counted, hookimpl
from fairbench.api.analysis import GAPS, SOURCES, Shares, StoredRows, runs_within, stored_rows, variance_shares
from fairbench_reports._entries import clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_head, print_lines, print_table, printed
from fairbench_reports._table import Section, number, sections

METRICS = ("accuracy", *GAPS)
Line = tuple[str, str, Shares]
READING = (
    "sd: standard deviation of one run's value; a source's is what it alone would give, with its share of the variance",
    "test rows: from the counts of the test parts, at most all that differs between splits; training data: the rest of "
    "what differs between splits",
    "tuning rows: between divisions of one split into training and validation part (--tunings); model's seed: between "
    "fits of one division (--fits)",
)


def render(results: Results) -> str:
    """Return for each method, and for accuracy and gaps, the standard deviation and which sources it comes from.

    Sources that the suite does not vary by themselves (``tunings``, ``fits``) are not told apart, and said to be so.
    """
    console = new_console()
    shown = sections(results)
    with stored_rows(results) as stored:
        for section in shown:
            found = _found(section, stored)
            print_head(console, section)
            if found:
                print_table(console, _shares(found))
                console.print()
            print_lines(console, _notes(found) if found else ["neither accuracy nor a gap between groups was measured"])
            console.print()
    print_lines(console, [*(READING if shown else ["there are no results yet"]), *_design(results), *missing(results)])
    return printed(console)


def _found(section: Section, stored: StoredRows) -> list[Line]:
    columns = [column for metric in METRICS for column in section.columns if column.metric == metric]
    return [
        (row.label, column.heading, variance_shares(stored, row.records, column.metric))
        for row in section.rows
        for column in columns
    ]


def _shares(found: Sequence[Line]) -> Table:
    table = new_table(2, ["method", "metric"], ["mean", "sd", *(name.replace(" ", "\n") for name in SOURCES)])
    last = None
    for label, heading, one in found:
        sources = [_source(one, name) for name in SOURCES]
        numbers = [number(one.mean), number(_root(one.total)), *sources]
        table.add_row(Text("" if label == last else label), Text(heading), *map(Text, numbers))
        last = label
    return table


def _source(one: Shares, name: str) -> str:
    share = one.share(name)
    sd = number(_root(one.sources[name].variance))
    return sd if share is None else f"{sd} {share:4.0%}"


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)


def _notes(found: Sequence[Line]) -> list[str]:
    """Return a sentence for each note, with the methods and metrics that share it, or none if all do."""
    told: dict[str, list[str]] = {}
    for label, heading, one in found:
        who = f"{label}, {heading}"
        for name, source in one.sources.items():
            if source.note:
                told.setdefault(f"{name}: {source.note}", []).append(who)
        for note in one.notes:
            told.setdefault(note, []).append(who)
    return [
        clean(note if len(here) == len(found) else f"{note} ({'; '.join(dict.fromkeys(here))})")
        for note, here in told.items()
    ]


def _design(results: Results) -> list[str]:
    tunings, fits = runs_within(results)
    each = " each" if tunings > 1 else ""
    return [f"every split has {counted(tunings, 'tuning')} with {counted(fits, 'fit')}{each}"]


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("variance", "", render)]
