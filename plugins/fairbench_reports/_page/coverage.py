"""How every cell of a run ended: a matrix of methods and places, and the reasons why cells have no values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fairbench.api import FAILURES, Record, Results, counted
from fairbench.api.analysis import by_method, only, planned_repeats, telling_parameters
from fairbench.api.analysis import sections as comparable
from fairbench_reports._entries import clean
from fairbench_reports._foot import ENDED, one_line, why

DONE = "done"


@dataclass(frozen=True)
class Square:
    """The repeats of a method at a place.

    Args:
        look: ``done``, ``part`` (some are), ``skipped``, ``failed``, or ``left`` (not run yet, or not in the suite).
        text: how many are done, and what became of the others.
        reasons: numbers of the reasons for those that have no values.
    """

    look: str
    text: str
    reasons: tuple[int, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """How every cell ended.

    Args:
        places: headings of the columns.
        rows: by method.
        reasons: why cells have no values, numbered from 1: how they ended, how many, and the reason.
        counts: number of cells by how they ended; ``not run yet`` among them.
    """

    places: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Square, ...]], ...]
    reasons: tuple[tuple[str, str, str], ...]
    counts: tuple[tuple[str, int], ...]


def coverage(results: Results, titles: dict[str, str]) -> Coverage:
    """Return how every cell of a run ended.

    Args:
        results: of the run.
        titles: of the sections that are shown, by key of their first cell.
    """
    sections = comparable(results.records)
    places = [_title(records[0], titles) for records in sections]
    repeats, numbers = planned_repeats(results), _numbered(results)
    found: dict[str, dict[int, Square]] = {}
    for column, records in enumerate(sections):
        methods = by_method(records)
        telling = telling_parameters([done[0].cell.method for done in methods])
        for done in methods:
            method = done[0].cell.method
            row = found.setdefault(clean(only(method, telling[method.name])), {})
            row[column] = _square(done, repeats, numbers)
    rows = [
        (label, tuple(row.get(column, Square("left", "")) for column in range(len(places))))
        for label, row in found.items()
    ]
    told = Counter(_ending(record) for record in results.records if record.status != DONE)
    reasons = [(status, counted(told[status, text], "cell"), text) for status, text in numbers]
    return Coverage(tuple(places), tuple(rows), tuple(reasons), tuple(_counts(results)))


def _title(record: Record, titles: dict[str, str]) -> str:
    return titles.get(record.cell.key) or clean(f"{record.cell.place}, {record.cell.scenario.name}")


def _ending(record: Record) -> tuple[str, str]:
    return ENDED.get(record.status, record.status), one_line(why(record))


def _numbered(results: Results) -> dict[tuple[str, str], int]:
    """Return a number for each way in which cells ended without values, with its reason."""
    endings = dict.fromkeys(_ending(record) for record in results.records if record.status != DONE)
    return {ending: number for number, ending in enumerate(endings, start=1)}


def _square(records: Sequence[Record], repeats: int, numbers: dict[tuple[str, str], int]) -> Square:
    statuses = Counter(record.status for record in records)
    reasons = sorted({numbers[_ending(record)] for record in records if record.status != DONE})
    left = repeats - len(records)
    parts = [f"{statuses[DONE]} done"] if statuses[DONE] else []
    parts += [f"{count} {ENDED.get(status, status)}" for status, count in statuses.items() if status != DONE]
    parts += [f"{left} not run yet"] if left > 0 else []
    if statuses[DONE]:
        look = DONE if statuses[DONE] == len(records) and left <= 0 else "part"
    else:
        look = "failed" if any(status in FAILURES for status in statuses) else "skipped"
    return Square(look, ", ".join(parts), tuple(reasons))


def _counts(results: Results) -> list[tuple[str, int]]:
    statuses = Counter(record.status for record in results.records)
    ordered = [status for status in (DONE, *ENDED) if statuses[status]]
    left = results.planned - len(results.records)
    return [(ENDED.get(status, status), statuses[status]) for status in ordered] + (
        [("not run yet", left)] if left > 0 else []
    )
