"""The table of a streaming run: its numbers, from a run of few batches."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from fairbench_projection.streams import render

from fairbench.api import Results, analysis
from fairbench.api.projection import Box, solve_parity
from fairbench.running.rundir import load_results
from fairbench.running.store import FILE_NAME, Store

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "stream_table.py"
SCENARIO = "stream[batches=30,batch_size=4,correction=none|primal_dual|pool]"


def test_the_table_shows_means_over_repeats(fairbench, tmp_path):
    path = tmp_path / "run"
    command = ["run", "--methods", "mlp[epochs=2]", "--datasets", "synthetic[rows=400]", "--scenarios", SCENARIO]
    command += ["--repeats", "2", "--out", str(path), "--metrics", "demographic_parity_difference", "--workers", "1"]
    assert fairbench(*command)[0] == 0
    results = load_results(path)
    with Store(path / FILE_NAME) as store:
        lines = list(runpy.run_path(str(SCRIPT))["lines"](results, store))
        expected = []
        for record in results.records:
            if record.cell.scenario.params["correction"] == "none":
                ((truth, made),) = store.predictions(record.cell.key).values()
                value = solve_parity(made.y_score, truth.group, 2, 0.05, Box(0.0, 1.0)).value
                expected.append(((value - made.y_score) ** 2).mean())
    title = next(line for line in lines if line.startswith("## "))
    assert title == r"## synthetic\[rows=400\] by group, mlp (batches 30, epsilon 0.05, eta 0.5)"
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[:2] for row in rows] == [["4", "none"], ["4", "primal_dual"], ["4", "pool"]]
    none, priced, pool = (dict(zip(head, row)) for row in rows)
    assert (none["price"], pool["price"]) == ("-", "-")
    assert float(priced["price"]) > 0
    assert float(pool["largest"]) <= 0.05 + 5e-5  # shown with four digits
    assert (float(pool["above"]), float(pool["infeasible"]), float(none["change"])) == (0, 0, 0)
    values = {
        name: [v for v in analysis.rows(results) if v["metric"] == name] for name in ("stream_one_group_batches",)
    }
    alone = [row["value"] / 30 for row in values["stream_one_group_batches"] if "correction=none" in row["scenario"]]
    assert float(none["one group"]) == pytest.approx(np.mean(alone), abs=5e-5)
    assert lines[-2].startswith("- rows 4: ")
    assert float(lines[-2].split()[-1]) == pytest.approx(np.mean(expected), abs=5e-5)
    status, out, _ = fairbench("report", str(path), "--format", "streams")
    assert status == 0
    assert title in out


def test_a_run_without_streams_has_no_such_table(fairbench, monkeypatch, capsys):
    fairbench(*("run", "--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--out", "r"))
    monkeypatch.setattr("sys.argv", [str(SCRIPT), "r"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert (ended.value.code, capsys.readouterr().err) == (2, "r has no finished stream; run benchmarks/stream.toml\n")
    assert render(Results([], {}, 0, {})) == ""
