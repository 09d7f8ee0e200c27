"""What each method was given, and which budgets are unequal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from fairbench.api import Predictions
from fairbench.api.analysis import ledger
from fairbench.cells import Cell, Choice
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Plugin, Registry
from fairbench.records import DONE, FAILED, Record
from fairbench.running.cell import Workbench, run_cell


def record(method, repeat=0, scenario=Choice("search", {"trials": 20}), cpu=1.0, status=DONE, **counts):  # noqa: B008
    cell = Cell(Choice("adult"), Choice(method), "sex", repeat, scenario=scenario)
    diagnostics = {name: (float(value),) for name, value in counts.items()}
    return Record(cell, status, diagnostics=diagnostics, seconds=2 * cpu, cpu_seconds=cpu)


def test_counts_and_times_are_means_over_finished_repeats():
    records = [
        record("a", 0, cpu=1.0, trials=20, fits=18),
        record("a", 1, cpu=3.0, trials=20, fits=20),
        record("a", 2, cpu=100.0, status=FAILED),
    ]
    (spent,) = ledger(records, ())
    assert (spent.repeats, spent.trials, spent.fits, spent.cpu_seconds, spent.seconds) == (2, 20, 19, 2.0, 4.0)
    assert spent.unequal == ()


def test_other_than_the_budget_of_trials_is_unequal():
    found = ledger([record("a", trials=20), record("b", trials=1), record("majority", trials=1)], ("majority",))
    assert [spent.unequal for spent in found] == [(), ("1 of 20 trials",), ()]
    assert [spent.reference for spent in found] == [False, False, True]  # listed, not judged


def test_more_than_three_times_the_median_of_the_tuned_methods_is_unequal():
    cpu = {"a": 1.0, "b": 1.0, "c": 3.0, "d": 3.01}
    records = [record(name, cpu=each, trials=20) for name, each in cpu.items()]
    records += [record("reference", cpu=50.0, trials=1)]
    records += [record("plain", cpu=0.001, trials=1, scenario=Choice("search", {"trials": 20}))]
    found = {spent.method.name: spent.unequal for spent in ledger(records, ("reference",))}
    assert found["c"] == found["reference"] == ()  # the median is of a, b, c and d: 2
    dear = [record(name, cpu=each, trials=20) for name, each in {"a": 1.0, "b": 1.0, "c": 1.0, "d": 3.01}.items()]
    assert ledger(dear, ())[3].unequal == ("3.0 times the median CPU time of the tuned methods",)
    limit = [record(name, cpu=each, trials=20) for name, each in {"a": 1.0, "b": 1.0, "c": 1.0, "d": 3.0}.items()]
    assert ledger(limit, ())[3].unequal == ()


def test_both_reasons_are_given():
    records = [record("a", trials=20), record("b", trials=20), record("c", trials=12, cpu=9.0)]
    assert ledger(records, ())[2].unequal == (
        "12 of 20 trials",
        "9.0 times the median CPU time of the tuned methods",
    )


def test_tuned_grants_a_budget_too_and_holdout_none():
    tuned = Choice("tuned", {"budget": 12})
    assert ledger([record("a", scenario=tuned, trials=4)], ())[0].unequal == ("4 of 12 trials",)
    (plain,) = ledger([record("a", scenario=Choice("holdout"))], ())
    assert (plain.trials, plain.fits, plain.unequal) == (1, 1, ())


def test_what_a_scenario_does_not_say_is_unknown():
    (spent,) = ledger([record("a", scenario=Choice("stream"))], ())
    assert (spent.trials, spent.fits, spent.unequal) == (None, None, ())
    half = [record("a", 0, scenario=Choice("stream"), trials=3), record("a", 1, scenario=Choice("stream"))]
    assert ledger(half, ())[0].trials is None


@pytest.mark.parametrize("params", [{"trials": "many"}, {"budget": True}, {"trials": None}])
def test_a_parameter_that_only_has_the_name_is_no_budget(params):
    assert ledger([record("a", scenario=Choice("mine", params), trials=4)], ())[0].unequal == ()


def test_nothing_has_no_ledger():
    assert ledger([], ()) == []
    assert ledger([record("a", status=FAILED)], ()) == []


@dataclass(frozen=True)
class Outsourced:
    """Let another process spend CPU time."""

    name = "outsourced"

    def fit(self, train, validation, *, seed):
        busy = "import time\nwhile time.process_time() < 0.5: pass"
        subprocess.run([sys.executable, "-c", busy], check=True)
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))


def test_cpu_time_includes_processes_that_the_method_started():
    loaded, _ = load_plugins()
    registry = Registry()
    registry.add(
        Plugin("test", "local file", ""),
        {
            "methods": [Outsourced],
            "datasets": [loaded.get("datasets", "synthetic")],
            "scenarios": [loaded.get("scenarios", "holdout")],
        },
    )
    cell = Cell(Choice("synthetic", {"rows": 100}), Choice("outsourced"), "group", 0)
    record = run_cell(cell, Workbench(registry, DataSource(None, offline=True))).record
    assert record.status == DONE, record.reason
    assert record.cpu_seconds >= 0.45  # the clock of processes that ended ticks in hundredths
