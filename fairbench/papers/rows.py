"""The rows that a claim is judged by: of a reproduction's table under a protocol, or of any finished run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional, Protocol

from fairbench.analysis.counts import StoredRows
from fairbench.analysis.differences import Difference, one_test_part, paired_rows
from fairbench.analysis.intervals import Correction, overlap_correction
from fairbench.analysis.lines import AboveLine
from fairbench.analysis.values import alike_count, by_method, finished, identity, sections
from fairbench.analysis.verdicts import SectionLines
from fairbench.cells import Cell, Choice
from fairbench.choices import stands_for
from fairbench.papers.claim_form import Pair
from fairbench.papers.columns import Column
from fairbench.papers.grids import Grid, Key
from fairbench.papers.measured import Measurements, brief, row_above_coin
from fairbench.plugins.registry import Registry
from fairbench.records import DONE, Record, Results

ONE_REPEAT = "a single repeat has no interval; run at least 2"


@dataclass(frozen=True)
class Place:
    """Where a pair is compared: the keys of its rows (the second may be missing), or None with the ``reason``."""

    dataset: str
    keys: Optional[tuple[Any, ...]]
    reason: str = ""


class Rows(Protocol):
    """Rows by keys of their own."""

    @property
    def name(self) -> str:
        """Return what they are of: a protocol, or a run."""

    def places(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Place]]:
        """Yield each pair with each place where it is to be compared."""

    def series(self, key: Any, column: Column) -> Mapping[int, float]:
        """Return a row's defined values by repeat."""

    def correction(self, place: Place) -> Correction:
        """Return the correction for overlapping splits."""

    def alike(self, key: Any) -> int:
        """Return in how many repeats a row makes the same decision for everybody."""

    def published(self, place: Place, column: Column) -> Optional[float]:
        """Return the published difference between the rows, if both are published."""

    def baseline(self, key: Any) -> str:
        """Return the label of the method that the coin of a row mixes with a constant; empty if there is none."""

    def above_coin(self, key: Any, column: Column) -> tuple[Optional[AboveLine], str]:
        """Return how far a row lies above the coin at a gap, and why there is no such number or no interval."""

    def within(self, place: Place, column: Column, value: float) -> Difference:
        """Return a value of a single repeat, of one row or of the first minus the second, with the rows' interval."""

    def no_value(self, place: Place, column: Column) -> str:
        """Return why the rows have no value in common."""


@dataclass(frozen=True)
class GridRows:
    """The rows of a reproduction's table under one protocol."""

    grid: Grid
    measurements: Measurements

    @property
    def name(self) -> str:
        """Return the protocol's name."""
        return self.grid.protocol.name

    def places(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Place]]:
        """Yield the datasets of the grid that have a pair's rows; others were left out on purpose."""
        for dataset in self.grid.datasets:
            for pair in pairs:
                if pair.datasets and dataset not in pair.datasets:
                    continue
                keys = [self.grid.find(dataset, pair.method, pair.scenario)]
                if pair.against is not None:
                    keys.append(self.grid.find(dataset, pair.against, pair.against_scenario))
                if None not in keys:
                    yield pair, Place(dataset, tuple(keys))

    def series(self, key: Key, column: Column) -> Mapping[int, float]:
        """Return a row's defined values by repeat."""
        return self.measurements.series(self.grid, key, column)

    def correction(self, place: Place) -> Correction:
        """Return that of the dataset, which all its rows share."""
        return self.measurements.correction(self.grid, place.dataset)

    def alike(self, key: Key) -> int:
        """Return in how many repeats a row makes the same decision for everybody."""
        return self.measurements.alike(self.grid, key)

    def published(self, place: Place, column: Column) -> Optional[float]:
        """Return the difference between the published means of two rows, if both are published."""
        places = [at for at, known in enumerate(self.grid.table.columns) if known == column]
        means = []
        for key in place.keys or ():
            for line in self.grid.table.rows:
                if places and self.grid.find(str(line.dataset), line.method, line.scenario) == key:
                    means.append(line.numbers[places[0]].mean)
        if len(means) != 2 or means[0] is None or means[1] is None:
            return None
        return means[0] - means[1]

    def baseline(self, key: Key) -> str:
        """Return the paper's baseline."""
        return str(self.grid.baseline or "")

    def above_coin(self, key: Key, column: Column) -> tuple[Optional[AboveLine], str]:
        """Return how far a row lies above the coin of the paper's baseline."""
        if self.grid.baseline is None:
            return None, "rerun.toml says that rows are not compared with a coin"
        return row_above_coin(self.measurements, self.grid, key, column), self.correction(Place(key[0], None)).reason

    def within(self, place: Place, column: Column, value: float) -> Difference:
        """Return the value without an interval: the predictions are not at hand."""
        return Difference(value, why=ONE_REPEAT)

    def no_value(self, place: Place, column: Column) -> str:
        """Return why the rows have no value in common."""
        return "; ".join(dict.fromkeys(self.measurements.reason(self.grid, key) for key in place.keys or ()))


