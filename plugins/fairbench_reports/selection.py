"""How operating points were chosen: the choice beside the oracle's on the test part, and what each method was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import Estimate, Selection, Spent, StoredRows, ledger, rule_of, selection, stored_rows
from fairbench_reports._entries import clean
from fairbench_reports._plain import new_console, new_table, print_head, print_lines, print_table, printed
from fairbench_reports._table import MethodRow, Section, number, sections

GAPS = {"dp": "DP diff.", "eo": "EO diff."}
INFEASIBLE = "no point satisfies the rule on validation; the one that comes closest is shown"


def render(results: Results) -> str:
    """Return for each section the choice by its rule with the optimism gap, and the ledger of trials and time.

    The optimism gap is the test value of the point that the same rule would have chosen on the test part, minus that of
    the point that it chose on validation; K is the number of points.
    """
    console = new_console()
    shown = sections(results)
    reference = results.run.get("reference_methods", ())
    with stored_rows(results) as stored:
        for section in shown:
            print_head(console, section)
            notes = _choices(console, section, stored)
            print_table(console, _ledger(section, ledger([r for row in section.rows for r in row.records], reference)))
            console.print()
            print_lines(console, notes)
            console.print()
    print_lines(console, _foot() if shown else ["there are no results yet"])
    return printed(console)


def _choices(console: Console, section: Section, stored: StoredRows) -> list[str]:
    """Print the table of choices, if a rule made them, and return the sentences to go below."""
    first = next((record for row in section.rows for record in row.records), None)
    rule = None if first is None else rule_of(first)
    if rule is None:
        return ["no rule is named by this scenario: each method chose among its own points, if it has several"]
    gap = GAPS[rule.shown_gap]
    table = new_table(2, ["method"], ["K", "infeasible", "accuracy", "oracle +", gap, "oracle +"])
    missing, infeasible = [], []
    for row in section.rows:
        found = selection(stored, row.records)
        if found is None:
            missing.append(row.label)
            continue
        infeasible += [f"{row.label} in {found.infeasible} of {found.repeats} repeats"] if found.infeasible else []
        table.add_row(Text(row.label.replace(",", ", ")), *map(Text, _cells(found)))
    console.print(Text(f"chosen on validation by the rule: {rule}"))
    console.print()
    print_table(console, table)
    console.print()
    notes = [f"infeasible: {INFEASIBLE} ({', '.join(infeasible)})"] if infeasible else []
    if missing:
        notes.append(f"not compared, for lack of stored predictions or of groups: {', '.join(missing)}")
    return notes + _constants(section.rows, rule.goal)


def _constants(rows: Sequence[MethodRow], goal: str) -> list[str]:
    """Return a warning if a rule that asks for the smallest gap chose decisions that are alike for everybody."""
    alike = [f"{row.label} in {row.alike} of {len(row.records)} repeats" for row in rows if row.alike]
    if goal != "min" or not alike:
        return []
    return [
        "the smallest gap is that of a constant: the chosen point decides alike for everybody "
        f"({', '.join(alike)}); a rule with a limit, or knee, weighs accuracy as well"
    ]


def _cells(found: Selection) -> list[str]:
    low, high = found.points
    return [
        str(low) if low == high else f"{low}-{high}",
        str(found.infeasible),
        *map(_estimate, (found.accuracy, found.in_accuracy, found.gap, found.in_gap)),
    ]


def _estimate(found: Estimate) -> str:
    return number(found.mean) + ("" if found.sd is None else f" ± {number(found.sd)}")


def _ledger(section: Section, spent: Sequence[Spent]) -> Table:
    labels: Mapping[str, str] = {str(row.records[0].cell.method): row.label for row in section.rows if row.records}
    table = new_table(2, ["method", "budget"], ["trials", "fits", "CPU s", "wall s"])
    for each in spent:
        said = "reference" if each.reference else f"unequal: {'; '.join(each.unequal)}" if each.unequal else ""
        numbers = (number(each.trials, 1), number(each.fits, 1), number(each.cpu_seconds, 2), number(each.seconds, 2))
        label = labels.get(str(each.method), clean(str(each.method)))
        table.add_row(Text(label.replace(",", ", ")), Text(said), *map(Text, numbers))
    return table


def _foot() -> list[str]:
    return [
        "K: operating points in a repeat; oracle +: what the same rule would have gained on the test part, which it "
        "has not seen (mean ± standard deviation over repeats; for a gap, below 0 is a gain). An oracle's edge grows "
        "with K by noise alone",
        "trials, fits and seconds are means over repeats; CPU time includes processes that a method started. A budget "
        "is unequal if the trials differ from the scenario's, or if the CPU time is above 3 times the median of the "
        "tuned methods",
    ]


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("selection", "", render)]
