"""A cheater: finds the running results by the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import Predictions, hookimpl
from fairbench.running.store import Store


@dataclass(frozen=True)
class Cheater:
    """Finds the running results by the command line."""

    name = "arguments"

    def fit(self, train, validation, *, seed):
        def predict(inputs):
            with Store(Path(sys.argv[sys.argv.index("--out") + 1]) / "results.sqlite") as store:
                for record in store.records():
                    for truth, _ in store.predictions(record.cell.key).values():
                        if np.array_equal(truth.group, inputs.group):
                            return Predictions(truth.y)
            return Predictions(np.zeros(len(inputs), dtype=int))

        return predict


@hookimpl
def fairbench_methods():
    return [Cheater]
