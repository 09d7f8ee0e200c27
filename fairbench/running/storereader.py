"""Reading the rows of a store: whatever differs from its digest is refused, with the name of its cell."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Optional

from fairbench.data.rows import Predictions
from fairbench.errors import StoreError
from fairbench.records import Record
from fairbench.running.layout import Body, CellRow, Made, PredictionRow, intact, together
from fairbench.running.packed import PackedValues
from fairbench.running.shared import Shared
from fairbench.running.storefile import SOUND
from fairbench.running.truth import Truth

HEAD, BODY = ", ".join(CellRow._fields), ", ".join(Body._fields)


class StoreReader:
    """The tables of a store, as a connection shows them; one state of the file if the caller holds a transaction.

    Each method raises ``StoreError`` if what it reads is damaged; the message names the cell.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take the store's path, for messages, and the connection."""
        self.path, self._connection = path, connection
        self.shared = Shared(connection)

    def total(self) -> tuple[int, bytes]:
        """Return how many cells there are, and the exclusive or of their digests, which shows if one is missing."""
        ((count, total),) = self._connection.execute("SELECT cells, digest FROM total")
        return count, total

    @contextmanager
    def of_cell(self, *rows: CellRow) -> Iterator[list[CellRow]]:
        """Name the cell whose rows are damaged: the last of those in the list, which the block may add to."""
        at = list(rows)
        try:
            yield at
        except (StoreError, sqlite3.Error):
            raise
        except Exception as error:
            if not at:
                raise
            raise self.damage(at[-1], str(error)) from error

    def damage(self, row: CellRow, what: str) -> StoreError:
        """Return the error that says ``what`` is damaged, with the name of the row's cell."""
        name = f"key {row.key!a}"
        with suppress(Exception):  # the name itself may be what is damaged
            cell = replace(self.shared.frame(row.frame), repeat=row.repeat, tuning=row.tuning, fit=row.fit)
            if cell.key == row.key:
                name = f"dataset {cell.dataset}, method {cell.method}, repeat {cell.repeat}"
        return self.damage_of(name, what)

    def damage_of(self, name: str, what: str) -> StoreError:
        """Return the error that says ``what`` is damaged; ``name`` is the cell's, empty if it is not known."""
        where = f"the cell of {name}: " if name else ""
        return StoreError(f"{self.path} is damaged: {where}{what}; {SOUND}")

    def cells(self, key: Optional[str] = None) -> list[CellRow]:
        """Return the row of a cell, or of all cells, each as it was written."""
        rows = [CellRow._make(row) for row in self._select(f"SELECT {HEAD} FROM cells", key)]  # noqa: S608 - HEAD names our columns
        if key is not None and not rows:
            raise StoreError(f"{self.path} holds no cell of key {key}; it may be damaged; {SOUND}")
        for row in rows:
            if not intact(row, row.digest):
                raise self.damage(row, "its record is not as it was written")
        if key is None and self.total() != (len(rows), together([row.digest for row in rows])):
            raise StoreError(f"{self.path} is damaged: it holds {len(rows)} cells, but not those written; {SOUND}")
        return rows

    def bodies(self, rows: Sequence[CellRow], key: Optional[str] = None) -> Iterator[tuple[CellRow, Body]]:
        """Yield the rows with what was measured, each as it was written; ``key`` if it is one alone."""
        found = self._select(f"SELECT {BODY} FROM cells", key)  # noqa: S608 - in the order of the rows
        for row, body in zip(rows, map(Body._make, found)):
            if not intact(body, row.body):
                raise self.damage(row, "its values are not as they were written")
            yield row, body

    def _select(self, query: str, key: Optional[str], order: str = " ORDER BY number") -> sqlite3.Cursor:
        where = "" if key is None else " WHERE key = ?"
        return self._connection.execute(query + where + order, () if key is None else (key,))

    def records(
        self, rows: Sequence[CellRow], key: Optional[str] = None, listings: Optional[dict[str, str]] = None
    ) -> dict[str, Record]:
        """Return the records of some cells, by key; ``key`` if it is one alone; fill in their ``listings``."""
        points = dict(self._select("SELECT key, count(*) FROM predictions", key, " GROUP BY key"))
        found = {}
        with self.of_cell() as at:
            for row, body in self.bodies(rows, key):
                at[:] = [row]
                if points.get(row.key, 0) != body.points:
                    raise self.damage(row, "its predictions are not as they were written")
                if listings is not None:
                    listings[row.key] = body.made
                about = self.shared.about(row.about)
                found[row.key] = Record(
                    self.shared.frame(row.frame).placed(row.repeat, row.tuning, row.fit, row.key),
                    row.status,
                    row.reason,
                    PackedValues(self.shared.shape(body.shape), body.numbers, body.reasons),
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

    def predictions(self, cell: CellRow) -> dict[tuple[int, str], tuple[Truth, Predictions]]:
        """Return a cell's predictions, with what they are scored on, by (step, operating point)."""
        ((_, body),) = self.bodies([cell], cell.key)
        query = f"SELECT {', '.join(PredictionRow._fields)} FROM predictions"  # noqa: S608 - our own names
        rows = [PredictionRow(*row) for row in self._select(query, cell.key, " ORDER BY step, point")]
        found = {}
        with self.of_cell(cell):
            listed = [(one.step, one.point, one.digest) for one in Made.listed(body.made)]
            seen = [(row.step, row.point, row.digest) for row in rows]
            if seen != listed or any(row.taken() != row.digest for row in rows):
                raise self.damage(cell, "its predictions are not as they were written")
            for row in rows:
                found[row.step, row.point] = self.shared.truth(row.truth), row.predictions()
        return found
