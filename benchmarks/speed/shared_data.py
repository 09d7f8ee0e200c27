"""What a worker saves that maps a dataset instead of loading it: ``python benchmarks/speed/shared_data.py [NAME ...]``.

Each measurement is a process of its own. CPU is what it takes to have the dataset, its digest compared; memory is what
the process holds for itself after that, without pages that it shares with other workers (Linux only).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fairbench.cells import Cell, Choice
from fairbench.data.files import DataSource
from fairbench.running.cell import CellRunner, Workbench
from fairbench.running.sharing import share_datasets

NAMES = ("adult", "diabetes")
HOW = ("loaded", "mapped")


def held() -> float:
    """Return the MiB that this process holds for itself."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kinds = dict(line.split()[:2] for line in lines if line.startswith("Private"))
    return sum(map(int, kinds.values())) / 1024


def workbench() -> Workbench:
    """Return a workbench with nothing loaded."""
    return CellRunner(DataSource(offline=True)).workbench


def measure(name: str, scratch: str, digest: str) -> None:
    """Print the CPU seconds and the MiB that a dataset takes in this process; mapped if scratch is not empty."""
    import pandas  # noqa: F401 - a worker has imported both before it has a dataset
    import sklearn.model_selection  # noqa: F401

    bench = workbench()
    bench.data, bench.scratch = {name: digest}, Path(scratch) if scratch else None
    before, began = held(), time.process_time()
    bench.dataset(Choice(name))
    print(json.dumps([time.process_time() - began, held() - before]))


def main(names: tuple[str, ...]) -> None:
    """Print a table."""
    print(f"{'dataset':12} {'':8} {'CPU s':>7} {'MiB':>7}")
    for name in names:
        bench = workbench()
        bench.dataset(Choice(name))
        digest = bench.digest(Choice(name))
        with tempfile.TemporaryDirectory() as folder:
            cell = Cell(Choice(name), Choice("constant"), "", 0)
            began = time.process_time()
            share_datasets([cell], bench, {name}, Path(folder))
            print(f"{name:12} {'written':8} {time.process_time() - began:7.2f}")
            for how in HOW:
                scratch = folder if how == "mapped" else ""
                command = [sys.executable, __file__, "--measure", name, scratch, digest]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds, mebibytes = json.loads(done.stdout)
                print(f"{name:12} {how:8} {seconds:7.2f} {mebibytes:7.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main(tuple(sys.argv[1:]) or NAMES)
