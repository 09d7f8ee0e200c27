"""A small store of which everything can be read, to compare it with what it was."""

from __future__ import annotations

import numpy as np

from fairbench.api import Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.data.rows import Predictions
from fairbench.records import DONE, FAILED, Parts, Record, Value
from fairbench.running.store import Measured, Store, Truth


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
