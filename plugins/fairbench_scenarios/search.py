"""Search in the ranges that a method declares, with the same number of trials for every method."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional, Union

import numpy as np

from fairbench.api import (
    Arrays,
    Fitted,
    Judged,
    Method,
    NotApplicable,
    Options,
    Outcome,
    Predictions,
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

from ._rules import SMALL_GAP, ByRule, judge, told_of_all

GIVEN = "as given"
DIGITS = 4  # significant, of a number that is drawn
ARRAYS = ("y_pred", "y_score", "decision")
Spaces = Mapping[str, Union[Range, Options]]
Place = dict[str, Any]  # a number of each range, and a position among each of the options


@dataclass
class _Trials:
    """What has been tried: the places in the order of the trials, and a pair of predictions for each fit.

    ``made`` has the predictions for the validation and for the test part by label; a place drawn again is not fitted
    again. The first trial is the method as it is given, whose place is empty.
    """

    places: list[Place] = field(default_factory=list)
    made: dict[str, tuple[Predictions, Predictions]] = field(default_factory=dict)

    def state(self) -> dict[str, np.ndarray]:
        """Return everything as plain arrays."""
        arrays = {"places": np.array(json.dumps(self.places)), "labels": np.array(json.dumps(list(self.made)))}
        for number, pair in enumerate(self.made.values()):
            for part, predictions in zip(("validation", "test"), pair):
                kept = {name: getattr(predictions, name) for name in ARRAYS if name != "decision"}
                if predictions.randomised:
                    kept["decision"] = predictions.decision
                arrays.update({f"{part}/{name}/{number}": each for name, each in kept.items() if each is not None})
        return arrays

    @classmethod
    def of(cls, state: Arrays) -> _Trials:
        """Return what ``state`` was made from."""
        made = {}
        for number, label in enumerate(json.loads(str(state["labels"]))):
            arrays: list[list[Any]] = [
                [state.get(f"{part}/{name}/{number}") for name in ARRAYS] for part in ("validation", "test")
            ]
            made[label] = Predictions(*arrays[0]), Predictions(*arrays[1])
        return cls(json.loads(str(state["places"])), made)


@dataclass(frozen=True)
class Search(ByRule):
    """Try as many configurations of each method, and let validation choose among them by a named rule.

    A method declares ``ranges`` (see ``fairbench.api.Searchable``); one without is fitted as it is. The first trial is
    the method with its given parameters; the others are proposed by optuna's tree-structured Parzen estimator, which
    seeks a high accuracy and, if the rule (``fairbench.api.Rule``) is about a gap, a small one on validation. Its seed
    is that of the cell, so a search gives the same trials whenever it is run.

    Every configuration becomes an operating point: of a fit with several, the one that the rule prefers. A killed run
    continues after the last finished trial. ``trials``, ``fits`` (a configuration that is proposed again is not fitted
    again), ``infeasible``, and validation accuracy and gap of each point are among the diagnostics.

    References:
        Akiba et al. (2019), Optuna: a next-generation hyperparameter optimization framework, KDD.
        Bergstra et al. (2011), Algorithms for hyper-parameter optimization, NeurIPS.
    """

    name = "search"
    takes_unknown_group = True

    trials: int = parameter(20, "configurations tried of every method that declares ranges", minimum=1)
    rule: str = parameter(SMALL_GAP, "which configuration validation chooses")

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield what is kept after each trial, and with the last one the outcome.

        Raises:
            NotApplicable: the method has ranges and optuna is missing, or the rule cannot be applied.
        """
        return self._steps(split, method, seed, _Trials())

    def resume(
        self, split: Split, method: Method, seed: Callable[[str], int], step: int, state: Arrays
    ) -> Iterator[Outcome]:
        """Yield what ``run`` yields after the trial number ``step``."""
        return self._steps(split, method, seed, _Trials.of(state))

    def _steps(self, split: Split, method: Method, seed: Callable[[str], int], trials: _Trials) -> Iterator[Outcome]:
        rule = Rule.parse(self.rule)
        spaces = method.ranges if isinstance(method, Searchable) else {}
        if spaces:
            _optuna()
        last = self.trials - 1 if spaces else 0
        for number in range(len(trials.places), last + 1):
            place: Place = {}
            if number:
                history = self._history(rule, split, spaces, method, trials)
                place = propose(spaces, history, derive_seed(f"trial {number}", seed("search")))
            label = _label(spaces, place)
            trials.places.append(place)
            if label not in trials.made:
                trials.made[label] = self._fit(rule, split, _configured(method, spaces, place), seed("fit"))
            if number < last:
                yield Outcome(split.test, {}, "", number, state=trials.state())
        judged = self._judged(split, trials)
        chosen = rule.choose(judged)
        said = told_of_all(rule, judged, chosen, len(trials.places), len(judged))
        tested = {label: test for label, (_, test) in trials.made.items()}
        yield Outcome(split.test, tested, chosen.label, diagnostics=said)

    @staticmethod
    def _fit(rule: Rule, split: Split, method: Method, seed: int) -> tuple[Predictions, Predictions]:
        """Return the predictions of a fit for the validation and for the test part."""
        points = Fitted.of(method.fit(split.train, split.validation, seed=seed)).points
        point = points[rule.choose(judge(split.validation, points)).label]
        return point(known_rows(split.validation).inputs), point(split.test.inputs)

    @staticmethod
    def _judged(split: Split, trials: _Trials) -> dict[str, Judged]:
        known = known_rows(split.validation)
        return {label: Judged.of(known, seen) for label, (seen, _) in trials.made.items()}

    def _history(
        self, rule: Rule, split: Split, spaces: Spaces, method: Method, trials: _Trials
    ) -> list[tuple[Place, Sequence[float]]]:
        """Return place and objectives, the smaller the better, of the trials so far whose places are in the ranges."""
        judged = self._judged(split, trials)
        found: list[tuple[Place, Sequence[float]]] = []
        for place in trials.places:
            point = judged[_label(spaces, place)]
            at = place or _place_of(method, spaces)
            if at is not None:
                found.append((at, (-point.accuracy, point.gap(rule.shown_gap)) if rule.gap else (-point.accuracy,)))
        return found


