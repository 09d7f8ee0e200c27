"""What a worker saves that maps a dataset instead of loading it.

Each measurement is a process of its own. CPU is what it takes to have the dataset, its digest compared; memory is what
the process holds for itself after that, without pages that it shares with other workers (Linux only).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _timing import Row, Times, spent

from fairbench.cells import Cell, Choice
from fairbench.data.files import DataSource
from fairbench.errors import NotApplicable
from fairbench.running.cell import CellRunner, Workbench
from fairbench.running.sharing import share_datasets

NAMES = ("adult", "diabetes")
TAKE = "import sys, shared_data; shared_data.take(*sys.argv[1:])"


def held() -> float:
    """Return the MiB that this process holds for itself."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kinds = dict(line.split()[:2] for line in lines if line.startswith("Private"))
    return sum(map(int, kinds.values())) / 1024


def workbench() -> Workbench:
    """Return a workbench with nothing loaded."""
    return CellRunner(DataSource(offline=True)).workbench


def take(name: str, scratch: str, digest: str) -> None:
    """Print the CPU seconds and the MiB that a dataset takes in this process; mapped if scratch is not empty."""
    import pandas  # noqa: F401 - a worker has imported both before it has a dataset
    import sklearn.model_selection  # noqa: F401 - as above

    bench = workbench()
    bench.data, bench.scratch = {name: digest}, Path(scratch) if scratch else None
    before = held()
    seconds = spent(partial(bench.dataset, Choice(name)))
    print(json.dumps([seconds, held() - before]))


def measure(quick: bool) -> Iterator[Row]:
    """Have each dataset written, loaded and mapped."""
    for name in NAMES[: 1 if quick else None]:
        bench = workbench()
        try:
            bench.dataset(Choice(name))
        except NotApplicable:
            yield Row(f"{name}, mapped", None, "CPU s", note="its raw data are not here; see fairbench show dataset")
            continue
        digest, cell = bench.digest(Choice(name)), Cell(Choice(name), Choice("constant"), "", 0)
        with tempfile.TemporaryDirectory() as folder:
            written = spent(partial(share_datasets, [cell], bench, {name}, Path(folder)))
            found = []
            for scratch in ("", folder):
                command = [sys.executable, "-c", TAKE, name, scratch, digest]
                done = subprocess.run(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=True)
                found.append(json.loads(done.stdout.splitlines()[-1]))
        (loading, heap), (mapping, private) = found
        yield Times(written, written).row(f"{name}, written once", "CPU s")
        beside = {"other": Times(loading, loading), "against": "loaded from raw data"}
        yield Times(mapping, mapping).row(f"{name}, mapped", "CPU s", **beside)
        yield Row(f"{name}, memory of the process", private, "MiB", other=heap, against="loaded from raw data")
