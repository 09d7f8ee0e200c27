"""What the cells of a store share, read once: frames, shapes, test parts, and what records say in common."""

from __future__ import annotations

import sqlite3
from functools import lru_cache

from fairbench.cells import Cell
from fairbench.running.layout import About, TruthRow, text_id
from fairbench.running.packed import Shape, shape_of
from fairbench.running.truth import Truth

TEXTS, TRUTHS = 4096, 64  # that stay in memory: a repeat of one dataset has few, which all methods share


class Shared:
    """The tables ``texts`` and ``truths`` of a store; each method takes the hash that a row refers to.

    Each raises ``ValueError`` if it is missing, or is not what was written.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the connection to the store."""
        self._connection = connection
        self.frame = lru_cache(maxsize=TEXTS)(self._frame)
        self.about = lru_cache(maxsize=TEXTS)(self._about)
        self.shape = lru_cache(maxsize=TEXTS)(self._shape)
        self.truth = lru_cache(maxsize=TRUTHS)(self._truth)

    def _text(self, key: bytes) -> str:
        for (text,) in self._connection.execute("SELECT text FROM texts WHERE id = ?", (key,)):
            if text_id(text) != key:
                raise ValueError("a text that it shares with others is not as it was written")
            return str(text)
        raise ValueError("a text that it shares with others is missing")

    def _frame(self, key: bytes) -> Cell:
        """Return the cell with 0 for each of its numbers, see ``Cell.frame``."""
        return Cell.from_json(self._text(key))

    def _about(self, key: bytes) -> About:
        """Return what a record says in common with others."""
        return About.read(self._text(key))

    def _shape(self, key: bytes) -> Shape:
        """Return the places of values."""
        return shape_of(self._text(key))

    def _truth(self, key: str) -> Truth:
        """Return a test part."""
        columns = ", ".join(f'"{name}"' for name in TruthRow._fields)
        query = f"SELECT {columns} FROM truths WHERE key = ?"  # noqa: S608 - our own names
        for row in map(TruthRow._make, self._connection.execute(query, (key,))):
            return row.truth()
        raise ValueError("the labels and groups of its test part are missing")
