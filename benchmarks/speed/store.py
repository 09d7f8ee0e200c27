"""The store and the tables of large runs: ``python benchmarks/speed/store.py [CELLS ...]``.

A run of 100,000 cells has 50 methods, 20 datasets and 100 repeats. A cell has 15 metrics over all rows and in two
groups, and predictions of 300 rows with a score. With ``--points 5`` each cell has five operating points, else only
those of the method ``attainable``. Cells take no time, as they would in a run that is limited by the store; each cell
that takes 50 ms or more is written in a transaction of its own, see ``Store.add``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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


def measured(count: int, several: bool) -> Iterator[Measured]:
    """Yield what the cells of a run return."""
    draw = np.random.default_rng(0)
    datasets, repeats = cells_of(count)
    for dataset in range(datasets):
        for repeat in range(repeats):
            samples = test_part(draw)
            truth, held = Truth.of(samples), supports(samples.group, samples.group_names)
            for method in ("mlp", "attainable", *(f"m{place}" for place in range(METHODS - 2))):
                points = POINTS if several or method == "attainable" else ("",)
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


def written(folder: Path, count: int, several: bool) -> float:
    """Write a run; return the CPU seconds that the store took."""
    spent, keys = 0.0, []
    with Store(folder / FILE_NAME, create=True) as store:
        for one in measured(count, several):
            keys.append(one.record.cell.key)
            started = time.process_time()
            store.add(one)
            spent += time.process_time() - started
        started = time.process_time()
    spent += time.process_time() - started
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
    return spent


def spent_on(work) -> float:
    """Return the CPU seconds of a call."""
    started = time.process_time()
    work()
    return time.process_time() - started


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
    script = (
        "from pathlib import Path; import sys\n"
        "from fairbench.plugins.loading import load_plugins\n"
        "from fairbench.running.rundir import load_results\n"
        "text = load_plugins()[0].report('terminal').render(load_results(Path(sys.argv[1])))\n"
        "assert 'above the coin' in text\n"
    )
    before = os.times()
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Print a table with a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--points", type=int, choices=(1, len(POINTS)), default=1)
    asked = parser.parse_args()
    print("CPU time; add: one cell, amortised; finished: as a run that continues; table: fairbench report, terminal")
    print(f"{'cells':>8} {'add ms':>7} {'finished s':>11} {'records s':>10} {'table s':>8} {'MiB':>6} {'peak MiB':>9}")
    for count in asked.cells:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            adding = 1000 * written(path, count, asked.points > 1) / count
            finished, records = spent_on(lambda path=path: outlined(path)), spent_on(lambda path=path: loaded(path))
            table, memory = reported(path)
            size = (path / FILE_NAME).stat().st_size / 2**20
        print(f"{count:8} {adding:7.3f} {finished:11.2f} {records:10.2f} {table:8.1f} {size:6.0f} {memory:9.0f}")


if __name__ == "__main__":
    main()
