"""Planning a suite, and resuming a run of it: ``python benchmarks/speed/planning.py [CELLS ...]``.

The suite has five methods on two datasets, with all metrics; every cell of the run that is taken up is finished, so
that nothing is left to run. Datasets are not loaded. ``plan`` is what a new run does before its first cell. ``resume``
is what a run that continues does besides planning: it reads and compares what is there, before and after it holds the
directory, writes ``run.json``, finds that no cell is left, and writes ``run.json`` again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

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


def seconds(work, *arguments) -> float:
    """Return the CPU seconds of a call."""
    started = time.process_time()
    work(*arguments)
    return time.process_time() - started


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    registry, _ = load_plugins()
    with tempfile.TemporaryDirectory() as folder:  # imports, and digests of code
        begin(registry, 10, Path(folder))
        fill(Path(folder), planned(registry, 10).cells, registry)
        resume(registry, planned(registry, 10), Path(folder))
    print(f"{'cells':>8} {'plan s':>8} {'resume s':>10} {'run.json MiB':>13}")
    for count in parser.parse_args().cells:
        with tempfile.TemporaryDirectory() as folder:
            begun = seconds(begin, registry, count, Path(folder))
            plan = planned(registry, count)
            fill(Path(folder), plan.cells, registry)
            resumed = seconds(resume, registry, plan, Path(folder))
            size = (Path(folder) / "run.json").stat().st_size / 2**20
        print(f"{count:8} {begun:8.2f} {resumed:10.2f} {size:13.2f}")


if __name__ == "__main__":
    main()
