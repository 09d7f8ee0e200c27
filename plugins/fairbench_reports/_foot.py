"""What must appear under the tables: how to read them, what is missing from them, and what produced them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from fairbench.api import FAILURES, OUT_OF_MEMORY, Cell, Record, Results, error_line
from fairbench.api.analysis import names_of, planned_repeats, rechosen_notes, runs_within
from fairbench_reports._entries import PARTIAL, UNDEFINED, clean
from fairbench_reports._table import ALIKE, Section, shared_parameters

ENDED = {"skipped": "skipped", **dict(zip(FAILURES, FAILURES)), OUT_OF_MEMORY: "ran out of memory"}
NAMES_SHOWN = 6
DAY = len("2025-01-31")
LONGEST = 1000  # characters of a reason; 'fairbench export' has all of it


def foot(results: Results, shown: Sequence[Section], best: str) -> list[str]:
    """Return the sentences under all tables.

    Args:
        results: what the tables were made of.
        shown: the tables.
        best: how this report marks the best of a column, e.g. ``bold``; empty if it does not.
    """
    reading = [*_reading(results, shown, best), *shared_parameters(results)]
    told = results.once("remarks of fairbench_reports", lambda: [*missing(results), *_remarks(results)])
    said = [*told, *_notes(results), *_references(results)]
    reading = [*rechosen_notes(results), *reading]
    return [*reading, *said, *_reference_cost(results), *_accepted(results), *_produced(results)]


def missing(results: Results) -> list[str]:
    """Return a sentence for each reason why cells have no values."""
    lines = []
    without = [record for record in results.records if record.status in ENDED]
    for status, words in ENDED.items():
        here = [record for record in without if record.status == status]
        lines += _grouped(((why(record), record.cell) for record in here), f" {words}")
    if results.unfinished:
        lines.append(results.unfinished)
    seen = {str(record.cell.dataset) for record in results.records}
    for dataset, reason in results.run.get("unavailable", {}).items():
        if dataset not in seen:
            lines.append(one_line(f"no results on {dataset}: {reason}"))
    return lines


def why(record: Record) -> str:
    """Return why a cell has no values: of a traceback, what was raised."""
    return (error_line(record.reason) or "no reason was kept") if record.status in FAILURES else record.reason


def one_line(text: str) -> str:
    """Return the text on one line, a very long one cut, without the user's home in front of paths."""
    home = os.path.expanduser("~")
    line = clean(text.replace(home + os.sep, "~" + os.sep) if len(home) > 1 else text)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"


def spread(repeats: int, what: str = "mean ± standard deviation") -> str:
    """Return what the numbers of a table are."""
    return f"{what} over {repeats} repeats" if repeats > 1 else "values of one repeat"


def _within(results: Results) -> list[str]:
    """Return how the repeats are nested, if a split has several."""
    tunings, fits = runs_within(results)
    if tunings * fits == 1:
        return []
    parts = [
        f"{count} {what}"
        for count, what in ((tunings, "divisions into training and validation part"), (fits, "fits of each"))
        if count > 1
    ]
    return [f"every split has {' and '.join(parts)}; --format variance tells these sources of spread apart"]


def _reading(results: Results, shown: Sequence[Section], best: str) -> list[str]:
    rows = [row for section in shown for row in section.rows]
    if not rows:
        return ["there are no results yet"]
    repeats = planned_repeats(results)
    lines = [spread(repeats), *_within(results)]
    if best and any(entry.best for row in rows for entry in row.entries):
        lines.append(
            f"{best} marks the best mean in its column, and any that is displayed as equal to it; ↑ higher is better, "
            "↓ lower is better"
        )
    if any(entry.estimate.undefined for row in rows for entry in row.entries):
        lines.append(f"{UNDEFINED} undefined in some repeats; the mean is over the others")
    if any(entry.estimate.partial for row in rows for entry in row.entries):
        lines.append(
            f"{PARTIAL} in some repeats the test part lacks a group, or a group's rows with one label, and values over "
            "the other groups are left out of the mean; if all repeats lack the same, the mean is over those values"
        )
    if any(row.constant for row in rows):
        lines.append(
            f"{ALIKE} makes the same decision for everybody in more than half of its repeats, so its gaps and ratios "
            "between groups are meaningless"
        )
    return lines


def _grouped(told: Iterable[tuple[str, Cell]], what: str = "") -> list[str]:
    """Return a sentence for each text, with the number and the names of the cells that it is about."""
    cells: dict[str, list[Cell]] = {}
    for text, cell in told:
        cells.setdefault(one_line(text), []).append(cell)
    return [
        clean(
            f"{_cells(len(here))}{what} ({_few(cell.method.name for cell in here)} "
            f"on {_few(cell.place for cell in here)}): {text}"
        )
        for text, here in cells.items()
    ]


def _remarks(results: Results) -> list[str]:
    """Return what a reader must know about cells."""
    remarks = ((remark, record.cell) for record in results.records for remark in record.remarks)
    return _grouped(remarks)


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _few(names: Iterable[str]) -> str:
    """Return the names once each, but not more than fit on a line."""
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - NAMES_SHOWN
    return ", ".join(distinct) if more < 1 else f"{', '.join(distinct[:NAMES_SHOWN])} and {more} more"


def _notes(results: Results) -> list[str]:
    notes = results.run.get("notes", {})
    return [one_line(f"{dataset}: {sentence}") for dataset, sentences in notes.items() for sentence in sentences]


def _references(results: Results) -> list[str]:
    """Return a sentence for each point that a dataset knows without a run, with the metrics that the run has."""
    sentences = []
    for dataset, points in results.run.get("references", {}).items():
        for point in points:
            values = [
                f"{results.labels[metric][0]} {value:.3f}"
                for metric, value in point["values"].items()
                if metric in results.labels
            ]
            note = f" ({point['note']})" if point["note"] else ""
            if values:
                sentences.append(one_line(f"{dataset}: {point['name']} has {', '.join(values)}{note}"))
    return sentences


def _reference_cost(results: Results) -> list[str]:
    """Return what the methods cost that the suite did not name, but that reference lines needed."""
    suite = results.run.get("suite", {})
    if not suite.get("reference"):
        return []
    named = names_of(suite.get("methods", ()))
    added = [record for record in results.records if not {record.cell.method.name, "all"} & named]
    if not added:
        return []
    every = (results.whole or results).records
    spent, total = (sum(record.cpu_seconds for record in records) for records in (added, every))
    names = ", ".join(dict.fromkeys(record.cell.method.name for record in added))
    share = f" ({spent / total:.0%} of the run's)" if total else ""
    return [f"added for the reference lines: {names}; {spent:.1f} s of CPU time{share}; --no-reference leaves them out"]


def _accepted(results: Results) -> list[str]:
    """Return which cells were made by code that has changed since, as the user has accepted."""
    return [
        one_line(
            f"{_cells(change['cells'])} made by different code from the rest: {change['files']} ({change['source']}); "
            f"accepted on {change['when'][:DAY]}"
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
        dates.setdefault(tools, []).append(str(session.get("started", ""))[:DAY])
    if not sessions and results.run.get("fairbench"):
        dates[f"fairbench {results.run['fairbench']}"] = []
    return [one_line(f"produced by {tools}{_on(days)}") for tools, days in dates.items() if tools]


def _on(days: Iterable[str]) -> str:
    distinct = [day for day in dict.fromkeys(days) if day]
    return f" on {', '.join(distinct)}" if distinct else ""
