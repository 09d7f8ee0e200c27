"""The reference lines of a run: what accuracy costs nothing, and what can be attained, at given gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from fairbench.api import Record, Report, Results, counted, hookimpl
from fairbench.api.analysis import (
    JUDGED,
    RATIOS,
    RatioLines,
    SectionLines,
    claimed_points,
    finished,
    series,
    stored_rows,
)
from fairbench.api.analysis import sections as comparable
from fairbench_reports._entries import clean
from fairbench_reports._foot import missing
from fairbench_reports._plain import new_console, new_table, print_lines, print_table, printed
from fairbench_reports._table import number

ATTAINABLE, SKIPPED = "attainable", "skipped"
GAPS = (0.0, 0.02, 0.05, 0.1, 0.2)
AT_RATIOS = (0.8, 0.9, 0.95, 1.0)
READING = (
    "accuracy of each line at a gap: coin = the baseline mixed with the better constant prediction; common threshold = "
    "one threshold for everybody on the baseline's scores; attainable = the better of two models, optimally "
    "post-processed with the group known (for methods that do not use the group a bound, not a promise)",
    "room = attainable minus coin; in brackets below the smallest gap that was measured, where the attainable line "
    "is a mixture with the constant",
    "claimed = on the rows that thresholds were fitted on; optimism = claimed minus measured accuracy, and measured "
    "minus claimed gap",
    "at a ratio between groups the coin is the best mixture of the baseline with the constant 1, or a constant where "
    "that is more accurate; there is no other line for ratios",
)


def render(results: Results) -> str:
    """Return for each section the lines at a few gaps, and the attainable line's claims beside what was measured."""
    console = new_console()
    told = False
    with stored_rows(results) as rows:
        for records in comparable(results.records):
            if not finished(records):
                continue
            lines = SectionLines.of(records, results, rows)
            cell = records[0].cell
            console.print(Text(clean(cell.place)))
            print_lines(console, [*_about(lines, records), ""])
            here = False
            for metric, name in JUDGED.items():
                repeats = lines.shared(metric) if lines.baseline.records else []
                if not repeats:
                    continue
                told = here = True
                print_table(console, _heights(lines, metric, name, repeats))
                console.print()
                print_lines(console, _greatest_room(lines, metric, repeats))
                claims = _claims(lines, metric, name)
                if claims is not None:
                    print_table(console, claims)
                    console.print()
            ratios = _at_ratios(lines)
            if ratios is not None:
                print_table(console, ratios)
                console.print()
            if lines.baseline.records and not here:
                print_lines(console, [_why_none(lines), ""])
    print_lines(console, [*(READING if told else ["there are no lines to show"]), *missing(results)])
    return printed(console)


def _about(lines: SectionLines, records: Sequence[Record]) -> Iterator[str]:
    """Yield what the lines of a section with these records are drawn through."""
    baseline = lines.baseline
    if not baseline.records:
        yield clean(f"no lines: {baseline.why}")
        return
    cost = sum(record.cpu_seconds for record in lines.attainable)
    yield clean(f"baseline {baseline.label} ({baseline.why}), {_splits(baseline.records)}")
    if lines.attainable:
        yield f"attainable: {_splits(lines.attainable)}, {cost:.1f} s of CPU time; {_left_out(lines)}".rstrip("; ")
        return
    reasons = (each.reason for each in records if each.cell.method.name == ATTAINABLE and each.status == SKIPPED)
    why = next(reasons, "the method 'attainable' has no finished repeat; 'fairbench lines RUN' runs it")
    yield clean(f"no attainable line: {why}")


def _splits(records: Sequence[Record]) -> str:
    """Return how many repeats these are; several tunings or fits of one split are one."""
    return counted(len({record.cell.repeat for record in records}), "repeat")


def _why_none(lines: SectionLines) -> str:
    """Return why no line can be drawn, although there is a baseline."""
    if not lines.ones:
        return "no lines: the run has no stored predictions, which tell how accurate a constant is"
    known = {metric for metric in ("accuracy", *JUDGED) if series(lines.baseline.records, metric)}
    lacking = [] if "accuracy" in known else ["accuracy"]
    lacking += [] if known & {*JUDGED} else [f"one of {', '.join(JUDGED)}"]
    what = " and ".join(lacking) or "a repeat with both an accuracy and a gap"
    return clean(f"no lines: {lines.baseline.label} lacks {what}, and a line needs both an accuracy and a gap")


def _left_out(lines: SectionLines) -> str:
    """Return which groups the attainable line does not constrain."""
    prefix = "left_out_of_"
    found = dict.fromkeys(
        name[len(prefix) :] for record in lines.attainable for name in record.diagnostics if name.startswith(prefix)
    )
    return clean(f"groups too small for a constraint: {', '.join(found)}") if found else ""


def _heights(lines: SectionLines, metric: str, name: str, repeats: Sequence[int]) -> Table:
    coin, common, reached = lines.coin(metric, repeats), lines.common(metric, repeats), lines.reached(metric, repeats)
    measured = [claim.gap for claim in claimed_points(lines, metric)]
    table = new_table(2, [name], ["coin", "common threshold", "attainable", "room"])
    for gap in GAPS:
        high = None if reached is None else reached.at(gap)
        below = bool(measured) and gap < min(measured)
        attained = f"({number(high)})" if below else number(high)
        room = number(None if high is None else high - coin.at(gap))
        shown = (number(coin.at(gap)), number(None if common is None else common.at(gap)), attained)
        table.add_row(Text(f"{gap:g}"), *map(Text, shown), Text(f"({room})" if below else room))
    return table


def _greatest_room(lines: SectionLines, metric: str, repeats: Sequence[int]) -> list[str]:
    """Return where the attainable line is highest above the coin: at a vertex of one of them, as both are straight."""
    coin, reached = lines.coin(metric, repeats), lines.reached(metric, repeats)
    if reached is None:
        return []
    gaps = sorted({vertex.mean[0] for line in (coin, reached) for vertex in line.vertices})
    room, gap = max((reached.at(gap) - coin.at(gap), -gap) for gap in gaps)
    return [f"the greatest room is {number(room)}, at a gap of {number(-gap)}", ""] if room > 0 else ["no room", ""]


def _at_ratios(lines: SectionLines) -> Table | None:
    """Return the coin's accuracy at a few ratios; None if there is no baseline with stored predictions."""
    of_ratios = RatioLines(lines)
    found = [metric for metric in RATIOS if of_ratios.shared(metric)]
    if not found:
        return None
    table = new_table(2, ["coin at a ratio"], [metric.replace("_", " ") for metric in found])
    for ratio in AT_RATIOS:
        table.add_row(Text(f"{ratio:g}"), *(Text(number(of_ratios.at(metric, ratio))) for metric in found))
    return table


def _claims(lines: SectionLines, metric: str, name: str) -> Table | None:
    claims = claimed_points(lines, metric)
    if not claims:
        return None
    headings = ["claimed accuracy", "measured", "optimism", "claimed gap", "measured", "optimism"]
    table = new_table(2, [f"attainable, tolerance for the {name}"], headings, 24)
    for claim in claims:
        lost, wider = claim.optimism
        numbers = (claim.claimed_accuracy, claim.accuracy, lost, claim.claimed_gap, claim.gap, wider)
        table.add_row(Text(f"{claim.tolerance:g}"), *(Text(number(value)) for value in numbers))
    return table


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("lines", "", render)]
