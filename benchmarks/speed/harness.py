"""What the harness adds to a cell, over the same work done by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from _timing import Row, Times, alternately, children_seconds

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
    found = alternately(works, rounds=2 if quick else 5, budget=30.0)
    hand, harness = (Times(*(seconds / len(cells) for seconds in found[name])) for name in works)
    yield hand.row(f"a no-op cell of {ROWS} by hand")
    yield harness.row("the same in the harness", other=hand, against="by hand")
    added = Times(harness.best - hand.best, harness.median - hand.median)
    yield added.row("what the harness adds: guards, record, values by group, storage", aim=1.0)
    yield beside_benchopt(added, (5, 25) if quick else (20, 220))


def beside_benchopt(added: Times, sizes: tuple[int, int]) -> Row:
    """Return the cost of a cell in benchopt, without its start: the difference between runs of two sizes."""
    name = "benchopt: a no-op cell, with neither split nor guards"
    if find_spec("benchopt") is None:
        return Row(name, None, "CPU ms", note="benchopt not installed")
    spent = []
    for cells in sizes:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(Path(__file__).parent / "_benchopt", folder, dirs_exist_ok=True)  # where it keeps results
            command = [sys.executable, "-m", "benchopt", "run", folder, "-r", "1", "-j", "1", "--no-plot", "--no-html"]
            before = children_seconds()
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "CELLS": str(cells)}, cwd=folder
            )
            spent.append(children_seconds() - before)
    seconds = (spent[1] - spent[0]) / (sizes[1] - sizes[0])
    beside = {"other": added, "against": "what the harness adds", "note": f"benchopt {version('benchopt')}"}
    return Times(seconds, seconds).row(name, **beside)
