"""Draw configurations from the ranges that a method declares, and fit all of them at once where the method can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Union

import numpy as np

from fairbench.api import (
    Judged,
    Method,
    Options,
    Outcome,
    Predictor,
    Range,
    Rule,
    Scenario,
    Searchable,
    Split,
    derive_seed,
    hookimpl,
    known_rows,
    parameter,
)

from ._fits import fit_together
from ._rules import SMALL_GAP, ByRule, choose, told_of_all
from .search import _configured, _label, _rounded


@dataclass(frozen=True)
class Sweep(ByRule):
    """Draw as many configurations of each method at random, and let validation choose among them by a named rule.

    A method declares ``ranges`` (see ``fairbench.api.Searchable``); one without is fitted as it is. The first
    configuration is the method with its given parameters; of the others each parameter is drawn by itself, evenly
    over its range (over the logarithm where the range says so). Nothing depends on earlier trials, unlike in
    ``search``, so a method that offers ``fit_together`` (see ``fairbench.api.Stackable``) trains all configurations as
    one computation, which takes a fraction of the time; other methods are fitted one after another.

    Every configuration becomes an operating point, named by its values: of a fit with several, the one that the rule
    (``fairbench.api.Rule``) prefers. ``trials``, ``fits`` (a configuration that is drawn again is not fitted again),
    ``infeasible``, and validation accuracy and gap of each point are among the diagnostics.

    References:
        Bergstra and Bengio (2012), Random search for hyper-parameter optimization, JMLR.
    """

    name = "sweep"
    takes_unknown_group = True

    trials: int = parameter(20, "configurations tried of every method that declares ranges", minimum=1)
    rule: str = parameter(SMALL_GAP, "which configuration validation chooses")

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome.

        Raises:
            NotApplicable: the rule cannot be applied.
        """
        rule = Rule.parse(self.rule)
        spaces = method.ranges if isinstance(method, Searchable) else {}
        random = np.random.default_rng(derive_seed("sweep", seed("search")))
        places: list[dict[str, Any]] = [{}]
        if spaces:
            places += [draw(spaces, random) for _ in range(self.trials - 1)]
        configurations = {_label(spaces, place): _configured(method, spaces, place) for place in places}
        fits = fit_together(method, list(configurations.values()), split, seed("fit"))
        points: dict[str, Predictor] = {}
        for label, fitted in zip(configurations, fits):
            points[label] = fitted.points[choose(rule, split.validation, fitted.points).label]
        known = known_rows(split.validation)
        judged = {label: Judged.of(known, point(known.inputs)) for label, point in points.items()}
        chosen = rule.choose(judged)
        said = told_of_all(rule, judged, chosen, len(places))
        inputs = split.test.inputs
        yield Outcome(
            split.test, {label: point(inputs) for label, point in points.items()}, chosen.label, diagnostics=said
        )


def draw(spaces: Mapping[str, Union[Range, Options]], random: np.random.Generator) -> dict[str, Any]:
    """Return a place drawn from the ranges, each parameter by itself: a number, or a position among the options."""
    place = {}
    for name, space in spaces.items():
        if isinstance(space, Options):
            place[name] = int(random.integers(len(space.values)))
            continue
        low, high = float(space.low), float(space.high) + space.whole  # a whole number is rounded down
        drawn = np.exp(random.uniform(np.log(low), np.log(high))) if space.log else random.uniform(low, high)
        place[name] = min(_rounded(space, drawn), space.high)
    return place


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [Sweep]
