"""A run's tables for machines: one strict JSON document, described in docs/json.md."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import JUDGED, Line, SectionLines, Standing, finished, section_standings, stored_rows
from fairbench.api.analysis import planned_repeats as repeats_of
from fairbench.api.analysis import sections as comparable
from fairbench_reports._table import Section, sections
from fairbench_reports.comma_separated import Compared, judged, setting, what, who

SCHEMA, VERSION = "fairbench-report", 1
NOT_PROVENANCE = ("cells", "plan", "planned", "labels")  # of ``Results.run``: every cell has a place under coverage


def render(results: Results) -> str:
    """Return rows, intervals, verdicts, lines, coverage and provenance as one JSON document.

    ``version`` rises when a name goes or changes its meaning; names may be added without that. A number that does not
    exist is null, and NaN never occurs. Gaps, accuracies and points are fractions, not per cent.
    """
    lines = _lines(results)
    standings = {here.section: here for here in section_standings(results)}
    compared = {key: here.methods for key, here in standings.items()}
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "filtered": results.whole is not None,
        "repeats": repeats_of(results),
        "sections": [
            _section(section, compared.get(section.key, ()), lines.get(section.key, {}), results)
            for section in sections(results)
        ],
        "coverage": _coverage(results),
        "provenance": {name: value for name, value in results.run.items() if name not in NOT_PROVENANCE},
    }
    return json.dumps(strict(document), allow_nan=False, indent=1)


def strict(value: Any) -> Any:
    """Return a value of which JSON knows every part: numbers that are not finite become None, tuples lists."""
    if isinstance(value, Mapping):
        return {str(name): strict(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(member) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _section(section: Section, compared: Compared, lines: Mapping[str, Any], results: Results) -> dict[str, Any]:
    methods = []
    for row, told in judged(section, compared):
        metrics = [
            {**what(column, entry, told.get(column.metric), row), **_reasons(told.get(column.metric))}
            for column, entry in zip(section.columns, row.entries)
        ]
        groups = {
            group: [what(column, entry, None, row) for column, entry in zip(section.group_columns, entries)]
            for group, entries in row.groups.items()
        }
        reference = row.method in results.run.get("reference_methods", ())
        methods.append({**who(row), "label": row.label, "reference": reference, "metrics": metrics, "groups": groups})
    return {**setting(section), "test_rows": section.supports, **lines, "methods": methods}


def _reasons(standing: Standing | None) -> dict[str, Any]:
    """Return what a verdict rests on; nothing for what is not judged."""
    if standing is None:
        return {}
    verdict, smallest = standing.verdict, standing.smallest
    return {
        "basis": verdict.basis,
        "no_skill": verdict.no_skill,
        "verdict_notes": verdict.notes,
        "smallest_gap": None if smallest is None else smallest.value,
    }


def _lines(results: Results) -> dict[str, dict[str, Any]]:
    """Return by key of the section its baseline, and by metric the vertices of its lines."""
    found = {}
    with stored_rows(results) as rows:
        for records in comparable(results.records):
            if finished(records):
                here = SectionLines.of(records, results, rows)
                baseline = {"label": here.baseline.label, "why": here.baseline.why}
                drawn = {metric: _drawn(here, metric) for metric in JUDGED if metric in results.labels}
                found[records[0].cell.key] = {"baseline": baseline, "lines": drawn}
    return found


def _drawn(here: SectionLines, metric: str) -> dict[str, Any]:
    """Return the vertices (gap, accuracy) of each line over the repeats that it can have; None where there is none."""
    repeats = here.shared(metric) if here.baseline.records else []
    lines: dict[str, Line | None] = {"coin": None, "common_threshold": None, "attainable": None}
    if repeats:
        lines["coin"] = here.coin(metric, repeats)
        lines["common_threshold"] = here.common(metric, repeats)
        lines["attainable"] = here.reached(metric, repeats) if here.attainable else None
    return {name: None if line is None else [vertex.mean for vertex in line.vertices] for name, line in lines.items()}


def _coverage(results: Results) -> dict[str, Any]:
    counts = Counter(record.status for record in results.records)
    whole = results.whole or results
    return {
        "planned": whole.planned,
        "not_run": max(whole.planned - len(whole.records), 0),
        "statuses": dict(counts),
        "cells": [
            {
                "cell": record.cell.key,
                "dataset": str(record.cell.dataset),
                "sensitive": record.cell.group,
                "scenario": str(record.cell.scenario),
                "method": str(record.cell.method),
                "repeat": record.cell.repeat,
                "tuning": record.cell.tuning,
                "fit": record.cell.fit,
                "status": record.status,
                "reason": record.reason,
                "seconds": record.seconds,
            }
            for record in results.records
        ],
    }


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("json", "", render)]
