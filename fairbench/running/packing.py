"""How a cell becomes rows of a store: packed arrays, values in one row of bytes, and what cannot be stored."""

from __future__ import annotations

import math
import operator
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Optional, Union

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import canonical
from fairbench.data.rows import Predictions
from fairbench.errors import Unstorable
from fairbench.records import Record, Value
from fairbench.running.layout import Body, CellRow, Made, PredictionRow, TruthRow, text_id
from fairbench.running.packed import NAN
from fairbench.running.truth import Truth

NOISY = 512  # bytes of doubles that are looked at before they are compressed


@dataclass(frozen=True, eq=False)
class Measured:
    """What ``run_cell`` returns: the record, and for each (step, operating point) the truth and the predictions."""

    record: Record
    predictions: Mapping[tuple[int, str], tuple[Truth, Predictions]]


def pack(array: NDArray[Any], dtype: str) -> bytes:
    """Return an array's bytes, compressed by zlib: in its format, but as they are, where it would save next to nothing.

    Scores computed in double precision are such: their last bits are noise, and zlib saves a fifteenth, at 20 times
    the price. Those that were computed in single precision, or are often equal, are half as large or less.
    """
    raw = np.ascontiguousarray(array, dtype=dtype).tobytes()
    return zlib.compress(raw, 0 if dtype == "<f8" and _noisy(raw) else 1)


def _noisy(raw: bytes) -> bool:
    """Return whether the first doubles are nearly all different, and their last byte too is in use."""
    first = raw[:NOISY]
    used = len(first) // 8
    return used - first[::8].count(0) > 0.9 * used and len(set(memoryview(first).cast("d"))) > 0.9 * used


class Rows(NamedTuple):
    """All that is written for one cell."""

    cell: CellRow
    body: Body
    texts: dict[bytes, str]  # those that the store lacks
    predictions: list[PredictionRow]
    truths: list[TruthRow]  # those that the store lacks


def rows_of(measured: Measured, stored: Collection[Union[str, bytes]] = ()) -> Rows:
    """Return the rows of a cell, without the test parts (by key) and the texts (by hash) that are ``stored`` already.

    Raises:
        Unstorable: something in them cannot be stored, or would be ambiguous when it is read again.
    """
    with _unstorable():
        truths: dict[str, Truth] = {}
        predictions, made = [], []
        for (step, point), (truth, here) in measured.predictions.items():
            truths.setdefault(truth.key, truth)
            name = measured.record.cell.key
            row = _prediction_row(name, _whole(step), _name(point, "point"), truth.key, here)
            predictions.append(row)
            selected = None if row.decision is not None else selected_rows(truth, here)
            made.append(Made(row.step, row.point, row.truth, row.digest, selected))
        lacking = [_truth_row(truth) for key, truth in truths.items() if key not in stored]
        cell, body, texts = record_rows(measured.record, made)
    return Rows(cell, body, {key: text for key, text in texts.items() if key not in stored}, predictions, lacking)


@contextmanager
def _unstorable() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unstorable(f"the record cannot be stored: {type(error).__name__}: {error}") from error


def selected_rows(truth: Truth, predictions: Predictions) -> Optional[tuple[int, ...]]:
    """Return how many rows of each group and label plain decisions select, (2 G,); None if rows and groups disagree."""
    if len(truth.group) != len(predictions.y_pred):
        return None
    cell, cells = truth.group * 2 + truth.y, 2 * len(truth.group_names)
    if len(cell) and cell.min() < 0:
        return None
    counts = np.bincount(cell[predictions.y_pred == 1], minlength=cells).tolist()
    return tuple(counts) if len(counts) == cells else None


def record_rows(record: Record, made: Iterable[Made]) -> tuple[CellRow, Body, dict[bytes, str]]:
    """Return the row of a record in its two parts, and the texts that it refers to, by hash.

    Raises:
        Unstorable, TypeError, ValueError: something cannot be stored.
    """
    for name in record.diagnostics:
        _name(name, "diagnostic")
    cell, parts = record.cell, record.parts
    about = canonical(
        [
            dict(record.versions),
            parts and [*map(_whole, (parts.train, parts.validation, parts.test)), parts.overlap],
            [[_whole(step), _name(point, "point")] for step, point in record.alike],
            list(record.remarks),
            [[_name(group, "group", escaped=True), _whole(rows)] for group, rows in record.supports],
        ]
    )
    shape, numbers, reasons = _packed(record.values)
    listed = sorted(made)
    frame, about_id, shape_id = known = [text_id(text) for text in (cell.frame, about, shape)]
    texts = dict(zip(known, (cell.frame, about, shape)))
    body = Body(
        shape_id,
        numbers,
        reasons,
        canonical({name: list(curve) for name, curve in record.diagnostics.items()}) if record.diagnostics else "{}",
        canonical([list(one) for one in listed]),
        len(listed),
    )
    row = CellRow(
        cell.key,
        frame,
        _whole(cell.repeat),
        _whole(cell.tuning),
        _whole(cell.fit),
        _name(record.status, "status"),
        _text(record.reason),
        _name(record.chosen, "point"),
        float(record.seconds),
        float(record.cpu_seconds),
        about_id,
        body.taken(),
        b"",
    )
    return row._replace(digest=row.taken()), body, texts


def _packed(values: Sequence[Value]) -> tuple[str, bytes, str]:
    """Return places, numbers and reasons of values, sorted by place."""
    *where, known, said = zip(*values) if values else ((), (), (), (), (), ())
    places = tuple(zip(*where))
    try:
        order, shape = _sorted_places(places)
    except TypeError:  # a name is something that cannot be looked up: say what
        order, shape = _sorted_places.__wrapped__(places)
    if None not in known and not any(said):
        array = np.array(known, dtype=np.float64)
        if np.isfinite(array).all():
            return shape, (array[order] + 0.0).astype("<f8").tobytes(), ""  # there is no -0.0
    numbers, reasons = [], []
    for number, place in enumerate(order.tolist()):
        value = values[place]
        if value.value is None:
            numbers.append(NAN)
        elif math.isfinite(value.value):
            numbers.append(float(value.value) + 0.0)  # there is no -0.0
        else:
            raise Unstorable(f"{value.metric} is {value.value}; a value that is not finite must be null, with a reason")
        if value.reason:
            reasons.append([number, _text(value.reason)])
    return shape, struct.pack(f"<{len(numbers)}d", *numbers), canonical(reasons) if reasons else ""


@lru_cache(maxsize=64)
def _sorted_places(places: tuple[tuple[Any, ...], ...]) -> tuple[NDArray[np.intp], str]:
    """Return the order in which places are stored, and the text that lists them."""
    known = [
        (_whole(step), _name(point, "point"), _name(group, "group"), _name(metric, "metric"))
        for step, point, group, metric in places
    ]
    order = sorted(range(len(known)), key=known.__getitem__)
    for before, after in zip(order, order[1:]):
        if known[before] == known[after]:
            step, point, _, metric = known[after]
            raise Unstorable(f"step {step}, point {point!r} has two values of {metric}; give each its own name")
    return np.array(order, dtype=np.intp), canonical([list(known[place]) for place in order])


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
