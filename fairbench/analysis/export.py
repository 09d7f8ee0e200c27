"""Rows of values, predictions and diagnostics written as CSV or JSON, and values recomputed from predictions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from fairbench.analysis.values import LongRow, cell_row
from fairbench.cells import Cell
from fairbench.data.rows import Predictions, Samples
from fairbench.errors import Undefined, Unstorable
from fairbench.plugins.components import Metric
from fairbench.plugins.registry import Registry
from fairbench.records import DONE, Partial, Results
from fairbench.running.cell import measure
from fairbench.running.outcomes import number
from fairbench.running.store import FILE_NAME, Store, run_folder
from fairbench.running.suite import metric_names
from fairbench.texts import without_formula, without_nul

IDENTITY = ("scenario", "dataset", "sensitive", "scale", "method", "parameters", "repeat", "tuning", "fit", "cell")
PREDICTED = (*IDENTITY, "step", "point", "chosen", "row", "y", "group", "y_pred", "y_score", "decision")
DIAGNOSED = (*IDENTITY, "diagnostic", "epoch", "value")
"""The columns of an export of predictions, and of one of diagnostics; that of values has ``values.COLUMNS``."""


class Writable(Protocol):
    """A text stream that rows are written to."""

    def write(self, text: str, /) -> object:
        """Write a text."""
        ...


class _Lines:
    """Lines of CSV that end in a line feed; ``csv`` quotes a carriage return only if its own lines end in one."""

    def __init__(self, file: Writable) -> None:
        self.file = file

    def write(self, line: str) -> object:
        return self.file.write(f"{line[:-2]}\n")


def write(
    rows: Iterable[LongRow], file: Writable, form: str, spreadsheet: bool = False, columns: Sequence[str] = ()
) -> None:
    """Write rows as ``csv`` (None is an empty field) or ``jsonl``; ``spreadsheet`` keeps texts from being formulas.

    If there are no rows, CSV has a header of the ``columns`` that they would have.
    """
    if form == "jsonl":
        for row in rows:
            file.write(json.dumps(row, allow_nan=False) + "\n")
        return
    safe = without_formula if spreadsheet else without_nul
    rows = ({name: safe(cell) for name, cell in row.items()} for row in rows)
    first = next(rows, None)
    header = list(columns if first is None else first)
    if not header:
        return
    writer = csv.DictWriter(_Lines(file), header, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows if first is None else chain([first], rows))


def _identity(cell: Cell) -> LongRow:
    row = {**cell_row(cell), "cell": cell.key}
    return {name: row[name] for name in IDENTITY}


def prediction_rows(results: Results, run: Path) -> Iterator[LongRow]:
    """Yield one row for each stored test prediction: row of the dataset, y, group, y_pred, y_score and decision.

    ``row`` is None if the samples are not rows of the dataset, or if an older fairbench did not keep it.
    """
    with Store(run_folder(run) / FILE_NAME) as store:
        for record in results.records:
            identity = _identity(record.cell)
            for (step, point), (truth, predictions) in store.predictions(record.cell.key).items():
                nothing = [None] * len(truth.y)
                columns = zip(
                    nothing if truth.rows is None else truth.rows.tolist(),
                    truth.y.tolist(),
                    truth.group.tolist(),
                    predictions.y_pred.tolist(),
                    nothing if predictions.y_score is None else predictions.y_score.tolist(),
                    predictions.decision.tolist(),
                )
                for row, y, group, y_pred, y_score, decision in columns:
                    yield {
                        **identity,
                        "step": step,
                        "point": point,
                        "chosen": point == record.chosen,
                        "row": row,
                        "y": y,
                        "group": truth.group_names[group],
                        "y_pred": y_pred,
                        "y_score": y_score,
                        "decision": decision,
                    }


def diagnostic_rows(results: Results) -> Iterator[LongRow]:
    """Yield one row for each recorded training diagnostic and epoch."""
    for record in results.records:
        identity = _identity(record.cell)
        for name, curve in record.diagnostics.items():
            for epoch, value in enumerate(curve):
                yield {**identity, "diagnostic": name, "epoch": epoch, "value": value}


def rescored(results: Results, run: Path, registry: Registry, metrics: str) -> Results:
    """Return the results with the metrics computed from the stored predictions; features are not stored.

    Values that do not come from a metric were measured by the scenario itself and are kept. A metric that cannot be
    computed from what is stored has a reason in place of a value.

    Raises:
        UnknownName: there is no metric of a given name.
    """
    chosen = [_guarded(registry.metric(name)) for name in metric_names((metrics,), registry)]
    records = []
    with Store(run_folder(run) / FILE_NAME) as store:
        for record in results.records:
            known = {*record.cell.metrics, *registry.names("metrics")}
            values = [value for value in record.values if value.metric not in known]
            for (step, point), (truth, predictions) in store.predictions(record.cell.key).items():
                values += measure(truth.samples(), predictions, chosen, step=step, point=point)
            records.append(replace(record, values=tuple(values)) if record.status == DONE else record)
    return replace(results, records=records)


def _guarded(metric: Metric) -> Metric:
    """Return the metric with a reason in place of a value if it fails, so that other values are not lost."""

    def function(samples: Samples, predictions: Predictions) -> float:
        try:
            value = metric(samples, predictions)
            return value if isinstance(value, Partial) else number(value, f"metric {metric.name}")
        except Undefined:
            raise
        except Unstorable as error:
            raise Undefined(str(error)) from error
        except Exception as error:
            raise Undefined(f"the metric raised {type(error).__name__}: {error}") from error

    return replace(metric, function=function)
