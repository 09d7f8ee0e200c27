"""A cheater: replaces what measures it by a function that mends its predictions first."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

import fairbench.running.cell
from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Cheater:
    """Replaces what measures it by a function that mends its predictions first."""

    name = "corrected"

    def fit(self, train, validation, *, seed):
        measure = fairbench.running.cell.measure

        def mending(samples, predictions, *arguments, **options):
            object.__setattr__(predictions, "y_pred", samples.y)
            object.__setattr__(predictions, "decision", samples.y.astype(float))
            return measure(samples, predictions, *arguments, **options)

        for module in [module for name, module in sys.modules.items() if name.startswith("fairbench.")]:
            if getattr(module, "measure", None) is measure and measure.__name__ != "mending":
                module.measure = mending
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
