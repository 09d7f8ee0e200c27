"""Whether people are decided about alike by fits on other rows, by method and group."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import FEW_PEOPLE, Arbitrariness, arbitrariness, stored_rows
from fairbench_reports._entries import clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_head, print_lines, print_table, printed
from fairbench_reports._table import MethodRow, Section, number, sections

READING = (
    "self-consistency: the chance that two fits decide alike about a person who is in the test parts of both; 1 if all "
    "agree, 0.5 for a coin (Cooper et al.)",
    "by chance: what a predictor would have that selects as many of these people, but regardless of who they are",
    "rows of the dataset count as people; the fits differ in their training rows and their seeds",
)


def render(results: Results) -> str:
    """Return the self-consistency of decisions by method and group, next to what chance would give.

    It comes from the stored predictions of repeats whose test parts share rows.
    """
    console = new_console()
    shown = sections(results)
    with stored_rows(results) as stored:
        for section in shown:
            found = [(row, arbitrariness(stored, row.records)) for row in section.rows if row.records]
            print_head(console, section)
            if any(one.overall for _, one in found):
                print_table(console, _rows(found))
                console.print()
            print_lines(console, [*_without(found), *_few(section, found)])
            console.print()
    print_lines(console, [*(READING if shown else ["there are no results yet"]), *missing(results)])
    return printed(console)


def _rows(found: Sequence[tuple[MethodRow, Arbitrariness]]) -> Table:
    table = new_table(2, ["method", "group"], ["people", "decisions\neach", "self-\nconsistency", "by\nchance"])
    for row, one in found:
        for place, part in enumerate([one.overall, *one.groups] if one.overall else []):
            numbers = [str(part.people), number(part.predictions, 1), number(part.value), number(part.chance)]
            group = clean(part.group) if place else "all"
            table.add_row(Text("" if place else row.label), Text(group), *map(Text, numbers))
    return table


def _without(found: Sequence[tuple[MethodRow, Arbitrariness]]) -> list[str]:
    """Return a sentence for each reason why methods have no self-consistency."""
    labels: dict[str, list[str]] = {}
    for row, one in found:
        if one.reason:
            labels.setdefault(one.reason, []).append(row.label)
    return [f"no self-consistency ({', '.join(here)}): {reason}" for reason, here in labels.items()]


def _few(section: Section, found: Sequence[tuple[MethodRow, Arbitrariness]]) -> list[str]:
    """Return a warning for each group of which few people are in two test parts."""
    fewest: dict[str, int] = {}
    for _, one in found:
        for part in one.groups:
            fewest[part.group] = min(part.people, fewest.get(part.group, part.people))
    return [
        f"only {count} {'person' if count == 1 else 'people'} of group {clean(group)!r} "
        f"{'is' if count == 1 else 'are'} decided about twice: the mean hangs on each of them; run more repeats"
        for group, count in fewest.items()
        if count < FEW_PEOPLE
    ]


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("arbitrariness", "", render)]
