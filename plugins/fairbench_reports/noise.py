"""What the gaps of a run are worth: how much rows and repeats leave open, and what chance alone would show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.text import Text

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import (
    GAPS,
    NOT_FAIR,
    Correction,
    Counts,
    StoredRows,
    corrected_t,
    detectable_gap,
    floor_over_repeats,
    gap,
    gap_interval,
    gap_of_mean,
    overlap_correction,
    row_spread,
    signed_gap,
    stored_rows,
    too_small,
)
from fairbench_reports._entries import PARTIAL, clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_head, print_lines, print_table, printed, shown_label
from fairbench_reports._table import ALIKE, MethodRow, Section, number, sections
from fairbench_reports._verdicts import FAINT

READING = (
    "± rows is what the rows of one test part leave open, ± repeats what the splits do (95%; corrected for their "
    "overlap)",
    "of mean is the gap between the groups' mean rates, without the part that is noise in each repeat; floor is the "
    "mean gap of a method that has none, and a gap below its 95% quantile is not told apart from fair",
    f"shown from is the smallest gap that this many repeats show with a chance of 80%; none: there is "
    f"no such gap, as rates would have to leave [0, 1]; {FAINT} is a smaller gap whose interval, "
    "that of the signed difference, holds 0",
)


@dataclass(frozen=True)
class Line:
    """What is shown of one gap of one method, as texts; ``reason`` is why there is no interval of rows."""

    heading: str
    value: str
    rows: str
    repeats: str
    of_mean: str
    floor: str
    smallest: str
    apart: str
    missing: tuple[str, ...]
    reason: str = ""


def render(results: Results) -> str:
    """Return a table for each section, with a line for each method and gap, or why there is none."""
    console = new_console()
    with stored_rows(results) as stored:
        shown = [(section, _section_lines(section, stored)) for section in sections(results)]
    told = False
    for section, lines in shown:
        if not lines:
            continue
        told = True
        print_head(console, section)
        texts, numbers = ["method", "gap"], ["mean", "± rows", "± repeats", "of mean", "floor", "shown\nfrom"]
        table = new_table(2, texts, numbers)
        table.add_column("apart\nfrom fair")
        for row, line in lines:
            cells = (line.value, line.rows, line.repeats, line.of_mean, line.floor, line.smallest)
            table.add_row(
                Text(shown_label(row)),
                Text(line.heading),
                *map(Text, cells),
                Text(ALIKE if row.constant else line.apart),
            )
        print_table(console, table)
        console.print()
        print_lines(console, [*_notes(lines), *section.notes_on_groups()])
        console.print()
    print_lines(console, READING if told else [_nothing([section for section, _ in shown])])
    print_lines(console, missing(results))
    return printed(console)


def _nothing(shown: Sequence[Section]) -> str:
    """Return why there is no table."""
    if shown and not any(column.metric in GAPS for section in shown for column in section.columns):
        return f"the run has none of the gaps that could be shown: {', '.join(GAPS)}"
    return "no predictions are stored from which gaps could be counted"


def _section_lines(section: Section, stored: StoredRows) -> list[tuple[MethodRow, Line]]:
    lines = []
    for row in section.rows:
        found = [(record.cell.repeat, stored.counts(record)) for record in row.records]
        runs = [(repeat, counts) for repeat, counts in found if counts is not None]
        if runs:
            correction = overlap_correction(row.records)
            lines += [
                (row, _line(runs, column.metric, column.heading, correction))
                for column in section.columns
                if column.metric in GAPS
            ]
    return lines


def _line(runs: Sequence[tuple[int, Counts]], metric: str, heading: str, correction: Correction) -> Line:
    repeats = [counts for _, counts in runs]
    floor, mean = floor_over_repeats(repeats, metric), gap_of_mean(repeats, metric)
    values = _by_split((repeat, gap(counts, metric).value) for repeat, counts in runs)
    spread = row_spread(repeats, metric)
    if floor is None or spread is None:
        return Line(heading, "-", "-", "-", "-", "-", "-", "undefined", mean.missing)
    over = corrected_t(values, correction.ratio)
    single = gap_interval(repeats[0], metric) if len(repeats) == 1 else None
    smallest = detectable_gap([*dict(runs).values()], metric, correction.ratio)
    if single is not None:
        low, rows = single.low, "-" if single.low is None else f"{number(single.low)} to {number(single.high)}"
    else:
        signed = signed_gap(repeats, metric, correction.ratio, [repeat for repeat, _ in runs])
        low, rows = None if signed is None else signed.low, f"±{number(spread.half_width)}"
    small = smallest is not None and low is not None and too_small(floor.value, low, smallest)
    return Line(
        heading,
        f"{number(floor.value)}{FAINT if small else ' '}{PARTIAL if mean.missing else ' '}",
        rows,
        "-" if over.low is None else f"±{number(over.mean - over.low)}",
        number(mean.value),
        number(floor.mean),
        "-" if smallest is None else "none" if smallest.value is None else number(smallest.value),
        "yes" if floor.reading == NOT_FAIR else "no",
        mean.missing,
        "" if single is None else single.reason,
    )


def _by_split(values: Iterable[tuple[int, float | None]]) -> list[float]:
    """Return the mean for each split, as several tunings or fits of one are no independent repeats."""
    found: dict[int, list[float]] = {}
    for repeat, value in values:
        if value is not None:
            found.setdefault(repeat, []).append(value)
    return [fmean(here) for here in found.values()]


def _notes(lines: Sequence[tuple[MethodRow, Line]]) -> Iterator[str]:
    """Yield the sentences under a table."""
    for words in dict.fromkeys(words for _, line in lines for words in line.missing):
        yield f"{PARTIAL} over the other groups in some repeats: {clean(words)}"
    for reason in dict.fromkeys(line.reason for _, line in lines if line.reason):
        yield f"- no interval: {reason}"
    if any(len(row.records) == 1 for row, _ in lines):
        yield "one repeat: the interval is that of the test part's rows, and nothing is known about other splits"
    if any(row.constant for row, _ in lines):
        yield f"{ALIKE} decides alike for everybody in more than half of its repeats, so its gaps mean nothing"


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the table of gaps and their noise."""
    return [Report("noise", "", render)]
