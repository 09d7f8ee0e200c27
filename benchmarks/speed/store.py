"""The store and the tables of large runs.

A run of 100,000 cells has 50 methods, 20 datasets and 100 repeats. A cell has 15 metrics over all rows and in two
groups, and predictions of 300 rows with a score; the method ``attainable`` has five operating points. Cells take no
time, as they would in a run that is limited by the store; each cell that takes 50 ms or more is written in a
transaction of its own, see ``Store.add``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from _timing import Row, Times, children_seconds, spent

from fairbench.api import Predictions, Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.data.counts import supports
from fairbench.records import DONE, Parts, Record, Value
from fairbench.running.runfile import FORMAT, write_run
from fairbench.running.store import FILE_NAME, Measured, Store, Truth

ROWS, METHODS = 300, 50
GROUPS = ("", "a", "b")
METRICS = {
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "roc_auc": "higher",
    "log_loss": "lower",
    "demographic_parity_difference": "lower",
    "demographic_parity_ratio": "higher",
    "mean_score_difference": "lower",
    "equalized_odds_difference": "lower",
    "equalized_odds_ratio": "higher",
    "equal_opportunity_difference": "lower",
    "false_positive_rate_difference": "lower",
    "selection_rate": "neither",
    "true_positive_rate": "neither",
    "false_positive_rate": "neither",
    "worst_group_accuracy": "higher",
}
POINTS = ("unconstrained", "dp<=0", "dp<=0.05", "eo<=0", "eo<=0.05")

MAXRSS = 2**10 if sys.platform == "linux" else 1  # its unit, in bytes
REPORT = """
import resource, sys
from pathlib import Path
from fairbench.plugins.loading import load_plugins
from fairbench.running.rundir import load_results
from fairbench.system.collector import uncollected
with uncollected():  # as 'fairbench report' does
    text = load_plugins()[0].report("terminal").render(load_results(Path(sys.argv[1])))
assert "above the coin" in text
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_part(draw: np.random.Generator) -> Samples:
    """Return rows of two groups."""
    group = draw.integers(0, 2, ROWS)
    y = (draw.random(ROWS) < 0.3 + 0.2 * group).astype(int)
    return Samples(np.zeros((ROWS, 0)), group, Schema((), GROUPS[1:], 0), y)


def predicted(samples: Samples, draw: np.random.Generator) -> Predictions:
    """Return a score that knows the label a little, and the group."""
    score = 0.3 + 0.25 * samples.y + 0.1 * samples.group + draw.normal(scale=0.2, size=ROWS)
    return Predictions.from_score(np.clip(score, 0, 1))


def values(samples: Samples, made: Predictions, point: str, draw: np.random.Generator) -> list[Value]:
    """Return a value of each metric in each group: the true ones for what lines are drawn from, else any numbers."""
    cell = samples.group * 2 + samples.y
    selected = np.bincount(cell, made.y_pred, 4).reshape(2, 2)
    rows = np.bincount(cell, minlength=4).reshape(2, 2)
    false, true = abs(np.diff(selected / rows, axis=0))[0].tolist()
    parity = abs(float(np.diff(selected.sum(axis=1) / rows.sum(axis=1))[0]))
    known = {
        "accuracy": float((selected[:, 1].sum() + (rows - selected)[:, 0].sum()) / ROWS),
        "demographic_parity_difference": parity,
        "equalized_odds_difference": max(false, true),
        "equal_opportunity_difference": true,
        "false_positive_rate_difference": false,
    }
    numbers = draw.random(len(GROUPS) * len(METRICS)).tolist()
    places = [(group, metric) for group in GROUPS for metric in METRICS]
    return [
        Value(0, point, group, metric, number if group else known.get(metric, number))
        for (group, metric), number in zip(places, numbers)
    ]


