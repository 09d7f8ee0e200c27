"""Results as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbench.api import Record, Report, Results, hookimpl
from fairbench.api.analysis import FEW_ROWS, planned_repeats, positives, stored_rows
from fairbench_reports._entries import SMALL, Entry, clean
from fairbench_reports._foot import foot, missing, spread
from fairbench_reports._plain import (
    fold,
    new_console,
    new_table,
    print_head,
    print_lines,
    printed,
    shown_label,
    width_of,
)
from fairbench_reports._table import MetricColumn, Section, number, sections
from fairbench_reports._verdicts import HEADINGS, VerdictTable, reading, verdict_tables

LABEL_WIDTH = 24  # a method's label may be folded to this before the columns are spread over several tables
BEST = "*"
LEAST_LABEL, LEAST_WORDS = 14, 24  # of a table of verdicts: narrower columns would fold at every word
LEAST_VERDICT = 28  # "not told apart from the coin", on one line
LAST = HEADINGS.index("verdict")
IMPORTANCE = tuple(map(HEADINGS.index, ("points above the coin", "gap", "of the room", "± repeats", "± rows", "floor")))
"""The numbers of a table of verdicts; the last are the first to move to a table below where the terminal is narrow."""


def render(results: Results) -> str:
    """Return the tables as text without colour, as wide as the terminal (100 columns where there is none).

    Standard deviations are shown beside the means where the table then fits, otherwise below them; a table that is
    still too wide is split into several.
    """
    console = new_console()
    shown = sections(results)
    verdicts = verdict_tables(results, shown)
    for section, judged in zip(shown, verdicts):
        print_head(console, section)
        for table in _main_tables(section, console.width):
            console.print(table)
            console.print()
        print_lines(console, section.notes())
        console.print()
        for verdict in judged:
            _verdict(console, verdict)
    every = [verdict for judged in verdicts for verdict in judged]
    print_lines(console, [*reading(results, every), *foot(results, shown, best=BEST)])
    return printed(console)


def render_groups(results: Results) -> str:
    """Return rows and means over repeats within each group: what an auditor looks for behind the differences."""
    console = new_console()
    shown = [section for section in sections(results) if section.group_columns or section.supports]
    with stored_rows(results) as stored:
        for section in shown:
            print_head(console, section)
            console.print(_group_table(section, positives(stored, _records(section))))
            console.print()
            print_lines(console, [*section.notes_on_groups(), *_signs(section)])
            console.print()
    what = spread(planned_repeats(results), "mean") if shown else "there are no results by group yet"
    print_lines(console, [what, *missing(results)])
    return printed(console)


def _main_tables(section: Section, width: int) -> Iterator[Table]:
    """Yield the section's table, or as few tables, each with some of its columns, as it takes to fit the width."""
    count = len(section.columns)
    beside = _main_table(section, range(count), beside=True)
    if width_of(beside) <= width:
        yield beside
        return
    for parts in range(1, max(count, 1) + 1):
        bounds = [count * part // parts for part in range(parts + 1)]
        blocks = [range(*pair) for pair in zip(bounds, bounds[1:])]
        folded = [_main_table(section, block, beside=False, label_width=LABEL_WIDTH) for block in blocks]
        if parts >= count or all(width_of(table) <= width for table in folded):
            yield from (_main_table(section, block, beside=False) for block in blocks)
            return


def _main_table(section: Section, block: range, *, beside: bool, label_width: int | None = None) -> Table:
    headings = (_heading(section.columns[index], beside) for index in block)
    table = new_table(2 if beside else 1, ["method"], ["done", *headings], label_width)
    texts = {index: _texts([row.entries[index] for row in section.rows], beside) for index in block}
    for position, row in enumerate(section.rows):
        numbers = (Text(texts[index][position]) for index in block)
        table.add_row(Text(shown_label(row)), Text(row.repeats), *numbers)
    return table


def _verdict(console: Console, verdict: VerdictTable) -> None:
    """Print the verdicts at one kind of gap: one table, or several where one is too wide, the verdicts in the first."""
    console.print(Text(verdict.title))
    console.print()
    for block in _blocks(verdict, console.width):
        numbers = [place for place in block if place != LAST]
        labels = [row[0].replace(",", ", ") for row in verdict.rows]
        table = new_table(2, ["method"], [_folded(HEADINGS[place]) for place in numbers])
        if LAST in block:
            height = max((_folded(HEADINGS[place]).count("\n") for place in numbers), default=0)
            table.add_column("\n" * height + HEADINGS[LAST], overflow="fold")
        left = console.width - sum(_width(verdict, place) + 2 for place in numbers)
        words = max(len(row[LAST]) for row in verdict.rows) + 2 if LAST in block else 0
        room = max(left - words, min(LABEL_WIDTH, max(left - min(words, LEAST_VERDICT + 2), LEAST_LABEL)))
        for label, row in zip(labels, verdict.rows):
            table.add_row(Text(fold(label, room)), *(Text(row[place]) for place in block))
        console.print(table)
        console.print()
    print_lines(console, verdict.notes)
    console.print()


def _blocks(verdict: VerdictTable, width: int) -> list[list[int]]:
    """Return the columns of each table: first the verdict with the most important numbers, then what it lacks."""
    numbers = list(range(1, LAST))
    label = min(max((len(row[0]) for row in verdict.rows), default=0), LEAST_LABEL)
    if sum(_width(verdict, place) + 2 for place in numbers) + label + LEAST_WORDS <= width:
        return [[*numbers, LAST]]
    blocks: list[list[int]] = []
    free = 0
    for place in (LAST, *IMPORTANCE):
        needs = 2 + (LEAST_VERDICT if place == LAST else _width(verdict, place))
        if not blocks or needs > free:
            blocks.append([])
            free = width - label
        blocks[-1].append(place)
        free -= needs
    return [sorted(block) for block in blocks]


def _width(verdict: VerdictTable, place: int) -> int:
    """Return how many letters a column of numbers takes."""
    texts = [*_folded(HEADINGS[place]).split("\n"), *(row[place] for row in verdict.rows)]
    return max(map(len, texts))


def _folded(heading: str) -> str:
    """Return a heading on two lines, broken where its halves are most alike."""
    words = heading.split()
    cuts = range(1, len(words))
    halves = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in cuts]
    return "\n".join(min(halves, key=lambda pair: max(map(len, pair)), default=("", heading)))


