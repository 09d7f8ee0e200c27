"""One SQLite file for each run: cells, values and predictions (packed arrays, never pickles); resumes by key.

A digest protects every row of a cell, and another one the digests of all cells, so that a flipped bit is detected when
it is read. Format 1, which had no digests, can be read but not written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fairbench.cells import Cell
from fairbench.data.rows import Predictions
from fairbench.errors import StoreError, Unstorable
from fairbench.records import DONE, Record, Value
from fairbench.running import oldstore
from fairbench.running.hotcopy import copied
from fairbench.running.packing import (
    LAYOUT,
    CellRow,
    Layout,
    Measured,
    PredictionRow,
    Rows,
    TruthRow,
    prediction_digest,
    rows_of,
    value_digest,
)
from fairbench.running.truth import Truth

__all__ = ["FILE_NAME", "FORMAT", "Measured", "Outline", "Store", "Truth", "Unstorable", "run_folder"]

FILE_NAME = "results.sqlite"
FORMAT = 2
_SOUND = "put back a sound copy of the file, or run again with a new --out"


class Outline(NamedTuple):
    """What is known about a cell without its values: its status, the requested metrics, and its plugins' versions."""

    status: str
    metrics: tuple[str, ...]
    versions: Mapping[str, str]


def run_folder(path: Path) -> Path:
    """Return a run's directory, which may be given as the path of its store."""
    return path.parent if path.name == FILE_NAME and not path.is_dir() else path


