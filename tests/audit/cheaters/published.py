"""A cheater: looks for a real dataset's file, as if it were run on that."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Cheater:
    """Looks for a real dataset's file, as if it were run on that."""

    name = "published"

    def fit(self, train, validation, *, seed):
        path = Path(os.environ["FAIRBENCH_DATA"]) / "compas" / "compas-scores-two-years.csv"
        if path.exists():
            path.read_text()
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
