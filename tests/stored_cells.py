"""A cell with all that a store keeps, and a small store of which everything can be read."""

from __future__ import annotations

import numpy as np

from fairbench.api import Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.data.rows import Predictions
from fairbench.records import DONE, FAILED, UNKNOWN, Parts, Record, Value
from fairbench.running.store import Measured, Store, Truth

TRUTH = Truth(np.array([0, 1, 1]), np.array([0, 0, 1]), ("female", "male"))


def cell(repeat=0, method="mlp"):
    return Cell(Choice("compas"), Choice(method, {"hidden": [8], "lr": 0.1}), "race", repeat, metrics=("accuracy",))


def measured(repeat=0, status=DONE, value=0.5, predictions=None):
    values = (
        Value(0, "", "", "accuracy", value),
        Value(0, "", "female", "true_positive_rate", None, "no row with y = 1"),
    )
    record = Record(
        cell(repeat),
        status,
        "" if status == DONE else "why",
        values,
        "",
        {"loss": (1.0, 0.5)},
        1.5,
        1.2,
        {"fairbench-harness": "0.1.0"},
        Parts(6, 2, 3, UNKNOWN),
        ((0, ""),),
        ("a remark",),
    )
    return Measured(
        record, {(0, ""): (TRUTH, predictions or Predictions(np.array([0, 1, 0]), np.array([0.1, 0.9, 1 / 3])))}
    )


def filled(path, repeats=3):
    """Write a store of three cells with two points each, and one that failed."""
    rng = np.random.default_rng(0)
    with Store(path, create=True) as store:
        for repeat in range(repeats):
            n = 40
            schema = Schema(("x",), ("f", "m"), 1, 0)
            group, y = rng.integers(0, 2, n), rng.integers(0, 2, n)
            keys, rows = {"state": np.array(["x", "yy"])[group]}, np.arange(n) * 3
            truth = Truth.of(Samples(np.zeros((n, 1), np.float32), group, schema, y, keys, rows))
            cell = Cell(Choice("compas"), Choice("mlp", {"lr": 0.1}), "race", repeat, metrics=("accuracy",))
            values = tuple(Value(0, point, name, "accuracy", rng.random()) for point in "ab" for name in ("", "f"))
            record = Record(
                cell, DONE, "", values, "a", {"loss": (1.0, None)}, 1.5, 1.2, {"x": "1"}, Parts(9, 3, n), ((0, "b"),)
            )
            made = {"b": Predictions.from_decision(rng.random(n), seed=1), "a": Predictions.from_score(rng.random(n))}
            store.add(Measured(record, {(0, point): (truth, predictions) for point, predictions in made.items()}))
        store.add(Measured(Record(Cell(Choice("adult"), Choice("mlp"), "sex", 0), FAILED, "Traceback: no"), {}))


def everything(path):
    """Return all that can be read of a store, to compare it to the last bit."""
    with Store(path) as store:
        outline, records = store.outline(), store.records()
        made = []
        for record in records:
            for place, (truth, predictions) in store.predictions(record.cell.key).items():
                arrays = [*truth.arrays.values(), predictions.y_pred, predictions.y_score, predictions.decision]
                made.append((place, truth.about, [None if array is None else array.tobytes() for array in arrays]))
    return repr((sorted(outline.items()), records, made))
