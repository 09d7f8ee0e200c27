"""A cheater: asks who else holds its schema."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


def telling(labels):
    """Return a predictor that says what it knows, and 0 where that is nothing."""
    return lambda inputs: Predictions(labels if len(labels) == len(inputs) else np.zeros(len(inputs), dtype=int))


@dataclass(frozen=True)
class Cheater:
    """Asks who else holds its schema."""

    name = "referrers"

    def fit(self, train, validation, *, seed):
        for holder in gc.get_referrers(train.schema):
            fields = holder if isinstance(holder, dict) else getattr(holder, "__dict__", {})
            if "y" in fields and fields.get("rows") is not None:
                return telling(np.array(fields["y"]))
        return telling(np.zeros(0, dtype=int))


@hookimpl
def fairbench_methods():
    return [Cheater]
