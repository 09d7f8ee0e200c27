"""A cheater: reads the running results for the labels that another method's cell has left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import Predictions, hookimpl
from fairbench.running.store import Store


@dataclass(frozen=True)
class Cheater:
    """Reads the running results for the labels that another method's cell has left."""

    name = "store"

    def fit(self, train, validation, *, seed):
        def predict(inputs):
            for path in Path("runs").glob("*/results.sqlite"):
                with Store(path) as store:
                    for record in store.records():
                        for truth, _ in store.predictions(record.cell.key).values():
                            if np.array_equal(truth.group, inputs.group):
                                return Predictions(truth.y)
            return Predictions(np.zeros(len(inputs), dtype=int))

        return predict


@hookimpl
def fairbench_methods():
    return [Cheater]
