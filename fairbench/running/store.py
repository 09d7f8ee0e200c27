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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

from fairbench.data.rows import Predictions
from fairbench.errors import StoreError, Unstorable
from fairbench.records import DONE, SKIPPED, Record
from fairbench.running import oldstore
from fairbench.running.layout import TABLES, Body, CellRow, Made, Outline, PredictionRow, intact, schema, together
from fairbench.running.packed import PackedValues
from fairbench.running.packing import Measured, Rows, rows_of
from fairbench.running.shared import Shared
from fairbench.running.storefile import SOUND, connected, explained, readable, reader, recognised
from fairbench.running.truth import Truth
from fairbench.system.collector import uncollected

__all__ = ["FILE_NAME", "FORMAT", "Measured", "Outline", "Store", "Truth", "Unstorable", "run_folder"]

FILE_NAME = "results.sqlite"
FORMAT = 3
PAGE = 8192  # bytes; three cells' predictions of 300 rows
QUICK, WAIT, MOST = 0.05, 0.1, 64  # s that a quick cell takes at most, s and number of cells that wait to be written
_HEAD, _BODY = ", ".join(CellRow._fields), ", ".join(Body._fields)


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
                    self._connection = reader(path, cleaning)
                    self._read_old(self._recognised())
            self._shared = Shared(self._connection)
            self._cleaning = cleaning.pop_all()

    def _writer(self, cleaning: ExitStack) -> sqlite3.Connection:
        """Return a connection that writes; make the tables of a new store, or turn an old one into one of today."""
        if self.path.is_symlink():
            raise StoreError(f"{self.path} is a link, which fairbench never makes; remove it, or choose another --out")
        with explained(self.path), ExitStack() as opening:
            self._connection = connection = connected(self.path, "rwc", opening)
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
                self._connection = connection = connected(self.path, "rw", opening)
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
            for rows in oldstore.rows(self._connection, oldstore.SECOND, self._old_damage):
                target._write(rows)
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
        for rows in oldstore.rows(self._connection, form, self._old_damage):
            self._write(rows)
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
                for rows in waiting:
                    self._write(rows)
                self._connection.execute("COMMIT")
            except BaseException:
                self._known.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._written = time.monotonic()

    def _write(self, rows: Rows) -> None:
        key, execute = rows.cell.key, self._connection.execute
        before = execute("SELECT digest FROM cells WHERE key = ?", (key,)).fetchall()
        count, total = self._total()
        for table in ("cells", "predictions") if before else ():
            execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608 - the names stand one line above
        for table in ("texts", "spare"):
            self._insert(f"OR IGNORE INTO {table}", list(rows.texts.items()))
        self._insert("OR IGNORE INTO truths", rows.truths)
        self._insert(f"INTO cells ({_HEAD}, {_BODY})", [(*rows.cell, *rows.body)])
        self._insert("INTO predictions", rows.predictions)
        digests = [total, rows.cell.digest, *(digest for (digest,) in before)]
        execute("UPDATE total SET cells = ?, digest = ?", (count + 1 - len(before), together(digests)))

    def _insert(self, target: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._connection.executemany(f"INSERT {target} VALUES ({marks})", rows)  # noqa: S608 - a table of ours

    def _total(self) -> tuple[int, bytes]:
        """Return how many cells there are, and the exclusive or of their digests, which shows if one is missing."""
        ((count, total),) = self._connection.execute("SELECT cells, digest FROM total")
        return count, total

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
            for row in self._cells():
                shared = row.frame, row.about
                if shared not in known:
                    with self._of_cell(row):
                        known[shared] = self._shared.frame(row.frame), self._shared.about(row.about)
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
            found = self._records(self._cells(), listings=listings)
        ordered = dict.fromkeys([*(key for key in order if key in found), *sorted(found)])
        return [found[key] for key in ordered], listings

    def predictions(self, key: str) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        """Return a cell's stored test predictions, with labels and groups, by (step, operating point).

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._cells(key)
            return self._predictions(row)

    def truth(self, key: str, part: str) -> Truth:
        """Return the test part of key ``part``, which predictions of the cell of key ``key`` are on.

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._cells(key)
            with self._of_cell(row):
                return self._shared.truth(part)

    def measured(self, key: str) -> Measured:
        """Return a cell's record and predictions, as they were given to ``add``.

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._cells(key)
            return Measured(self._records([row], key)[key], self._predictions(row))

    def listings(self) -> dict[str, str]:
        """Return by key the text that lists a cell's predictions, see ``Made``.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        with self._reading():
            cells = self._cells()
            return {row.key: body.made for row, body in self._bodies(cells)}

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
                    self._records(self._cells())
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

    @contextmanager
    def _of_cell(self, *rows: CellRow) -> Iterator[list[CellRow]]:
        """Name the cell whose rows are damaged: the last of those in the list, which the block may add to."""
        at = list(rows)
        try:
            yield at
        except (StoreError, sqlite3.Error):
            raise
        except Exception as error:
            if not at:
                raise
            raise self._damage(at[-1], str(error)) from error

    def _damage(self, row: CellRow, what: str) -> StoreError:
        name = f"key {row.key!a}"
        with suppress(Exception):  # the name itself may be what is damaged
            cell = replace(self._shared.frame(row.frame), repeat=row.repeat, tuning=row.tuning, fit=row.fit)
            if cell.key == row.key:
                name = f"dataset {cell.dataset}, method {cell.method}, repeat {cell.repeat}"
        return self._old_damage(name, what)

    def _old_damage(self, name: str, what: str) -> StoreError:
        where = f"the cell of {name}: " if name else ""
        return StoreError(f"{self.path} is damaged: {where}{what}; {SOUND}")

    def _cells(self, key: Optional[str] = None) -> list[CellRow]:
        """Return the row of a cell, or of all cells, each as it was written."""
        rows = [CellRow._make(row) for row in self._select(f"SELECT {_HEAD} FROM cells", key)]  # noqa: S608
        if key is not None and not rows:
            raise StoreError(f"{self.path} holds no cell of key {key}; it may be damaged; {SOUND}")
        for row in rows:
            if not intact(row, row.digest):
                raise self._damage(row, "its record is not as it was written")
        if key is None and self._total() != (len(rows), together([row.digest for row in rows])):
            raise StoreError(f"{self.path} is damaged: it holds {len(rows)} cells, but not those written; {SOUND}")
        return rows

    def _bodies(self, rows: Sequence[CellRow], key: Optional[str] = None) -> Iterator[tuple[CellRow, Body]]:
        """Yield the rows with what was measured, each as it was written; ``key`` if it is one alone."""
        found = self._select(f"SELECT {_BODY} FROM cells", key)  # noqa: S608 - in the order of the rows
        for row, body in zip(rows, map(Body._make, found)):
            if not intact(body, row.body):
                raise self._damage(row, "its values are not as they were written")
            yield row, body

    def _select(self, query: str, key: Optional[str], order: str = " ORDER BY number") -> sqlite3.Cursor:
        where = "" if key is None else " WHERE key = ?"
        return self._connection.execute(query + where + order, () if key is None else (key,))

    def _records(
        self, rows: Sequence[CellRow], key: Optional[str] = None, listings: Optional[dict[str, str]] = None
    ) -> dict[str, Record]:
        """Return the records of some cells, by key; ``key`` if it is one alone; fill in their ``listings``."""
        points = dict(self._select("SELECT key, count(*) FROM predictions", key, " GROUP BY key"))
        found = {}
        with self._of_cell() as at:
            for row, body in self._bodies(rows, key):
                at[:] = [row]
                if points.get(row.key, 0) != body.points:
                    raise self._damage(row, "its predictions are not as they were written")
                if listings is not None:
                    listings[row.key] = body.made
                about = self._shared.about(row.about)
                found[row.key] = Record(
                    self._shared.frame(row.frame).placed(row.repeat, row.tuning, row.fit, row.key),
                    row.status,
                    row.reason,
                    PackedValues(self._shared.shape(body.shape), body.numbers, body.reasons),
                    row.chosen,
                    body.curves,
                    row.seconds,
                    row.cpu_seconds,
                    about.versions,
                    about.parts,
                    about.alike,
                    about.remarks,
                    about.supports,
                )
        return found

    def _predictions(self, cell: CellRow) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        ((_, body),) = self._bodies([cell], cell.key)
        query = f"SELECT {', '.join(PredictionRow._fields)} FROM predictions"  # noqa: S608 - our own names
        rows = [PredictionRow(*row) for row in self._select(query, cell.key, " ORDER BY step, point")]
        found = {}
        with self._of_cell(cell):
            listed = [(one.step, one.point, one.digest) for one in Made.listed(body.made)]
            seen = [(row.step, row.point, row.digest) for row in rows]
            if seen != listed or any(row.taken() != row.digest for row in rows):
                raise self._damage(cell, "its predictions are not as they were written")
            for row in rows:
                found[row.step, row.point] = self._shared.truth(row.truth), row.predictions()
        return found
