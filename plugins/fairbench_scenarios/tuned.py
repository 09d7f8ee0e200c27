"""Choose among a method's configurations on validation, by one rule for all methods, and measure every one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional

from fairbench.api import (
    Method,
    NotApplicable,
    Outcome,
    Predictor,
    Rule,
    Scenario,
    Split,
    SuiteError,
    Tunable,
    hookimpl,
    parameter,
)

from ._fits import fit_each
from ._rules import judge, told

FOUR_FIFTHS = "max accuracy subject to dp ratio >= 0.8"
LEAST_RATIO = "max accuracy subject to dp ratio >= {:.12g}"


@dataclass(frozen=True)
class Tuned:
    """Fit each configuration of the grid that a method declares, and let validation choose by a named rule.

    A method declares ``grid`` (see ``fairbench.api.Tunable``); a method without one is fitted as it is.
    By default the configuration with the best validation accuracy is chosen among those whose demographic parity ratio
    on validation reaches 0.8; if none does, the one with the highest ratio. The rules and their texts are those of
    ``fairbench.api.Rule``. All configurations become operating points, so that the ones that were not chosen can be
    seen on the test part too; a point is named after the configuration and the operating point of the fit.

    ``infeasible`` among the diagnostics is 1 if no point satisfies the rule's condition on validation, else 0;
    ``trials`` and ``fits`` count configurations and fits.
    """

    name = "tuned"
    takes_unknown_group = True
    fit_all = staticmethod(fit_each)

    least_ratio: Optional[float] = parameter(
        None, "short for the default rule with another ratio than 0.8", minimum=0, maximum=1
    )
    budget: int = parameter(12, "the most configurations that a method may try", minimum=1)
    rule: str = parameter(FOUR_FIFTHS, "which point validation chooses", source="the four-fifths rule")
    points: str = parameter(
        "chosen",
        "of a fit with several operating points, judge the one that the method has chosen, or all of them",
        choices=("chosen", "all"),
    )

    def __post_init__(self) -> None:
        """Write the rule in the one form that it has.

        Raises:
            SuiteError: it is not a rule, or both a rule and ``least_ratio`` are given.
        """
        rule = str(Rule.parse(self.rule))
        if self.least_ratio is not None:
            short = LEAST_RATIO.format(self.least_ratio)
            if rule not in (FOUR_FIFTHS, short):
                raise SuiteError(
                    f"scenario tuned: least_ratio={self.least_ratio:g} is short for the rule {short!r}, and the rule "
                    f"is {rule!r}; give only one of them"
                )
            rule = short
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "least_ratio", None)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome, with the diagnostics of the chosen configuration.

        Raises:
            NotApplicable: the grid has more configurations than the budget, or the rule cannot be applied.
        """
        configurations = configurations_of(method)
        if len(configurations) > self.budget:
            raise NotApplicable(
                f"{method.name} declares {len(configurations)} configurations, but the budget is {self.budget}; "
                "raise the budget of the scenario or sweep fewer values"
            )
        points: dict[str, Predictor] = {}
        curves: dict[str, Mapping[str, Any]] = {}
        fits = self.fit_all(method, list(configurations.values()), split, seed("fit"))
        for label, fitted in zip(configurations, fits):
            for point in fitted.points if self.points == "all" else [fitted.chosen]:
                name = f"{label} {point}".strip()
                points[name], curves[name] = fitted.points[point], fitted.diagnostics
        judged = judge(split.validation, points)
        found = Rule.parse(self.rule).choose(judged)
        inputs = split.test.inputs
        predictions = {label: predictor(inputs) for label, predictor in points.items()}
        said = {**curves[found.label], **told(judged, found, len(configurations), len(configurations))}
        yield Outcome(split.test, predictions, found.label, diagnostics=said)


def configurations_of(method: Method) -> dict[str, Method]:
    """Return the method as each entry of its grid changes it, by a label such as ``gamma=1,inner_lr=0.4``."""
    grid = method.grid if isinstance(method, Tunable) else ({},)
    fields: Any = method  # a frozen dataclass, which a protocol cannot say
    return {",".join(f"{name}={value}" for name, value in entry.items()): replace(fields, **entry) for entry in grid}


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [Tuned]
