"""What the harness adds to a cell, over the same work done by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from _timing import Row, Times, alternately

from fairbench.api import Fitted
from fairbench.cells import Cell
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import CellRunner, Workbench
from fairbench.running.grid import gather, run_cells
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan

ROWS = "synthetic[rows=5000]"
METRICS = ("accuracy", "demographic_parity_difference", "equalized_odds_difference", "selection_rate")


def by_hand(cells: Sequence[Cell], workbench: Workbench) -> None:
    """Split, fit, predict and measure as a script would."""
    for cell in cells:
        split = workbench.split(cell)
        fitted = Fitted.of(workbench.registry.method(cell.method).fit(split.train, split.validation, seed=0))
        predictions = fitted.points[fitted.chosen](split.test.inputs)
        for name in cell.metrics:
            workbench.registry.metric(name)(split.test, predictions)


def measure(quick: bool) -> Iterator[Row]:
    """Time cells whose methods do next to nothing, by hand and through the harness, for each cell."""
    registry, _ = load_plugins()
    methods = ("always_0", "always_1", "constant")
    suite = Suite("speed", (ROWS,), methods, metrics=METRICS, repeats=20 if quick else 100, reference=False)
    cells = plan(suite, registry)
    runner = CellRunner(DataSource(None, offline=True))
    available = gather(cells, runner)
    serial = registry.get("executors", "serial")()

    def through_the_harness(some: Sequence[Cell]) -> None:
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "results.sqlite", create=True) as store:
            list(run_cells(some, available, runner, serial, store))

    works = {"hand": partial(by_hand, cells, runner.workbench), "harness": partial(through_the_harness, cells)}
    found = alternately(works, rounds=2 if quick else 5)
    hand, harness = (Times(*(seconds / len(cells) for seconds in found[name])) for name in works)
    yield hand.row(f"a no-op cell of {ROWS} by hand")
    yield harness.row("the same in the harness", other=hand, against="by hand")
    added = Times(harness.best - hand.best, harness.median - hand.median)
    yield added.row("what the harness adds: guards, record, values by group, storage", aim=1.0)
