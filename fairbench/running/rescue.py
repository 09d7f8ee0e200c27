"""What can still be read of a damaged store: every row that SQLite reaches in some way, copied into a fresh file.

Nothing here knows whether a row is sound; the digests of ``Store`` do. Only stores of today's format are rescued.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional

from fairbench.running.hotcopy import copied
from fairbench.running.layout import schema, text_id
from fairbench.running.store import FILE_NAME, FORMAT, PAGE
from fairbench.running.storefile import connected, readable

LEAF = 4096  # rows that one damaged page at the end of a table can hide
MOST_PAGES = 2**27  # of a file of 1 TiB
_PAGE_SIZE, _PAGES = slice(16, 18), slice(28, 32)  # places in the head of a SQLite file
_UNREADABLE = (sqlite3.Error, UnicodeError, OverflowError)


@contextmanager
def rescued(path: Path, keys: Iterable[str]) -> Iterator[Path]:
    """Copy what can be read of a store into a fresh one in a temporary folder; the store itself is only read.

    Args:
        path: the damaged store.
        keys: of cells that it may hold, by which they are looked for if they are not found otherwise.

    Yields:
        The path of the fresh store; what could not be read is missing from it, and what is damaged may be in it.

    Raises:
        StoreError: the file cannot be read, or there is no room for copies.
    """
    with ExitStack() as cleaning, readable(path):
        copy, fresh = (
            cleaning.enter_context(copied(path)),
            Path(cleaning.enter_context(TemporaryDirectory())) / FILE_NAME,
        )
        _new(fresh)
        damaged = _opened(copy, fresh, cleaning)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as target:
            target.execute("BEGIN")
            _copy_tables(damaged, target, list(keys))
            target.execute("COMMIT")
        yield fresh


def _new(path: Path) -> None:
    """Write an empty store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.executescript(f"BEGIN; {schema()} PRAGMA user_version = {FORMAT}; COMMIT")


def _opened(copy: Path, fresh: Path, cleaning: ExitStack) -> sqlite3.Connection:
    """Return a connection to a copy of a damaged file that is mended as far as its first page goes.

    A file that was cut is made as long as it was. The first page of every store holds the same tables at the same
    places; where it is damaged, that of a fresh store takes its place.
    """
    expected = fresh.read_bytes()[:PAGE]
    with copy.open("r+b") as file:
        head = file.read(100)
        size = file.seek(0, 2)
        sound = head[:16] == expected[:16] and head[_PAGE_SIZE] == expected[_PAGE_SIZE]
        pages = max(-(-size // PAGE), struct.unpack(">I", head[_PAGES])[0] if sound else 0)
        file.truncate(PAGE * (pages if pages <= MOST_PAGES else -(-size // PAGE)))  # else the number is damaged
    connection = connected(copy, "rw", cleaning)
    try:
        ((form,),) = connection.execute("PRAGMA user_version")
        tables = set(connection.execute("SELECT name, rootpage, sql FROM sqlite_master"))
        with closing(sqlite3.connect(fresh)) as sample:
            if form == FORMAT and tables == set(sample.execute("SELECT name, rootpage, sql FROM sqlite_master")):
                return _tolerant(connection)
    except sqlite3.Error:
        pass
    connection.close()
    with copy.open("r+b") as file:
        pages = -(-file.seek(0, 2) // PAGE)
        file.seek(0)
        file.write(expected[: _PAGES.start] + struct.pack(">I", pages) + expected[_PAGES.stop :])
    return _tolerant(connected(copy, "rw", cleaning))


def _tolerant(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return connection


def _copy_tables(damaged: sqlite3.Connection, target: sqlite3.Connection, keys: list[str]) -> None:
    """Copy the tables; keys of cells lead to predictions, and both to what they share."""
    _copy(damaged, target, "cells", "key", keys)
    found = target.execute("SELECT key, frame, about, shape FROM cells").fetchall()
    _copy(damaged, target, "predictions", "key", [key for key, *_ in found])
    shared = {text for _, *texts in found for text in texts}
    for table in ("texts", "spare"):
        _copy(damaged, target, table, "id", shared, by_number=False)
    for key, text in target.execute("SELECT id, text FROM texts").fetchall():
        if text_id(text) != key:
            target.execute("DELETE FROM texts WHERE id = ?", (key,))
    target.execute("INSERT OR IGNORE INTO texts SELECT * FROM spare")
    truths = [key for (key,) in target.execute("SELECT DISTINCT truth FROM predictions")]
    _copy(damaged, target, "truths", "key", truths, by_number=False)


def _copy(
    damaged: sqlite3.Connection,
    target: sqlite3.Connection,
    table: str,
    name: str,
    known: Iterable[Any],
    *,
    by_number: bool = True,
) -> None:
    """Copy the rows of a table: from its beginning, from its end, within the gap, and each that is known by name."""
    order = "rowid" if by_number else name
    columns = ", ".join(f'"{column}"' for _, column, *_ in target.execute(f"PRAGMA table_info({table})"))
    query = f"SELECT {order}, {columns} FROM {table}"  # noqa: S608 - our own names, here and below
    insert = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * (columns.count(',') + 1))})"  # noqa: S608
    is_there = f"SELECT 1 FROM {table} WHERE {name} = ? LIMIT 1"  # noqa: S608

    def take(where: str, *arguments: Any) -> tuple[bool, Optional[Any]]:
        """Copy some rows; return whether that came to its end, and which row was the last."""
        last = None
        with suppress(*_UNREADABLE):
            for place, *row in damaged.execute(f"{query} {where}", arguments):
                last = place
                with suppress(*_UNREADABLE):  # what can be no row of ours
                    target.execute(insert, row)
            return True, last
        return False, last

    whole, first_gap = take(f"NOT INDEXED ORDER BY {order}")
    if whole:
        return
    _, last_gap = take(f"NOT INDEXED ORDER BY {order} DESC")
    if by_number:
        begin = (first_gap or 0) + 1
        ranges = [(begin, begin + LEAF if last_gap is None else last_gap - 1)]
        while ranges:
            low, high = ranges.pop()
            whole, last = take("NOT INDEXED WHERE rowid BETWEEN ? AND ? ORDER BY rowid", low, high)
            low = low if last is None else last + 1
            if not whole and low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
    for key in known:
        if not target.execute(is_there, (key,)).fetchone():
            take(f"WHERE {name} = ?", key)
