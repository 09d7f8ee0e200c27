"""The tiny paper: its plugin file, a copy of its directory that a test may spoil, and results made up for it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from fairbench.api import Paper
from fairbench.papers.grids import plan_reproduction
from fairbench.papers.reproduced import Reproduced
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, SKIPPED, Parts, Record, Results, Value

HERE = Path(__file__).parent
PARTS = Parts(60, 20, 30)


@pytest.fixture
def plugin() -> str:
    """Return the path of the plugin file."""
    return str(HERE / "tiny_paper.py")


@pytest.fixture
def registry():
    """Return all installed components, without the tiny paper."""
    return load_plugins()[0]


@pytest.fixture
def spoiled(tmp_path):
    """Return a paper whose files are the tiny ones with one text replaced by another."""

    def make(file: str = "published.toml", old: str = "", new: str = "") -> Paper:
        directory = tmp_path / "tiny"
        shutil.copytree(HERE / "tiny", directory)
        text = (directory / file).read_text(encoding="utf-8")
        assert old in text
        (directory / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        paper = load_plugins([str(HERE / "tiny_paper.py")])[0].paper("tiny")
        return dataclasses.replace(paper, directory=directory)

    return make


def result(cell, accuracy, gap, selected):
    """Return the record of a cell that measured this, and decides alike where nearly all or nobody is selected."""
    alike = ((0, ""),) if abs(selected - 0.5) > 0.4 else ()
    measured = {
        "accuracy": accuracy,
        "demographic_parity_difference": gap,
        "equalized_odds_difference": gap,
        "selection_rate": selected,
    }
    values = tuple(Value(0, "", "", name, value) for name, value in measured.items())
    return Record(cell, DONE, values=values, parts=PARTS, alike=alike)


@pytest.fixture(scope="module")
def outcome():
    """Table one of the tiny paper with made-up results: 4 repeats of three rows, german skipped."""
    plugin = str(HERE / "tiny_paper.py")
    reproduction = plan_reproduction("tiny:one", load_plugins([plugin])[0])
    records = []
    for cell in reproduction.cells:
        if cell.dataset.name == "german":
            records.append(Record(cell, SKIPPED, "no such file"))
        elif cell.method.name == "constant":
            ones = (0.48, 0.55, 0.56, 0.57)[cell.repeat]  # its training majority is wrong in the first repeat
            records.append(result(cell, ones if cell.repeat else 1 - ones, 0.0, 1.0 if cell.repeat else 0.0))
        elif cell.method.params["epochs"] == 3:
            records.append(result(cell, 0.70 + 0.01 * cell.repeat, 0.20, 0.5))
        else:
            records.append(
                result(cell, 0.60 + 0.02 * cell.repeat, 0.10 - 0.01 * cell.repeat, (0.97, 0.98, 0.02, 0.5)[cell.repeat])
            )
    return Reproduced.of(reproduction, Results(records, {}, len(records), {}))
