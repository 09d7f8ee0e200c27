"""How the rows of a store are written and verified: packed arrays, digests, and values that cannot be stored."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import Cell, canonical
from fairbench.data.rows import Predictions
from fairbench.errors import Unstorable
from fairbench.records import Parts, Record, Value
from fairbench.running.truth import Truth


class Layout(NamedTuple):
    """The tables of a format, and the queries that give ``CellRow``, ``PredictionRow`` and ``TruthRow``."""

    schema: str
    cells: str
    predictions: str
    truths: str


LAYOUT = Layout(
    """
CREATE TABLE cells (
    key TEXT PRIMARY KEY, cell TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, chosen TEXT NOT NULL,
    seconds REAL NOT NULL, cpu_seconds REAL NOT NULL, versions TEXT NOT NULL, diagnostics TEXT NOT NULL,
    parts TEXT NOT NULL, alike TEXT NOT NULL, remarks TEXT NOT NULL, supports TEXT NOT NULL, value_digest TEXT NOT NULL,
    prediction_digest TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE "values" (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, "group" TEXT NOT NULL, metric TEXT NOT NULL,
    value REAL, reason TEXT NOT NULL, PRIMARY KEY (key, step, point, "group", metric)) WITHOUT ROWID;
CREATE TABLE truths (
    key TEXT PRIMARY KEY, n INTEGER NOT NULL, size INTEGER NOT NULL, about BLOB NOT NULL, y BLOB NOT NULL,
    "group" BLOB NOT NULL, rows BLOB, keys BLOB) WITHOUT ROWID;
CREATE TABLE predictions (
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, truth TEXT NOT NULL, n INTEGER NOT NULL,
    digest TEXT NOT NULL, y_pred BLOB NOT NULL, y_score BLOB, decision BLOB,
    PRIMARY KEY (key, step, point)) WITHOUT ROWID;
CREATE TABLE total (cells INTEGER NOT NULL, digest TEXT NOT NULL);
INSERT INTO total VALUES (0, '00000000000000000000000000000000');
""",
    "SELECT key, cell, status, reason, chosen, seconds, cpu_seconds, versions, diagnostics, parts, alike, remarks, "
    "supports, value_digest, prediction_digest, digest FROM cells",
    "SELECT key, step, point, truth, n, digest, y_pred, y_score, decision FROM predictions",
    'SELECT key, n, size, about, y, "group", rows, keys FROM truths',
)


@dataclass(frozen=True, eq=False)
class Measured:
    """What ``run_cell`` returns: the record, and for each (step, operating point) the truth and the predictions."""

    record: Record
    predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]]


class CellRow(NamedTuple):
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

    def taken(self) -> str:
        """Return the digest of the row in its current state."""
        return digest(list(self[:-1]))

    def record(self, values: Iterable[Value]) -> Record:
        """Return the record with these values."""
        parts = json.loads(self.parts)
        return Record(
            Cell.from_json(self.cell),
            self.status,
            self.reason,
            tuple(values),
            self.chosen,
            {name: tuple(curve) for name, curve in json.loads(self.diagnostics).items()},
            self.seconds,
            self.cpu_seconds,
            dict(json.loads(self.versions)),
            None if parts is None else Parts(*parts),
            tuple((step, point) for step, point in json.loads(self.alike)),
            tuple(json.loads(self.remarks)),
            tuple((group, rows) for group, rows in json.loads(self.supports)),
        )


class PredictionRow(NamedTuple):
    """A row of the table ``predictions``; ``digest`` is taken over all other columns."""

    key: str
    step: int
    point: str
    truth: str
    n: int
    digest: str
    y_pred: bytes
    y_score: Optional[bytes]
    decision: Optional[bytes]

    def taken(self) -> str:
        """Return the digest of the row in its current state."""
        plain = [self.key, self.step, self.point, self.truth, self.n]
        return digest(plain, (self.y_pred, self.y_score, self.decision))

    def predictions(self) -> Predictions:
        """Return the predictions."""
        y_score = None if self.y_score is None else unpack(self.y_score, "<f8", self.n)
        decision: Any = None if self.decision is None else unpack(self.decision, "<f8", self.n)
        return Predictions(unpack(self.y_pred, "u1", self.n).astype(np.int64), y_score, decision)


class TruthRow(NamedTuple):
    """A row of the table ``truths``; its key is a hash of what the others hold."""

    key: str
    n: int
    size: int  # of ``about`` before it was packed
    about: bytes
    y: bytes
    group: bytes
    rows: Optional[bytes]
    keys: Optional[bytes]  # one after the other

    def truth(self) -> Truth:
        """Return the truth.

        Raises:
            ValueError: it is not the one that the key stands for.
        """
        about = json.loads(unpack(self.about, "u1", self.size).tobytes())
        types = Truth.array_types(about)
        arrays = {"y": unpack(self.y, "u1", self.n), "group": unpack(self.group, "<i4", self.n)}
        if self.rows is not None:
            arrays["rows"] = unpack(self.rows, "<i8", self.n)
        if self.keys is not None:
            sizes = {name: np.dtype(dtype).itemsize for name, dtype in types.items() if name.startswith("key ")}
            raw, start = unpack(self.keys, "u1", self.n * sum(sizes.values())), 0
            for name, size in sizes.items():
                arrays[name] = np.frombuffer(raw, types[name], self.n, start)
                start += self.n * size
        truth = Truth.rebuilt(about, arrays)
        if truth.key != self.key:
            raise ValueError("labels, groups or keys are not those that were stored")
        return truth


def pack(array: NDArray[Any], dtype: str) -> bytes:
    """Return an array's compressed bytes."""
    return zlib.compress(np.ascontiguousarray(array, dtype=dtype).tobytes(), 1)


def unpack(blob: bytes, dtype: str, n: int) -> NDArray[Any]:
    """Return the array of n entries that was packed; never more than that is decompressed.

    Raises:
        ValueError: it has another number of entries.
    """
    size = n * np.dtype(dtype).itemsize
    stream = zlib.decompressobj()
    raw = stream.decompress(blob, size + 1)  # a limit of 0 would be none
    if len(raw) != size or not stream.eof or stream.unused_data:
        raise ValueError(f"an array of {n} entries has another length")
    return np.frombuffer(raw, dtype)


def digest(plain: Any, blobs: Sequence[Optional[bytes]] = ()) -> str:
    """Return a hash of plain data and blobs."""
    sizes = [None if blob is None else len(blob) for blob in blobs]
    total = hashlib.blake2b(canonical([plain, sizes]).encode(), digest_size=16)
    for blob in blobs:
        total.update(blob or b"")
    return total.hexdigest()


def value_digest(values: Sequence[Sequence[Any]]) -> str:
    """Return the digest of a cell's values, each without the cell's key, in the store's order."""
    return digest([list(value) for value in values])


def prediction_digest(rows: Iterable[tuple[Any, Any, Any]]) -> str:
    """Return the digest of (step, point, digest) of a cell's predictions, in the store's order."""
    return digest([list(row) for row in rows])


class Rows(NamedTuple):
    """All that is written for one cell."""

    cell: CellRow
    values: list[tuple[Any, ...]]  # without the cell's key
    predictions: list[PredictionRow]
    truths: list[TruthRow]  # those that the store lacks


def rows_of(measured: Measured, stored: Collection[str] = ()) -> Rows:
    """Return the rows of a cell, without those of test parts that are ``stored`` already (by key).

    Raises:
        Unstorable: something in them cannot be stored, or would be ambiguous when it is read again.
    """
    record = measured.record
    try:
        values = sorted((_value_row(value) for value in record.values), key=lambda row: row[:4])
        for before, after in zip(values, values[1:]):
            if before[:4] == after[:4]:
                raise Unstorable(
                    f"step {after[0]}, point {after[1]!r} has two values of {after[3]}; give each its own name"
                )
        truths: dict[str, Truth] = {}
        predictions = []
        for (step, point), (truth, made) in measured.predictions.items():
            truths.setdefault(truth.key, truth)
            predictions.append(_prediction_row(record.cell.key, _whole(step), _name(point, "point"), truth.key, made))
        predictions.sort(key=lambda row: (row.step, row.point))
        listed = [(row.step, row.point, row.digest) for row in predictions]
        lacking = [_truth_row(truth) for key, truth in truths.items() if key not in stored]
        return Rows(_cell_row(record, values, listed), values, predictions, lacking)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unstorable(f"the record cannot be stored: {type(error).__name__}: {error}") from error


def _cell_row(record: Record, values: list[tuple[Any, ...]], listed: list[tuple[int, str, str]]) -> CellRow:
    for name in record.diagnostics:
        _name(name, "diagnostic")
    parts = record.parts
    row = CellRow(
        record.cell.key,
        record.cell.to_json(),
        _name(record.status, "status"),
        _text(record.reason),
        _name(record.chosen, "point"),
        float(record.seconds),
        float(record.cpu_seconds),
        canonical(dict(record.versions)),
        canonical({name: list(curve) for name, curve in record.diagnostics.items()}),
        canonical(parts and [*map(_whole, (parts.train, parts.validation, parts.test)), parts.overlap]),
        canonical([[_whole(step), _name(point, "point")] for step, point in record.alike]),
        canonical(list(record.remarks)),
        canonical([[_name(group, "group", escaped=True), _whole(rows)] for group, rows in record.supports]),
        value_digest(values),
        prediction_digest(listed),
        "",
    )
    return row._replace(digest=row.taken())


def _value_row(value: Value) -> tuple[Any, ...]:
    step, point, group, metric, number, reason = value
    where = _whole(step), _name(point, "point"), _name(group, "group"), _name(metric, "metric")
    if number is not None:
        number = float(number) + 0.0  # SQLite knows no -0.0
        if not math.isfinite(number):
            raise Unstorable(f"{metric} is {number}; a value that is not finite must be null, with a reason")
    return (*where, number, _text(reason))


def _prediction_row(key: str, step: int, point: str, truth: str, made: Predictions) -> PredictionRow:
    y_score = None if made.y_score is None else pack(made.y_score, "<f8")
    decision = pack(made.decision, "<f8") if made.randomised else None
    row = PredictionRow(key, step, point, truth, len(made.y_pred), "", pack(made.y_pred, "u1"), y_score, decision)
    return row._replace(digest=row.taken())


def _truth_row(truth: Truth) -> TruthRow:
    for what, names in (("group", truth.group_names), ("feature", truth.feature_names), ("key", truth.keys)):
        for name in names:
            _name(name, what, escaped=True)
    about, arrays = canonical(truth.about).encode(), truth.arrays
    keys = b"".join(array.tobytes() for name, array in arrays.items() if name.startswith("key "))
    return TruthRow(
        truth.key,
        len(truth.y),
        len(about),
        zlib.compress(about, 1),
        pack(arrays["y"], "u1"),
        pack(arrays["group"], "<i4"),
        pack(arrays["rows"], "<i8") if "rows" in arrays else None,
        zlib.compress(keys, 1) if truth.keys else None,
    )


def _whole(number: Any) -> int:
    whole = operator.index(number)
    if not -(2**63) <= whole < 2**63:
        raise Unstorable(f"{whole} is too large a step for the store")
    return whole


def _name(text: Any, what: str, *, escaped: bool = False) -> str:
    """Return a name that is read back as it is written; JSON can escape what a text column cannot hold."""
    if not isinstance(text, str):
        seen = f"{text!r:.80}"
        raise Unstorable(f"the name of a {what} is {seen}, of type {type(text).__name__}; it must be a string")
    if not escaped and _text(text) != text:
        raise Unstorable(f"the name of a {what} is {text!a:.80}, which is not valid Unicode; rename it")
    return str(text)


def _text(text: Any) -> str:
    """Return a text for people; invalid Unicode (a lone surrogate) is shown as an escape."""
    shown = str(text)
    return shown if shown.isascii() else shown.encode("utf-8", "backslashreplace").decode()
