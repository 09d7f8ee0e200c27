"""Stored values by row and repeat; published and measured numbers compared; points above the coin."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.intervals import Correction, overlap_correction
from fairbench.analysis.lines import AboveLine, against_coin, constant_accuracy, published_above_coin
from fairbench.analysis.values import Estimate, Measured, alike_count, chosen_points, finished
from fairbench.papers.columns import ACCURACY, DIAGNOSTIC, MEAN_OF, METRIC, NUMBER_OF, VALUE, Column
from fairbench.papers.grids import CONSTANT, Grid, Key
from fairbench.papers.published import Number, PublishedRow
from fairbench.records import DONE, Record
from fairbench.texts import error_line

GAPS = (Column("demographic_parity_difference", heading="DP"), Column("equalized_odds_difference", heading="EO"))
SELECTED = Column("selection_rate")
WITHIN, HIGHER, LOWER = "within", "higher", "lower"
ROUNDING = 1e-9  # of the difference of two decimal fractions in binary


@dataclass(frozen=True)
class Comparison:
    """A published number beside the measured ones.

    Args:
        column: what was measured.
        published: the number in the paper; None where the row is not in the paper.
        few: over as many repeats as the paper has runs.
        all: over all repeats, of which ``few`` are the first.
        difference: mean over all repeats minus published mean; None where one is missing or the column is not judged.
        verdict: ``within``, ``higher``, ``lower``, or empty.
        own_spread: whether the verdict had to take the measured spread over ``few``, none being published.
    """

    column: Column
    published: Optional[Number]
    few: Estimate
    all: Estimate
    difference: Optional[float]
    verdict: str
    own_spread: bool


@dataclass(frozen=True)
class Coin:
    """Points above the coin at one kind of gap: of the published row and of the measured one."""

    gap: Column
    published: Optional[AboveLine]
    measured: Optional[AboveLine]


@dataclass(frozen=True)
class MeasuredRow:
    """A row of a table under a protocol.

    Args:
        label: as in the paper, or as in the suite.
        contender: whether it is a row of the paper other than its baseline.
        planned: how many repeats were planned.
        comparisons: one for each of the table's columns.
        coins: one for each kind of gap; empty where nothing is held against a coin.
        beside: one for each of the table's columns for which nothing is published.
        chosen: the operating points that stood for the method, with the number of repeats; the most frequent first.
        selected: the selection rate.
        alike: in how many repeats it makes the same decision for everybody, see ``alike.py``.
        reason: why there are no values, if there are none.
    """

    label: str
    contender: bool
    planned: int
    comparisons: tuple[Comparison, ...]
    coins: tuple[Coin, ...]
    selected: Estimate
    alike: int
    beside: tuple[Comparison, ...] = ()
    chosen: tuple[tuple[str, int], ...] = ()
    reason: str = ""


def verdict(published: Number, mean: float, own_sd: Optional[float]) -> tuple[str, bool]:
    """Return whether a measured mean is within the published spread of the published mean, or else higher or lower.

    Without a published spread, the measured standard deviation over the paper's number of repeats takes its place.

    Returns:
        ``within``, ``higher`` or ``lower``, or nothing where neither spread is known; and whether it was the measured
        spread.
    """
    assert published.mean is not None  # noqa: S101 - asked only of numbers
    own = published.spread is None
    spread = own_sd if published.spread is None else published.spread
    if spread is None:
        return "", own
    difference = mean - published.mean
    if abs(difference) <= spread + ROUNDING:
        return WITHIN, own
    return (HIGHER if difference > 0 else LOWER), own


class Measurements:
    """The stored values of a reproduction, by cell."""

    def __init__(self, records: Sequence[Record], base_rates: Mapping[str, float]) -> None:
        """Take the records of a run directory, and the shares of y = 1 in whole datasets that it knows, by label."""
        self.base_rates = base_rates
        self.records = {record.cell.key: record for record in records}
        self._measured = {record.cell.key: Measured(record) for record in finished(records)}

    def value(self, key: str, column: Column) -> Optional[float]:
        """Return what a column measures of a cell at its chosen operating point.

        None where that is undefined, taken over fewer groups than the dataset has, not recorded or not run.
        """
        measured = self._measured.get(key)
        if measured is None:
            return None
        if column.kind in (METRIC, VALUE):
            return measured.whole(column.metric, column.group, step=column.step)
        curve = measured.record.diagnostics.get(column.metric, ())
        if not curve:
            return None
        if column.kind in (NUMBER_OF, MEAN_OF):
            return len(curve) if column.kind == NUMBER_OF else statistics.fmean(curve)
        return curve[-1] if column.kind == DIAGNOSTIC else measured.record.cpu_seconds / len(curve)

    def series(self, grid: Grid, row: Key, column: Column) -> dict[int, float]:
        """Return a row's defined values by repeat."""
        found = {}
        for cell in grid.cells[row]:
            value = self.value(cell.key, column)
            if value is not None:
                found[cell.repeat] = value
        return found

    def points(self, grid: Grid, row: Key, column: Column) -> dict[str, Estimate]:
        """Return for each operating point of a row the estimate over its repeats, in the order of the points' names."""
        found: dict[str, list[float]] = {}
        for measured in (self._measured[cell.key] for cell in grid.cells[row] if cell.key in self._measured):
            for point in measured.points:
                value = measured.whole(column.metric, column.group, step=column.step, point=point)
                if value is not None:
                    found.setdefault(point, []).append(value)
        return {point: Estimate.of(found[point]) for point in sorted(found)}

    def finished(self, grid: Grid, row: Key) -> list[Record]:
        """Return the records of a row's cells that are done."""
        return [self._measured[cell.key].record for cell in grid.cells[row] if cell.key in self._measured]

    def alike(self, grid: Grid, row: Key) -> int:
        """Return in how many repeats a row makes the same decision for everybody."""
        return alike_count(self.finished(grid, row))

    def correction(self, grid: Grid, dataset: str) -> Correction:
        """Return the correction for overlapping splits of intervals on a dataset; all its rows share it."""
        rows = (row for row in grid.cells if row[0] == dataset)
        return overlap_correction(record for row in rows for record in self.finished(grid, row))

    def chosen(self, grid: Grid, row: Key) -> tuple[tuple[str, int], ...]:
        """Return which operating points stood for a row, in how many repeats, the most frequent first."""
        return tuple(chosen_points(self.finished(grid, row)))

    def reason(self, grid: Grid, row: Key) -> str:
        """Return why a row has no values: the first reason of its cells, or that they were not run."""
        for cell in grid.cells[row]:
            record = self.records.get(cell.key)
            if record is not None and record.status != DONE:
                return f"{record.status}: {brief(record)}"
        return "not run"


