"""What a run says of cells that are missing, of datasets that end the process, and of code that changed meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fairbench.choices import parse_choices
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.records import FAILED
from fairbench.running.cell import CellRunner
from fairbench.running.grid import gather, run_cells
from fairbench.running.resume import Plan
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan

BROKEN = Path(__file__).parent / "broken"
ODD = str(BROKEN / "odd_runs.py")
SMALL = "synthetic[rows=300]"


def test_a_run_with_a_missing_cell_exits_1_and_says_so(fairbench):
    run = ("run", "--methods", "constant,always_0", "--datasets", SMALL, "--repeats", "1", "--plugin", ODD)
    status, _, err = fairbench(*run, "--executor", "forgetful", "--out", "r")
    assert status == 1
    assert "2 cells: 1 done, 0 skipped, 0 failed, 1 not run;" in err
    status, _, err = fairbench(*run, "--workers", "1", "--out", "r")
    assert status == 0, err
    assert "2 cells: 2 done, 0 skipped, 0 failed;" in err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exits_on_load", "SystemExit: no data today"),
        ("no_dataset", "no_dataset: load() returned a DataFrame; it must return a Dataset"),
    ],
)
def test_a_loader_that_goes_wrong_costs_only_its_dataset(fairbench, name, reason):
    datasets = f"{name},{SMALL}"
    run = ("run", "--methods", "constant", "--datasets", datasets, "--repeats", "1", "--plugin", ODD, "--out", "r")
    for _ in range(2):  # once more: what failed is tried again
        status, _, err = fairbench(*run, "--workers", "1")
        assert status == 1
        assert f"{name} is left out: {reason}" in err
        assert "2 cells: 1 done, 0 skipped, 1 failed" in err


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_loader_changes_is_put_back_and_said_once(fairbench, workers):
    run = ("run", "--methods", "constant,always_0,always_1", "--datasets", "changes_on_load", "--repeats", "2")
    status, out, err = fairbench(*run, "--plugin", ODD, "--workers", workers, "--out", "r")
    assert status == 0, err  # the workers' tables are those of this process, though drawn from the global generator
    said = "warning: while dataset changes_on_load was loaded, numpy's error state was changed; it was put back"
    assert err.count(said) == 1
    assert "loading" not in out


def test_plugins_that_changed_the_process_are_named(fairbench):
    file = str(BROKEN / "side_effects.py")
    words = "changed the working directory, numpy's error state when it was imported; it was put back"
    status, out, err = fairbench("list", "methods", "--json", "--plugin", file)
    assert status == 0
    assert "Loading" not in out
    assert words in fairbench("plugins", "--plugin", file)[2]
    run = ("run", "--methods", "talkative", "--datasets", SMALL, "--repeats", "1", "--plugin", file)
    status, out, err = fairbench(*run, "--workers", "1", "--out", "r")
    assert status == 0, err
    assert words in err
    assert not {"ready", "measuring", "rendering"} & set(out.split())
    assert Path("r/results.sqlite").is_file()
    _, out, err = fairbench("rescore", "r", "--metrics", "talkative_metric", "--json", "--plugin", file)
    assert [json.loads(line)["value"] for line in out.splitlines()] == [0.5]
    assert "measuring" in err
    _, out, err = fairbench("report", "r", "--format", "talkative_report", "--plugin", file)
    assert (out, err.count("rendering")) == ("the report\n", 1)


PLUGIN = """
from dataclasses import dataclass
import numpy as np
from fairbench.api import Predictions, hookimpl

@dataclass(frozen=True)
class Everybody:
    "Select everybody."
    name = "everybody"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.full(len(inputs), 1))

@hookimpl
def fairbench_methods():
    return [Everybody]
"""


@pytest.mark.long
def test_workers_refuse_a_plugin_file_that_was_edited_after_the_run_began(tmp_path):
    file = tmp_path / "everybody.py"
    file.write_text(PLUGIN)
    registry, _ = load_plugins([str(file)])
    cells = plan(Suite("x", (SMALL,), ("everybody", "constant"), repeats=1), registry)
    runner = CellRunner(DataSource(None, offline=True), (str(file),))
    available = gather(cells, runner)
    code = Plan.of({"name": "x"}, cells, registry, grows=False, accept=False).code
    runner = replace(runner, code=code, data=available.digests)
    file.write_text(PLUGIN.replace(", 1)", ", 0)"))
    (choice,) = parse_choices("processes[workers=2]")
    with Store(tmp_path / "s.sqlite", create=True) as store:
        running = run_cells(cells, available, runner, registry.build("executors", choice), store)
        records = {record.cell.method.name: record for record in running}
    assert records["constant"].status != FAILED
    assert records["everybody"].status == FAILED
    assert "the code of method everybody changed during the run" in records["everybody"].reason
