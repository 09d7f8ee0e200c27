"""Lines, intervals and verdicts of stored cells, beside a table of means."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from _timing import Row, alternately

from fairbench.analysis.standings import section_standings
from fairbench.analysis.values import Measured as Values
from fairbench.analysis.values import by_method, estimate, finished, sections
from fairbench.api import Predictions, Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.records import DONE, Parts, Record, Results, Value
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.truth import Truth

DATASETS, METHODS, REPEATS, ROWS = 4, 20, 25, 1500
GAPS = ("demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference")
TOLERANCES = (0.0, 0.05, 0.1)


def drawn_rows(draw: np.random.Generator) -> Samples:
    """Return rows of two groups."""
    group = draw.integers(0, 2, ROWS)
    y = (draw.random(ROWS) < 0.3 + 0.2 * group).astype(int)
    return Samples(np.zeros((ROWS, 0)), group, Schema((), ("a", "b"), 0), y)


def predicted(samples: Samples, draw: np.random.Generator) -> Predictions:
    """Return a score that knows the label a little, and the group."""
    score = 0.3 + 0.25 * samples.y + 0.1 * samples.group + draw.normal(scale=0.2, size=ROWS)
    return Predictions.from_score(np.clip(score, 0, 1))


def values(samples: Samples, made: Predictions, point: str) -> list[Value]:
    """Return the metrics that verdicts read."""
    y, group, chosen = samples.y, samples.group, made.y_pred

    def difference(rows: np.ndarray) -> float:
        return float(abs(chosen[rows & (group == 1)].mean() - chosen[rows & (group == 0)].mean()))

    true, false = difference(y == 1), difference(y == 0)
    numbers = (float((chosen == y).mean()), difference(y >= 0), max(true, false), true)
    return [Value(0, point, "", name, number) for name, number in zip(("accuracy", *GAPS), numbers)]


def written(folder: Path, repeats: int) -> Results:
    """Write a run and return its results."""
    draw, records = np.random.default_rng(0), []
    points = ("unconstrained", *(f"{name}<={tolerance:g}" for name in ("dp", "eo", "eopp") for tolerance in TOLERANCES))
    with Store(folder / FILE_NAME, create=True) as store:
        for dataset in range(DATASETS):
            for repeat in range(repeats):
                samples = drawn_rows(draw)
                for method in ["mlp", "attainable", *(f"m{place}" for place in range(METHODS - 2))]:
                    cell = Cell(Choice(f"d{dataset}"), Choice(method), "sex", repeat)
                    made = {point: predicted(samples, draw) for point in (points if method == "attainable" else ("",))}
                    found = tuple(value for point, here in made.items() for value in values(samples, here, point))
                    chosen = "unconstrained" if method == "attainable" else ""
                    record = Record(cell, DONE, values=found, chosen=chosen, parts=Parts(7000, ROWS, ROWS))
                    truth = Truth.of(samples)
                    store.add(Measured(record, {(0, point): (truth, here) for point, here in made.items()}))
                    records.append(record)
    labels = {name: (name, "lower") for name in ("accuracy", *GAPS)}
    return Results(records, {"reference_methods": ["attainable"]}, len(records), labels, folder)


def plain_means(results: Results) -> list[object]:
    """Return what a table of means needs: no predictions are read."""
    return [
        estimate([Values(record).value(metric) for record in finished(several)])
        for records in sections(results.records)
        for several in by_method(records)
        for metric in results.labels
    ]


def measure(quick: bool) -> Iterator[Row]:
    """Time the verdicts of a stored run, the reading of its predictions, and a table of means."""
    with tempfile.TemporaryDirectory() as folder:
        results = written(Path(folder), repeats=3 if quick else REPEATS)

        def read() -> None:
            with Store(Path(folder) / FILE_NAME) as store:
                for record in results.records:
                    store.predictions(record.cell.key)

        works = {
            "verdicts": lambda: section_standings(replace(results)),
            "predictions": read,
            "means": partial(plain_means, results),
        }
        found = alternately(works, rounds=2, budget=5.0)
    assert "torch" not in sys.modules
    cells = f"{len(results.records):,} cells of {ROWS:,} test rows"
    yield found["verdicts"].row(f"verdicts of {cells}", "CPU s", other=found["predictions"], against="reading them")
    yield found["means"].row("a table of means", "CPU s", other=found["verdicts"], against="verdicts")
