"""One SQLite file for each run: cells, values and predictions (packed arrays, never pickles); resumes by key.

A digest protects every row of a cell, and another one the digests of all cells, so that a flipped bit is detected when
it is read. Values are columns of bytes, and what cells have in common is kept once, see ``layout``. Stores of older
formats can be read; one of format 2 is turned into one of today's format when its run goes on.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Union

from fairbench.data.rows import Predictions
from fairbench.errors import StoreError, Unstorable
from fairbench.records import DONE, SKIPPED, Record
from fairbench.running import oldstore
from fairbench.running.layout import TABLES, Outline, schema, together
from fairbench.running.packing import Measured, Rows, rows_of
from fairbench.running.storefile import connected, explained, readable, reader, recognised
from fairbench.running.storereader import BODY, HEAD, StoreReader
from fairbench.running.truth import Truth
from fairbench.system.collector import uncollected

__all__ = ["FILE_NAME", "FORMAT", "Measured", "Outline", "Store", "Truth", "Unstorable", "run_folder"]

FILE_NAME = "results.sqlite"
FORMAT = 3
PAGE = 8192  # bytes; three cells' predictions of 300 rows
QUICK, WAIT, MOST = 0.05, 0.1, 64  # s that a quick cell takes at most, s and number of cells that wait to be written


def run_folder(path: Path) -> Path:
    """Return a run's directory, which may be given as the path of its store."""
    return path.parent if path.name == FILE_NAME and not path.is_dir() else path