def cells_of(count: int) -> tuple[int, int]:
    """Return how many datasets and repeats a run of so many cells has."""
    datasets = min(20, max(1, count // (METHODS * 10)))
    return datasets, count // METHODS // datasets


def measured(count: int) -> Iterator[Measured]:
    """Yield what the cells of a run return."""
    draw = np.random.default_rng(0)
    datasets, repeats = cells_of(count)
    for dataset in range(datasets):
        for repeat in range(repeats):
            samples = test_part(draw)
            truth, held = Truth.of(samples), supports(samples.group, samples.group_names)
            for method in ("mlp", "attainable", *(f"m{place}" for place in range(METHODS - 2))):
                points = POINTS if method == "attainable" else ("",)
                choice = Choice(method, {"epochs": 30, "hidden": [32, 32], "lr": 0.05})
                cell = Cell(Choice(f"d{dataset}"), choice, "sex", repeat, metrics=tuple(METRICS))
                made = {point: predicted(samples, draw) for point in points}
                found = [value for point, here in made.items() for value in values(samples, here, point, draw)]
                record = Record(
                    cell,
                    DONE,
                    values=tuple(found),
                    chosen=points[0],
                    seconds=0.001,
                    cpu_seconds=0.001,
                    versions={"fairbench-harness": "1", "acme-fair": "2.1"},
                    parts=Parts(700, ROWS, ROWS),
                    supports=held,
                )
                yield Measured(record, {(0, point): (truth, here) for point, here in made.items()})


def written(folder: Path, count: int) -> float:
    """Write a run; return the CPU seconds that the store took."""
    seconds, keys = 0.0, []
    store = Store(folder / FILE_NAME, create=True)
    for one in measured(count):
        keys.append(one.record.cell.key)
        seconds += spent(partial(store.add, one))
    seconds += spent(store.close)
    datasets, repeats = cells_of(count)
    run = {
        "format": FORMAT,
        "suite": {"name": "speed", "repeats": repeats},
        "plan": "speed",
        "planned": len(keys),
        "reference_methods": ["attainable"],
        "base_rates": {f"d{dataset}": 0.4 for dataset in range(datasets)},
        "labels": {name: [name.replace("_", " "), better] for name, better in METRICS.items()},
        "sessions": [{"started": "2025-01-01T00:00:00+00:00", "finished": "2025-01-01T00:00:00+00:00"}],
        "cells": keys,
    }
    write_run(folder, run)
    return seconds


def outlined(folder: Path) -> None:
    """Read which cells are finished, as a run does that continues."""
    with Store(folder / FILE_NAME) as store:
        store.finished()


def loaded(folder: Path) -> None:
    """Read all records."""
    with Store(folder / FILE_NAME) as store:
        store.records()


def reported(folder: Path) -> tuple[float, float]:
    """Return the CPU seconds of a process that makes the terminal's tables, and its peak memory in MiB."""
    peak = []

    def report() -> None:
        command = [sys.executable, "-c", REPORT, str(folder)]
        peak.append(int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))

    seconds = spent(report, clock=children_seconds)
    return seconds, peak[0] * MAXRSS / 2**20


def measure(quick: bool) -> Iterator[Row]:
    """Write runs, each once, and read them in all ways."""
    for count in (500, 1_000, 2_000) if quick else (1_000, 10_000, 100_000):
        large = count == 100_000
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            added = written(path, count) / count
            finished, records = spent(partial(outlined, path)), spent(partial(loaded, path))
            table, memory = reported(path)
            size = (path / FILE_NAME).stat().st_size / 2**10 / count
        yield Times(added, added).row("add a cell, amortised", size=count, of="cells", aim=0.2 if large else None)
        yield Times(finished, finished).row("read which cells are finished", "CPU s", size=count, of="cells")
        yield Times(records, records).row("read all records", "CPU s", size=count, of="cells")
        yield Times(table, table).row("tables", "CPU s", size=count, of="cells", aim=10.0 if large else None)
        yield Row("peak memory of a process that makes the tables", memory, "MiB", size=count, of="cells")
        yield Row("size of a cell in the store", size, "KiB", size=count, of="cells")
