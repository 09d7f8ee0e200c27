"""Planning a suite, and resuming a run of it.

The suite has five methods on two datasets, with all metrics; every cell of the run that is taken up is finished, so
that nothing is left to run. Datasets are not loaded. ``plan`` is what a new run does before its first cell. ``resume``
is what a run that continues does besides planning: it reads and compares what is there, before and after it holds the
directory, writes ``run.json``, finds that no cell is left, and writes ``run.json`` again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from _timing import Row, Times, spent

from fairbench.cells import Cell
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Registry
from fairbench.records import DONE, Record, Value
from fairbench.running.cell import CellRunner
from fairbench.running.grid import Availability, run_cells
from fairbench.running.resume import Plan
from fairbench.running.rundir import choose_directory, writing
from fairbench.running.store import FILE_NAME, Measured, Store
from fairbench.running.suite import Suite, plan

METHODS = ("constant", "logistic", "mlp", "faalgrad[inner_steps=1|10]")
DATASETS = ("compas", "adult")
AVAILABLE = Availability(dict.fromkeys(DATASETS, "0" * 64))


def planned(registry: Registry, count: int) -> Plan:
    """Return the plan of a suite of so many cells."""
    suite = Suite("speed", DATASETS, METHODS, repeats=count // 10, reference=False)
    return Plan.of(suite.to_dict(), plan(suite, registry), registry, grows=False, accept=False)


def fill(path: Path, cells: Sequence[Cell], registry: Registry) -> None:
    """Write a store in which every cell is finished, with a value for each metric."""
    with Store(path / FILE_NAME, create=True) as store:
        for cell in cells:
            values = tuple(Value(0, "", "", name, 0.5) for name in cell.metrics)
            store.add(Measured(Record(cell, DONE, values=values, versions=registry.versions(cell)), {}))


def begin(registry: Registry, count: int, out: Path) -> None:
    """Plan, and write what a new run writes before its first cell."""
    plan = planned(registry, count)
    path = choose_directory(plan, out)
    with writing(path, plan, AVAILABLE, registry, ["run"], "serial"):
        pass


def resume(registry: Registry, plan: Plan, out: Path) -> None:
    """Do all that a planned run does that finds every cell finished."""
    path, runner = choose_directory(plan, out), CellRunner(DataSource(None, offline=True), partial=out / "partial")
    with writing(path, plan, AVAILABLE, registry, ["run"], "serial") as opened:
        serial, kept = registry.get("executors", "serial")(), opened.kept
        left = list(run_cells(plan.cells, AVAILABLE, runner, serial, opened.store, kept.keys))
        opened.done.update(kept.keys)
    assert (len(kept.keys), len(kept.lacking), left) == (len(plan.cells), 0, [])


def measure(quick: bool) -> Iterator[Row]:
    """Time both for each size, once, after a small run that imports and digests what all need."""
    registry, _ = load_plugins()
    for count in (10, 100, 1_000) if quick else (10, 1_000, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            begun = spent(partial(begin, registry, count, out))
            plan = planned(registry, count)
            fill(out, plan.cells, registry)
            resumed = spent(partial(resume, registry, plan, out))
            size = (out / "run.json").stat().st_size / 2**20
        if count == 10:
            continue
        aim = 2.0 if count == 100_000 else None
        for name, seconds in (("plan", begun), ("resume a finished run", resumed)):
            yield Times(seconds, seconds).row(name, "CPU s", size=count, of="cells", aim=aim)
        yield Row("run.json", size, "MiB", size=count, of="cells")
