"""Choose among a method's configurations on validation, by one rule for all methods, and measure every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Callable

import numpy as np

from fairbench.api import (
    Fitted,
    Method,
    NotApplicable,
    Outcome,
    Predictions,
    Predictor,
    Samples,
    Scenario,
    Split,
    Tunable,
    group_rates,
    hookimpl,
    parameter,
)


@dataclass(frozen=True)
class Tuned:
    """Fit each configuration of the grid that a method declares, and let validation choose.

    A method declares ``grid`` (see ``fairbench.api.Tunable``); a method without one is fitted as it is.
    The chosen configuration is the one with the best validation accuracy among those whose demographic parity ratio on
    validation reaches ``least_ratio``; if none does, the one with the highest ratio. All configurations become
    operating points, so that the ones that were not chosen can be seen on the test part too; a point is named after the
    configuration and the operating point that the fit itself has chosen.
    """

    name = "tuned"

    least_ratio: float = parameter(
        0.8,
        "demographic parity ratio on validation to reach first",
        source="the four-fifths rule",
        minimum=0,
        maximum=1,
    )
    budget: int = parameter(12, "the most configurations that a method may try", minimum=1)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome, with the diagnostics of the chosen configuration.

        Raises:
            NotApplicable: the grid has more configurations than the budget.
        """
        configurations = configurations_of(method)
        if len(configurations) > self.budget:
            raise NotApplicable(
                f"{method.name} declares {len(configurations)} configurations, but the budget is {self.budget}; "
                "raise the budget of the scenario or sweep fewer values"
            )
        fits = {}
        for label, configuration in configurations.items():
            fitted = Fitted.of(configuration.fit(split.train, split.validation, seed=seed("fit")))
            fits[f"{label} {fitted.chosen}".strip()] = fitted
        predictors = {label: fitted.points[fitted.chosen] for label, fitted in fits.items()}
        chosen = self.choose(split.validation, predictors)
        inputs = split.test.inputs
        predictions = {label: predictor(inputs) for label, predictor in predictors.items()}
        yield Outcome(split.test, predictions, chosen, diagnostics=fits[chosen].diagnostics)

    def choose(self, validation: Samples, predictors: dict[str, Predictor]) -> str:
        """Return the label of the configuration that validation prefers, the earliest if several tie."""
        judged = {label: _judge(validation, predictor(validation.inputs)) for label, predictor in predictors.items()}
        even = {label: accuracy for label, (accuracy, ratio) in judged.items() if ratio >= self.least_ratio}
        if even:
            return max(even, key=lambda label: even[label])
        return max(judged, key=lambda label: judged[label][1])


def configurations_of(method: Method) -> dict[str, Method]:
    """Return the method as each entry of its grid changes it, by a label such as ``gamma=1,inner_lr=0.4``."""
    grid = method.grid if isinstance(method, Tunable) else ({},)
    fields: Any = method  # a frozen dataclass, which a protocol cannot say
    return {",".join(f"{name}={value}" for name, value in entry.items()): replace(fields, **entry) for entry in grid}


def _judge(validation: Samples, predictions: Predictions) -> tuple[float, float]:
    """Return accuracy and demographic parity ratio; the ratio is 0 where nobody is selected: that is not parity."""
    rates = group_rates(validation, predictions)
    selection = rates.selection[rates.n > 0]
    accuracy = float(np.nansum(rates.accuracy * rates.n) / len(validation))
    return accuracy, float(selection.min() / selection.max()) if selection.max() > 0 else 0.0


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [Tuned]
