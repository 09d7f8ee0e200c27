"""What cannot be stored or read: it is refused or explained, and nothing is lost."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored_cells import TRUTH, cell, measured

from fairbench.data.rows import Predictions
from fairbench.errors import StoreError
from fairbench.records import Parts, Value
from fairbench.running.store import FILE_NAME, FORMAT, Measured, Store, Unstorable
from fairbench.running.storefile import readable


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "results.sqlite", create=True) as opened:
        yield opened


def changed(**fields):
    return Measured(replace(measured().record, **fields), {})


SAME = Value(0, "", "", "accuracy", 1.0)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (changed(values=(Value(0, "", "", "accuracy", float("inf")),)), "accuracy is inf; a value that is not finite"),
        (changed(values=(Value(0, "", "", "accuracy", float("nan")),)), "accuracy is nan; "),
        (changed(values=(SAME, SAME)), "step 0, point '' has two values of accuracy"),
        (
            changed(values=(SAME, SAME._replace(metric="n"), SAME)),
            "step 0, point '' has two values of accuracy; give each its own name",
        ),
        (changed(values=(Value(2**70, "", "", "accuracy", 1.0),)), "too large a step"),
        (changed(values=(Value(2**63, "", "", "accuracy", 1.0),)), "^9223372036854775808 is too large a step for the"),
        (changed(values=(Value(-(2**63) - 1, "", "", "accuracy", 1.0),)), "^-9223372036854775809 is too large a step"),
        (changed(values=(Value(0.5, "", "", "accuracy", 1.0),)), "the record cannot be stored: TypeError: .*float"),
        (changed(values=(Value(0, "", 1, "accuracy", 1.0),)), "name of a group is 1, of type int; it must be a string"),
        (changed(values=(Value(0, "", "", 1, 1.0),)), "name of a metric is 1, of type int"),
        (
            changed(values=(Value(0, "a" * 79 + "\ud800", "", "n", 1.0),)),
            f"name of a point is '{'a' * 79}, which is not ",
        ),
        (changed(values=(Value(0, [1] * 50, "", "n", 1.0),)), rf"name of a point is \[{'1, ' * 26}1, of type list"),
        (changed(status=None), "name of a status is None"),
        (changed(alike=((0, 3),)), "name of a point is 3"),
        (changed(alike=((2**63, ""),)), "too large a step"),
        (changed(supports=((3, 1),)), "name of a group is 3"),
        (changed(parts=Parts(2**63, 1, 1)), "too large a step"),
        (changed(values=(Value(0, ("a", 1), "", "accuracy", 1.0),)), r"name of a point is \('a', 1\), of type tuple"),
        (changed(values=(Value(0, None, "", "accuracy", 1.0),)), "name of a point is None"),
        (changed(values=(Value(0, "\ud800", "", "accuracy", 1.0),)), r"name of a point is '\\ud800', .*rename it"),
        (changed(chosen=3), "name of a point is 3, of type int"),
        (changed(diagnostics={3: (1.0,)}), "name of a diagnostic is 3"),
        (changed(diagnostics={"loss": (float("inf"),)}), "the record cannot be stored: ValueError"),
        (changed(diagnostics={"loss": (object(),)}), "the record cannot be stored: TypeError"),
        (Measured(measured().record, {(0, 3): measured().predictions[0, ""]}), "name of a point is 3"),
        (
            Measured(
                measured().record, {(0, ""): (replace(TRUTH, keys={3: TRUTH.y}), measured().predictions[0, ""][1])}
            ),
            "name of a key is 3",
        ),
        *(
            (
                Measured(measured().record, {(0, ""): (replace(TRUTH, **names), measured().predictions[0, ""][1])}),
                f"name of a {what} is 3",
            )
            for what, names in (("group", {"group_names": (3,)}), ("feature", {"feature_names": (3,)}))
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_and_no_damage(store, bad, words):
    store.add(measured(1))
    with pytest.raises(Unstorable, match=words):
        store.add(bad)
    store.add(measured(2))
    assert [record.cell.repeat for record in store.records([cell(1).key])] == [1, 2]


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


def test_a_run_of_an_older_format_is_not_continued(tmp_path):
    path = Path(shutil.copy(Path(__file__).parent / "old_run" / FILE_NAME, tmp_path))
    words = r"was started by an older fairbench \(format 1\), whose runs can be read but not continued; begin a new run"
    with pytest.raises(StoreError, match=words):
        Store(path, create=True)
    with Store(path) as store:
        assert len(store.records()) == 4


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("database or disk is full", "free some space and run the same command again"),
        ("attempt to write a readonly database", "choose another run directory with --out"),
        ("unable to open database file", "choose another run directory with --out"),
        ("database is locked", "another run is writing to it; wait for it, or choose another with --out"),
        ("disk I/O error", "free some space or choose another --out"),
    ],
)
def test_each_trouble_of_writing_comes_with_its_advice(store, monkeypatch, error, advice):
    def fail(rows):
        raise sqlite3.OperationalError(error)

    monkeypatch.setattr(store, "_write", fail)
    with pytest.raises(StoreError) as raised:
        store.add(measured())
    assert str(raised.value) == f"{store.path} cannot be written: {error}; finished cells are kept; {advice}"
    monkeypatch.undo()
    store.add(measured())


def test_a_folder_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(StoreError, match=r"cannot be written: unable to open .*; choose another run directory"):
        Store(tmp_path / "none" / FILE_NAME, create=True)


def test_what_a_reader_meets_is_explained(store):
    for error, words in (
        (sqlite3.OperationalError("database is locked"), "cannot be read: another run is writing to it; try again"),
        (
            sqlite3.OperationalError("disk I/O error"),
            "is not a fairbench store or is damaged: disk I/O error; put",
        ),
        (ValueError("locked"), "is not a fairbench store or is damaged: locked; put back a sound copy of the file"),
        (OSError("no such device"), "cannot be read: no such device"),
    ):
        with pytest.raises(StoreError) as raised, readable(store.path):
            raise error
        assert str(raised.value).startswith(f"{store.path} {words}")


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
