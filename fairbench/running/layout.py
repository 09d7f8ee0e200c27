"""The tables of a store, their rows as they are read, and the digests by which damage is found."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import Cell, canonical
from fairbench.data.rows import Predictions
from fairbench.records import Parts
from fairbench.running.truth import Truth

SIZE = 16  # bytes of a hash
TABLES = {
    "texts": "(id BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
    "spare": "(id BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
    "cells": """(
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, frame BLOB NOT NULL, repeat INTEGER NOT NULL,
    tuning INTEGER NOT NULL, fit INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, chosen TEXT NOT NULL,
    seconds REAL NOT NULL, cpu_seconds REAL NOT NULL, about BLOB NOT NULL, body BLOB NOT NULL, digest BLOB NOT NULL,
    shape BLOB NOT NULL, numbers BLOB NOT NULL, reasons TEXT NOT NULL, diagnostics TEXT NOT NULL, made TEXT NOT NULL,
    points INTEGER NOT NULL)""",
    "total": "(cells INTEGER NOT NULL, digest BLOB NOT NULL)",
    "truths": """(
    key TEXT PRIMARY KEY, n INTEGER NOT NULL, size INTEGER NOT NULL, about BLOB NOT NULL, y BLOB NOT NULL,
    "group" BLOB NOT NULL, rows BLOB, keys BLOB) WITHOUT ROWID""",
    "predictions": """(
    key TEXT NOT NULL, step INTEGER NOT NULL, point TEXT NOT NULL, truth TEXT NOT NULL, n INTEGER NOT NULL,
    digest TEXT NOT NULL, y_pred BLOB NOT NULL, y_score BLOB, decision BLOB, PRIMARY KEY (key, step, point))""",
}
"""The tables of a store.

A cell is a row that says what happened (``digest`` is taken over it) and what was measured (``body`` is the digest of
that part, and counts in the first). What cells have in common is kept once, in ``texts``, by its hash: ``frame`` is the
cell but for its numbers; ``about`` are versions, parts, predictions that decide alike, remarks and supports; ``shape``
are the places of the values. ``spare`` has all these texts again, because a run is lost without them. ``numbers`` are
the values, 64-bit floats, with the reasons beside them. ``made`` lists the predictions with their digests, and how many
rows of each group and label they select. ``total`` is the number of cells and the exclusive or of their digests, which
shows if one is missing.
"""


def schema(names: Collection[str] = tuple(TABLES), kind: str = "") -> str:
    """Return the statements that make some of the tables, empty.

    Args:
        names: of the tables.
        kind: ``TEMP`` for tables that only this connection sees.
    """
    made = "".join(f"CREATE {kind} TABLE {name} {TABLES[name]}; " for name in names)
    return f"{made}INSERT INTO total VALUES (0, zeroblob({SIZE})); "  # noqa: S608 - nothing from outside


class CellRow(NamedTuple):
    """What a row of the table ``cells`` says without its values; ``digest`` is taken over all columns before it."""

    key: str
    frame: bytes
    repeat: int
    tuning: int
    fit: int
    status: str
    reason: str
    chosen: str
    seconds: float
    cpu_seconds: float
    about: bytes
    body: bytes
    digest: bytes

    def taken(self) -> bytes:
        """Return the digest of the row in its current state."""
        key, frame, repeat, tuning, fit, status, reason, chosen, seconds, cpu_seconds, about, body, _ = self
        parts = key.encode(), frame, status.encode(), reason.encode(), chosen.encode(), about, body
        return seal("qqqdd", (repeat, tuning, fit, seconds, cpu_seconds), parts)


class Body(NamedTuple):
    """What was measured at a cell, as the last columns of its row have it."""

    shape: bytes
    numbers: bytes
    reasons: str
    diagnostics: str
    made: str
    points: int  # how many predictions it has

    @property
    def curves(self) -> dict[str, tuple[float, ...]]:
        """Return the diagnostics by name."""
        if self.diagnostics == "{}":
            return {}
        return {name: tuple(curve) for name, curve in json.loads(self.diagnostics).items()}

    def taken(self) -> bytes:
        """Return the digest of these columns in their current state."""
        shape, numbers, reasons, diagnostics, made, points = self
        return seal("q", (points,), (shape, numbers, reasons.encode(), diagnostics.encode(), made.encode()))


class About(NamedTuple):
    """What a record says that many others say too."""

    versions: dict[str, str]
    parts: Optional[Parts]
    alike: tuple[tuple[int, str], ...]
    remarks: tuple[str, ...]
    supports: tuple[tuple[str, int], ...]

    @classmethod
    def read(cls, text: str) -> About:
        """Return what a text says."""
        versions, parts, alike, remarks, supports = json.loads(text)
        return cls(
            dict(versions),
            None if parts is None else Parts(*parts),
            tuple((step, point) for step, point in alike),
            tuple(remarks),
            tuple((group, rows) for group, rows in supports),
        )


class Outline(NamedTuple):
    """What is known about a cell without its values; ``cell`` has 0 for each of its numbers, see ``Cell.frame``."""

    status: str
    metrics: tuple[str, ...]
    versions: Mapping[str, str]
    cell: Cell
    seconds: float
    parts: Optional[Parts]


class Made(NamedTuple):
    """Predictions that a cell has, without them.

    Args:
        step, point: of the predictions.
        truth: key of what they are scored on.
        digest: of their row.
        selected: number of selected rows by group and label, (2 G,); None if decisions are randomised, or if an older
            fairbench stored them.
    """

    step: int
    point: str
    truth: str
    digest: str
    selected: Optional[tuple[int, ...]]

    @classmethod
    def listed(cls, text: str) -> list[Made]:
        """Return what a text lists."""
        return [
            cls(step, point, truth, digest, None if selected is None else tuple(selected))
            for step, point, truth, digest, selected in json.loads(text)
        ]


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


def seal(form: str, numbers: Sequence[float], parts: Sequence[bytes]) -> bytes:
    """Return a hash of numbers, which are packed in a ``form`` that ``struct`` knows, and of strings of bytes."""
    sizes = struct.pack(f"<{form}{len(parts)}Q", *numbers, *map(len, parts))
    return hashlib.blake2b(sizes + b"".join(parts), digest_size=SIZE).digest()


def intact(part: Any, digest: bytes) -> bool:
    """Return whether a part of a row, a ``CellRow`` or a ``Body``, has this digest, whatever its columns hold."""
    try:
        return bool(part.taken() == digest)
    except (AttributeError, TypeError, UnicodeError, struct.error):  # a column is of another type
        return False


def together(digests: Sequence[bytes]) -> bytes:
    """Return the exclusive or of digests, which does not depend on their order."""
    every = np.frombuffer(b"".join(digests), "u1").reshape(-1, SIZE)
    return bytes(np.bitwise_xor.reduce(every, axis=0).tobytes())


def text_id(text: str) -> bytes:
    """Return the hash that a text is kept under."""
    return hashlib.blake2b(text.encode(), digest_size=SIZE).digest()


def digest(plain: Any, blobs: Sequence[Optional[bytes]] = ()) -> str:
    """Return a hash of plain data and blobs."""
    sizes = [None if blob is None else len(blob) for blob in blobs]
    total = hashlib.blake2b(canonical([plain, sizes]).encode(), digest_size=16)
    for blob in blobs:
        total.update(blob or b"")
    return total.hexdigest()


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