class Store:
    """The results of one run; one writer, any number of readers."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open a store, or create one.

        Raises:
            StoreError: the file is missing, cannot be written, is damaged, or comes from another version.
        """
        self.path = path
        self._waiting: list[Rows] = []
        self._known: set[Union[str, bytes]] = set()  # texts and test parts that are written, or wait
        self._written = -WAIT  # when something was written last
        if not create and not path.is_file():
            raise StoreError(f"{path} does not exist; 'fairbench run' makes run directories, each with a {FILE_NAME}")
        with ExitStack() as cleaning:
            if create:
                self._connection = self._writer(cleaning)
            else:
                with readable(path):
                    self._connect(reader(path, cleaning))
                    self._read_old(self._recognised())
            self._cleaning = cleaning.pop_all()

    def _connect(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        self._connection, self._tables = connection, StoreReader(self.path, connection)
        return connection

    def _writer(self, cleaning: ExitStack) -> sqlite3.Connection:
        """Return a connection that writes; make the tables of a new store, or turn an old one into one of today."""
        if self.path.is_symlink():
            raise StoreError(f"{self.path} is a link, which fairbench never makes; remove it, or choose another --out")
        with explained(self.path), ExitStack() as opening:
            connection = self._connect(connected(self.path, "rwc", opening))
            if not self._number("PRAGMA user_version") and not self._number("SELECT count(*) FROM sqlite_master"):
                connection.execute(f"PRAGMA page_size = {PAGE}")
                connection.executescript(f"BEGIN; {schema()} PRAGMA user_version = {FORMAT}; COMMIT")
            form = self._recognised()
            if form == oldstore.FIRST:
                raise StoreError(
                    f"{self.path} was started by an older fairbench (format {form}), whose runs can be read "
                    "but not continued; begin a new run with --out"
                )
            if form == oldstore.SECOND:
                self._migrate()
                opening.close()
                connection = self._connect(connected(self.path, "rw", opening))
                self._recognised()
            connection.execute("PRAGMA synchronous = NORMAL")
            cleaning.push(opening.pop_all())
        return connection

    def _migrate(self) -> None:
        """Replace a store of format 2 by one of today's format; whenever this ends, the one or the other is there."""
        fresh = self.path.with_name(f"{self.path.name}.migrating")
        fresh.unlink(missing_ok=True)
        self._connection.execute("BEGIN IMMEDIATE")  # nobody else writes to the old one
        with Store(fresh, create=True) as target:
            target._connection.execute("ATTACH ? AS old", (f"{self.path.absolute().as_uri()}?mode=ro",))
            target._connection.execute("BEGIN")
            for rows in oldstore.rows(self._connection, oldstore.SECOND, self._tables.damage_of):
                target._write([rows])
            for table in ("truths", "predictions"):
                target._connection.execute(f"INSERT INTO {table} SELECT * FROM old.{table}")  # noqa: S608 - our own names
            target._connection.execute("COMMIT")
        self._connection.execute("ROLLBACK")
        os.replace(fresh, self.path)

    def _read_old(self, form: int) -> None:
        """Make today's tables of an older store in memory; predictions of format 2 stay where they are."""
        if form == FORMAT:
            return
        names = [name for name in TABLES if form == oldstore.FIRST or name not in ("truths", "predictions")]
        self._connection.execute("PRAGMA temp_store = MEMORY")
        self._connection.executescript(schema(names, "TEMP"))
        self._connection.execute("BEGIN")
        for rows in oldstore.rows(self._connection, form, self._tables.damage_of):
            self._write([rows])
        self._connection.execute("COMMIT")

    def _number(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    def _recognised(self) -> int:
        """Return the store's format; refuse another format, and a format with other tables."""
        with self._snapshot():
            return recognised(self.path, self._connection, {**oldstore.SCHEMAS, FORMAT: schema()})

    def close(self) -> None:
        """Write what waits, and close the file.

        Raises:
            StoreError: the disk is full or the directory read-only; what was written before stays.
        """
        try:
            self.flush()
        finally:
            self._cleaning.close()

    def __enter__(self) -> Store:
        """Return the store."""
        return self

    def __exit__(self, *error: object) -> None:
        """Write what waits, and close the file."""
        self.close()

    def add(self, measured: Measured) -> None:
        """Write a cell with all that belongs to it; an earlier record of the cell is replaced.

        A transaction costs more than a quick cell. Cells that took next to no time and come in quick succession are
        therefore written together: such a cell waits for the next one, or for ``flush``; ``waits`` says whether any do.
        Those are lost if the process is killed, and run again. A slow or failed cell is safe when this returns.

        Raises:
            Unstorable: something in this record cannot be stored; the store is as it was, and sound.
            StoreError: the disk is full or the directory read-only; what was written before stays.
        """
        rows = rows_of(measured, self._known)
        self._waiting.append(rows)
        self._known |= {*rows.texts, *(row.key for row in rows.truths)}
        record, alone = measured.record, time.monotonic() - self._written >= WAIT
        slow = record.seconds >= QUICK or record.status not in (DONE, SKIPPED)
        if alone or slow or len(self._waiting) >= MOST:
            self.flush()

    @property
    def waits(self) -> bool:
        """Return whether cells wait to be written."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Write the cells that wait, in one transaction: all of them, or none.

        Raises:
            StoreError: the disk is full or the directory read-only; what was written before stays.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        with explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._write(waiting)
                self._connection.execute("COMMIT")
            except BaseException:
                self._known.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._written = time.monotonic()

    def _write(self, several: Sequence[Rows]) -> None:
        """Write cells, in the transaction that is open; of one that comes twice, the last record stays."""
        if len({rows.cell.key for rows in several}) < len(several):
            for rows in several:
                self._write([rows])
            return
        execute = self._connection.execute
        before = [
            (digest, key)
            for rows in several
            for digest, key in execute("SELECT digest, key FROM cells WHERE key = ?", (rows.cell.key,))
        ]
        for table in ("cells", "predictions"):
            for _, key in before:
                execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608 - the names stand above
        for table in ("texts", "spare"):
            self._insert(f"OR IGNORE INTO {table}", [text for rows in several for text in rows.texts.items()])
        self._insert("OR IGNORE INTO truths", [truth for rows in several for truth in rows.truths])
        self._insert(f"INTO cells ({HEAD}, {BODY})", [(*rows.cell, *rows.body) for rows in several])
        self._insert("INTO predictions", [made for rows in several for made in rows.predictions])
        count, total = self._tables.total()
        digests = [total, *(rows.cell.digest for rows in several), *(digest for digest, _ in before)]
        execute("UPDATE total SET cells = ?, digest = ?", (count + len(several) - len(before), together(digests)))

    def _insert(self, target: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._connection.executemany(f"INSERT {target} VALUES ({marks})", rows)  # noqa: S608 - a table of ours

    def finished(self) -> set[str]:
        """Return the keys of the cells that are done; skipped and failed ones are tried again."""
        return {key for key, outline in self.outline().items() if outline.status == DONE}

    def outline(self) -> dict[str, Outline]:
        """Return by key what is known about the cells without reading their values.

        Raises:
            StoreError: the store is damaged.
        """
        found, known = {}, {}
        with self._reading(), uncollected():
            for row in self._tables.cells():
                shared = row.frame, row.about
                if shared not in known:
                    with self._tables.of_cell(row):
                        known[shared] = self._tables.shared.frame(row.frame), self._tables.shared.about(row.about)
                cell, about = known[shared]
                found[row.key] = Outline(row.status, cell.metrics, about.versions, cell, row.seconds, about.parts)
        return found

    def records(self, order: Sequence[str] = ()) -> list[Record]:
        """Return every record, first those whose keys are in ``order``, in that order.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        return self.contents(order)[0]

    def contents(self, order: Sequence[str] = ()) -> tuple[list[Record], dict[str, str]]:
        """Return every record, as ``records`` does, and the ``listings``, from reading the store once.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        listings: dict[str, str] = {}
        with self._reading(), uncollected():
            found = self._tables.records(self._tables.cells(), listings=listings)
        ordered = dict.fromkeys([*(key for key in order if key in found), *sorted(found)])
        return [found[key] for key in ordered], listings

    def predictions(self, key: str) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        """Return a cell's stored test predictions, with labels and groups, by (step, operating point).

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._tables.cells(key)
            return self._tables.predictions(row)

    def truth(self, key: str, part: str) -> Truth:
        """Return the test part of key ``part``, which predictions of the cell of key ``key`` are on.

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._tables.cells(key)
            with self._tables.of_cell(row):
                return self._tables.shared.truth(part)

    def measured(self, key: str) -> Measured:
        """Return a cell's record and predictions, as they were given to ``add``.

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._tables.cells(key)
            return Measured(self._tables.records([row], key)[key], self._tables.predictions(row))

    def listings(self) -> dict[str, str]:
        """Return by key the text that lists a cell's predictions, see ``Made``.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        with self._reading():
            cells = self._tables.cells()
            return {row.key: body.made for row, body in self._tables.bodies(cells)}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Read cells; name the cell whose texts are no longer texts."""
        self.flush()
        with self._snapshot():
            try:
                yield
            except sqlite3.OperationalError as error:
                if "decode" in str(error):  # no valid Unicode: read it all the same, to find whose text it is
                    self._connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
                    self._tables.records(self._tables.cells())
                raise

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Read one consistent state of the file, whatever a writer does in the meantime."""
        with readable(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
