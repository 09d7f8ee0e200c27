"""Two versions of fairlearn that cannot be installed together, in one grid; skipped without a package index."""

from __future__ import annotations

import subprocess
import sys

import pytest

OLD = """
# /// script
# dependencies = ["fairlearn==0.9.0", "scikit-learn<1.6"]
# ///
import fairlearn
from fairbench.api import NotApplicable, from_estimator, hookimpl


def optimizer():
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.linear_model import LogisticRegression

    if fairlearn.__version__ != "0.9.0":
        raise NotApplicable(fairlearn.__version__)
    return ThresholdOptimizer(estimator=LogisticRegression(max_iter=1000), predict_method="predict_proba")


@hookimpl
def fairbench_methods():
    return [from_estimator("old_threshold_optimizer", optimizer)]
"""


def pip(*arguments):
    return subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.training
def test_an_old_and_a_new_fairlearn_stand_in_one_grid(fairbench, environments, tmp_path):
    wanted = ["fairlearn==0.9.0", "scikit-learn<1.6"]
    found = pip("download", "--quiet", "--no-deps", "--retries", "0", "--dest", tmp_path / "wheels", *wanted)
    if found.returncode:
        pytest.skip("no package index with fairlearn 0.9.0 can be reached")
    refused = pip("install", "--dry-run", "--ignore-installed", *wanted, "fairlearn>=0.13")
    assert "conflict" in (refused.stdout + refused.stderr).lower()  # they really clash
    (tmp_path / "old_fairlearn.py").write_text(OLD)
    status, _, err = fairbench("plugins", "install", "old_fairlearn.py", "--isolated")
    assert status == 0, err
    methods = "old_threshold_optimizer,fairlearn_threshold_optimizer"
    grid = ["--datasets", "synthetic[rows=300]", "--repeats", "2", "--workers", "1"]
    status, out, err = fairbench("run", "--methods", methods, *grid, "--out", "r")
    assert status == 0, err
    assert "4 cells: 4 done" in err
    assert "old_threshold_optimizer" in out
