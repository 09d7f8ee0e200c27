"""The same cells with one worker process and with several."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _timing import Row, alternately

from fairbench.cells import Choice
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import CellRunner
from fairbench.running.grid import gather, run_cells
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan


def measure(quick: bool) -> Iterator[Row]:
    """Time a run by the clock on the wall, the start of its workers included."""
    registry, _ = load_plugins()
    repeats, epochs = (4, 20) if quick else (16, 100)
    suite = Suite("speed", ("synthetic[rows=5000]",), (f"mlp[epochs={epochs}]",), repeats=repeats, reference=False)
    cells = plan(suite, registry)
    runner = CellRunner(DataSource(None, offline=True))
    available = gather(cells, runner)

    def run(choice: Choice) -> None:
        executor = registry.build("executors", choice)
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "results.sqlite", create=True) as store:
            records = list(run_cells(cells, available, runner, executor, store))
        assert all(record.status == "done" for record in records), records[0].reason

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [1] if quick else sorted({1, 2, *(2**power for power in range(2, 7) if 2**power <= processors)})
    choices = [Choice("serial"), *(Choice("processes", {"workers": count}) for count in counts)]
    works = {str(choice): partial(run, choice) for choice in choices}
    found = alternately(works, rounds=1, burst=0, budget=1.0, clock=time.perf_counter)
    one = found[str(choices[1])]
    for name, times in found.items():
        yield times.row(f"{len(cells)} cells of mlp, {name}", "s", other=one, against="one worker")
