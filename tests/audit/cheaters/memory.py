"""A cheater: remembers each row's label from repeat to repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl

SEEN = {}


@dataclass(frozen=True)
class Cheater:
    """Remembers each row's label from repeat to repeat."""

    name = "memory"

    def fit(self, train, validation, *, seed):
        for part in (train, validation):
            SEEN.update(zip(map(bytes, part.X[:, 3:]), part.y))  # columns that no encoder scales
        return lambda inputs: Predictions(np.array([SEEN.get(bytes(row), 0) for row in inputs.X[:, 3:]]))


@hookimpl
def fairbench_methods():
    return [Cheater]
