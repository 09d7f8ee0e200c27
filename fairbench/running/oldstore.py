"""Stores of formats 1 and 2: what they hold, cell by cell, as rows of today's format.

Format 2 had a row for each value, and for each cell the texts that many share. Format 1 also had no digests, and kept
less of the test parts: its runs can be read but not continued.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, Callable, NamedTuple

import numpy as np

from fairbench.cells import Cell, canonical
from fairbench.data.alike import decides_alike
from fairbench.data.rows import Predictions
from fairbench.errors import StoreError
from fairbench.records import DONE, FAILED, SKIPPED, Record, Value
from fairbench.running.layout import About, Made, PredictionRow, TruthRow, digest, unpack
from fairbench.running.packing import Measured, Rows, record_rows, rows_of
from fairbench.running.truth import Truth

FIRST, SECOND = 1, 2
_CELLS = """
    key TEXT PRIMARY KEY, cell TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, chosen TEXT NOT NULL,
    seconds REAL NOT NULL, cpu_seconds REAL NOT NULL, versions TEXT NOT NULL, diagnostics TEXT NOT NULL"""
_VALUES = """
CREATE TABLE "values" (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, "group" TEXT NOT NULL, metric TEXT NOT NULL,
    value REAL, reason TEXT NOT NULL, PRIMARY KEY (key, step, point, "group", metric)) WITHOUT ROWID;"""
SCHEMAS = {
    FIRST: f"""
CREATE TABLE cells ({_CELLS}) WITHOUT ROWID;{_VALUES}
CREATE TABLE truths (
    key TEXT PRIMARY KEY, n INTEGER NOT NULL, y BLOB NOT NULL, "group" BLOB NOT NULL,
    group_names TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE predictions (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, truth TEXT NOT NULL,
    y_pred BLOB NOT NULL, y_score BLOB, decision BLOB, PRIMARY KEY (key, step, point)) WITHOUT ROWID;
""",
    SECOND: f"""
CREATE TABLE cells ({_CELLS},
    parts TEXT NOT NULL, alike TEXT NOT NULL, remarks TEXT NOT NULL, supports TEXT NOT NULL, value_digest TEXT NOT NULL,
    prediction_digest TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;{_VALUES}
CREATE TABLE truths (
    key TEXT PRIMARY KEY, n INTEGER NOT NULL, size INTEGER NOT NULL, about BLOB NOT NULL, y BLOB NOT NULL,
    "group" BLOB NOT NULL, rows BLOB, keys BLOB) WITHOUT ROWID;
CREATE TABLE predictions (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, truth TEXT NOT NULL, n INTEGER NOT NULL,
    digest TEXT NOT NULL, y_pred BLOB NOT NULL, y_score BLOB, decision BLOB,
    PRIMARY KEY (key, step, point)) WITHOUT ROWID;
CREATE TABLE total (cells INTEGER NOT NULL, digest TEXT NOT NULL);
""",
}
_COLUMNS = {
    FIRST: "key, cell, status, reason, chosen, seconds, cpu_seconds, versions, diagnostics, 'null', '[]', '[]', '[]', "
    "'', '', ''",
    SECOND: "*",
}


class OldRow(NamedTuple):
    """A row of the table ``cells``; ``digest`` is taken over all columns before it."""

    key: str
    cell: str
    status: str
    reason: str
    chosen: str
    seconds: float
    cpu_seconds: float
    versions: str
    diagnostics: str
    parts: str
    alike: str
    remarks: str
    supports: str
    value_digest: str
    prediction_digest: str
    digest: str

    def record(self, values: Iterable[Value]) -> Record:
        """Return the record with these values."""
        versions, parts, alike, remarks, supports = About.read(
            f"[{self.versions}, {self.parts}, {self.alike}, {self.remarks}, {self.supports}]"
        )
        return Record(
            Cell.from_json(self.cell),
            self.status,
            self.reason,
            tuple(values),
            self.chosen,
            {name: tuple(curve) for name, curve in json.loads(self.diagnostics).items()},
            self.seconds,
            self.cpu_seconds,
            versions,
            parts,
            alike,
            remarks,
            supports,
        )


Damage = Callable[[str, str], StoreError]  # of the name of a cell, and what is wrong with it


def rows(connection: sqlite3.Connection, form: int, damage: Damage) -> Iterator[Rows]:
    """Yield the rows of each cell; those of a store of format 2 without predictions and test parts, which are the same.

    Args:
        connection: to the store, whose tables are those of its format.
        form: the format.
        damage: makes the error for a damaged cell.

    Raises:
        StoreError: what ``damage`` makes.
    """
    cells = [OldRow(*row) for row in connection.execute(f"SELECT {_COLUMNS[form]} FROM main.cells")]  # noqa: S608
    for row in cells:
        with _of_cell(row, damage):
            if form == FIRST:
                _check(row)
            elif digest(list(row[:-1])) != row.digest:
                raise ValueError("its record is not as it was written")
    if form == SECOND:
        ((count, total),) = connection.execute("SELECT cells, digest FROM main.total")
        if (count, total) != (len(cells), _together([row.digest for row in cells])):
            raise damage("", f"it holds {len(cells)} cells, but not those written")
    query = 'SELECT key, step, point, "group", metric, value, reason FROM main."values" '
    grouped = groupby(
        connection.execute(f'{query} ORDER BY key, step, point, "group", metric'),  # noqa: S608 - no outside text
        key=lambda value: value[0],
    )
    values = {owner: [value[1:] for value in several] for owner, several in grouped}
    made: dict[str, list[Made]] = {}
    if form == SECOND:
        query = "SELECT key, step, point, truth, digest FROM main.predictions ORDER BY key, step, point"
        for owner, *listed in connection.execute(query):
            made.setdefault(owner, []).append(Made(*listed, None))
    for row in cells:
        with _of_cell(row, damage):
            own = values.pop(row.key, [])
            if form == FIRST:
                _check_values(own)
                yield rows_of(_first(connection, row.record(map(Value._make, own))))
                continue
            listed = made.get(row.key, [])
            if value_digest(own) != row.value_digest:
                raise ValueError("its values are not as they were written")
            if prediction_digest([(one.step, one.point, one.digest) for one in listed]) != row.prediction_digest:
                raise ValueError("its predictions are not as they were written")
            yield Rows(*record_rows(row.record(map(Value._make, own)), listed), [], [])


@contextmanager
def _of_cell(row: OldRow, damage: Damage) -> Iterator[None]:
    try:
        yield
    except (StoreError, sqlite3.Error):
        raise
    except Exception as error:
        name = f"key {row.key!a}"
        try:  # the name itself may be what is damaged
            cell = Cell.from_json(row.cell)
            if cell.key == row.key:
                name = f"dataset {cell.dataset}, method {cell.method}, repeat {cell.repeat}"
        except Exception:
            pass
        raise damage(name, str(error)) from error


def value_digest(values: Sequence[Sequence[Any]]) -> str:
    """Return the digest of a cell's values, each without the cell's key, in the store's order."""
    return digest([list(value) for value in values])


def prediction_digest(rows: Iterable[tuple[Any, Any, Any]]) -> str:
    """Return the digest of (step, point, digest) of a cell's predictions, in the store's order."""
    return digest([list(row) for row in rows])


def _together(digests: Sequence[str]) -> str:
    """Return the exclusive or of digests, which does not depend on their order."""
    total = 0
    for one in digests:
        total ^= int(one, 16)
    return f"{total:032x}"


def _first(connection: sqlite3.Connection, record: Record) -> Measured:
    """Return a cell of a store of format 1 with its predictions, and those that decide alike, which it did not list."""
    columns = "key, step, point, truth, (SELECT n FROM main.truths WHERE truths.key = truth), '', y_pred, y_score, decision"
    query = f"SELECT {columns} FROM main.predictions WHERE key = ? ORDER BY step, point"  # noqa: S608 - no outside text
    found: dict[tuple[int, str], tuple[Truth, Predictions]] = {}
    for row in map(PredictionRow._make, connection.execute(query, (record.cell.key,)).fetchall()):
        found[row.step, row.point] = _truth(connection, row.truth), row.predictions()
    return Measured(_with_alike(record, found), found)


def _with_alike(record: Record, predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]]) -> Record:
    alike = [place for place, (truth, made) in predictions.items() if decides_alike(truth.y, made)]
    return replace(record, alike=tuple(alike))


