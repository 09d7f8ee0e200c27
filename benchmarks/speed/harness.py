"""What the harness adds to a cell, over the same work done by hand: ``python benchmarks/speed/harness.py``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import CellRunner, Workbench
from fairbench.running.grid import gather, run_cells
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan

REPEATS = 100
ROUNDS = 5


def cpu_milliseconds(work) -> float:
    """Return the CPU time of a call."""
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def by_hand(cells, workbench: Workbench) -> None:
    """Split, fit, predict and measure as a script would."""
    for cell in cells:
        split = workbench.split(cell)
        predictor = workbench.registry.method(cell.method).fit(split.train, split.validation, seed=0)
        predictions = predictor(split.test.inputs)
        for name in cell.metrics:
            workbench.registry.metric(name)(split.test, predictions)


def main() -> None:
    """Print CPU milliseconds for each cell, by hand and through the harness: the minimum of several rounds."""
    registry, _ = load_plugins()
    metrics = ("accuracy", "demographic_parity_difference", "equalized_odds_difference", "selection_rate")
    rows = "synthetic[rows=5000]"
    suite = Suite("speed", (rows,), ("always_0", "always_1", "constant"), metrics=metrics, repeats=REPEATS)
    cells = plan(suite, registry)
    runner = CellRunner(DataSource(None, offline=True))
    available = gather(cells, runner)
    serial = registry.get("executors", "serial")()

    def through_the_harness(some) -> None:
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "results.sqlite", create=True) as store:
            list(run_cells(some, available, runner, serial, store))

    by_hand(cells[:30], runner.workbench)  # imports, and the data; splits are kept for a few cells only
    through_the_harness(cells[:30])
    hand, harness = [], []
    for _ in range(ROUNDS):  # in turn, because a machine's speed varies
        hand.append(cpu_milliseconds(lambda: by_hand(cells, runner.workbench)) / len(cells))
        harness.append(cpu_milliseconds(lambda: through_the_harness(cells)) / len(cells))
    least, most = min(hand), min(harness)
    print(f"{len(cells)} cells of {rows}, CPU ms for each: by hand {least:.2f}, in the harness {most:.2f}")
    print(f"the harness adds {most - least:.2f} ms (x{most / least:.2f}): plan, record, values by group, storage")


if __name__ == "__main__":
    main()