def _tables(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def _tables_of(schema: str) -> set[tuple[str, ...]]:
    """Return what ``_tables`` says of a sound store."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        return _tables(connection)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors while writing into one sentence that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        advice = {
            "full": "free some space and run the same command again",
            "readonly": "choose another run directory with --out",
            "unable to open": "choose another run directory with --out",
            "locked": "another run is writing to it; wait for it, or choose another with --out",
        }
        words = next(
            (text for sign, text in advice.items() if sign in str(error)), "free some space or choose another --out"
        )
        raise StoreError(f"{path} cannot be written: {error}; finished cells are kept; {words}") from error
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is not a fairbench store or is damaged: {error}; {_SOUND}") from error


class Store:
    """The results of one run; one writer, any number of readers."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open a store, or create one.

        Raises:
            StoreError: the file is missing, cannot be written, is damaged, or comes from another version.
        """
        self.path = path
        self._test_parts: set[str] = set()  # of the cell that was written last: the next one often has the same
        self._truth = lru_cache(maxsize=64)(self._read_truth)  # of the repeats: all methods share them
        if not create and not path.is_file():
            raise StoreError(f"{path} does not exist; 'fairbench run' makes run directories, each with a {FILE_NAME}")
        with ExitStack() as cleaning:
            if create:
                with _explained(path):
                    self._connection = _connected(path, "rwc", cleaning)
                    self._connection.execute("PRAGMA synchronous = NORMAL")
                    self._create()
            else:
                with self._readable():
                    self._connection = self._reader(cleaning)
            self._layout = self._recognised()
            if create and self._old:
                raise StoreError(
                    f"{path} was started by an older fairbench (format {oldstore.FORMAT}), whose runs can be read "
                    "but not continued; begin a new run with --out"
                )
            self._cleaning = cleaning.pop_all()

    def _create(self) -> None:
        """Make the tables of a new store in one step."""
        if not self._number("PRAGMA user_version") and not self._number("SELECT count(*) FROM sqlite_master"):
            self._connection.executescript(f"BEGIN; {LAYOUT.schema} PRAGMA user_version = {FORMAT}; COMMIT")

    def _reader(self, cleaning: ExitStack) -> sqlite3.Connection:
        """Return a connection that only reads.

        A run that was killed may have left a journal, which SQLite plays back before anybody reads, and a writer may
        hold the file for long; then a copy is read, so that the run's directory need not be writable.
        """
        try:
            connection = _connected(self.path, "ro", cleaning)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA busy_timeout = 10000")  # ms; whoever writes now will soon be done
        except sqlite3.OperationalError:
            connection = _connected(cleaning.enter_context(copied(self.path)), "rw", cleaning)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection

    def _number(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    @property
    def _old(self) -> bool:
        return self._layout is not LAYOUT

    def _recognised(self) -> Layout:
        """Return the layout of the store's format; refuse another format, and a format with other tables."""
        with self._snapshot():
            seen = self._number("PRAGMA user_version")
            tables = _tables(self._connection)
            if seen == 0 and not tables:
                raise StoreError(f"{self.path} holds nothing yet; its run has only just begun")
            if seen > FORMAT:
                raise StoreError(
                    f"{self.path} has format {seen}, this fairbench reads format {FORMAT} and older; run it again"
                )
            layout = {FORMAT: LAYOUT, oldstore.FORMAT: oldstore.LAYOUT}.get(seen)
            if layout is None or not tables >= _tables_of(layout.schema):
                raise StoreError(
                    f"{self.path} is not a fairbench store or is damaged: its tables are different; {_SOUND}"
                )
            return layout

    def close(self) -> None:
        """Close the file."""
        self._cleaning.close()

    def __enter__(self) -> Store:
        """Return the store."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def add(self, measured: Measured) -> None:
        """Write a cell with all that belongs to it, in one transaction; an earlier record of the cell is replaced.

        Raises:
            Unstorable: something in this record cannot be stored; the store is as it was, and sound.
            StoreError: the disk is full or the directory read-only; what was written before stays.
        """
        rows = rows_of(measured, self._test_parts)
        with _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._write(rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._test_parts = {row.truth for row in rows.predictions}

    def _write(self, rows: Rows) -> None:
        key, execute = rows.cell.key, self._connection.execute
        before = execute("SELECT digest FROM cells WHERE key = ?", (key,)).fetchall()
        count, total = self._total()
        for table in ("cells", '"values"', "predictions") if before else ():
            execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608 - the names stand one line above
        self._insert("INTO cells", [rows.cell])
        self._insert('INTO "values"', [(key, *value) for value in rows.values])
        self._insert("OR IGNORE INTO truths", rows.truths)
        self._insert("INTO predictions", rows.predictions)
        digests = [total, rows.cell.digest, *(digest for (digest,) in before)]
        execute("UPDATE total SET cells = ?, digest = ?", (count + 1 - len(before), _together(digests)))

    def _insert(self, target: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._connection.executemany(f"INSERT {target} VALUES ({marks})", rows)  # noqa: S608 - a table of ours

    def _total(self) -> tuple[int, str]:
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
        found = {}
        with self._reading():
            for row in self._cells():
                with self._of_cell(row):
                    found[row.key] = Outline(row.status, Cell.from_json(row.cell).metrics, json.loads(row.versions))
        return found

    def records(self, order: Sequence[str] = ()) -> list[Record]:
        """Return every record, first those whose keys are in ``order``, in that order.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        position = {key: place for place, key in enumerate(order)}
        with self._reading():
            found = self._records(self._cells())
        keys = sorted(found, key=lambda key: (position.get(key, len(position)), key))
        return [found[key] for key in keys]

    def predictions(self, key: str) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        """Return a cell's stored test predictions, with labels and groups, by (step, operating point).

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._cells(key)
            return self._predictions(row)

    def measured(self, key: str) -> Measured:
        """Return a cell's record and predictions, as they were given to ``add``.

        Raises:
            StoreError: there is no such cell, or the store is damaged; the message names the cell.
        """
        with self._reading():
            (row,) = self._cells(key)
            return Measured(self._records([row], key)[key], self._predictions(row))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Read cells; name the cell whose texts are no longer texts."""
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
        with self._readable():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn any error that a damaged file causes into one sentence."""
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error}") from error
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise StoreError(f"{self.path} cannot be read: another run is writing to it; try again") from error
            raise StoreError(f"{self.path} is not a fairbench store or is damaged: {error}; {_SOUND}") from error

    @contextmanager
    def _of_cell(self, row: CellRow) -> Iterator[None]:
        """Name the cell whose rows are damaged."""
        try:
            yield
        except (StoreError, sqlite3.Error):
            raise
        except Exception as error:
            raise self._damage(row, str(error)) from error

    def _damage(self, row: CellRow, what: str) -> StoreError:
        name = f"key {row.key!a}"
        with suppress(Exception):  # the name itself may be what is damaged
            cell = Cell.from_json(row.cell)
            if cell.key == row.key:
                name = f"dataset {cell.dataset}, method {cell.method}, repeat {cell.repeat}"
        return StoreError(f"{self.path} is damaged: the cell of {name}: {what}; {_SOUND}")

    def _cells(self, key: Optional[str] = None) -> list[CellRow]:
        """Return the row of a cell, or of all cells, each as it was written."""
        rows = [CellRow(*row) for row in self._select(self._layout.cells, key)]
        if key is not None and not rows:
            raise StoreError(f"{self.path} holds no cell of key {key}; it may be damaged; {_SOUND}")
        for row in rows:
            with self._of_cell(row):
                if self._old:
                    oldstore.check(row)
                elif row.taken() != row.digest:
                    raise self._damage(row, "its record is not as it was written")
        if key is None and not self._old and self._total() != (len(rows), _together([row.digest for row in rows])):
            raise StoreError(f"{self.path} is damaged: it holds {len(rows)} cells, but not those written; {_SOUND}")
        return rows

    def _select(self, query: str, key: Optional[str], order: str = "") -> sqlite3.Cursor:
        where = "" if key is None else " WHERE key = ?"
        return self._connection.execute(query + where + order, () if key is None else (key,))

    def _records(self, rows: Sequence[CellRow], key: Optional[str] = None) -> dict[str, Record]:
        """Return the records of some cells, by key; ``key`` if it is one alone."""
        values: dict[str, list[Any]] = {}
        query = 'SELECT key, step, point, "group", metric, value, reason FROM "values"'
        order = ' ORDER BY key, step, point, "group", metric'
        for owner, group in groupby(self._select(query, key, order), key=lambda value: value[0]):
            values[owner] = [value[1:] for value in group]
        made: dict[str, list[Any]] = {}
        if not self._old:
            query, order = "SELECT key, step, point, digest FROM predictions", " ORDER BY key, step, point"
            for owner, *listed in self._select(query, key, order):
                made.setdefault(owner, []).append(listed)
        found = {}
        for row in rows:
            own = values.pop(row.key, [])
            with self._of_cell(row):
                if self._old:
                    oldstore.check_values(own)
                elif value_digest(own) != row.value_digest:
                    raise self._damage(row, "its values are not as they were written")
                elif prediction_digest(made.get(row.key, [])) != row.prediction_digest:
                    raise self._damage(row, "its predictions are not as they were written")
                record = row.record(map(Value._make, own))
                if self._old:
                    record = oldstore.with_alike(record, self._predictions(row))
                found[row.key] = record
        return found

    def _predictions(self, cell: CellRow) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        rows = [
            PredictionRow(*row) for row in self._select(self._layout.predictions, cell.key, " ORDER BY step, point")
        ]
        found = {}
        with self._of_cell(cell):
            listed = [(row.step, row.point, row.taken()) for row in rows]
            if not self._old and prediction_digest(listed) != cell.prediction_digest:
                raise self._damage(cell, "its predictions are not as they were written")
            for row in rows:
                found[row.step, row.point] = self._truth(row.truth), row.predictions()
        return found

    def _read_truth(self, key: str) -> Truth:
        for row in map(TruthRow._make, self._select(self._layout.truths, key)):
            return oldstore.truth(row) if self._old else row.truth()
        raise ValueError("the labels and groups of its test part are missing")


def _connected(path: Path, mode: str, cleaning: ExitStack) -> sqlite3.Connection:
    uri, timeout = f"{path.absolute().as_uri()}?mode={mode}", 1 if mode == "ro" else 60  # s; a reader can copy the file
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout)
    cleaning.callback(connection.close)
    return connection


def _together(digests: Sequence[str]) -> str:
    """Return the exclusive or of digests, which does not depend on their order."""
    total = 0
    for digest in digests:
        total ^= int(digest, 16)
    return f"{total:032x}"
