"""The comparison of fair layers: its statistics by hand, and the script on a small run."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from fairbench.cells import Cell, Choice
from fairbench.records import DONE, Record, Value
from fairbench.running.rundir import load_results

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fair_layers.py"
METHODS = (
    "constant,mlp[epochs=3],threshold[epochs=3],fairbinn_coupled[epochs=2,eta=1|30],lagrangian_dp[epochs=2,eta=1|30],"
    "parity_projection[epochs=3,epsilon=0|0.05],parity_projection_posthoc[epochs=3,epsilon=0|0.05]"
)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def row(script):
    def make(name, sweep, value, gaps, accuracies):
        records = [
            Record(
                Cell(Choice("d"), Choice(name, {sweep: value}), "g", repeat),
                DONE,
                values=(
                    Value(0, "", "", "demographic_parity_difference", gap, ""),
                    Value(0, "", "", "accuracy", accuracy, ""),
                ),
            )
            for repeat, (gap, accuracy) in enumerate(zip(gaps, accuracies))
        ]
        return script["Configuration"](Choice(name, {sweep: value}), records)

    return make


def test_equal_gaps_are_those_that_both_span_in_a_repeat(script, row):
    # accuracy .6 + g on one side, .5 + 2 g on the other; they share the gaps .1 to .2 in repeat 0, and none in repeat 1
    mine = [
        row("fairbinn", "eta", [1.0], [0.0, 0.00], [0.6, 0.60]),
        row("fairbinn", "eta", [3.0], [0.2, 0.05], [0.8, 0.65]),
    ]
    theirs = [
        row("lagrangian_dp", "eta", [1.0], [0.3, 0.3], [1.1, 1.1]),
        row("lagrangian_dp", "eta", [3.0], [0.1, 0.1], [0.7, 0.7]),
    ]
    reached = script["at_equal_gaps"](mine, theirs, "accuracy")
    assert [set(side) for side in reached] == [{0}, {0}]
    assert reached[0][0] == pytest.approx(0.75)
    assert reached[1][0] == pytest.approx(0.80)


def test_a_difference_counts_where_its_interval_leaves_zero_out(script):
    compared = script["compared"]
    mine, theirs = {0: 0.1, 1: 0.11, 2: 0.12}, {0: 0.2, 1: 0.21, 2: 0.221, 7: 9.0}
    lower = compared(mine, theirs, "accuracy", 0.2)
    assert lower.startswith("accuracy: -0.1003 [")
    assert lower.endswith("above 0 in 0 of 3 repeats: lower")
    assert compared({0: 0.1, 1: 0.3}, {0: 0.2, 1: 0.1}, "x", 0.2).endswith(
        "above 0 in 1 of 2 repeats: not told apart from 0"
    )
    unknown = compared(mine, theirs, "accuracy", None)
    assert unknown == "accuracy: -0.1003, above 0 in 0 of 3 repeats: no valid interval"
    assert compared({0: 0.1}, {0: 0.2}, "x", 0.2) == "x: nothing to compare (1 repeat in common)"


def test_the_script_puts_a_run_into_words(fairbench, script, monkeypatch, capsys, tmp_path):
    path = tmp_path / "run"
    metrics = "accuracy,log_loss,mean_score_difference,demographic_parity_difference,selection_rate"
    command = ["run", "--methods", METHODS, "--datasets", "synthetic[rows=500,base_rate_gap=0.4,proxy_strength=0.8]"]
    assert fairbench(*command, "--repeats", "2", "--metrics", metrics, "--out", path, "--workers", "1")[0] == 0
    monkeypatch.setattr("sys.argv", [str(SCRIPT), str(path)])
    script["main"]()
    out = capsys.readouterr().out
    lines = {line.split(" | ")[0].strip("| "): line for line in out.splitlines() if line.startswith("| ")}
    assert "2 of 2 (0.0000)" in lines["parity_projection, epsilon 0"]  # together; the later of its two lines
    assert "not told apart" in lines["mlp"]  # the baseline is on its own coin
    assert "**FairBiNN** is claimed to be at least as good" in out
    assert "epsilon 0.05, log loss of training through the layer minus projecting afterwards: " in out
    (block,) = script["read_blocks"](load_results(path))
    own = [line for line in out.splitlines() if line.startswith("| parity_projection, epsilon") and "the coin" in line]
    above = sum(line.endswith(", above the coin |") for line in own)
    assert (len(own), f"| parity_projection | {above} of 2 |" in out) == (2, True)
    gaps = block.sweep("parity_projection")[1].series("mean_score_difference", "batch")
    assert max(gaps.values()) <= 0.05 + 1e-9
    assert np.isnan(block.baseline.last("frozen_distortion"))


def test_a_run_without_the_plain_network_is_refused(fairbench, script, tmp_path):
    path = tmp_path / "run"
    command = ["run", "--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1"]
    assert fairbench(*command, "--metrics", "accuracy,selection_rate", "--out", path)[0] == 0
    with pytest.raises(SystemExit, match="was run without mlp, which the coin mixes"):
        script["read_blocks"](load_results(path))
