"""What must stand under the tables: how to read them, what is missing from them, and what produced them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Callable

from fairbench.api import Results
from fairbench_reports._table import (
    CONSTANT,
    UNDEFINED,
    Cell,
    Record,
    Section,
    clean,
    planned_repeats,
    shared_parameters,
)

NAMES_SHOWN = 6


def foot(results: Results, shown: Sequence[Section], best: str) -> list[str]:
    """Return the sentences under all tables.

    Args:
        results: what the tables were made of.
        shown: the tables.
        best: how this report marks the best of a column, e.g. ``bold``; empty if it does not.
    """
    reading = [*_reading(results, shown, best), *shared_parameters(results)]
    return [*reading, *missing(results), *_notes(results), *_accepted(results), *_produced(results)]


def missing(results: Results) -> list[str]:
    """Return a sentence for each reason why cells have no values."""
    lines = _grouped(results.records, "skipped", lambda record: record.reason)
    lines += _grouped(results.records, "failed", lambda record: _last_line(record.reason))
    if results.unfinished:
        lines.append(results.unfinished)
    seen = {str(record.cell.dataset) for record in results.records}
    for dataset, reason in results.run.get("unavailable", {}).items():
        if dataset not in seen:
            lines.append(clean(f"no results on {dataset}: {reason}"))
    return lines


def spread(repeats: int, what: str = "mean ± standard deviation") -> str:
    """Return what the numbers of a table are."""
    return f"{what} over {repeats} repeats" if repeats > 1 else "values of one repeat"


def _reading(results: Results, shown: Sequence[Section], best: str) -> list[str]:
    rows = [row for section in shown for row in section.rows]
    if not rows:
        return ["there are no results yet"]
    repeats = planned_repeats(results)
    lines = [spread(repeats)]
    if best and any(estimate.best for row in rows for estimate in row.estimates):
        lines.append(f"{best} marks the best mean of its column, ties as shown; ↑ higher is better, ↓ lower is better")
    if any(estimate.undefined for row in rows for estimate in row.estimates):
        lines.append(f"{UNDEFINED} undefined in some repeats; the mean is over the others")
    if any(row.constant for row in rows):
        lines.append(f"{CONSTANT} says the same of everybody, which makes every difference 0")
    return lines


def _grouped(records: Iterable[Record], status: str, reason_of: Callable[[Record], str]) -> list[str]:
    cells: dict[str, list[Cell]] = {}
    for record in records:
        if record.status == status:
            cells.setdefault(clean(reason_of(record)), []).append(record.cell)
    return [
        clean(
            f"{_cells(len(here))} {status} ({_few(cell.method.name for cell in here)} "
            f"on {_few(f'{cell.dataset} by {cell.group}' for cell in here)}): {reason}"
        )
        for reason, here in cells.items()
    ]


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _few(names: Iterable[str]) -> str:
    """Return the names once each, but not more than fit on a line."""
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - NAMES_SHOWN
    return ", ".join(distinct) if more < 1 else f"{', '.join(distinct[:NAMES_SHOWN])} and {more} more"


def _last_line(traceback: str) -> str:
    lines = [line for line in traceback.splitlines() if line.strip()]
    return lines[-1] if lines else "no traceback was kept"


def _notes(results: Results) -> list[str]:
    notes = results.run.get("notes", {})
    return [clean(f"{dataset}: {sentence}") for dataset, sentences in notes.items() for sentence in sentences]


def _accepted(results: Results) -> list[str]:
    """Return which cells were made by code that has changed since, as the user has accepted."""
    return [
        clean(
            f"{_cells(change['cells'])} of other code than the rest: {change['files']} ({change['source']}); "
            f"accepted on {change['when'][: len('2025-01-31')]}"
        )
        for change in results.run.get("accepted", [])
    ]


def _produced(results: Results) -> list[str]:
    """Return what produced the run, once for each set of versions that its sessions had."""
    sessions = results.run.get("sessions", [])
    dates: dict[str, list[str]] = {}
    for session in sessions:
        versions = session.get("versions", {})
        named = {
            "fairbench": versions.get("fairbench-harness", results.run.get("fairbench")),
            "Python": session.get("python"),
            "torch": versions.get("torch"),
        }
        tools = ", ".join(f"{name} {version}" for name, version in named.items() if version)
        dates.setdefault(tools, []).append(str(session.get("started", ""))[: len("2025-01-31")])
    if not sessions and results.run.get("fairbench"):
        dates[f"fairbench {results.run['fairbench']}"] = []
    return [clean(f"produced by {tools}{_on(days)}") for tools, days in dates.items() if tools]


def _on(days: Iterable[str]) -> str:
    distinct = [day for day in dict.fromkeys(days) if day]
    return f" on {', '.join(distinct)}" if distinct else ""
