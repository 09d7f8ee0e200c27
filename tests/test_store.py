"""The store: what goes in comes out, nothing is lost, and trouble is explained."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from fairbench.cells import DONE, FAILED, SKIPPED, Cell, Choice, Record, Value
from fairbench.data import Predictions
from fairbench.errors import StoreError
from fairbench.store import FORMAT, Measured, Store, Truth

TRUTH = Truth(np.array([0, 1, 1]), np.array([0, 0, 1]), ("female", "male"))


def cell(repeat=0, method="mlp"):
    return Cell(Choice("compas"), Choice(method, {"hidden": [8], "lr": 0.1}), "race", repeat, metrics=("accuracy",))


def measured(repeat=0, status=DONE, value=0.5, predictions=None):
    values = (
        Value(0, "", "", "accuracy", value),
        Value(0, "", "female", "true_positive_rate", None, "no row with y = 1"),
    )
    record = Record(
        cell(repeat),
        status,
        "" if status == DONE else "why",
        values,
        "",
        {"loss": (1.0, 0.5)},
        1.5,
        1.2,
        {"fairbench-harness": "0.1.0"},
    )
    return Measured(
        record, {(0, ""): (TRUTH, predictions or Predictions(np.array([0, 1, 0]), np.array([0.1, 0.9, 1 / 3])))}
    )


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "results.sqlite", create=True) as opened:
        yield opened


def test_a_record_comes_back_as_it_went_in(store):
    original = measured()
    store.add(original)
    (back,) = store.records()
    assert back == original.record
    assert back.cell.method.params == {"hidden": [8], "lr": 0.1}


def test_predictions_come_back_to_the_last_bit(store):
    decision = np.array([0.25, 1.0, 1 / 3])
    for repeat, predictions in enumerate(
        [
            Predictions(np.array([0, 1, 0]), np.array([0.1, 0.9, 1 / 3])),
            Predictions(np.array([0, 1, 0]), None, decision),
        ]
    ):
        store.add(measured(repeat, predictions=predictions))
        truth, back = store.predictions(cell(repeat).key)[0, ""]
        assert truth.y.tolist() == [0, 1, 1]
        assert [truth.group_names[code] for code in truth.group] == ["female", "female", "male"]
        assert back.y_pred.tobytes() == predictions.y_pred.tobytes()
        assert back.decision.tobytes() == predictions.decision.tobytes()
        assert (back.y_score is None) == (predictions.y_score is None)
        assert back.y_score is None or back.y_score.tobytes() == predictions.y_score.tobytes()


def test_equal_test_parts_are_stored_once(store):
    for repeat in range(3):
        store.add(measured(repeat))
    assert store._connection.execute("SELECT count(*) FROM truths").fetchone() == (1,)


def test_only_done_cells_are_finished(store):
    for repeat, status in enumerate([DONE, SKIPPED, FAILED]):
        store.add(measured(repeat, status))
    assert store.finished() == {cell(0).key}


def test_a_second_record_of_a_cell_replaces_the_first(store):
    store.add(measured(status=FAILED))
    store.add(measured(value=0.75))
    (back,) = store.records()
    assert (back.status, back.values[0].value) == (DONE, 0.75)


def test_records_come_in_the_order_of_the_plan(store):
    keys = [cell(repeat).key for repeat in (2, 0, 1)]
    for repeat in range(3):
        store.add(measured(repeat))
    assert [record.cell.repeat for record in store.records(keys)] == [2, 0, 1]


def test_a_full_disk_is_explained_and_keeps_what_was_written(store):
    store.add(measured(0))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Predictions(np.zeros(200_000, int), np.random.default_rng(0).random(200_000))
    with pytest.raises(
        StoreError, match=r"results.sqlite cannot be written: .*full; finished cells are kept; free some space"
    ):
        store.add(measured(1, predictions=big))
    assert [record.cell.repeat for record in store.records()] == [0]


def test_a_missing_store_is_explained(tmp_path):
    with pytest.raises(StoreError, match="does not exist; 'fairbench run' makes run directories"):
        Store(tmp_path / "results.sqlite")


def test_a_store_that_was_only_begun_is_explained(tmp_path):
    (tmp_path / "results.sqlite").touch()
    with pytest.raises(StoreError, match="holds nothing yet"):
        Store(tmp_path / "results.sqlite")
    Store(tmp_path / "results.sqlite", create=True).close()
    with Store(tmp_path / "results.sqlite") as store:
        assert store.records() == []


def test_a_file_that_is_no_store_is_explained(tmp_path):
    path = tmp_path / "results.sqlite"
    path.write_text("not a database, but long enough to be taken for one " * 50)
    with pytest.raises(StoreError, match="is not a fairbench store or is damaged"):
        Store(path, create=True)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "results.sqlite"
    Store(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(StoreError, match=f"has format {FORMAT + 1}, this fairbench reads format {FORMAT}"):
        Store(path)


def test_a_reader_does_not_write(tmp_path):
    path = tmp_path / "results.sqlite"
    Store(path, create=True).close()
    with Store(path) as reader, pytest.raises(StoreError, match="readonly"):
        reader.add(measured())
