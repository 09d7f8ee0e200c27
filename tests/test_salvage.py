"""What ``fairbench store check`` finds in a damaged run, and what ``fairbench store salvage`` saves of it."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fairbench import run as run_in_python
from fairbench.api import Predictions, Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, Record, Value
from fairbench.running.layout import schema
from fairbench.running.rescue import rescued
from fairbench.running.runfile import write_run
from fairbench.running.salvage import check, salvage
from fairbench.running.store import FILE_NAME, PAGE, Measured, Store, Truth

RUN = ["run", "--methods", "constant,always_1", "--datasets", "synthetic[rows=300]", "--repeats", "20"]
RUN += ["--workers", "1", "--metrics", "accuracy,selection_rate,demographic_parity_difference"]
CELLS, LARGE = 40, 400


@pytest.fixture(scope="module")
def registry():
    return load_plugins()[0]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return a run of 40 cells; each test damages a copy of its own."""
    path = tmp_path_factory.mktemp("sound") / "r"
    run_in_python(
        methods="constant,always_1",
        datasets="synthetic[rows=300]",
        repeats=20,
        metrics="accuracy,selection_rate,demographic_parity_difference",
        workers=1,
        out=path,
        quiet=True,
    )
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a run of 400 cells, whose tables have many pages, written by hand."""
    path, draw = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    keys = []
    with Store(path / FILE_NAME, create=True) as store:
        for repeat in range(LARGE // 4):
            group, y = draw.integers(0, 2, 60), draw.integers(0, 2, 60)
            truth = Truth.of(Samples(np.zeros((60, 0)), group, Schema((), ("a", "b"), 0), y))
            for method in "abcd":
                cell = Cell(Choice("d"), Choice(method), "sex", repeat, metrics=("accuracy",))
                record = Record(cell, DONE, values=(Value(0, "", "", "accuracy", draw.random()),))
                store.add(Measured(record, {(0, ""): (truth, Predictions.from_score(draw.random(60)))}))
                keys.append(cell.key)
    shape = {"suite": {"name": "x"}, "plan": "", "labels": {}, "sessions": [{"started": "", "finished": ""}]}
    write_run(path, {**shape, "planned": LARGE, "cells": keys})
    return path


@pytest.fixture
def pages_of(large, tmp_path, monkeypatch):
    """Return a copy of the large run as the folder ``r``."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(large, tmp_path / "r")
    return Path("r")


@pytest.fixture
def run(sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sound, tmp_path / "r")
    return Path("r")


def contents(path, keys):
    """Return by key all that a store holds of some cells, comparable to the last bit."""
    with Store(path / FILE_NAME) as store:
        found = {}
        for key in keys:
            one = store.measured(key)
            made = [(at, truth.key, here.y_pred.tobytes()) for at, (truth, here) in one.predictions.items()]
            found[key] = (one.record, made)
        return found


def keys_of(path):
    with Store(path / FILE_NAME) as store:
        return list(store.outline())


def saved_is_sound(sound, out):
    """Return the number of cells that were saved, each of them as it was written."""
    saved = keys_of(out)
    assert contents(out, saved) == contents(sound, saved)
    return len(saved)


def test_a_sound_run_is_sound(fairbench, run):
    before = {path: path.read_bytes() for path in run.iterdir()}
    status, out, _ = fairbench("store", "check", "r")
    assert (status, out) == (0, "r/results.sqlite: 40 sound cells (40 done), 40 predictions, 20 test parts\n")
    assert {path: path.read_bytes() for path in run.iterdir()} == before


DAMAGES = {
    "its record is not as it was written": "UPDATE cells SET seconds = 3 WHERE number = 7",
    "its values are not as they were written": "UPDATE cells SET numbers = zeroblob(length(numbers)) WHERE number = 7",
    "its predictions are not as they were written": "UPDATE predictions SET y_pred = x'00' WHERE rowid = 7",
}


@pytest.mark.parametrize("words", list(DAMAGES))
def test_a_damaged_cell_is_named_and_all_others_are_saved(fairbench, run, sound, words):
    with closing(sqlite3.connect(run / FILE_NAME)) as connection, connection:
        connection.execute(DAMAGES[words])
    damaged = (run / FILE_NAME).read_bytes()
    status, out, _ = fairbench("store", "check", "r")
    line, counts = out.splitlines()
    assert status == 1
    assert line.startswith("r/results.sqlite is damaged: the cell of dataset synthetic[rows=300], method ")
    assert line.endswith(words)
    assert (
        "39 sound cells (39 done), 39 predictions, 20 test parts, 1 damaged cell; 'fairbench store salvage r" in counts
    )
    status, out, _ = fairbench("store", "salvage", "r", "--out", "n")
    assert status == 1
    assert out.splitlines()[0] == line
    assert "copied to n: r/results.sqlite: 39 sound cells" in out
    assert "give the run's command again with --out n" in out
    assert saved_is_sound(sound, Path("n")) == CELLS - 1
    assert (run / FILE_NAME).read_bytes() == damaged
    status, _, err = fairbench(*RUN, "--out", "n")
    assert status == 0, err
    assert "39 of 40 cells were finished before" in err
    assert fairbench("store", "check", "n")[0] == 0


