"""How costs grow with rows, features, groups and cells."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from _timing import Row, Work, alternately

from fairbench.api import Dataset, Predictions, Samples, Schema
from fairbench.cells import Preparation
from fairbench.data.alike import decides_alike
from fairbench.data.digest import dataset_digest
from fairbench.data.files import DataSource
from fairbench.data.preparation import split_dataset
from fairbench.data.splits import KeptSplit
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import CellRunner
from fairbench.running.grid import gather, run_cells
from fairbench.running.outcomes import measure as measured
from fairbench.running.store import Store
from fairbench.running.suite import Suite, plan
from fairbench.running.truth import Truth

METRICS = ("accuracy", "selection_rate", "demographic_parity_difference", "equalized_odds_difference", "roc_auc")


def dataset(rows: int, features: int, groups: int) -> Dataset:
    """Return numbers, one column of four categories, and a group for each row."""
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(size=(rows, features)), columns=[f"x{place}" for place in range(features)])
    table["kind"] = np.array(["a", "b", "c", "d"])[draw.integers(0, 4, rows)]
    sensitive = pd.DataFrame({"group": [f"g{code:04}" for code in np.arange(rows) % groups]})
    return Dataset("made", table, draw.integers(0, 2, rows), sensitive, {"group": "g0000"})


def tested(rows: int, groups: int) -> tuple[Samples, Predictions]:
    """Return test rows without features, and predictions by a score."""
    draw = np.random.default_rng(0)
    schema = Schema((), tuple(f"g{code}" for code in range(groups)), 0)
    samples = Samples(np.zeros((rows, 0)), np.arange(rows) % groups, schema, draw.integers(0, 2, rows))
    return samples, Predictions.from_score(draw.random(rows))


def works(rows: int, features: int, groups: int) -> dict[str, Work]:
    """Return what a cell does with a dataset of this size, by name."""
    registry, _ = load_plugins()
    made, (samples, predictions) = dataset(rows, features, groups), tested(rows, groups)
    split = partial(split_dataset, made, group="group", seed=0, preparation=Preparation())
    kept = KeptSplit(split())
    metrics = [registry.metric(name) for name in METRICS]
    chance = Predictions.from_decision(predictions.y_score, seed=0)
    return {
        "digest of a dataset": partial(dataset_digest, made),
        "split and encoding": split,
        "a cell's own copy of a split, and its check": lambda: kept.own().changed(),
        "five metrics, by group too": lambda: measured(
            samples, Predictions(predictions.y_pred, predictions.y_score), metrics
        ),
        "key of a test part": lambda: Truth.of(samples).key,
        "whether all are decided alike": partial(decides_alike, samples.y, predictions),
        "the same of a randomised method": partial(decides_alike, samples.y, chance),
    }


def measure(quick: bool) -> Iterator[Row]:
    """Time the parts of a cell for growing data, and runs of more and more cells."""
    curves = {
        "rows": [(rows, (rows, 10, 2)) for rows in (10**3, 10**4, *(() if quick else (10**5, 10**6)))],
        "features": [(features, (2_000, features, 2)) for features in ((10, 100) if quick else (10, 100, 1_000))],
        "groups": [(groups, (5_000, 10, groups)) for groups in ((2, 16) if quick else (2, 8, 32, 128, 512))],
    }
    for of, sizes in curves.items():
        for size, shape in sizes:
            for name, times in alternately(works(*shape), rounds=3, budget=3.0, burst=0.005).items():
                if of != "features" or "split" in name or "dataset" in name:
                    yield times.row(name, size=size, of=of)
    yield from of_cells((30, 100) if quick else (100, 1_000, 5_000))


def of_cells(counts: tuple[int, ...]) -> Iterator[Row]:
    """Time planning and running so many cells of a method that does nothing."""
    registry, _ = load_plugins()
    runner = CellRunner(DataSource(None, offline=True))
    for count in counts:
        suite = Suite("speed", ("synthetic[rows=500]",), ("always_0",), repeats=count, reference=False)
        cells = plan(suite, registry)
        available = gather(cells, runner)

        def run(cells=cells, available=available) -> None:
            serial = registry.get("executors", "serial")()
            with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "results.sqlite", create=True) as store:
                for _ in run_cells(cells, available, runner, serial, store):
                    pass

        found = alternately({"planning": partial(plan, suite, registry), "a run": run}, rounds=1, burst=0, budget=2.0)
        for name, times in found.items():
            yield times.row(f"{name} of cells that do nothing", size=count, of="cells")
