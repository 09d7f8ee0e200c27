"""The state of a field as one file of numbers, a row for each rule, dataset and method; docs/field.md describes it."""

from __future__ import annotations

import csv
import io

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import without_formula
from fairbench_reports._board import Board, FieldRow, UnderRule
from fairbench_reports._entries import clean
from fairbench_reports._field import fields
from fairbench_reports.comma_separated import setting

FIELDS = (
    "rule",
    "metric",
    *("scenario", "dataset", "sensitive", "scale", "sensitive_as_feature", "stratify"),
    *("group_known", "group_at_prediction"),
    *("method", "parameters", "baseline", "repeats", "cells", "failed", "skipped"),
    *("accuracy", "accuracy_sd", "gap", "gap_sd", "gap_low", "gap_high"),
    *("above_coin", "above_coin_low", "above_coin_high"),
    *("above_common", "above_common_low", "above_common_high"),
    *("room", "room_low", "skill", "verdict", "basis", "notes"),
    *("worst_group", "worst_change", "worst_change_low", "worst_change_high"),
    *("cpu_seconds", "cpu_ratio", "trials", "fits", "granted", "unequal"),
)


def render(results: Results) -> str:
    """Return one line for each rule, dataset and method below a header line.

    Gaps, accuracies, points and changes are fractions, not per cent; what does not exist is empty. No number depends on
    which other methods are in the run, but for ``unequal``, so that files of the same suite can be put together.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for under in fields(results):
        for board in under.boards:
            for row in board.rows:
                line = _line(under, board, row)
                writer.writerow({name: without_formula(_text(cell)) for name, cell in line.items()})
    return text.getvalue()


def _line(under: UnderRule, board: Board, row: FieldRow) -> dict[str, object]:
    standing, spent, harmed = row.standing, row.spent, row.harmed
    verdict = standing.verdict if standing else None
    gap, above = (standing and standing.gap), (verdict and verdict.above)
    common, room = (verdict and verdict.common), (verdict and verdict.room)
    return {
        "rule": under.rule,
        "metric": under.metric,
        **setting(board.section),
        "scenario": board.section.cell.scenario.name,  # what tells of its parameters has columns of its own
        "method": clean(row.method),
        "parameters": clean(row.parameters),
        "baseline": clean(board.baseline.label),
        "repeats": len({record.cell.repeat for record in row.records}),
        "cells": row.cells,
        "failed": row.failed,
        "skipped": row.skipped,
        "accuracy": row.accuracy.mean,
        "accuracy_sd": row.accuracy.sd,
        "gap": row.gap.mean,
        "gap_sd": row.gap.sd,
        "gap_low": gap and gap.low,
        "gap_high": gap and gap.high,
        "above_coin": above and above.value,
        "above_coin_low": above and above.low,
        "above_coin_high": above and above.high,
        "above_common": common and common.value,
        "above_common_low": common and common.low,
        "above_common_high": common and common.high,
        "room": room and room.value,
        "room_low": room and room.low,
        "skill": verdict and verdict.skill,
        "verdict": clean(verdict.reading) if verdict else "no finished repeat",
        "basis": verdict.basis if verdict and above and above.low is not None else "",
        "notes": clean("; ".join(verdict.notes)) if verdict else "",
        "worst_group": harmed and clean(harmed.group),
        "worst_change": harmed and harmed.change.value,
        "worst_change_low": harmed and harmed.change.low,
        "worst_change_high": harmed and harmed.change.high,
        "cpu_seconds": spent and spent.cpu_seconds,
        "cpu_ratio": row.cost,
        "trials": spent and spent.trials,
        "fits": spent and spent.fits,
        "granted": board.budget,
        "unequal": clean("; ".join(spent.unequal)) if spent else "",
    }


def _text(cell: object) -> object:
    return str(cell).lower() if isinstance(cell, bool) else cell


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("field-csv", "", render)]