def _records(section: Section) -> list[Record]:
    return [record for row in section.rows for record in row.records]


def _group_table(section: Section, ones: Mapping[str, tuple[int, ...]]) -> Table:
    """Return the values of each group beside its number of rows and, where they are stored, of positives."""
    counts = [by_group for by_group in (section.supports, ones) if by_group]
    headings = [name for name, by_group in (("rows", section.supports), ("y = 1", ones)) if by_group]
    table = new_table(2, ["method", "group"], [*headings, *(column.heading for column in section.group_columns)])
    for row in section.rows:
        for index, (group, entries) in enumerate(row.groups.items()):
            numbers = (
                Text(number(entry.estimate.mean, 0 if column.metric == "n" else 3) + f"{entry.mark:<1}")
                for column, entry in zip(section.group_columns, entries)
            )
            support = (Text(_support(by_group, group)) for by_group in counts)
            name = f"{clean(group)} {SMALL}" if _is_small(section, group) else clean(group)
            table.add_row(Text("" if index else shown_label(row)), Text(name), *support, *numbers)
    return table


def _is_small(section: Section, group: str) -> bool:
    return min(section.supports.get(group, (FEW_ROWS,))) < FEW_ROWS


def _signs(section: Section) -> list[str]:
    small = any(_is_small(section, group) for group in section.supports)
    return [f"{SMALL} fewer than {FEW_ROWS} rows in a test part"] if small else []


def _support(by_group: Mapping[str, tuple[int, ...]], group: str) -> str:
    """Return how many rows a group has in the test parts, the fewest and the most."""
    counts = by_group.get(group, ())
    return "-".join(str(count) for count in sorted({min(counts), max(counts)})) if counts else "-"


def _heading(column: MetricColumn, beside: bool) -> str:
    if beside:
        return f"{column.heading} {column.arrow}".strip()
    words = column.heading.split()
    short = len(words[-1]) <= len("ratio")
    return "\n".join(words) + (" " if short else "\n") + column.arrow


def _texts(entries: Sequence[Entry], beside: bool) -> list[str]:
    """Return a column's cells; the marks have a place of their own, so that the decimal points stay aligned."""
    marks = [(BEST if entry.best else "") + entry.mark for entry in entries]
    place = max(map(len, marks))
    texts = []
    for entry, mark in zip(entries, marks):
        mean, sd = number(entry.estimate.mean), entry.estimate.sd
        if sd is None:
            texts.append(f"{mean}{mark:<{place}}")
        elif beside:
            texts.append(f"{mean} ± {number(sd)}{mark:<{place}}")
        else:
            texts.append(f"{mean}{mark:<{place}}\n±{number(sd)}{'':<{place}}")
    return texts


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the tables, and the table by group."""
    return [Report("terminal", "", render), Report("groups", "", render_groups)]