def _truth(connection: sqlite3.Connection, key: str) -> Truth:
    """Return labels and groups, the only parts of a test part that were kept.

    Raises:
        ValueError: they are missing, or do not match the key.
    """
    query = 'SELECT key, n, 0, group_names, y, "group", NULL, NULL FROM main.truths WHERE key = ?'
    for row in map(TruthRow._make, connection.execute(query, (key,))):
        names = json.loads(row.about)
        y, group = unpack(row.y, "u1", row.n).astype(np.int64), unpack(row.group, "<i4", row.n).astype(np.int64)
        held = hashlib.sha256(canonical(names).encode() + y.astype("<i8").tobytes() + group.astype("<i8").tobytes())
        if held.hexdigest()[:32] != row.key:
            raise ValueError("its labels or groups are not those that were stored")
        return Truth(y, group, tuple(names))
    raise ValueError("the labels and groups of its test part are missing")


def _check(row: OldRow) -> None:
    """Refuse a row of format 1 that no fairbench has written.

    Raises:
        ValueError: a column is of another form.
    """
    if Cell.from_json(row.cell).key != row.key:
        raise ValueError("its cell is not the one that its key stands for")
    if row.status not in (DONE, SKIPPED, FAILED):
        raise ValueError(f"its status is {row.status!r}")
    _check_types(row[3:7], (str, str, float, float))
    diagnostics = json.loads(row.diagnostics)
    for kind, what in ((json.loads(row.versions), str), (diagnostics, list)):
        if not isinstance(kind, dict) or not all(isinstance(value, what) for value in kind.values()):
            raise ValueError("its versions or diagnostics have an unexpected form")
    for curve in diagnostics.values():
        if not all(number is None or isinstance(number, (int, float)) for number in curve):
            raise ValueError("its diagnostics are not numbers")


def _check_values(values: Iterable[Sequence[Any]]) -> None:
    """Refuse values of format 1 that no fairbench has written.

    Raises:
        ValueError: a column is of another type.
    """
    for step, point, group, metric, value, reason in values:
        _check_types(
            (step, point, group, metric, 0.0 if value is None else value, reason), (int, str, str, str, float, str)
        )


def _check_types(values: Sequence[Any], types: Sequence[type]) -> None:
    for value, kind in zip(values, types):
        if type(value) is not kind:
            raise ValueError(f"{value!r} is not of type {kind.__name__}")
