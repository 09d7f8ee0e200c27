"""Counts by group and label of stored predictions: what intervals within one test part are computed from.

Every metric of rates is a function of these counts, and a resampled test part is one multinomial draw of them, so a
bootstrap of thousands of test parts needs no rows. Two methods that decided about the same rows are counted together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Optional

import numpy as np

from fairbench.analysis.values import Measured
from fairbench.data.rows import Floats, Predictions
from fairbench.errors import StoreError
from fairbench.records import Record, Results
from fairbench.running.layout import Made
from fairbench.running.store import FILE_NAME, Store, Truth

CELLS_KEPT = 64  # whose predictions stay in memory: those of a baseline are asked for again with every method
SELECTION, TRUE_POSITIVE, FALSE_POSITIVE = "selection_rate", "true_positive_rate", "false_positive_rate"


@dataclass(frozen=True, eq=False)
class Counts:
    """The rows of a test part, and how many of them are selected, by group and label.

    Args:
        groups: names of the G groups.
        rows: (G, 2) number of rows with y = 0 and y = 1.
        selected: (G, 2) number of these that are selected, in expectation over ``decision``.
        randomised: whether some row is selected with a probability other than 0 and 1.
        levels: (L,) the chances of being selected that occur; None if they are 0 and 1.
        at_levels: (G, 2, L) number of rows by group, label and chance; None with ``levels``.
    """

    groups: tuple[str, ...]
    rows: Floats
    selected: Floats
    randomised: bool = False
    levels: Optional[Floats] = None
    at_levels: Optional[Floats] = None

    @property
    def by_level(self) -> tuple[Floats, Floats]:
        """Return the chances of being selected that occur (L,), and the rows by group, label and chance (G, 2, L)."""
        if self.levels is None or self.at_levels is None:
            return np.array([0.0, 1.0]), np.stack([self.rows - self.selected, self.selected], axis=2)
        return self.levels, self.at_levels

    @property
    def n(self) -> Floats:
        """Return the number of rows of each group (G,)."""
        return np.asarray(self.rows.sum(axis=1))

    @property
    def accuracy(self) -> float:
        """Return the share of correct decisions among all rows; NaN without rows."""
        right = self.selected[:, 1] + self.rows[:, 0] - self.selected[:, 0]
        return float(right.sum() / self.rows.sum()) if self.rows.sum() else float("nan")

    @property
    def accuracies(self) -> Floats:
        """Return the share of correct decisions within each group (G,); NaN for a group without rows."""
        with np.errstate(invalid="ignore"):
            right = self.selected[:, 1] + self.rows[:, 0] - self.selected[:, 0]
            return np.asarray(right / self.n)

    def of(self, rate: str) -> tuple[Floats, Floats]:
        """Return how many are selected (G,), and of how many rows (G,); ``rate`` names one of the three."""
        if rate == SELECTION:
            return np.asarray(self.selected.sum(axis=1)), self.n
        label = {FALSE_POSITIVE: 0, TRUE_POSITIVE: 1}[rate]
        return self.selected[:, label], self.rows[:, label]

    def rates(self, rate: str) -> Floats:
        """Return a ``rate``, one of the three by name, by group (G,); NaN where a group has no row to count."""
        selected, rows = self.of(rate)
        with np.errstate(invalid="ignore"):
            return np.asarray(selected / rows)


def rows_by_label(truth: Truth) -> Floats:
    """Return the number of rows of a test part by group and label (G, 2)."""
    groups = len(truth.group_names)
    return np.bincount(truth.group * 2 + truth.y, minlength=2 * groups).reshape(groups, 2).astype(np.float64)


def count(truth: Truth, predictions: Predictions) -> Counts:
    """Return the counts of one method's ``predictions`` for the rows of ``truth``."""
    groups = len(truth.group_names)
    cell, rows = truth.group * 2 + truth.y, rows_by_label(truth)
    selected = np.bincount(cell, predictions.decision, 2 * groups).reshape(groups, 2).astype(np.float64)
    if not predictions.randomised:
        return Counts(truth.group_names, rows, selected)
    levels, level = np.unique(predictions.decision, return_inverse=True)
    at = np.bincount(cell * len(levels) + level, minlength=2 * groups * len(levels)).astype(np.float64)
    return Counts(truth.group_names, rows, selected, True, levels, at.reshape(groups, 2, len(levels)))


def count_jointly(truth: Truth, first: Predictions, second: Predictions) -> Floats:
    """Return the number of rows (G, 2, 2, 2) by group, label, ``first`` and ``second`` decision.

    Both are predictions for the rows of ``truth``. Randomised decisions are tossed independently; the counts are then
    expectations.
    """
    groups = len(truth.group_names)
    cell = truth.group * 2 + truth.y
    table = np.empty((groups * 2, 2, 2))
    for a, one in enumerate((1 - first.decision, first.decision)):
        for b, other in enumerate((1 - second.decision, second.decision)):
            table[:, a, b] = np.bincount(cell, one * other, 2 * groups)
    return table.reshape(groups, 2, 2, 2)


