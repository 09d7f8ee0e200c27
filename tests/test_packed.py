"""Values in one row of bytes: the sequence that they stand for, cells made from a frame, and cells written together."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fairbench.analysis.counts import count, stored_rows
from fairbench.cells import Cell, Choice, Preparation
from fairbench.data.rows import Predictions
from fairbench.records import DONE, FAILED, SKIPPED, Record, Results, Value
from fairbench.running.layout import Body, CellRow
from fairbench.running.packed import PackedValues
from fairbench.running.store import FILE_NAME, MOST, QUICK, Measured, Store, Truth

VALUES = (
    Value(0, "a", "", "accuracy", 0.5),
    Value(0, "a", "f", "accuracy", None, "no rows"),
    Value(1, "b", "", "n", 3.0, "without m"),
)


def test_packed_values_are_the_tuple_that_they_stand_for():
    packed = PackedValues.of(VALUES)
    assert packed == VALUES
    assert VALUES == packed  # noqa: SIM300 - a tuple leaves it to the other
    assert packed == PackedValues.of(VALUES)
    assert (len(packed), tuple(packed), packed[-1], packed[1:]) == (3, VALUES, VALUES[2], VALUES[1:])
    assert (hash(packed), repr(packed)) == (hash(VALUES), repr(VALUES))
    assert (VALUES[2] in packed, bool(packed), bool(PackedValues.of(()))) == (True, True, False)
    with pytest.raises(IndexError):
        packed[3]


@pytest.mark.parametrize("other", [VALUES[:2], (*VALUES[:2], VALUES[2]._replace(reason="")), "abc", None])
def test_packed_values_differ_from_others(other):
    assert PackedValues.of(VALUES) != other


def test_as_many_numbers_are_needed_as_there_are_places():
    packed = PackedValues.of(VALUES)
    with pytest.raises(ValueError, match="16 bytes of values stand for 3 values"):
        PackedValues(packed.shape, bytes(16))


def test_a_cell_made_from_a_frame_is_the_cell():
    cell = Cell(Choice("d", {"k": 1}), Choice("m"), "sex", 3, Preparation("none"), metrics=("n",), tuning=2, fit=1)
    frame = Cell.from_json(cell.frame)
    assert frame == replace(cell, repeat=0, tuning=0, fit=0)
    made = frame.placed(3, 2, 1, cell.key)
    assert (made, made.key, made.to_json(), made.frame) == (cell, cell.key, cell.to_json(), cell.frame)
    assert (made.split_key, made.seed("fit")) == (cell.split_key, cell.seed("fit"))
    assert replace(made, repeat=4).key == replace(cell, repeat=4).key != cell.key


def measured(repeat, seconds=0.0, status=DONE):
    cell = Cell(Choice("compas"), Choice("mlp"), "race", repeat)
    return Measured(Record(cell, status, values=(Value(0, "", "", "n", 2.0),), seconds=seconds), {})


def seen(path):
    with Store(path) as reader:
        return [record.cell.repeat for record in reader.records()]


@pytest.mark.parametrize("last", [measured(9, QUICK), measured(9, 0.0, FAILED)])
def test_quick_cells_wait_for_one_that_was_slow_or_failed(tmp_path, monkeypatch, last):
    monkeypatch.setattr("fairbench.running.store.time", SimpleNamespace(monotonic=lambda: 1000.0))
    path = tmp_path / FILE_NAME
    with Store(path, create=True) as store:
        store.add(measured(0))  # nothing was written shortly before
        assert (store.waits, seen(path)) == (False, [0])
        store.add(measured(1))
        store.add(measured(2, status=SKIPPED))
        assert (store.waits, seen(path)) == (True, [0])
        store.add(last)
        assert (store.waits, sorted(seen(path))) == (False, [0, 1, 2, 9])


def test_quick_cells_wait_neither_long_nor_in_crowds_nor_for_a_reader_of_the_same_store(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("fairbench.running.store.time", SimpleNamespace(monotonic=lambda: clock[0]))
    path = tmp_path / FILE_NAME
    with Store(path, create=True) as store:
        for repeat in range(MOST):
            store.add(measured(repeat))
        assert len(seen(path)) == 1
        store.add(measured(MOST))
        assert len(seen(path)) == MOST + 1
        store.add(measured(MOST + 1))
        assert (len(store.finished()), store.waits) == (MOST + 2, False)
        store.add(measured(MOST + 2))
        clock[0] += 1.0
        store.add(measured(MOST + 3))
        assert len(seen(path)) == MOST + 4
        store.add(measured(MOST + 4))
    assert len(seen(path)) == MOST + 5


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.append(sys.argv[2])
from test_packed import measured
from fairbench.running.store import Store
store = Store(Path(sys.argv[1]), create=True)
for repeat in range(200):
    store.add(measured(repeat))
    if not store.waits:
        print(repeat, flush=True)
store.add(measured(200, 1.0))
print(200, flush=True)
store.add(measured(201))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_no_longer_waits_outlives_a_kill(tmp_path):
    path = tmp_path / FILE_NAME
    command = [sys.executable, "-c", KILLED, path, Path(__file__).parent]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert ended.returncode == -9
    assert ended.stdout.split()[-1] == b"200"
    assert sorted(seen(path))[:201] == list(range(201))


def test_stored_counts_are_those_of_the_predictions(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    cell, n = Cell(Choice("compas"), Choice("mlp"), "race", 0), 60
    truth = Truth(draw.integers(0, 2, n), draw.integers(0, 3, n), ("a", "b", "c", "nobody"))
    made = {
        "plain": Predictions.from_score(draw.random(n)),
        "none": Predictions(np.zeros(n, int)),
        "drawn": Predictions.from_decision(draw.random(n), seed=0),
    }
    record = Record(cell, DONE, values=tuple(Value(0, point, "", "n", 1.0) for point in made), chosen="plain")
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(Measured(record, {(0, point): (truth, here) for point, here in made.items()}))
    read = []
    monkeypatch.setattr(Store, "predictions", lambda *of, known=Store.predictions: read.append(1) or known(*of))
    with stored_rows(Results([record], {}, 1, {}, tmp_path)) as rows:
        for point, here in made.items():
            found, right = rows.counts(record, point), count(truth, here)
            assert (found.groups, found.randomised) == (right.groups, right.randomised)
            for one, other in zip(found.by_level, right.by_level):
                assert one.tolist() == other.tolist()
        assert rows.counts(record).selected.tolist() == count(truth, made["plain"]).selected.tolist()
        assert rows.counts(record, "another") is None
    assert len(read) == 1  # for the rows of the test part, and for chances; the others come from the list


@pytest.mark.parametrize("place", range(12))
def test_the_digest_of_a_cell_is_taken_over_every_column(place):
    row = CellRow("k", b"f", 1, 2, 3, "done", "r", "p", 0.5, 0.25, b"a", b"b", b"")
    other = {str: "kx", bytes: b"fx", int: 7, float: 7.0}[type(row[place])]
    assert row._replace(**{CellRow._fields[place]: other}).taken() != row.taken()


@pytest.mark.parametrize("place", range(6))
def test_the_digest_of_what_was_measured_is_taken_over_every_column(place):
    body = Body(b"s", b"n", "r", "{}", "[]", 1)
    other = {str: "x", bytes: b"x", int: 7}[type(body[place])]
    assert body._replace(**{Body._fields[place]: other}).taken() != body.taken()


def test_what_moves_from_one_column_to_the_next_changes_the_digest():
    row = CellRow("k", b"f", 1, 2, 3, "done", "ab", "c", 0.5, 0.25, b"a", b"b", b"")
    assert row._replace(reason="a", chosen="bc").taken() != row.taken()
    body = Body(b"s", b"n", "ab", "c", "", 1)
    assert body._replace(reasons="a", diagnostics="bc").taken() != body.taken()