def brief(record: Record) -> str:
    """Return a record's reason on one line: of a traceback the last one."""
    return error_line(record.reason) or "no reason was kept"


def constants(measurements: Measurements, grid: Grid, dataset: str) -> dict[int, float]:
    """Return by repeat the accuracy of the better of the two constant predictions."""
    row = grid.row(dataset, CONSTANT)
    accuracy = measurements.series(grid, row, ACCURACY)
    selected = measurements.series(grid, row, SELECTED)
    return constant_accuracy(accuracy, selected)


def whole_constant(measurements: Measurements, dataset: str) -> Optional[float]:
    """Return the accuracy of the better constant prediction on the whole dataset; None if the run does not know it."""
    share = measurements.base_rates.get(dataset)
    return None if share is None else max(share, 1 - share)


def row_above_coin(measurements: Measurements, grid: Grid, row: Key, gap: Column) -> Optional[AboveLine]:
    """Return how far a row lies above the coin of the baseline, over the repeats that both and the constant have."""
    assert grid.baseline is not None  # noqa: S101 - asked only where there is a coin
    baseline = grid.row(row[0], grid.baseline)
    return against_coin(
        measurements.series(grid, row, ACCURACY),
        measurements.series(grid, row, gap),
        measurements.series(grid, baseline, ACCURACY),
        measurements.series(grid, baseline, gap),
        constants(measurements, grid, row[0]),
        measurements.correction(grid, row[0]).ratio,
    )


