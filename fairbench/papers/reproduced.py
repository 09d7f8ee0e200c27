"""Everything that a reproduction found, computed once from the stored records for the document and the command."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from fairbench.analysis.intervals import NO_INTERVAL
from fairbench.analysis.lines import AboveLine
from fairbench.papers.claims import Judgement, judge_claim
from fairbench.papers.grids import Grid, Reproduction
from fairbench.papers.measured import MeasuredRow, Measurements, brief, constants, measure_table, whole_constant
from fairbench.papers.published import Table
from fairbench.records import DONE, Record, Results
from fairbench.texts import counted


@dataclass(frozen=True)
class TableOutcome:
    """A table: for each dataset and protocol its rows, the same ones in the same order under every protocol."""

    table: Table
    grids: tuple[Grid, ...]
    rows: Mapping[str, Mapping[str, Sequence[MeasuredRow]]]  # dataset -> protocol -> rows


@dataclass(frozen=True)
class Reproduced:
    """Everything found.

    Args:
        reproduction: what was planned.
        results: the records of its cells, and what produced them.
        tables: published and measured.
        judgements: the claims.
        measurements: the values by cell, for figures.
    """

    reproduction: Reproduction
    results: Results
    tables: tuple[TableOutcome, ...]
    judgements: tuple[Judgement, ...]
    measurements: Measurements

    @classmethod
    def of(cls, reproduction: Reproduction, results: Results) -> Reproduced:
        """Compare, line up and judge what a run directory holds of the reproduction's cells."""
        keys = {cell.key for cell in reproduction.cells}
        records = [record for record in results.records if record.cell.key in keys]
        results = replace(results, records=records, planned=len(keys))
        measurements = Measurements(records, results.run.get("base_rates", {}))
        tables = tuple(
            TableOutcome(
                table,
                tuple(grids),
                {
                    dataset: {grid.protocol.name: measure_table(measurements, grid, dataset) for grid in grids}
                    for dataset in grids[0].datasets
                },
            )
            for table, grids in reproduction.tables
        )
        judgements = tuple(
            judge_claim(claim, grid, measurements, reproduction.paper.tests)
            for claim in reproduction.published.claims
            for grid in reproduction.grids
            if grid.table.name == claim.table
        )
        return cls(reproduction, results, tables, judgements, measurements)

    def without_interval(self) -> list[str]:
        """Return a sentence for each reason why datasets have no intervals, and so no verdicts based on them."""
        datasets: dict[str, list[str]] = {}
        for grid in self.reproduction.grids:
            for dataset in grid.datasets:
                found = self.measurements.correction(grid, dataset)
                if found.reason:
                    datasets.setdefault(found.reason, []).append(dataset)
        return [f"There is {NO_INTERVAL} on {_names(iter(here))}: {reason}." for reason, here in datasets.items()]

    def without_base_rate(self) -> list[str]:
        """Return a sentence that names the datasets on which published rows use the constant of our test parts."""
        grids = self.reproduction.grids if self.reproduction.rerun.baseline else ()
        unknown = {
            dataset: None
            for grid in grids
            for dataset in grid.datasets
            if whole_constant(self.measurements, dataset) is None and constants(self.measurements, grid, dataset)
        }
        if not unknown:
            return []
        return [
            f"For published rows on {_names(iter(unknown))}, the better constant is the mean over our test parts: this "
            "run does not record the share of positives in the whole dataset."
        ]

    def missing(self) -> list[str]:
        """Return a sentence for each reason why rows have no values."""
        cells: dict[tuple[str, str], list[Record]] = {}
        for record in self.results.records:
            if record.status != DONE:
                kind = re.sub(r"\d[\d.,]*", "", brief(record))  # counts differ from split to split
                cells.setdefault((record.status, kind), []).append(record)
        sentences = [
            f"{counted(len(here), 'cell')} {status} ({_names(record.cell.method.name for record in here)} on "
            f"{_names(str(record.cell.dataset) for record in here)}): {brief(here[0])}"
            f"{' (and the like)' if len(set(map(brief, here))) > 1 else ''}"
            for (status, _), here in cells.items()
        ]
        lacking = Counter((str(record.cell.dataset), _lacking(record)) for record in self.results.records)
        sentences += [
            f"values that compare groups are left out of {counted(count, 'cell')} on {dataset}: {reason}"
            for (dataset, reason), count in lacking.items()
            if reason
        ]
        left = self.results.planned - len(self.results.records)
        unrun = [f"{counted(left, 'cell')} {'has' if left == 1 else 'have'} not been run"] if left else []
        return [*self.reproduction.left_out, *sentences, *unrun]

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield every comparison as one flat row, for CSV and JSON."""
        called = self.reproduction.published.called
        for outcome in self.tables:
            for dataset, protocols in outcome.rows.items():
                for grid in outcome.grids:
                    without = self.measurements.correction(grid, dataset).reason
                    for row in protocols[grid.protocol.name]:
                        for line in _lines(called, outcome.table.name, dataset, grid.protocol.name, row):
                            yield {**line, "no_interval": without, "reason": row.reason}


def _lacking(record: Record) -> str:
    """Return which groups some values leave out, if any do."""
    return next((value.lacking for value in record.values if value.lacking), "")


def _names(names: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _lines(origin: str, table: str, dataset: str, protocol: str, row: MeasuredRow) -> Iterator[dict[str, Any]]:
    coins: dict[str, Optional[float]] = {}
    for coin in row.coins:
        for who, value in (("published", coin.published), ("measured", coin.measured)):
            coins.update(_coin(f"{who}_above_coin_{coin.gap.heading.lower()}", value))
    for comparison in (*row.comparisons, *row.beside):
        said = comparison.published
        yield {
            "table": table,
            "dataset": dataset,
            "protocol": protocol,
            "row": row.label,
            "metric": comparison.column.quantity,
            "group": comparison.column.group,
            "step": comparison.column.step,
            "origin": origin,
            "published": said.mean if said else None,
            "published_spread": said.spread if said else None,
            "uncertain": bool(said and said.uncertain),
            "repeats": comparison.all.n,
            "mean": comparison.all.mean,
            "sd": comparison.all.sd,
            "first_repeats": comparison.few.n,
            "first_mean": comparison.few.mean,
            "first_sd": comparison.few.sd,
            "difference": comparison.difference,
            "verdict": comparison.verdict,
            "verdict_by": (
                "" if not comparison.verdict else "measured spread" if comparison.own_spread else "published spread"
            ),
            "selection_rate": row.selected.mean,
            "decided_alike": row.alike,
            "chosen": "; ".join(f"{point} ({times})" for point, times in row.chosen if point),
            **coins,
        }


def _coin(name: str, value: Optional[AboveLine]) -> dict[str, Optional[float]]:
    ends = (None, None, None) if value is None else (value.value, value.low, value.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends))
