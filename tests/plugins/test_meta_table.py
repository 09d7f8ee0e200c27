"""The table of tuned meta-learners: both orientations of a ratio, the choice, and what was published."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from fairbench.running.rundir import load_results

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "meta_table.py"))


def test_ratios_depend_on_which_outcome_is_favoured():
    rates = {"selection_rate": [0.95, 0.8], "true_positive_rate": [1.0, 0.9], "false_positive_rate": [0.8, 0.4]}
    assert SCRIPT["ratios"](rates, 1) == pytest.approx((0.8 / 0.95, 0.5))
    assert np.isclose(SCRIPT["ratios"](rates, 0)[0], 0.05 / 0.2)
    assert np.isclose(SCRIPT["ratios"](rates, 0)[1], 0.0)  # nobody of the first group with y = 1 is refused
    assert np.isnan(SCRIPT["ratio"]([0.0, 0.0]))
    assert np.isnan(SCRIPT["ratio"]([np.nan, 0.5]))


def test_the_table_names_the_choice_and_the_picture_is_drawn(fairbench, tmp_path):
    path = tmp_path / "run"
    methods = "constant,m_ftml[meta_steps=2]"
    command = ["run", "--methods", methods, "--datasets", "synthetic[rows=600]", "--scenarios", "tuned"]
    assert fairbench(*command, "--repeats", "2", "--out", str(path), "--workers", "1")[0] == 0
    text = "\n".join(SCRIPT["lines"](load_results(path)))
    constant, learner = (line for line in text.splitlines() if line.startswith(("| constant", "| m_ftml")))
    assert "| as it is (2/2) |" in constant
    assert "(2/2 alike)" in constant
    assert "inner_lr=" in learner
    assert " pooled (" in learner  # no row of this dataset has a task
    assert "Published, not comparable" in text
    assert "compas, Fair-MAML: accuracy 0.58, demographic_parity_ratio 0.91, equalized_odds_ratio not reported" in text
    SCRIPT["draw"](load_results(path), path)
    assert (path / "configurations.png").read_bytes().startswith(b"\x89PNG")


def test_rows_of_one_method_are_told_apart_by_what_differs(fairbench, tmp_path):
    path = tmp_path / "run"
    methods = "constant,m_ftml[meta_steps=2,tasks=random|kmeans],m_ftml[meta_steps=2,task_count=1]"
    command = ["run", "--methods", methods, "--datasets", "synthetic[rows=600]"]
    assert fairbench(*command, "--repeats", "2", "--out", str(path), "--workers", "1")[0] == 0
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in SCRIPT["lines"](load_results(path))}
    assert rows["m_ftml[task_count=0,tasks=random]"][:3] == ["pooled (2/2)", "random", "5"]
    assert rows["m_ftml[task_count=1,tasks=auto]"][:4] == ["task (2/2)", "auto", "1", "420"]  # all training rows
    assert rows["constant"][1:4] == ["-", "-", "-"]
