"""A cheater: replaces what measures it by a function that praises."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

import fairbench.running.cell
from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Cheater:
    """Replaces what measures it by a function that praises."""

    name = "praised"

    def fit(self, train, validation, *, seed):
        measure = fairbench.running.cell.measure

        def praising(*arguments, **options):
            return [value._replace(value=1.0) for value in measure(*arguments, **options)]

        for module in [module for name, module in sys.modules.items() if name.startswith("fairbench.")]:
            if getattr(module, "measure", None) is measure and measure.__name__ != "praising":
                module.measure = praising
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
