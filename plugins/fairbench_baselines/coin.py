"""A fair coin: perfect parity without any information."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import Inputs, Method, Predictions, Predictor, Samples, derive_seed, hookimpl


@dataclass(frozen=True)
class Coin:
    """Select everyone with probability one half.

    Every gap is 0 and every ratio is 1, at an accuracy of one half: the least that a useful method has to beat.
    """

    name = "coin"
    uses_group = ()
    is_reference = True

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor; nothing is read."""
        toss = derive_seed("toss", seed)

        def predict(inputs: Inputs) -> Predictions:
            half = np.full(len(inputs), 0.5)
            return Predictions.from_decision(half, seed=toss, y_score=half)

        return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the coin."""
    return [Coin]
