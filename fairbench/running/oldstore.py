"""Reading stores of format 1, which held less and had no digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairbench.cells import Cell, canonical
from fairbench.data.alike import decides_alike
from fairbench.data.rows import Predictions
from fairbench.records import DONE, FAILED, SKIPPED, Record
from fairbench.running.packing import CellRow, Layout, TruthRow, unpack
from fairbench.running.truth import Truth

FORMAT = 1
LAYOUT = Layout(
    """
CREATE TABLE cells (
    key TEXT PRIMARY KEY, cell TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, chosen TEXT NOT NULL,
    seconds REAL NOT NULL, cpu_seconds REAL NOT NULL, versions TEXT NOT NULL, diagnostics TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE "values" (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, "group" TEXT NOT NULL, metric TEXT NOT NULL,
    value REAL, reason TEXT NOT NULL, PRIMARY KEY (key, step, point, "group", metric)) WITHOUT ROWID;
CREATE TABLE truths (
    key TEXT PRIMARY KEY, n INTEGER NOT NULL, y BLOB NOT NULL, "group" BLOB NOT NULL,
    group_names TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE predictions (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, truth TEXT NOT NULL,
    y_pred BLOB NOT NULL, y_score BLOB, decision BLOB, PRIMARY KEY (key, step, point)) WITHOUT ROWID;
""",
    "SELECT key, cell, status, reason, chosen, seconds, cpu_seconds, versions, diagnostics, 'null', '[]', '[]', '[]', "
    "'', '', '' FROM cells",
    "SELECT key, step, point, truth, (SELECT n FROM truths WHERE truths.key = truth), '', y_pred, y_score, decision "
    "FROM predictions",
    'SELECT key, n, 0, group_names, y, "group", NULL, NULL FROM truths',
)


def check(row: CellRow) -> None:
    """Refuse a row that no fairbench has written.

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


def check_values(values: Iterable[Sequence[Any]]) -> None:
    """Refuse values that no fairbench has written.

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


def truth(row: TruthRow) -> Truth:
    """Return labels and groups, the only parts of a test part that were kept.

    Raises:
        ValueError: they do not match the key.
    """
    names = json.loads(row.about)
    y, group = unpack(row.y, "u1", row.n).astype(np.int64), unpack(row.group, "<i4", row.n).astype(np.int64)
    held = hashlib.sha256(canonical(names).encode() + y.astype("<i8").tobytes() + group.astype("<i8").tobytes())
    if held.hexdigest()[:32] != row.key:
        raise ValueError("its labels or groups are not those that were stored")
    return Truth(y, group, tuple(names))


def with_alike(record: Record, predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]]) -> Record:
    """Return the record with a list of the predictions that decide alike for everybody, which was not stored."""
    alike = [place for place, (truth, made) in predictions.items() if decides_alike(truth.y, made)]
    return replace(record, alike=tuple(alike))
