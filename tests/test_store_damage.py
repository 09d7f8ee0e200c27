"""A damaged store: what is read is what was written, or one sentence that names the cell or the file."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from stored_cells import everything, filled

from fairbench.cells import canonical
from fairbench.errors import StoreError
from fairbench.running import hotcopy
from fairbench.running.layout import Body, CellRow, PredictionRow, text_id, unpack
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.storefile import explained, readable


@pytest.fixture
def path(tmp_path):
    filled(tmp_path / FILE_NAME)
    return tmp_path / FILE_NAME


def test_a_flipped_bit_or_byte_is_found_or_harmless(path):
    sound, whole = path.read_bytes(), everything(path)
    generator, found = random.Random(0), []
    places = [place for place, byte in enumerate(sound) if byte]  # most of the others are in no row
    for trial in range(600):
        content = bytearray(sound)  # the header is small, and all of it counts
        place = generator.randrange(100) if trial % 8 == 0 else generator.choice(places)
        content[place] ^= 1 << generator.randrange(8) if trial % 2 else generator.randrange(1, 256)
        path.write_bytes(content)
        try:
            assert everything(path) == whole, place
        except StoreError as error:
            found.append(str(error))
    assert len(found) > 300
    assert all(str(path) in message for message in found)


CELL = r"is damaged: the cell of dataset compas, method mlp\[lr=0.1\], repeat 1: "


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE cells SET numbers = zeroblob(length(numbers))",
        "UPDATE cells SET numbers = x'00'",
        "UPDATE cells SET numbers = 3",
        "UPDATE cells SET shape = about",
        "UPDATE cells SET reasons = '[[0, \"no\"]]'",
        "UPDATE cells SET reasons = CAST(x'ff' AS TEXT)",
        "UPDATE cells SET diagnostics = '3'",
        "UPDATE cells SET made = '[]'",
        "UPDATE cells SET points = 1",
        "UPDATE cells SET body = digest",
        "UPDATE cells SET about = frame",
        "UPDATE cells SET status = 'failed'",
        "UPDATE cells SET reason = x'00'",
        "UPDATE cells SET seconds = 'long'",
        "UPDATE cells SET chosen = 'b'",
        "UPDATE cells SET chosen = CAST(x'ff' AS TEXT)",
        "UPDATE cells SET digest = x'00'",
        "UPDATE predictions SET y_pred = x'00'",
        "UPDATE predictions SET y_pred = x'' WHERE point = 'a'",
        "UPDATE predictions SET decision = NULL WHERE point = 'b'",
        "UPDATE predictions SET y_score = zeroblob(9) WHERE point = 'a'",
        "UPDATE predictions SET n = 3",
        "UPDATE predictions SET point = 'c' WHERE point = 'a'",
        "UPDATE predictions SET truth = 'another'",
        "DELETE FROM predictions WHERE point = 'a'",
    ],
)
def test_what_changed_in_a_cell_is_found_and_the_cell_is_named(path, change):
    with closing(sqlite3.connect(path)) as connection, connection:
        ((key,),) = connection.execute("SELECT key FROM cells WHERE repeat = 1")
        change, _, condition = change.partition(" WHERE ")
        connection.execute(f"{change} WHERE key = '{key}'" + (condition and f" AND {condition}"))
    with pytest.raises(StoreError, match=CELL):
        everything(path)


@pytest.mark.parametrize(
    "change", ["UPDATE truths SET y = x'00'",
               "UPDATE truths SET y = (SELECT y_pred FROM predictions ORDER BY decision LIMIT 1)",
               'UPDATE truths SET "group" = y', "UPDATE truths SET keys = NULL",
               "UPDATE truths SET rows = NULL", "UPDATE truths SET n = 2", "UPDATE truths SET about = y",
               "UPDATE truths SET size = 1", "DELETE FROM truths"],
)  # fmt: skip
def test_a_damaged_test_part_names_the_cell_that_needs_it(path, change):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    with pytest.raises(StoreError, match=r"is damaged: the cell of dataset compas, method mlp\[lr=0.1\], repeat \d: "):
        everything(path)


@pytest.mark.parametrize(
    "change",
    [{"key": "x"}, {"step": 1}, {"point": "x"}, {"truth": "x"}, {"n": 2}, {"y_pred": b"\1"}, {"y_score": None},
     {"y_score": b"\1"}, {"decision": b""}, {"y_pred": b"\0\0", "y_score": b""}],
)  # fmt: skip
def test_the_digest_of_predictions_is_taken_over_every_column(change):
    row = PredictionRow("key", 0, "point", "truth", 1, "", b"\0", b"\0", None)
    assert row._replace(**change).taken() != row.taken()


SOUND = (
    "put back a sound copy of the file, or run again with a new --out; 'fairbench store salvage RUN --out NEW' saves "
    "what is sound"
)


@pytest.mark.parametrize(
    ("change", "read", "what"),
    [
        ("UPDATE cells SET reason = 'x'", Store.records, "its record is not as it was written"),
        ("UPDATE cells SET numbers = x''", Store.records, "its values are not as they were written"),
        ("UPDATE cells SET made = '[]'", Store.listings, "its values are not as they were written"),
        ("UPDATE cells SET status = 'failed'", Store.outline, "its record is not as it was written"),
        ("DELETE FROM texts WHERE text LIKE '[{%'", Store.outline, "a text that it shares with others is missing"),
        (
            "UPDATE texts SET text = text || ' ' WHERE text LIKE '[[%'",
            Store.records,
            "a text that it shares with others is not as it was written",
        ),
        ("DELETE FROM predictions", Store.records, "its predictions are not as they were written"),
        ("UPDATE predictions SET digest = '0'", "predictions", "its predictions are not as they were written"),
        ("UPDATE predictions SET n = 3", "predictions", "its predictions are not as they were written"),
        ("DELETE FROM truths", "predictions", "the labels and groups of its test part are missing"),
        (
            "UPDATE truths SET y = (SELECT y FROM truths ORDER BY key DESC LIMIT 1)",
            "predictions",
            "labels, groups or keys are not those that were stored",
        ),
        ("UPDATE truths SET y = about", "predictions", "an array of 40 entries has another length"),
    ],
)
def test_damage_is_told_in_one_sentence_with_what_to_do(tmp_path, change, read, what):
    path = tmp_path / FILE_NAME
    filled(path, repeats=2)
    with closing(sqlite3.connect(path)) as connection, connection:
        (key,) = connection.execute("SELECT key FROM predictions ORDER BY truth LIMIT 1").fetchone()
        table = change.split()[1] if change.startswith("UPDATE") else ""
        change += f" WHERE key = '{key}'" if table in ("cells", "predictions") else ""
        if table == "texts" or "texts" in change:
            (key,) = connection.execute(
                "SELECT key FROM cells WHERE status = 'done' ORDER BY number LIMIT 1"
            ).fetchone()
        elif change == "DELETE FROM predictions":
            change += f" WHERE key = '{key}'"
        (repeat,) = connection.execute("SELECT repeat FROM cells WHERE key = ?", (key,)).fetchone()
        connection.execute(change)
    with Store(path) as store, pytest.raises(StoreError) as raised:
        store.predictions(key) if read == "predictions" else read(store)
    cell = f"dataset compas, method mlp[lr=0.1], repeat {repeat}"
    assert str(raised.value) == f"{path} is damaged: the cell of {cell}: {what}; {SOUND}"


def test_an_outline_with_right_digests_and_wrong_texts_names_the_cell(tmp_path):
    path = tmp_path / FILE_NAME
    filled(path, repeats=1)
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = ", ".join(CellRow._fields)
        row = CellRow(*connection.execute(f"SELECT {columns} FROM cells WHERE status = 'done'").fetchone())  # noqa: S608
        changed = row._replace(about=text_id("["))
        changed = changed._replace(digest=changed.taken())
        connection.execute("INSERT INTO texts VALUES (?, ?)", (changed.about, "["))
        connection.execute(
            "UPDATE cells SET about = ?, digest = ? WHERE status = 'done'", (changed.about, changed.digest)
        )
        ((_, total),) = connection.execute("SELECT * FROM total")
        digests = zip(total, row.digest, changed.digest)
        connection.execute("UPDATE total SET digest = ?", (bytes(one ^ two ^ three for one, two, three in digests),))
    with (
        Store(path) as store,
        pytest.raises(StoreError, match=r"the cell of dataset compas, method mlp\[lr=0.1\], rep"),
    ):
        store.outline()


def test_a_record_without_its_predictions_is_damaged(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM predictions WHERE point = 'a'")
    with Store(path) as store, pytest.raises(StoreError, match="its predictions are not as they were written"):
        store.records()


@pytest.mark.parametrize(
    "change", ["UPDATE cells SET repeat = repeat + 1", "UPDATE cells SET frame = about", "UPDATE cells SET frame = '['"]
)
def test_a_cell_whose_name_is_damaged_is_named_by_its_key(path, change):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    with Store(path) as store, pytest.raises(StoreError, match=r"the cell of key '[0-9a-f]{32}': its record is not"):
        store.records()


def test_cells_that_changed_places_are_found(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        (one, two), *_ = zip(*connection.execute("SELECT key FROM cells WHERE status = 'done' LIMIT 2"))
        for before, after in ((one, "x"), (two, one), ("x", two)):
            connection.execute("UPDATE predictions SET key = ? WHERE key = ?", (after, before))
    with pytest.raises(StoreError, match="its predictions are not as they were written"):
        everything(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM cells WHERE status = 'failed'", "it holds 3 cells, but not those written"),
        ("DELETE FROM cells", "it holds 0 cells, but not those written"),
        ("UPDATE total SET cells = 5", "it holds 4 cells, but not those written"),
        ("UPDATE total SET digest = zeroblob(16)", "it holds 4 cells, but not those written"),
        ("DELETE FROM total", "is damaged"),
        ("DROP TABLE total", "its tables are different"),
        ("ALTER TABLE truths RENAME TO others", "its tables are different"),
        ("PRAGMA user_version = 1", "its tables are different"),
        ("PRAGMA user_version = 0", "its tables are different"),
    ],
)
@pytest.mark.parametrize("read", [Store.finished, Store.records])
def test_a_cell_that_vanished_is_missed(path, change, words, read):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    for create in (False, True):
        with pytest.raises(StoreError, match=words), Store(path, create=create) as store:
            read(store)


def added(store, measured):
    store.add(measured)
    store.flush()


def test_a_damaged_total_is_no_traceback_while_writing(path):
    with Store(path, create=True) as store:
        measured = store.measured(min(store.finished()))
        store._connection.execute("UPDATE total SET digest = 'none'")
        with pytest.raises(StoreError, match="is damaged"):
            added(store, measured)


def test_no_more_is_decompressed_than_was_stored():
    bomb = zlib.compress(bytes(10**8), 9)
    tracemalloc.start()
    with pytest.raises(ValueError, match="an array of 10 entries has another length"):
        unpack(bomb, "<f8", 10)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    for changed in (zlib.compress(bytes(79)), zlib.compress(bytes(80)) + b"x", zlib.compress(bytes(80))[:-1]):
        with pytest.raises(ValueError, match="another length"):
            unpack(changed, "<f8", 10)
    assert unpack(zlib.compress(b""), "u1", 0).tolist() == []


def test_a_hostile_store_with_right_digests_is_no_traceback(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = ", ".join(PredictionRow._fields)
        row = PredictionRow(*connection.execute(f"SELECT {columns} FROM predictions LIMIT 1").fetchone())  # noqa: S608
        row = row._replace(y_pred=zlib.compress(b"\2" * row.n))
        connection.execute("DELETE FROM predictions WHERE key = ?", (row.key,))
        row = row._replace(digest=row.taken())
        connection.execute("INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        head, rest = ", ".join(CellRow._fields), ", ".join(Body._fields)
        cell = CellRow(*connection.execute(f"SELECT {head} FROM cells WHERE key = ?", (row.key,)).fetchone())  # noqa: S608
        body = Body(*connection.execute(f"SELECT {rest} FROM cells WHERE key = ?", (row.key,)).fetchone())  # noqa: S608
        body = body._replace(made=canonical([[row.step, row.point, row.truth, row.digest, None]]), points=1)
        cell = cell._replace(body=body.taken())
        values = (body.made, body.points, cell.body, cell.taken(), row.key)
        connection.execute("UPDATE cells SET made = ?, points = ?, body = ?, digest = ? WHERE key = ?", values)
    with (
        Store(path) as store,
        pytest.raises(StoreError, match=r"the cell of dataset compas.*: predictions: y must hold"),
    ):
        store.predictions(row.key)


WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 5")  # so that the file itself is written before the end
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE cells SET status = 'skipped'")
for number in range(500):
    connection.execute("INSERT INTO texts VALUES (?, ?)", (str(number), "x" * 3000))
print("written", flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
signal.pause()
"""


