"""The store's file: how it is opened, waited for, recognised and closed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from fairbench.cells import Cell, Choice
from fairbench.data.rows import Predictions
from fairbench.errors import StoreError, Unstorable
from fairbench.records import DONE, Record, Value
from fairbench.running.store import FILE_NAME, FORMAT, Measured, Store, Truth
from fairbench.running.storefile import explained, readable

TRUTH = Truth(np.array([0, 1]), np.array([0, 1]), ("f", "m"))


@pytest.fixture
def path(tmp_path):
    """Return the path of a store that holds one cell."""
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(measured(0))
    return tmp_path / FILE_NAME


def measured(repeat, **points):
    cell = Cell(Choice("compas"), Choice("mlp"), "race", repeat)
    made = points or {"": Predictions(np.array([0, 1]))}
    record = Record(cell, DONE, values=(Value(0, "", "", "n", 2.0),))
    return Measured(record, {(0, point): (TRUTH, predictions) for point, predictions in made.items()})


@pytest.fixture
def opened(monkeypatch):
    """Return a list that gets every connection to a file, with how it was asked for."""
    found, connect = [], sqlite3.connect

    def noted(*args, **kwargs):
        connection = connect(*args, **kwargs)
        if kwargs:
            found.append((args[0], kwargs, connection))
        return connection

    monkeypatch.setattr(sqlite3, "connect", noted)
    return found


def is_closed(connection):
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return True
    return False


def test_a_store_that_is_removed_while_it_is_open_is_not_said_to_be_kept(path):
    with Store(path, create=True) as store:
        path.unlink()
        with pytest.raises(StoreError, match="was removed while it was written to, and what was in it is lost; run"):
            store.add(measured(1))


def test_a_writer_waits_for_others_and_a_reader_soon_takes_a_copy(path, opened):
    with Store(path, create=True) as writer, Store(path) as reader:
        assert [(uri, asked["uri"], asked["isolation_level"], asked["timeout"]) for uri, asked, _ in opened] == [
            (f"{path.as_uri()}?mode=rwc", True, None, 60),
            (f"{path.as_uri()}?mode=ro", True, None, 1),
        ]
        assert writer._number("PRAGMA synchronous") == 1  # normal
        assert reader._number("PRAGMA busy_timeout") == 10_000  # ms
        assert not any(is_closed(connection) for *_, connection in opened)
    assert all(is_closed(connection) for *_, connection in opened)


def test_a_store_that_is_refused_is_closed(path, opened):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    for create in (True, False):
        with pytest.raises(StoreError) as raised:
            Store(path, create=create)
        assert str(raised.value) == (
            f"{path} has format {FORMAT + 1}, this fairbench reads format {FORMAT} and older; run it again"
        )
    assert len(opened) == 2
    assert all(is_closed(connection) for *_, connection in opened)


@pytest.mark.parametrize("change", ["CREATE TABLE mine (x)", f"PRAGMA user_version = {FORMAT}"])
def test_somebody_elses_database_is_refused_and_left_as_it_is(tmp_path, change):
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(StoreError) as raised:
            Store(path, create=create)
        assert str(raised.value) == (
            f"{path} is not a fairbench store or is damaged: its tables are different; put back a sound copy of the "
            "file, or run again with a new --out; 'fairbench store salvage RUN --out NEW' saves what is sound"
        )
    assert path.read_bytes() == before


def test_what_somebody_added_to_a_store_is_no_damage(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE INDEX mine ON cells (status)")
    with Store(path) as store:
        assert len(store.records()) == 1


def test_a_relative_path_is_taken(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with Store(path.relative_to(path.parent)) as store:
        assert len(store.finished()) == 1


def test_a_missing_store_and_one_just_begun_are_told_whole(tmp_path):
    path = tmp_path / FILE_NAME
    with pytest.raises(StoreError) as raised:
        Store(path)
    assert str(raised.value) == (
        f"{path} does not exist; 'fairbench run' makes run directories, each with a {FILE_NAME}"
    )
    path.touch()
    with pytest.raises(StoreError) as raised:
        Store(path)
    assert str(raised.value) == f"{path} holds nothing yet; its run has only just begun"


def test_a_cell_that_is_not_there_is_told_whole(path):
    with Store(path) as store:
        for read in (store.predictions, store.measured):
            with pytest.raises(StoreError) as raised:
                read("nobody")
            assert str(raised.value) == (
                f"{path} holds no cell of key nobody; it may be damaged; put back a sound copy of the file, or run "
                "again with a new --out; 'fairbench store salvage RUN --out NEW' saves what is sound"
            )


def test_chances_are_stored_where_they_are_no_decisions(path):
    chances = Predictions(np.array([0, 1]), None, np.array([0.25, 1.0]))
    with Store(path, create=True) as store:
        store.add(measured(1, a=chances, b=Predictions(np.array([0, 1]), np.array([0.25, 1.0]))))
        query = "SELECT y_score IS NULL, decision IS NULL FROM predictions WHERE point != '' ORDER BY point"
        assert store._connection.execute(query).fetchall() == [(1, 0), (0, 1)]


def test_a_number_that_is_none_is_told_whole(path):
    bad = replace(measured(1).record, values=(Value(0, "", "", "n", -np.inf),))
    with Store(path, create=True) as store, pytest.raises(Unstorable) as raised:
        store.add(Measured(bad, {}))
    assert str(raised.value) == "n is -inf; a value that is not finite must be null, with a reason"


def test_a_store_that_is_a_link_is_read_but_never_written(path, tmp_path):
    link = tmp_path / "other" / FILE_NAME
    link.parent.mkdir()
    link.symlink_to(path)
    with pytest.raises(StoreError, match="is a link, which fairbench never makes"):
        Store(link, create=True)
    with Store(link) as store:
        assert len(store.records()) == 1


@pytest.mark.parametrize("error", [sqlite3.OperationalError, sqlite3.DatabaseError])
@pytest.mark.parametrize("guard", [explained, readable])
def test_an_error_of_several_lines_becomes_one(path, guard, error):
    with pytest.raises(StoreError) as seen, guard(path):
        raise error("malformed schema: CREATE\nTABLE \x1b[31m")
    assert str(seen.value).isprintable()
    assert "CREATE\\nTABLE" in str(seen.value)
