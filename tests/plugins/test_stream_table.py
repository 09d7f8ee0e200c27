"""The table of a streaming run: its numbers, from a run of few batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairbench.projection.cells import Box
from fairbench.projection.parity import solve_parity
from fairbench.rundir import load_results
from fairbench.store import FILE_NAME, Store

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "stream_table.py"
SCENARIO = "stream[batches=30,batch_size=4,correction=none|pool]"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "run"
    command = ["run", "--methods", "mlp[epochs=2]", "--datasets", "synthetic[rows=400]", "--scenarios", SCENARIO]
    command += ["--repeats", "2", "--out", str(path), "--metrics", "demographic_parity_difference"]
    subprocess.run([sys.executable, "-m", "fairbench", *command], capture_output=True, check=True)
    return path


def test_the_table_shows_means_over_repeats(run):
    done = subprocess.run([sys.executable, str(SCRIPT), str(run)], capture_output=True, text=True, check=True)
    head, names, none, pool, offline = done.stdout.splitlines()
    assert head.startswith("synthetic[rows=400], mlp[")
    assert head.endswith("2 repeats")
    assert names.split()[:3] == ["rows", "correction", "avg"]
    assert (none.split()[:2], pool.split()[:2]) == (["4", "none"], ["4", "pool"])
    largest, above = pool.split()[6:8]
    assert float(largest) <= 0.05 + 5e-5  # shown with four digits
    assert float(above) == 0.0
    expected = []
    with Store(run / FILE_NAME) as store:
        for record in load_results(run).records:
            if record.cell.scenario.params["correction"] == "none":
                ((truth, made),) = store.predictions(record.cell.key).values()
                value = solve_parity(made.y_score, truth.group, 2, 0.05, Box(0.0, 1.0)).value
                expected.append(((value - made.y_score) ** 2).mean())
    assert float(offline.split()[-1]) == pytest.approx(np.mean(expected), abs=5e-5)