def propose(spaces: Spaces, history: Sequence[tuple[Place, Sequence[float]]], seed: int) -> Place:
    """Return the next place to try.

    The study is made anew from its history each time, so that a search that was interrupted proposes what it would
    have proposed.

    Args:
        spaces: by parameter.
        history: place and objectives, the smaller the better, of each trial.
        seed: of the draw.

    Raises:
        NotApplicable: optuna is not installed.
    """
    optuna = _optuna()
    distributions = {name: _distribution(optuna.distributions, space) for name, space in spaces.items()}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it announces each study
    try:
        sampler = optuna.samplers.TPESampler(seed=seed)
        objectives = len(history[0][1]) if history else 1
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
        for place, values in history:
            study.add_trial(optuna.trial.create_trial(params=place, distributions=distributions, values=values))
        drawn = study.ask(distributions).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {name: _rounded(space, drawn[name]) for name, space in spaces.items()}


def _optuna() -> Any:
    """Return the package.

    Raises:
        NotApplicable: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise NotApplicable(
            "a search needs the package 'optuna': install the extra tune (pip install 'fairbench-harness[tune]')"
        ) from error
    return optuna


def _distribution(distributions: Any, space: Union[Range, Options]) -> Any:
    if isinstance(space, Options):
        return distributions.CategoricalDistribution(range(len(space.values)))
    kind = distributions.IntDistribution if space.whole else distributions.FloatDistribution
    return kind(space.low, space.high, log=space.log)


def _rounded(space: Union[Range, Options], value: Any) -> Any:
    """Return a number with few digits, so that the label of a configuration says all of it."""
    if isinstance(space, Options) or space.whole:
        return int(value)
    return min(max(float(f"{value:.{DIGITS}g}"), float(space.low)), float(space.high))


def _values(spaces: Spaces, place: Place) -> dict[str, Any]:
    """Return the values of the parameters at a place."""
    return {name: space.values[at] if isinstance(space := spaces[name], Options) else at for name, at in place.items()}


def _label(spaces: Spaces, place: Place) -> str:
    return ",".join(f"{name}={value}" for name, value in _values(spaces, place).items()) or GIVEN


def _configured(method: Any, spaces: Spaces, place: Place) -> Any:
    """Return the method, a frozen dataclass, with the values of a place."""
    return replace(method, **_values(spaces, place))


def _place_of(method: Method, spaces: Spaces) -> Optional[Place]:
    """Return where in the ranges the method as given lies; None if it lies outside."""
    place: Place = {}
    for name, space in spaces.items():
        value = getattr(method, name)
        if isinstance(space, Options):
            if value not in space.values:
                return None
            place[name] = space.values.index(value)
        elif isinstance(value, (int, float)) and space.low <= value <= space.high:
            place[name] = value
        else:
            return None
    return place


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [Search]
