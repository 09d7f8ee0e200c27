"""One SQLite file for each run: cells, values and predictions (packed arrays, never pickles); resumes by key."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import DONE, Cell, Parts, Record, Value, canonical
from fairbench.data import Integers, Predictions, Samples
from fairbench.errors import StoreError

FILE_NAME = "results.sqlite"
FORMAT = 1
_SCHEMA = """
CREATE TABLE cells (
    key TEXT PRIMARY KEY, cell TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, chosen TEXT NOT NULL,
    seconds REAL NOT NULL, cpu_seconds REAL NOT NULL, versions TEXT NOT NULL, diagnostics TEXT NOT NULL,
    about TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE "values" (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, "group" TEXT NOT NULL, metric TEXT NOT NULL,
    value REAL, reason TEXT NOT NULL, PRIMARY KEY (key, step, point, "group", metric)) WITHOUT ROWID;
CREATE TABLE truths (
    key TEXT PRIMARY KEY, n INTEGER NOT NULL, y BLOB NOT NULL, "group" BLOB NOT NULL,
    group_names TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE predictions (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, truth TEXT NOT NULL,
    y_pred BLOB NOT NULL, y_score BLOB, decision BLOB, PRIMARY KEY (key, step, point)) WITHOUT ROWID;
"""


@dataclass(frozen=True, eq=False)
class Truth:
    """What test predictions are held against: y (n,), group (n,) codes, and the names of the groups."""

    y: Integers
    group: Integers
    group_names: tuple[str, ...]

    @classmethod
    def of(cls, samples: Samples) -> Truth:
        """Return the labels and groups of a test part."""
        return cls(samples.y, samples.group, samples.group_names)

    @cached_property
    def key(self) -> str:
        """Return a hash of the contents, by which equal test parts are stored once."""
        total = hashlib.sha256(canonical(self.group_names).encode())
        total.update(self.y.tobytes())
        total.update(self.group.tobytes())
        return total.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Measured:
    """What ``run_cell`` returns: the record, and for each (step, operating point) the truth and the predictions."""

    record: Record
    predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]]


def _pack(array: Optional[NDArray[Any]], dtype: str) -> Optional[bytes]:
    return None if array is None else zlib.compress(np.ascontiguousarray(array, dtype=dtype).tobytes(), 1)


def _unpack(blob: Optional[bytes], dtype: str) -> Optional[NDArray[Any]]:
    return None if blob is None else np.frombuffer(zlib.decompress(blob), dtype=dtype)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one sentence that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        advice = {
            "full": "free some space and run the same command again",
            "readonly": "choose another run directory with --out",
            "unable to open": "choose another run directory with --out",
            "locked": "another run is writing to it; wait for it, or choose another with --out",
        }
        words = next(
            (text for sign, text in advice.items() if sign in str(error)), "free some space or choose another --out"
        )
        raise StoreError(f"{path} cannot be written: {error}; finished cells are kept; {words}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is not a fairbench store or is damaged: {error}") from error


class Store:
    """The results of one run; one writer, any number of readers."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open a store, or create one.

        Raises:
            StoreError: the file is missing, cannot be written, is damaged, or comes from another version.
        """
        self.path = path
        if not create and not path.is_file():
            raise StoreError(f"{path} does not exist; 'fairbench run' makes run directories, each with a {FILE_NAME}")
        with _explained(path):
            uri = path.absolute().as_uri() + ("?mode=rwc" if create else "?mode=ro")
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
            try:
                self._open(create)
            except BaseException:
                self._connection.close()
                raise

    def _open(self, create: bool) -> None:
        """Make the tables of a new store in one step, and refuse a store of another format."""
        if create:
            self._connection.execute("PRAGMA synchronous = NORMAL")
            if self._format() == 0:
                self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT")
        seen = self._format()
        if seen == 0:
            raise StoreError(f"{self.path} holds nothing yet; its run has only just begun")
        if seen != FORMAT:
            raise StoreError(f"{self.path} has format {seen}, this fairbench reads format {FORMAT}; run it again")

    def _format(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        """Return the store."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def add(self, measured: Measured) -> None:
        """Write a cell with all that belongs to it, in one transaction; an earlier record of the cell is replaced.

        Raises:
            StoreError: the disk is full or the directory read-only; what was written before stays.
        """
        record, execute = measured.record, self._connection.execute
        key = record.cell.key
        with _explained(self.path):
            execute("BEGIN IMMEDIATE")
            try:
                for table in ("cells", '"values"', "predictions"):
                    execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608 - the names stand one line above
                execute(
                    "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        key,
                        record.cell.to_json(),
                        record.status,
                        record.reason,
                        record.chosen,
                        record.seconds,
                        record.cpu_seconds,
                        canonical(dict(record.versions)),
                        canonical({name: list(curve) for name, curve in record.diagnostics.items()}),
                        canonical(
                            [
                                asdict(record.parts) if record.parts else None,
                                record.alike,
                                record.supports,
                                record.remarks,
                            ]
                        ),
                    ),
                )
                self._connection.executemany(
                    'INSERT INTO "values" VALUES (?, ?, ?, ?, ?, ?, ?)', [(key, *value) for value in record.values]
                )
                for (step, point), (truth, predictions) in measured.predictions.items():
                    self._add_predictions(key, step, point, truth, predictions)
                execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    execute("ROLLBACK")
                raise

    def _add_predictions(self, key: str, step: int, point: str, truth: Truth, predictions: Predictions) -> None:
        names = canonical(truth.group_names)
        self._connection.execute(
            "INSERT OR IGNORE INTO truths VALUES (?, ?, ?, ?, ?)",
            (truth.key, len(truth.y), _pack(truth.y, "u1"), _pack(truth.group, "<i4"), names),
        )
        decision = _pack(predictions.decision, "<f8") if predictions.randomised else None
        self._connection.execute(
            "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, step, point, truth.key, _pack(predictions.y_pred, "u1"), _pack(predictions.y_score, "<f8"), decision),
        )

    def finished(self) -> set[str]:
        """Return the keys of the cells that are done; skipped and failed ones are tried again."""
        with _explained(self.path):
            return {key for (key,) in self._connection.execute("SELECT key FROM cells WHERE status = ?", (DONE,))}

    def records(self, order: Sequence[str] = ()) -> list[Record]:
        """Return every record, first those whose keys are in ``order``, in that order."""
        position = {key: place for place, key in enumerate(order)}
        values: dict[str, list[Value]] = {}
        with _explained(self.path):
            for key, *value in self._connection.execute(
                'SELECT key, step, point, "group", metric, value, reason FROM "values"'
            ):
                values.setdefault(key, []).append(Value(*value))
            rows = self._connection.execute(
                "SELECT key, cell, status, reason, chosen, seconds, cpu_seconds, versions, diagnostics, about"
                " FROM cells"
            ).fetchall()
        rows.sort(key=lambda row: (position.get(row[0], len(position)), row[0]))
        return [
            Record(
                Cell.from_json(cell),
                status,
                reason,
                tuple(values.get(key, ())),
                chosen,
                {name: tuple(curve) for name, curve in json.loads(diagnostics).items()},
                seconds,
                cpu_seconds,
                json.loads(versions),
                *_about(about),
            )
            for key, cell, status, reason, chosen, seconds, cpu_seconds, versions, diagnostics, about in rows
        ]

    def predictions(self, key: str) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        """Return a cell's stored test predictions, with labels and groups, by (step, operating point)."""
        query = (
            'SELECT step, point, y, "group", group_names, y_pred, y_score, decision'
            " FROM predictions JOIN truths ON truths.key = predictions.truth WHERE predictions.key = ?"
        )
        with _explained(self.path):
            rows = self._connection.execute(query, (key,)).fetchall()
        return {
            (step, point): (
                Truth(_int64(y, "u1"), _int64(group, "<i4"), tuple(json.loads(names))),
                Predictions(_int64(y_pred, "u1"), _unpack(y_score, "<f8"), _unpack(decision, "<f8")),  # type: ignore[arg-type]
            )
            for step, point, y, group, names, y_pred, y_score, decision in rows
        }


def _about(text: str) -> tuple[Any, ...]:
    parts, alike, supports, remarks = json.loads(text)
    return Parts(**parts) if parts else None, tuple(map(tuple, alike)), tuple(map(tuple, supports)), tuple(remarks)


def _int64(blob: bytes, dtype: str) -> NDArray[np.int64]:
    array = _unpack(blob, dtype)
    assert array is not None  # noqa: S101 - the column is NOT NULL
    return array.astype(np.int64)
