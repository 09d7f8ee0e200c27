"""Streams in a table: for each batch size and correction the gaps on the way, and what was done to the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fairbench.api import Record, Report, Results, escape_markdown, hookimpl
from fairbench.api.analysis import Measured, finished

AFTER = (100, 1000)  # batches
SETTINGS = ("batches", "epsilon", "eta")  # of the stream
COLUMNS = {
    "stream_average_gap": "batch gap",
    "stream_pooled_gap": "pooled",
    "stream_largest_pooled_gap": "largest",
    "stream_steps_above": "above",
    "demographic_parity_difference": "decisions",
    "stream_distortion": "change",
    "stream_clipped_share": "clipped",
    "stream_one_group_batches": "one group",
    "stream_infeasible_batches": "infeasible",
    "stream_largest_price": "price",
}
SHARES = ("stream_steps_above", "stream_one_group_batches", "stream_infeasible_batches")  # shown as shares of batches
LEGEND = (
    "Means over repeats. Gaps are in mean score: *batch gap* is the batches' own, averaged over rows (after 100, 1,000 "
    "and all batches), *pooled* that of all scores given out, *largest* its largest value after any batch, and *above* "
    "the share of batches after which it exceeded epsilon. *Decisions* is the demographic parity difference, *change* "
    "the mean squared change of a score, *clipped* the share of rows moved to 0 or 1; *one group* and *infeasible* are "
    "shares of batches, *price* is the largest of the primal-dual algorithm."
)


class StreamRow(NamedTuple):
    """The repeats of one batch size and correction."""

    size: str
    correction: str
    records: list[Record]

    def mean(self, name: str) -> float:
        """Return the mean of a value over repeats, NaN where it is missing."""
        return float(np.mean([_value(record, name) for record in self.records]))

    def average_after(self, batches: int) -> float:
        """Return the mean of the average batch gap after this many batches, or at the end if there are fewer."""
        curves = [record.diagnostics["average_gap"] for record in self.records]
        return float(np.mean([curve[min(batches, len(curve)) - 1] for curve in curves]))


def blocks(results: Results) -> dict[str, list[StreamRow]]:
    """Return the rows of each dataset and method whose streams are done, in the order of the plan.

    A method is shown with its parameters where the run has it with several.
    """
    done = [record for record in finished(results.records) if record.cell.scenario.name == "stream"]
    variants = Counter(method.name for method in {str(r.cell.method): r.cell.method for r in done}.values())
    found: dict[str, dict[tuple[str, str], StreamRow]] = {}
    for record in done:
        cell, params = record.cell, record.cell.scenario.params
        method = cell.method.name if variants[cell.method.name] == 1 else str(cell.method)
        key = (f"{'1..' if params['uneven'] else ''}{params['batch_size']}", params["correction"])
        settings = ", ".join(f"{name} {params[name]:g}" for name in SETTINGS)
        rows = found.setdefault(f"{cell.place}, {method} ({settings})", {})
        rows.setdefault(key, StreamRow(*key, [])).records.append(record)
    return {title: list(rows.values()) for title, rows in found.items()}


def render(results: Results) -> str:
    """Return Markdown: a table for each dataset and method, or nothing without streams."""
    found = blocks(results)
    if not found:
        return ""
    parts = ["# Streams", "", LEGEND, ""]
    for title, rows in found.items():
        parts += [f"## {escape_markdown(title)}", "", *_table(rows), ""]
    return "\n".join(parts)


def _table(rows: Sequence[StreamRow]) -> Iterator[str]:
    heads = [f"{COLUMNS['stream_average_gap']} {batches}" for batches in AFTER] + list(COLUMNS.values())
    yield f"| rows | correction | {' | '.join(heads)} |"
    yield f"| ---: | --- |{' ---: |' * len(heads)}"
    for row in rows:
        numbers = [*map(row.average_after, AFTER), *map(row.mean, COLUMNS)]
        shown = ["-" if np.isnan(number) else f"{number:.4f}" for number in numbers]
        yield f"| {row.size} | {row.correction} | {' | '.join(shown)} |"


def _value(record: Record, name: str) -> float:
    measured = Measured(record)
    value = measured.whole(name)
    if value is None:
        return float("nan")
    return value / (measured.whole("stream_batches") or 1.0) if name in SHARES else value


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("streams", "-streams.md", render)]
