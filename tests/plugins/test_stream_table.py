"""The table of a streaming run: its numbers, from a run of few batches."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from fairbench.api.projection import Box, solve_parity
from fairbench.rundir import load_results
from fairbench.store import FILE_NAME, Store

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "stream_table.py"
SCENARIO = "stream[batches=30,batch_size=4,correction=none|primal_dual|pool]"


def test_the_table_shows_means_over_repeats(fairbench, tmp_path):
    path = tmp_path / "run"
    command = ["run", "--methods", "mlp[epochs=2]", "--datasets", "synthetic[rows=400]", "--scenarios", SCENARIO]
    command += ["--repeats", "2", "--out", str(path), "--metrics", "demographic_parity_difference", "--workers", "1"]
    assert fairbench(*command)[0] == 0
    with Store(path / FILE_NAME) as store:
        lines = list(runpy.run_path(str(SCRIPT))["lines"](load_results(path), store))
        expected = []
        for record in load_results(path).records:
            if record.cell.scenario.params["correction"] == "none":
                ((truth, made),) = store.predictions(record.cell.key).values()
                value = solve_parity(made.y_score, truth.group, 2, 0.05, Box(0.0, 1.0)).value
                expected.append(((value - made.y_score) ** 2).mean())
    head, names, none, priced, pool, offline = lines
    assert head.startswith("synthetic[rows=400], mlp[")
    assert head.endswith("2 repeats")
    assert names.split()[:3] == ["rows", "correction", "avg"]
    assert [line.split()[:2] for line in (none, priced, pool)] == [["4", "none"], ["4", "primal_dual"], ["4", "pool"]]
    assert (len(priced.split()), len(pool.split())) == (11, 10)  # a price for the one, none for the other
    largest, above = pool.split()[6:8]
    assert float(largest) <= 0.05 + 5e-5  # shown with four digits
    assert float(above) == 0.0
    assert float(offline.split()[-1]) == pytest.approx(np.mean(expected), abs=5e-5)
