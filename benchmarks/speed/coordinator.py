"""What a cell costs the process that hands out cells, takes their results and stores them.

``benchmarks/scale/simulate.py`` reads these rows from the JSON file.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from _timing import Row, alternately

from fairbench.cells import Choice
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import CellRunner, run_cell
from fairbench.running.grid import gather
from fairbench.running.store import Measured, Store
from fairbench.running.suite import Suite, plan

DATA = "synthetic[rows=45222]"
METRICS = ("accuracy", "demographic_parity_difference", "equalized_odds_difference", "selection_rate")
BATCHES = (1, 10, 100)


def answer(pipe: Connection, result: bytes) -> None:
    """Answer each batch of cells with as many results, until the pipe is closed."""
    try:
        while True:
            cells = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
            pipe.send_bytes(pickle.dumps([result] * len(cells)))
    except (EOFError, OSError):
        return


def measure(quick: bool) -> Iterator[Row]:
    """Time a round trip of cells and results of Adult's size for each batch, and appending a result to a store."""
    registry, _ = load_plugins()
    suite = Suite("speed", (DATA,), ("logistic",), metrics=METRICS, repeats=1, reference=False)
    (cell,) = plan(suite, registry)
    runner = CellRunner(DataSource(None, offline=True))
    gather([cell], runner)
    found = run_cell(cell, runner.workbench)
    result = pickle.dumps(found)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=answer, args=(theirs, result), daemon=True)
    process.start()
    theirs.close()

    def exchange(batch: int) -> None:
        ours.send_bytes(pickle.dumps([pickle.dumps(cell)] * batch))
        for payload in pickle.loads(ours.recv_bytes()):  # noqa: S301 - from our own process
            pickle.loads(payload)  # noqa: S301 - as above

    works = {batch: (lambda batch=batch: exchange(batch)) for batch in (BATCHES[:2] if quick else BATCHES)}
    note = f"{len(pickle.dumps(cell)):,} bytes out, {len(result):,} back"
    for batch, times in alternately({str(batch): work for batch, work in works.items()}, rounds=5).items():
        yield times.row("a batch is handed out and its results are taken", size=int(batch), of="cells", note=note)
    ours.close()
    process.join()
    with tempfile.TemporaryDirectory() as folder:
        with Store(Path(folder) / "results.sqlite", create=True) as store:
            numbers = count()

            def append() -> None:
                new = replace(cell, method=Choice("logistic", {**cell.method.params, "number": next(numbers)}))
                store.add(Measured(replace(found.record, cell=new), found.predictions))

            times = alternately({"": append}, rounds=2 if quick else 5, burst=0.2)[""]
        size = (Path(folder) / "results.sqlite").stat().st_size / next(numbers)
    yield times.row("a result is appended to the store", note=f"{size / 1024:.1f} KiB a cell")