@pytest.fixture
def writer(path):
    """Return a function that starts a process in the midst of a transaction that has reached the file."""
    started = []

    def start(end):
        process = subprocess.Popen([sys.executable, "-c", WRITER, path, end], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"written\n"
        if end == "die":
            process.wait()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", ["die", "wait"])
def test_a_store_is_read_as_it_was_before_an_unfinished_transaction(path, writer, end):
    before = everything(path)
    writer(end)
    torn, journal = path.read_bytes(), path.with_name(f"{FILE_NAME}-journal")
    assert journal.stat().st_size > 512
    assert everything(path) == before
    assert path.read_bytes() == torn  # a reader leaves everything where it is
    assert journal.exists()


def test_a_store_that_a_writer_holds_is_read_from_a_copy_that_goes(path, tmp_path, monkeypatch):
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with Store(path) as store:
            assert len(store.records()) == 4
            (copy,) = (tmp_path / "copies").iterdir()
            assert [file.name for file in copy.iterdir()] == [FILE_NAME]
        assert not any((tmp_path / "copies").iterdir())


def test_a_reader_sees_one_state_while_a_writer_waits(path):
    with Store(path, create=True) as writer, Store(path) as reader:
        measured = writer.measured(min(writer.finished()))
        writer._connection.execute("PRAGMA busy_timeout = 10")
        with reader._reading():
            reader._tables.cells()
            with pytest.raises(StoreError, match="locked"):
                added(writer, measured)
        writer.add(measured)


def test_a_run_goes_on_after_its_writer_was_killed(path, writer):
    before = everything(path)
    writer("die")
    with Store(path, create=True) as store:
        assert len(store.finished()) == 3
    assert everything(path) == before
    assert not path.with_name(f"{FILE_NAME}-journal").exists()


def test_a_copy_is_taken_again_if_the_writer_ended_meanwhile(path, monkeypatch):
    journal = path.with_name(f"{FILE_NAME}-journal")
    journal.write_bytes(b"")
    copies = []

    def copyfile(source, target):
        copies.append(source)
        if source == path:
            journal.unlink(missing_ok=True)
        os.link(source, target) if not target.exists() else None

    monkeypatch.setattr(hotcopy.shutil, "copyfile", copyfile)
    with hotcopy.copied(path) as copy:
        assert copy.parent != path.parent
    assert copies.count(path) == 2
    assert not copy.exists()


def test_a_store_that_nobody_may_read_is_explained(path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hotcopy.shutil, "copyfile", refused)
    monkeypatch.setattr(
        "fairbench.running.storefile.connected", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("no"))
    )
    with pytest.raises(StoreError, match=r"cannot be read: .*Permission denied"):
        Store(path)


@pytest.mark.parametrize("way", [explained, readable])
def test_what_sqlite_says_in_several_lines_is_one(way):
    with pytest.raises(StoreError, match=r"damaged: malformed \(near \\n: x\)") as caught, way(Path("r")):
        raise sqlite3.DatabaseError("malformed (near \n: x)")
    assert len(str(caught.value).splitlines()) == 1
