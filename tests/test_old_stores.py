"""Stores of older formats: read as they are, and turned into today's when their run goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from stored_cells import everything, filled

from fairbench.errors import StoreError
from fairbench.running.store import FILE_NAME, FORMAT, Store

SECOND = Path(__file__).parent / "old_store" / FILE_NAME  # what ``filled`` wrote with a fairbench of format 2


@pytest.fixture
def path(tmp_path):
    """Return the path of a copy of a store of format 2."""
    return Path(shutil.copy(SECOND, tmp_path))


@pytest.fixture
def today(tmp_path):
    """Return what a store of today says that holds the same."""
    (tmp_path / "today").mkdir()
    filled(tmp_path / "today" / FILE_NAME, repeats=2)
    return everything(tmp_path / "today" / FILE_NAME)


def form(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_a_store_of_format_2_is_read_without_being_changed(path, today):
    before = path.read_bytes()
    assert everything(path) == today
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == [FILE_NAME]
    assert form(path) == 2


def test_a_store_of_format_2_is_of_todays_format_once_its_run_goes_on(path, today):
    with Store(path, create=True) as store:
        assert len(store.finished()) == 2
    assert (form(path), everything(path)) == (FORMAT, today)
    with Store(path, create=True) as store:
        measured = store.measured(min(store.finished()))
        store.add(measured)
    assert everything(path) == today
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == [FILE_NAME]


def test_what_was_left_of_an_earlier_attempt_is_no_obstacle(path, today):
    path.with_name(f"{FILE_NAME}.migrating").write_bytes(b"half of a store")
    Store(path, create=True).close()
    assert everything(path) == today
    assert not path.with_name(f"{FILE_NAME}.migrating").exists()


MIGRATE = """
import os, signal, sys
from pathlib import Path
from fairbench.running.store import Store
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(*{"before": (os, "replace"), "half": (Store, "_insert")}[sys.argv[2]], kill)
Store(Path(sys.argv[1]), create=True)
"""


@pytest.mark.parametrize("when", ["before", "half"])
def test_a_kill_while_a_store_is_turned_into_todays_format_loses_nothing(path, today, when):
    killed = subprocess.run([sys.executable, "-c", MIGRATE, path, when], check=False)
    assert killed.returncode == -9
    assert form(path) == 2
    assert everything(path) == today
    Store(path, create=True).close()
    assert (form(path), everything(path)) == (FORMAT, today)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE cells SET seconds = 3 WHERE status = 'done'", "the cell of dataset compas, .*: its record is not as"),
        (
            "UPDATE \"values\" SET value = 0.5 WHERE point = 'a'",
            "the cell of dataset compas, .*: its values are not as",
        ),
        ("UPDATE predictions SET digest = '0'", "the cell of dataset compas, .*: its predictions are not as they were"),
        ("DELETE FROM predictions", "the cell of dataset compas, .*: its predictions are not as they were written"),
        ("UPDATE cells SET cell = '['", r"the cell of key '[0-9a-f]{32}': its record is not as it was written"),
        ("DELETE FROM cells WHERE status = 'failed'", "it holds 2 cells, but not those written"),
        ("DROP TABLE total", "its tables are different"),
    ],
)
def test_damage_in_a_store_of_format_2_is_found_before_it_is_read_or_replaced(path, change, words):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(StoreError, match=words):
            Store(path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [False, True])
def test_damaged_predictions_of_format_2_are_found_when_they_are_read(path, create):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE predictions SET y_pred = zeroblob(9) WHERE point = 'a'")
    with Store(path, create=create) as store:
        key = min(store.finished())
        with pytest.raises(StoreError, match=r"the cell of dataset compas, .*: its predictions are not as they were"):
            store.predictions(key)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_of_format_2_in_a_folder_that_is_read_only_is_explained(path):
    path.parent.chmod(0o500)
    try:
        assert everything(path)
        with pytest.raises(StoreError, match="cannot be written"):
            Store(path, create=True)
    finally:
        path.parent.chmod(0o700)
