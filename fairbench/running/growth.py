"""Additional metrics for finished cells, computed without fitting anything again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Optional

import numpy as np

from fairbench.cells import Cell
from fairbench.data.preparation import split_of
from fairbench.data.rows import Samples
from fairbench.errors import FairbenchError
from fairbench.plugins.components import Metric
from fairbench.records import Record
from fairbench.running.cell import Workbench, measure
from fairbench.running.store import Measured, Store
from fairbench.running.truth import FEATURES, Truth


def measure_more(
    cells: Sequence[Cell], store: Store, workbench: Workbench, available: Collection[str]
) -> Iterator[Cell]:
    """Compute those metrics of finished cells that the store lacks; yield each cell that then lacks none.

    The stored predictions are scored on the test part that they were made for, features included, or on what is stored
    of it if a scenario made its own. A cell on which a metric fails is not yielded: it must run again. A cell whose
    dataset is not among the ``available`` ones is left unchanged.
    """
    outlines = store.outline()
    test, split_key = None, ""
    for cell in cells:
        missing = [name for name in cell.metrics if name not in outlines[cell.key].metrics]
        if missing and str(cell.dataset) in available:
            if cell.split_key != split_key:  # cells that share a split stand side by side
                test, split_key = _test_part(cell, workbench), cell.split_key
            measured = _measured(cell, store.measured(cell.key), test, missing, workbench) if test else None
            if measured is None:
                continue
            store.add(measured)
        yield cell


def _test_part(cell: Cell, workbench: Workbench) -> Optional[Samples]:
    dataset = workbench.dataset(cell.dataset)
    try:
        return split_of(cell, dataset).test
    except FairbenchError:
        return None


def _measured(
    cell: Cell, before: Measured, test: Samples, missing: Sequence[str], workbench: Workbench
) -> Optional[Measured]:
    """Return the cell with more values; None if a metric fails, or needs features that are not available."""
    metrics: list[Metric] = [workbench.registry.metric(name) for name in missing]
    values = list(before.record.values)
    own = test.select(np.arange(len(test)))  # a copy: what a metric does to it no other cell sees
    key = Truth.of(own).key
    for (step, point), (truth, predictions) in before.predictions.items():
        samples = own if truth.key == key else truth.samples()
        try:
            more = measure(samples, predictions, metrics, step=step, point=point)
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever a metric raises here it raises in the cell, which keeps the traceback
            return None
        if any(value.reason == FEATURES for value in more):
            return None
        values += more
    every = tuple(dict.fromkeys([*before.record.cell.metrics, *cell.metrics]))
    versions = {**workbench.registry.versions(cell), **before.record.versions}  # the cell stays what it was
    record: Record = replace(before.record, cell=replace(cell, metrics=every), values=tuple(values), versions=versions)
    return Measured(record, before.predictions)