class StoredRows:
    """The stored predictions of a run at each record's last step.

    Without a ``store``, everything is None.
    """

    def __init__(self, store: Optional[Store], listings: Optional[Mapping[str, str]] = None) -> None:
        """Take the open store, and the ``listings`` of its cells' predictions if they have been read already."""
        self._store, self._read_before = store, listings
        self._read = None if store is None else lru_cache(maxsize=CELLS_KEPT)(store.predictions)
        self._listed: dict[str, dict[tuple[int, str], Made]] = {}  # by key of a cell
        self._parts: dict[str, tuple[tuple[str, ...], Floats]] = {}  # by key of a test part: group names, and the rows

    def _made(self, key: str) -> dict[tuple[int, str], Made]:
        """Return what is listed of the predictions of a cell, by step and point; it is read once."""
        if key not in self._listed:
            listed = Made.listed(self._listings.get(key, "[]"))
            self._listed[key] = {(made.step, made.point): made for made in listed}
        return self._listed[key]

    @cached_property
    def _listings(self) -> Mapping[str, str]:
        if self._read_before is not None:
            return self._read_before
        return {} if self._store is None else self._store.listings()

    def predictions(self, record: Record, point: Optional[str] = None) -> Optional[tuple[Truth, Predictions]]:
        """Return what a ``record`` predicted at an operating ``point`` (None: the chosen one), and for which rows.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        if self._read is None or not record.values:
            return None
        place = (Measured(record).last_step, record.chosen if point is None else point)
        return self._read(record.cell.key).get(place)

    def counts(self, record: Record, point: Optional[str] = None) -> Optional[Counts]:
        """Return the counts of the ``predictions`` of a ``record`` at a ``point``.

        Most are stored beside the cell, so that the predictions themselves need not be read.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        if not record.values:
            return None
        step, name = Measured(record).last_step, record.chosen if point is None else point
        made = self._made(record.cell.key).get((step, name))
        if made is not None and made.selected is not None:
            groups, rows = self._part(record, made)
            return Counts(groups, rows, np.array(made.selected, dtype=np.float64).reshape(rows.shape))
        found = self.predictions(record, point)
        return None if found is None else count(*found)

    def plain(self, records: Sequence[Record]) -> Optional[tuple[tuple[str, ...], Floats, Floats]]:
        """Return names of groups, and rows and selected rows of J ``records`` at their chosen points, both (J, G, 2).

        They are those of ``counts``; None unless all are stored beside their cells and have the same groups.

        Raises:
            StoreError: the store is damaged; the message names the cell.
        """
        texts = [self._listings.get(record.cell.key, "[]") for record in records]
        names, rows, chosen = set(), [], []
        for record, listed in zip(records, json.loads(f"[{','.join(texts)}]")):
            place = (Measured(record).last_step, record.chosen)
            made = next((one for one in map(Made._make, listed) if one[:2] == place), None)
            if made is None or made.selected is None or not record.values:
                return None
            groups, here = self._part(record, made)
            names.add(groups)
            rows.append(here)
            chosen.append(made.selected)
        if len(names) != 1:
            return None
        table = np.array(rows)
        return names.pop(), table, np.array(chosen, dtype=np.float64).reshape(table.shape)

    def _part(self, record: Record, made: Made) -> tuple[tuple[str, ...], Floats]:
        """Return the names of the groups of a test part, and its rows by group and label."""
        if made.truth not in self._parts:
            if self._store is None:  # what is listed comes from a store
                raise StoreError(f"the predictions of cell {record.cell.key} are gone")
            truth = self._store.truth(record.cell.key, made.truth)
            self._parts[made.truth] = truth.group_names, rows_by_label(truth)
        return self._parts[made.truth]

    def test_part(self, record: Record) -> Optional[str]:
        """Return a hash of the rows that the ``predictions`` of a ``record`` are for: the same for the same rows."""
        if not record.values:
            return None
        made = self._made(record.cell.key).get((Measured(record).last_step, record.chosen))
        return None if made is None else made.truth

    def joint(self, first: Record, second: Record) -> Optional[Floats]:
        """Return ``count_jointly`` of the chosen points of ``first`` and ``second``, None if their rows differ."""
        one, other = self.predictions(first), self.predictions(second)
        if one is None or other is None or one[0].key != other[0].key:
            return None
        return count_jointly(one[0], one[1], other[1])


@contextmanager
def stored_rows(results: Results) -> Iterator[StoredRows]:
    """Open the stored predictions of the run that ``results`` are of.

    Raises:
        StoreError: the store is damaged.
    """
    if results.path is None:
        yield StoredRows(None)
        return
    with Store(results.path / FILE_NAME) as store:
        yield StoredRows(store, results.listings)


def positives(rows: StoredRows, records: Iterable[Record]) -> dict[str, tuple[int, ...]]:
    """Return for each group its number of rows with y = 1 in the test part of every repeat, which all methods share.

    There is one number for each repeat, in rising order, without the repeats of which no predictions are stored.

    Args:
        rows: the stored predictions of a run.
        records: of one section of it.
    """
    counts: dict[int, Counts] = {}
    for record in records:
        if record.cell.repeat not in counts:
            found = rows.counts(record)
            if found is not None:
                counts[record.cell.repeat] = found
    numbers: dict[str, list[int]] = {}
    for repeat in sorted(counts):
        for group, ones in zip(counts[repeat].groups, counts[repeat].rows[:, 1]):
            numbers.setdefault(group, []).append(int(ones))
    return {group: tuple(found) for group, found in numbers.items()}
