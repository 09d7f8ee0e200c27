"""Holdout in which a named rule, the same for all methods, chooses among the operating points of the fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from fairbench.api import Fitted, Method, Outcome, Rule, Scenario, Split, hookimpl, parameter

from ._rules import SMALL_GAP, ByRule, judge, told


@dataclass(frozen=True)
class Selected(ByRule):
    """Fit once, and let validation choose among the fit's operating points by a named rule (``fairbench.api.Rule``).

    In ``holdout`` each method chooses for itself. A method with one point is measured as it is in ``holdout``.
    ``infeasible`` among the diagnostics is 1 if no point satisfies the rule's condition on validation, else 0.
    """

    name = "selected"
    takes_unknown_group = True

    rule: str = parameter(SMALL_GAP, "which operating point validation chooses")

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome.

        Raises:
            NotApplicable: the rule cannot be applied to the validation part.
        """
        fitted = Fitted.of(method.fit(split.train, split.validation, seed=seed("fit")))
        judged = judge(split.validation, fitted.points)
        found = Rule.parse(self.rule).choose(judged)
        inputs = split.test.inputs
        predictions = {name: predictor(inputs) for name, predictor in fitted.points.items()}
        said = {**fitted.diagnostics, **told(judged, found, 1, 1)}
        yield Outcome(split.test, predictions, found.label, diagnostics=said)


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [Selected]