def _published_coin(
    line: Optional[PublishedRow],
    baseline: Optional[PublishedRow],
    columns: Sequence[Column],
    gap: Column,
    constant: Optional[float],
    runs: int,
    ratio: Optional[float],
) -> Optional[AboveLine]:
    """Return how far a published row lies above the coin through the published baseline, if all of it is published.

    ``ratio`` is that of our splits: the paper's are assumed to overlap as ours do.
    """
    if line is None or baseline is None or constant is None:
        return None
    places = {column: index for index, column in enumerate(columns)}
    wanted = [places.get(column) for column in (ACCURACY, gap)]
    if None in wanted:
        return None
    own, other = ([row.numbers[index] for index in wanted if index is not None] for row in (line, baseline))
    means = [number.mean for number in (*own, *other)]
    if None in means:
        return None
    accuracy, size, base_accuracy, base_gap = (mean for mean in means if mean is not None)
    spreads = [number.spread for number in own]
    return published_above_coin(
        (accuracy, spreads[0]), (size, spreads[1]), (base_accuracy, base_gap), constant, runs, ratio
    )


def measure_table(measurements: Measurements, grid: Grid, dataset: str) -> list[MeasuredRow]:
    """Return the rows of one dataset in a table: the published ones in their order, then what else the suite has."""
    lines = {
        key: line
        for line in grid.table.rows
        if str(line.dataset) == dataset and (key := grid.find(dataset, line.method, line.scenario)) is not None
    }
    own = [key for key in grid.cells if key[0] == dataset]
    baseline = grid.row(dataset, grid.baseline) if grid.baseline else None
    constant = constants(measurements, grid, dataset) if baseline else {}
    level = whole_constant(measurements, dataset)
    if level is None and constant:
        level = statistics.fmean(constant.values())
    published_baseline = lines.get(baseline) if baseline else None
    ratio = measurements.correction(grid, dataset).ratio
    rows, runs = [], grid.table.runs
    for key in [*(key for key in own if key not in lines), *lines]:
        line = lines.get(key)
        coins = tuple(
            Coin(
                gap,
                _published_coin(line, published_baseline, grid.table.columns, gap, level, runs, ratio),
                row_above_coin(measurements, grid, key, gap),
            )
            for gap in (GAPS if baseline else ())
        )
        selected = measurements.series(grid, key, SELECTED)
        comparisons = tuple(
            _compare(measurements.series(grid, key, column), column, line.numbers[index] if line else None, runs)
            for index, column in enumerate(grid.table.columns)
        )
        beside = tuple(
            _compare(measurements.series(grid, key, column), column, None, runs) for column in grid.table.beside
        )
        rows.append(
            MeasuredRow(
                line.label if line else grid.label(key),
                line is not None and key != baseline,
                len(grid.cells[key]),
                comparisons,
                coins,
                Estimate.of(selected.values()),
                measurements.alike(grid, key),
                beside,
                measurements.chosen(grid, key),
                "" if selected else measurements.reason(grid, key),
            )
        )
    return rows


def _compare(values: Mapping[int, float], column: Column, published: Optional[Number], runs: int) -> Comparison:
    few = Estimate.of(value for repeat, value in values.items() if repeat < runs)
    every = Estimate.of(values.values())
    if published is None or published.mean is None or every.mean is None or not column.judged:
        return Comparison(column, published, few, every, None, "", False)
    word, own = verdict(published, every.mean, few.sd)
    return Comparison(column, published, few, every, every.mean - published.mean, word, own)
