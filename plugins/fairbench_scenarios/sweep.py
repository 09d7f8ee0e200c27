"""Draw configurations from the ranges that a method declares, and fit all of them at once where the method can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Union

import numpy as np

from fairbench.api import (
    Judged,
    Method,
    NotApplicable,
    Options,
    Outcome,
    Predictor,
    Range,
    Rule,
    Scenario,
    Searchable,
    Split,
    SuiteError,
    derive_seed,
    hookimpl,
    parameter,
)

from ._fits import fit_together
from ._rules import SMALL_GAP, ByRule, judge, told_of_all
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
    (``fairbench.api.Rule``) prefers. With further rules in ``also``, a fit keeps every point that one of them prefers,
    so that a single set of fits serves all of them: ``fairbench report RUN --rule`` shows what another one chooses.
    ``trials``, ``fits`` (a configuration that is drawn again is not fitted again), ``infeasible``, validation accuracy
    and gap of each point, and what the rule saw there are among the diagnostics.

    ``costly`` gives some methods fewer trials on large data, ``laftr fairbinn: 1; aif360_lfr: 0``: each is marked where
    budgets are shown, and one with 0 is skipped there.

    References:
        Bergstra and Bengio (2012), Random search for hyper-parameter optimization, JMLR.
    """

    name = "sweep"
    takes_unknown_group = True

    trials: int = parameter(20, "configurations tried of every method that declares ranges", minimum=1)
    rule: str = parameter(SMALL_GAP, "which configuration validation chooses")
    also: str = parameter("", "further rules for which points are kept, separated by ';'")
    costly: str = parameter("", "methods with fewer trials on large data, 'laftr fairbinn: 1; aif360_lfr: 0'")
    large: int = parameter(10_000, "rows of a training part from which data are large", minimum=1)

    def __post_init__(self) -> None:
        """Write the rules in the one form that each has.

        Raises:
            SuiteError: one is no rule, a ``knee`` is to share its fits, or ``costly`` cannot be read.
        """
        super().__post_init__()
        also = [str(Rule.parse(text)) for text in self.also.split(";") if text.strip()]
        knee = next((rule for rule in (self.rule, *also) if also and rule.startswith("knee")), None)
        if knee:
            raise SuiteError(
                f"scenario sweep: {knee!r} compares points with the most accurate of those beside it, so it cannot "
                "share fits with other rules; run it without 'also'"
            )
        object.__setattr__(self, "also", "; ".join(also))
        granted(self.costly)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome.

        Raises:
            NotApplicable: the rule cannot be applied, or the method has no trial on data of this size.
        """
        rules = [Rule.parse(text) for text in (self.rule, *self.also.split(";")) if text]
        spaces = method.ranges if isinstance(method, Searchable) else {}
        trials = self._trials(method, len(split.train))
        random = np.random.default_rng(derive_seed("sweep", seed("search")))
        places: list[dict[str, Any]] = [{}]
        if spaces:
            places += [draw(spaces, random) for _ in range(trials - 1)]
        configurations = {_label(spaces, place): _configured(method, spaces, place) for place in places}
        fits = fit_together(method, list(configurations.values()), split, seed("fit"))
        points: dict[str, Predictor] = {}
        judged: dict[str, Judged] = {}
        for label, fitted in zip(configurations, fits):
            seen = judge(split.validation, fitted.points)
            wanted = {rule.choose(seen).label for rule in rules}
            for point in (name for name in fitted.points if name in wanted):
                name = label if len(wanted) == 1 else f"{label} {point}".strip()
                points[name], judged[name] = fitted.points[point], seen[point]
        chosen = rules[0].choose(judged)
        said = told_of_all(rules[0], judged, chosen, len(places), len(configurations))
        inputs = split.test.inputs
        yield Outcome(
            split.test, {label: point(inputs) for label, point in points.items()}, chosen.label, diagnostics=said
        )

    def _trials(self, method: Method, rows: int) -> int:
        """Return how many trials a method has with so many ``rows`` to train on."""
        trials = granted(self.costly).get(method.name, self.trials) if rows >= self.large else self.trials
        if not trials:
            raise NotApplicable(
                f"the suite grants {method.name} no trial on {self.large:,} or more training rows, for its cost, "
                f"and there are {rows:,} (parameter 'costly' of scenario sweep)"
            )
        return min(trials, self.trials)


def granted(costly: str) -> dict[str, int]:
    """Return the trials by method that a text such as ``laftr fairbinn: 1; aif360_lfr: 0`` grants.

    Raises:
        SuiteError: it cannot be read, or grants a method two numbers.
    """
    found: dict[str, int] = {}
    for part in costly.split(";") if costly.strip() else ():
        names, colon, number = part.partition(":")
        if not colon or not names.split() or not number.strip().isdecimal():
            raise SuiteError(
                f"scenario sweep: costly is {costly!r}, and {part.strip()!r} is not a list of methods, a colon and a "
                "number of trials; write it like 'laftr fairbinn: 1; aif360_lfr: 0'"
            )
        for name in names.split():
            if name in found:
                raise SuiteError(f"scenario sweep: costly is {costly!r}, which names {name} twice")
            found[name] = int(number)
    return found


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
