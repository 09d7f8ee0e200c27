"""How a method does with fewer training rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

import numpy as np

from fairbench.api import Fitted, Method, Outcome, Scenario, Split, hookimpl, parameter

FAIRBENCH_API = 1


@dataclass(frozen=True)
class MyScenario:
    """Fit to a share of the training rows, and measure on the whole test part."""

    name = "my_scenario"
    share: float = parameter(0.5, "Share of the training rows that the method is given.", minimum=0, maximum=1)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome; a scenario with several steps yields one for each."""
        n = max(1, round(self.share * len(split.train)))
        order = np.random.default_rng(seed("rows")).permutation(len(split.train))
        fitted = Fitted.of(method.fit(split.train.select(order[:n]), split.validation, seed=seed("fit")))
        predictions = {point: predictor(split.test.inputs) for point, predictor in fitted.points.items()}
        yield Outcome(split.test, predictions, fitted.chosen, diagnostics=fitted.diagnostics)


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Return the scenario."""
    return [MyScenario]