def test_a_damaged_test_part_costs_the_cells_that_are_scored_on_it(run, sound, registry):
    with closing(sqlite3.connect(run / FILE_NAME)) as connection, connection:
        ((key,),) = connection.execute("SELECT truth FROM predictions LIMIT 1")
        connection.execute("UPDATE truths SET y = x'00' WHERE key = ?", (key,))
    checked = salvage(run, Path("n"), registry)
    assert (checked.sound, len(checked.lost)) == (CELLS - 2, 2)
    assert saved_is_sound(sound, Path("n")) == CELLS - 2


def test_a_cell_that_is_gone_without_a_trace_is_missed(fairbench, run):
    with closing(sqlite3.connect(run / FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM cells WHERE number = 7")
        connection.execute("DELETE FROM predictions WHERE rowid = 7")
    status, out, _ = fairbench("store", "check", "r")
    assert status == 1
    assert "it holds 39 cells, but not those written" in out
    assert "1 planned cell not there" in out


def pages(path, table):
    """Return the pages of a table's tree, its root last."""
    with closing(sqlite3.connect(path)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
    content = path.read_bytes()
    start = (root - 1) * PAGE
    if content[start] != 5:  # no inner page: the root is the only leaf
        return [root]
    count = int.from_bytes(content[start + 3 : start + 5], "big")
    at = [int.from_bytes(content[start + 12 + 2 * n : start + 14 + 2 * n], "big") for n in range(count)]
    children = [int.from_bytes(content[start + place : start + place + 4], "big") for place in at]
    return [*children, int.from_bytes(content[start + 8 : start + 12], "big"), root]


LEAVES = [("cells", 0), ("cells", 3), ("cells", -2), ("predictions", 0), ("predictions", 4), ("predictions", -2)]


@pytest.mark.parametrize(("table", "which"), LEAVES)
def test_a_lost_page_costs_the_cells_on_it_alone(pages_of, large, registry, table, which):
    file = pages_of / FILE_NAME
    leaves = pages(file, table)[:-1]
    lose(file, pages(file, table)[which])
    assert check(pages_of).damaged
    checked = salvage(pages_of, Path("n"), registry)
    saved = saved_is_sound(large, Path("n"))
    assert saved == checked.sound
    assert LARGE - 1.5 * LARGE / len(leaves) <= saved < LARGE


def test_lost_pages_of_both_ends_and_the_middle_leave_what_is_between(pages_of, large, registry):
    file = pages_of / FILE_NAME
    leaves = pages(file, "cells")[:-1]
    for which in (0, len(leaves) // 2, -1):
        lose(file, leaves[which])
    salvage(pages_of, Path("n"), registry)
    assert LARGE - 4.5 * LARGE / len(leaves) <= saved_is_sound(large, Path("n")) < LARGE


def test_a_lost_index_costs_nothing(pages_of, large, registry):
    for index in ("sqlite_autoindex_cells_1", "sqlite_autoindex_predictions_1"):
        lose(pages_of / FILE_NAME, pages(pages_of / FILE_NAME, index)[-1])
    assert check(pages_of).damaged
    salvage(pages_of, Path("n"), registry)
    assert saved_is_sound(large, Path("n")) == LARGE


@pytest.mark.parametrize("cut", [PAGE, 3 * PAGE, 1000])
def test_a_file_that_was_cut_keeps_what_is_left(pages_of, large, registry, cut):
    file = pages_of / FILE_NAME
    with file.open("r+b") as stream:
        stream.truncate(stream.seek(0, 2) - cut)
    assert check(pages_of).damaged
    salvage(pages_of, Path("n"), registry)
    assert saved_is_sound(large, Path("n")) > LARGE * 0.7


def lose(file, page):
    with file.open("r+b") as stream:
        stream.seek((page - 1) * PAGE)
        stream.write(b"\xff" * PAGE)


@pytest.mark.parametrize("damage", [b"\x00" * 100, b"\xff" * PAGE])
def test_a_lost_head_costs_nothing(fairbench, run, sound, damage):
    with (run / FILE_NAME).open("r+b") as stream:
        stream.write(damage)
    status, out, _ = fairbench("store", "check", "r")
    assert status == 1
    assert "0 sound cells" in out
    fairbench("store", "salvage", "r", "--out", "n")
    assert saved_is_sound(sound, Path("n")) == CELLS


@pytest.mark.parametrize("table", ["texts", "spare"])
def test_what_cells_share_is_there_twice(fairbench, run, sound, table):
    with closing(sqlite3.connect(run / FILE_NAME)) as store:
        found = store.execute(f"SELECT text FROM {table}").fetchall()  # noqa: S608 - a name of ours, twice
        store.execute(f"UPDATE {table} SET text = text || ' '")  # noqa: S608
        store.commit()
    assert len(found) > 2
    status, out, _ = fairbench("store", "check", "r")
    assert status == 1
    assert ("a text that it shares with others" in out) == (table == "texts")
    assert ("the second copy of the texts" in out) == (table == "spare")
    fairbench("store", "salvage", "r", "--out", "n")
    assert saved_is_sound(sound, Path("n")) == CELLS
    assert fairbench("store", "check", "n")[0] == 0


def test_whatever_bytes_change_what_is_saved_is_as_it_was_written(run, sound, registry):
    whole, draw = (run / FILE_NAME).read_bytes(), random.Random(3)
    for trial in range(25):
        content = bytearray(whole)
        for _ in range(1 + trial):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (run / FILE_NAME).write_bytes(content)
        salvage(run, Path(f"n{trial}"), registry)
        assert saved_is_sound(sound, Path(f"n{trial}")) >= CELLS - 3 * (1 + trial)


def test_without_run_json_what_cannot_be_restored_is_said(fairbench, run, sound):
    (run / "run.json").unlink()
    status, out, _ = fairbench("store", "check", "r")
    assert status == 1
    assert "r is not a run directory: it has no run.json" in out
    assert "40 sound cells" in out
    status, out, _ = fairbench("store", "salvage", "r", "--out", "n")
    assert status == 1
    assert "without a sound run.json n lacks the suite, the digests of code and data" in out
    assert saved_is_sound(sound, Path("n")) == CELLS
    assert "acc." in fairbench("report", "n")[1] or "accuracy" in fairbench("report", "n")[1]
    assert len(fairbench("export", "n")[1].splitlines()) == len(fairbench("export", sound)[1].splitlines())
    status, _, err = fairbench(*RUN, "--out", "n")
    assert status == 2
    assert "to run more, use a new --out" in err


def test_a_damaged_run_json_is_said_and_does_not_stop_the_check(fairbench, run):
    (run / "run.json").write_text("{")
    status, out, _ = fairbench("store", "check", "r")
    assert status == 1
    assert "r/run.json cannot be read: " in out
    assert "40 sound cells" in out


@pytest.mark.parametrize("name", ["r", "full"])
def test_nothing_is_written_where_something_is(fairbench, run, name):
    Path("full").mkdir()
    (Path("full") / "mine").write_text("x")
    before = (run / FILE_NAME).read_bytes()
    status, _, err = fairbench("store", "salvage", "r", "--out", name)
    assert status == 2
    assert f"{name} is not empty; name a new directory, or an empty one" in err
    assert (run / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("command", [("check", "r"), ("salvage", "r", "--out", "n")])
def test_what_is_no_run_is_refused(fairbench, command):
    status, _, err = fairbench("store", *command)
    assert status == 2
    assert "r is not a run directory: it has no results.sqlite" in err


def test_a_file_that_is_no_store_at_all_leaves_nothing_behind(fairbench, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / FILE_NAME).write_bytes(random.Random(0).randbytes(50_000))
    status, _, err = fairbench("store", "salvage", "r", "--out", "n")
    assert status == 2
    assert "nothing can be salvaged: " in err
    assert not (tmp_path / "n" / FILE_NAME).exists()


KILLED = """
import os, sys, sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE cells SET seconds = 99, reason = hex(zeroblob(4000))")
os.kill(os.getpid(), 9)
"""


def test_a_store_that_a_killed_run_left_is_checked_without_write_access(fairbench, run):
    subprocess.run([sys.executable, "-c", KILLED, str(run / FILE_NAME)], check=False)
    journal = run / f"{FILE_NAME}-journal"
    assert journal.stat().st_size > 0
    before = (run / FILE_NAME).read_bytes(), journal.read_bytes()
    run.chmod(0o500)
    try:
        status, out, _ = fairbench("store", "check", "r")
    finally:
        run.chmod(0o700)
    assert (status, out) == (0, "r/results.sqlite: 40 sound cells (40 done), 40 predictions, 20 test parts\n")
    assert ((run / FILE_NAME).read_bytes(), journal.read_bytes()) == before


def test_finished_steps_of_unfinished_cells_come_along(run, registry):
    with closing(sqlite3.connect(run / FILE_NAME)) as connection, connection:
        ((key,),) = connection.execute("SELECT key FROM cells WHERE number = 7")
        connection.execute("UPDATE cells SET seconds = 3 WHERE number = 7")
    (run / "partial").mkdir()
    for name in (key, keys_like(run, key)):
        (run / "partial" / f"{name}.npz").write_bytes(b"steps")
    salvage(run, Path("n"), registry)
    assert [path.name for path in Path("n/partial").iterdir()] == [f"{key}.npz"]


def keys_like(run, other):
    """Return a key of the run that is not the other."""
    return next(key for key in json.loads((run / "run.json").read_text())["cells"] if key != other)


def test_the_rescued_copy_has_the_tables_of_a_store(run):
    with rescued(run / FILE_NAME, []) as fresh, closing(sqlite3.connect(fresh)) as connection:
        with closing(sqlite3.connect(":memory:")) as sample:
            sample.executescript(schema())
            query = "SELECT name, sql FROM sqlite_master ORDER BY name"
            assert connection.execute(query).fetchall() == sample.execute(query).fetchall()
        assert connection.execute("SELECT count(*) FROM cells").fetchone() == (CELLS,)
    assert not fresh.exists()
