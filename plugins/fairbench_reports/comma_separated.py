"""The tables' numbers as CSV, a line for each method and metric; an export of the run has every single value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fairbench.api import Record, Report, Results, hookimpl
from fairbench.api.analysis import RATIOS, Estimate, Standing, section_standings, series, without_formula
from fairbench_reports._entries import Entry, clean
from fairbench_reports._table import MethodRow, MetricColumn, Section, sections

Compared = Iterable[tuple[Sequence[Record], Mapping[str, Standing]]]
SELECTED = "selection_rate"

FIELDS = (
    "scenario",
    "dataset",
    "sensitive",
    "scale",
    "sensitive_as_feature",
    "stratify",
    "group_known",
    "group_at_prediction",
    "method",
    "parameters",
    "repeats",
    "alike",
    "constant",
    "metric",
    "mean",
    "std",
    "n",
    "undefined",
    "reason",
    "partial",
    "lacking",
    "best",
    "low",
    "high",
    "rows",
    "floor",
    "of_mean",
    "gap_debiased",
    "selected",
    "above_coin",
    "above_coin_low",
    "above_coin_high",
    "room",
    "room_low",
    "skill",
    "verdict",
)


def render(results: Results) -> str:
    """Return one line for each method and metric of each section, below a header line.

    ``mean`` and ``std`` are over ``n`` repeats and empty without them; ``undefined`` counts those without a value and
    ``reason`` says why. ``partial`` counts those whose value is over fewer groups than the dataset has, and ``lacking``
    says which they lack; the mean is over these only if there are no others. ``parameters`` are all of the method's, as
    the command line reads them; ``alike`` counts the repeats in which it makes the same decision for everybody, and
    ``constant`` is true if these are more than half. A method without a finished cell has one line for each metric too,
    with ``n`` = 0. Numbers are in full precision; ``best`` is decided on the three decimals of the other reports.

    The other columns belong to gaps and ratios of methods that are compared with a baseline. ``low`` and ``high`` are
    the ends of the 95% interval over repeats, ``rows`` is the half-width that the rows of one test part alone leave,
    and ``floor`` the mean gap of a fair method; ``of_mean`` is the gap, or the ratio, of the groups' mean rates, in
    which noise cancels, and ``gap_debiased`` the mean gap without much of its bias at 0, for comparison only.
    Beside a ratio, which says little of a method that selects hardly anybody, ``selected`` is the selection rate. Then
    come points above the coin (as a fraction) with their interval, the room with the lower end of its interval, the
    skill, and the verdict in words. Ratios have a coin and no other line, so neither a room nor a skill. An apostrophe
    stands before a text that a spreadsheet would run.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    shown = sections(results)
    compared = {here.section: here.methods for here in section_standings(results)} if shown else {}
    for section in shown:
        where = _texts(setting(section))
        for row, told in judged(section, compared.get(section.key, ())):
            method = {**where, **_texts(who(row))}
            for column, entry in zip(section.columns, row.entries):
                writer.writerow({**method, **_texts(what(column, entry, told.get(column.metric), row))})
    return text.getvalue()


def setting(section: Section) -> dict[str, object]:
    """Return which section a line belongs to."""
    cell, preparation = section.cell, section.cell.preparation
    return {
        "scenario": clean(str(cell.scenario)),
        "dataset": clean(str(cell.dataset)),
        "sensitive": clean(cell.group),
        "scale": preparation.scale,
        "sensitive_as_feature": preparation.sensitive_as_feature,
        "stratify": preparation.stratify,
        "group_known": preparation.group_known,
        "group_at_prediction": preparation.group_at_prediction,
    }


def who(row: MethodRow) -> dict[str, object]:
    """Return which method a line belongs to."""
    return {
        "method": clean(row.method),
        "parameters": row.parameters if row.parameters.isprintable() else clean(row.parameters),
        "repeats": row.repeats,
        "alike": row.alike,
        "constant": row.constant,
    }


def judged(section: Section, compared: Compared) -> Iterator[tuple[MethodRow, Mapping[str, Standing]]]:
    """Yield each method of a section with its standing by metric, if it is among those ``compared`` with others."""
    told = {done[0].cell.key: by_metric for done, by_metric in compared}
    for row in section.rows:
        yield row, told.get(row.records[0].cell.key, {}) if row.records else {}


def what(column: MetricColumn, entry: Entry, standing: Standing | None, row: MethodRow) -> dict[str, object]:
    """Return what is known of a method at a metric."""
    estimate = entry.estimate
    found: dict[str, object] = {
        "metric": column.metric,
        "mean": estimate.mean,
        "std": estimate.sd,
        "n": estimate.n,
        "undefined": estimate.undefined,
        "reason": clean(estimate.reason),
        "partial": estimate.partial,
        "lacking": clean(estimate.lacking),
        "best": entry.best,
    }
    return found if standing is None else {**found, **_standing(standing, row)}


def _standing(standing: Standing, row: MethodRow) -> dict[str, object]:
    """Return what stands beside the mean of a gap or a ratio."""
    verdict, gap = standing.verdict, standing.gap
    selected = Estimate.of(series(row.records, SELECTED).values()).mean if verdict.metric in RATIOS else None
    above, room = verdict.above, verdict.room
    return {
        "low": gap and gap.low,
        "high": gap and gap.high,
        "rows": standing.rows,
        "floor": standing.floor_mean,
        "of_mean": standing.of_mean,
        "gap_debiased": standing.debiased,
        "selected": selected,
        "above_coin": above and above.value,
        "above_coin_low": above and above.low,
        "above_coin_high": above and above.high,
        "room": room and room.value,
        "room_low": room and room.low,
        "skill": verdict.skill,
        "verdict": clean(verdict.reading),
    }


def _texts(line: Mapping[str, object]) -> dict[str, object]:
    return {name: without_formula(str(cell).lower() if isinstance(cell, bool) else cell) for name, cell in line.items()}


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("csv", ".csv", render)]