class RunRows:
    """The rows of a finished run: a method in a section, with all its repeats. Keys are their numbers.

    Args:
        results: the run's.
        stored: its predictions.
        registry: completes a method's parameters.
    """

    def __init__(self, results: Results, stored: StoredRows, registry: Registry) -> None:
        """Put every method of every section in a row."""
        self.results, self.stored, self.registry = results, stored, registry
        self.rows: list[Sequence[Record]] = []
        self._sections: list[Sequence[Record]] = []  # of each row
        for section in sections(results.records):
            for records in by_method(section):
                self.rows.append(records)
                self._sections.append(section)

    @cached_property
    def _measured(self) -> Measurements:
        return Measurements(self.results.records, self.results.run.get("base_rates", {}))

    @property
    def name(self) -> str:
        """Return the run directory."""
        return str(self.results.path or "run")

    def places(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Place]]:
        """Yield each dataset that a pair names, or else each on which the run has its method."""
        for pair in pairs:
            yield from ((pair, place) for place in self._places(pair))

    def _places(self, pair: Pair) -> Iterator[Place]:
        known = dict.fromkeys(str(records[0].cell.dataset) for records in self.rows)
        own = [self.rows[key][0].cell for key in self._having(pair.method, pair.scenario, pair.group)]
        asked = pair.datasets or tuple(dict.fromkeys(str(cell.dataset) for cell in own))
        for dataset in asked:
            if dataset not in known:
                yield Place(dataset, None, f"the run has no dataset {dataset!r} (it has {', '.join(known)})")
            else:
                yield self._place(dataset, pair)
        if not asked:
            methods = ", ".join(dict.fromkeys(records[0].cell.method.name for records in self.rows))
            yield Place("(any)", None, f"the run has no row of {pair.method} (its methods are {methods})")

    def _place(self, dataset: str, pair: Pair) -> Place:
        first = self._find(pair.method, pair.scenario, pair.group, dataset)
        if len(first) != 1:
            return Place(dataset, None, self._not_one(pair.method, first, dataset))
        if pair.against is None:
            return Place(dataset, (first[0],))
        cell = self.rows[first[0]][0].cell
        scenario = pair.against_scenario or cell.scenario
        second = [
            key
            for key in self._find(pair.against, scenario, cell.group, dataset)
            if self.rows[key][0].cell.preparation == cell.preparation
        ]
        if len(second) != 1:
            return Place(dataset, None, self._not_one(pair.against, second, dataset))
        return Place(dataset, (first[0], second[0]))

    def _having(self, method: Choice, scenario: Optional[Choice], group: str) -> list[int]:
        """Return the rows of every dataset that have what is named."""

        def has(cell: Cell) -> bool:
            known = scenario is None or stands_for(scenario, cell.scenario)
            return known and (not group or cell.group == group) and stands_for(method, cell.method)

        return [key for key, records in enumerate(self.rows) if has(records[0].cell)]

    def _find(self, method: Choice, scenario: Optional[Choice], group: str, dataset: str) -> list[int]:
        """Return the rows of a dataset that have what is named; of variants that with the default parameters.

        Variants are those of one dataset: a method's usual parameters can differ between datasets.
        """
        every = self._having(method, scenario, group)
        found = [key for key in every if str(self.rows[key][0].cell.dataset) == dataset]
        if len({identity(self.rows[key][0].cell.method) for key in found}) > 1:
            usual = identity(self.registry.complete("methods", method))
            return [key for key in found if identity(self.rows[key][0].cell.method) == usual] or found
        return found

    def _not_one(self, method: Choice, found: Sequence[int], dataset: str) -> str:
        """Return why a method is not exactly one row."""
        if not found:
            here = [records[0].cell for records in self.rows if str(records[0].cell.dataset) == dataset]
            methods = ", ".join(dict.fromkeys(cell.method.name for cell in here))
            return f"the run has no such row of {method} on {dataset} (its methods there are {methods})"
        cells = [self.rows[key][0].cell for key in found]
        told = ", ".join(dict.fromkeys(f"{cell.method} by {cell.group}, {cell.scenario.name}" for cell in cells[:4]))
        return (
            f"the run has {len(found)} rows of {method} on {dataset} ({told}); "
            "name its parameters, or group or scenario, so that one is left"
        )

    def series(self, key: int, column: Column) -> Mapping[int, float]:
        """Return a row's defined values by repeat; that of several tunings and fits is their mean."""
        found: dict[int, list[float]] = {}
        for record in finished(self.rows[key]):
            value = self._measured.value(record.cell.key, column)
            if value is not None:
                found.setdefault(record.cell.repeat, []).append(value)
        return {repeat: sum(values) / len(values) for repeat, values in found.items()}

    def correction(self, place: Place) -> Correction:
        """Return that of the rows' splits."""
        return overlap_correction(record for key in place.keys or () for record in finished(self.rows[key]))

    def alike(self, key: int) -> int:
        """Return in how many repeats a row makes the same decision for everybody."""
        return alike_count(finished(self.rows[key]))

    def published(self, place: Place, column: Column) -> None:
        """Return None: a claim file has no published numbers."""

    def _lines(self, key: int) -> SectionLines:
        return SectionLines.of(self._sections[key], self.results, self.stored)

    def baseline(self, key: int) -> str:
        """Return the baseline of the row's section."""
        return self._lines(key).baseline.label

    def above_coin(self, key: int, column: Column) -> tuple[Optional[AboveLine], str]:
        """Return the verdict on a row at a gap, and why there is none."""
        lines = self._lines(key)
        verdict = lines.verdict(finished(self.rows[key]), column.metric)
        return verdict.above, verdict.reason or lines.correction.reason

    def within(self, place: Place, column: Column, value: float) -> Difference:
        """Return a value of a single repeat with the interval that the rows of its test part leave, if one is known."""
        runs = [finished(self.rows[key]) for key in place.keys or ()]
        at = set.intersection(*({record.cell.repeat for record in records} for records in runs))
        alone = [[record for record in records if record.cell.repeat in at] for records in runs]
        if any(len(records) != 1 for records in alone) or column.group or column.step is not None:
            return Difference(value, why=ONE_REPEAT)
        first = alone[0][0]
        if len(alone) == 1:
            return one_test_part(self.stored.counts(first), column.metric, value)
        second = alone[1][0]
        if self.stored.test_part(first) != self.stored.test_part(second):
            return Difference(value, why=ONE_REPEAT)
        predicted = self.stored.predictions(second), self.stored.predictions(first)
        return paired_rows(predicted, column.metric, value)

    def no_value(self, place: Place, column: Column) -> str:
        """Return why the rows have no value in common: a cell that is not done, or a value that is not there."""
        reasons: dict[str, None] = {}
        for key in place.keys or ():
            if not self.series(key, column):
                records, name = self.rows[key], self.rows[key][0].cell.method
                broken = [record for record in records if record.status != DONE]
                why = f"{broken[0].status}: {brief(broken[0])}" if broken else f"no value of {column.quantity}"
                reasons[f"{name.name}: {why}"] = None
        return "; ".join(reasons) or "no repeat is finished and defined for both rows"
