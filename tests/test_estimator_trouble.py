"""Estimators that print, warn, draw from the global generators or leave: each costs at most its own cell."""

from __future__ import annotations

import csv
import io

import pytest

PLUGIN = """
import random, sys, warnings
import numpy as np
from fairbench.api import from_estimator, hookimpl

class Trouble:
    def __init__(self, how):
        self.how = how

    def fit(self, X, y):
        getattr(self, self.how)()

    def predict(self, X):
        return (np.random.random(len(X)) < random.random()).astype(int)

    def prints(self):
        print("acme says hello")

    def warns(self):
        warnings.simplefilter("always")
        warnings.warn("acme is old")

    def seeds(self):
        np.random.seed(0)
        random.seed(0)
        np.seterr(all="raise")

    def exits(self):
        sys.exit(3)

    def draws(self):
        np.random.random(7)

@hookimpl
def fairbench_methods():
    return [from_estimator("trouble", Trouble, {"how": "draws"})]
"""
GRID = ["--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1", "--plugin", "trouble.py"]


def rows(fairbench, run):
    return list(csv.DictReader(io.StringIO(fairbench("export", run)[1])))


def test_trouble_costs_its_own_cell(fairbench, tmp_path):
    (tmp_path / "trouble.py").write_text(PLUGIN)
    methods = "trouble[how=prints|warns|seeds|exits|draws]"
    with pytest.warns(UserWarning, match="acme is old"):
        status, out, err = fairbench("run", "--methods", methods, *GRID, "--out", "r")
    assert status == 1
    assert "5 cells: 4 done, 0 skipped, 1 failed" in err
    assert "acme says hello" not in out
    assert "acme says hello" in err
    assert "while method trouble ran, numpy's error state was changed; it was put back" in err
    failed = [row for row in rows(fairbench, "r") if row["status"] == "failed"]
    assert {row["parameters"] for row in failed} == {"how=exits"}
    assert "SystemExit: 3" in failed[0]["reason"]


def test_its_draws_depend_on_the_seed_alone(fairbench, tmp_path):
    (tmp_path / "trouble.py").write_text(PLUGIN)
    found = []
    for run, methods in (("a", "trouble"), ("b", "trouble[how=seeds],trouble")):
        assert fairbench("run", "--methods", methods, *GRID, "--out", run)[0] == 0
        found.append([row["value"] for row in rows(fairbench, run) if row["parameters"] == "how=draws"])
    assert found[0] == found[1]
    assert found[0]
