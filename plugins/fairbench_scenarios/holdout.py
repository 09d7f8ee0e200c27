"""The default scenario: fit on the training part, choose on validation, measure on the test part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from fairbench.api import Fitted, Method, Outcome, Scenario, Split, hookimpl


@dataclass(frozen=True)
class Holdout:
    """Fit once and predict the test part; its labels never reach the method."""

    name = "holdout"
    takes_unknown_group = True

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome."""
        fitted = Fitted.of(method.fit(split.train, split.validation, seed=seed("fit")))
        inputs = split.test.inputs
        predictions = {name: predictor(inputs) for name, predictor in fitted.points.items()}
        yield Outcome(split.test, predictions, fitted.chosen, diagnostics=fitted.diagnostics)


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the holdout scenario."""
    return [Holdout]
