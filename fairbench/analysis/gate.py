"""A gate for continuous integration: does anything that two runs share move for the worse, or vanish?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairbench.analysis.changes import Change, Compared, Lost
from fairbench.analysis.intervals import LEVEL
from fairbench.choices import metric_called
from fairbench.errors import SuiteError, UnknownName

DIRECTIONS = ("higher", "lower")
ANY = ""  # the key of the least effect of all metrics that have none of their own


@dataclass(frozen=True)
class Gate:
    """What a gate found.

    Args:
        checked: changes that have a direction and an interval, or are identical.
        worse: those of them that moved for the worse beyond their interval and beyond the least effect.
        small: those that moved for the worse beyond their interval, but not beyond the least effect.
        unchecked: changes that have a direction and no interval.
        undirected: metrics for which neither direction is the better.
        unfinished: methods of which neither run has a finished cell.
        lost: what the first run has and the second lacks.
        allow_missing: whether ``lost`` may pass.
    """

    checked: tuple[Change, ...]
    worse: tuple[Change, ...]
    small: tuple[Change, ...]
    unchecked: tuple[Change, ...]
    undirected: tuple[str, ...]
    unfinished: tuple[Lost, ...]
    lost: tuple[Lost, ...]
    allow_missing: bool

    @property
    def passed(self) -> bool:
        """Return whether something was checked, and nothing is worse, nor missing unless it may be."""
        return bool(self.checked) and not self.worse and (self.allow_missing or not self.lost)

    @property
    def by_chance(self) -> float:
        """Return how many changes would move for the worse by chance, on average, if nothing had changed."""
        tested = sum(change.adjusted is not None for change in self.checked)
        return tested * (1 - LEVEL) / 2


def gate(compared: Compared, least: Mapping[str, float], allow_missing: bool = False) -> Gate:
    """Return what a gate says about two runs.

    Args:
        compared: the two runs.
        least: by metric the least effect, in the metric's unit: smaller changes pass; the key ``""`` is of all others.
        allow_missing: whether cells and values that the second run lacks may pass.
    """
    directed = [change for change in compared.changes if change.better in DIRECTIONS]
    checked = [change for change in directed if change.side is not None]
    beyond = [(change, least.get(change.metric, least.get(ANY, 0.0))) for change in checked if change.worse]
    return Gate(
        tuple(checked),
        tuple(change for change, most in beyond if abs(change.difference.value) > most),
        tuple(change for change, most in beyond if abs(change.difference.value) <= most),
        tuple(change for change in directed if change.side is None),
        tuple(dict.fromkeys(change.metric for change in compared.changes if change.better not in DIRECTIONS)),
        compared.unfinished,
        compared.lost,
        allow_missing,
    )


def least_effects(compared: Compared, typed: Mapping[str, float]) -> dict[str, float]:
    """Return least effects by the metrics' own names; what was typed may be an alias, such as ``dp``.

    Raises:
        UnknownName: no value that both runs have is of this metric.
        SuiteError: a metric has two least effects.
    """
    known = {change.metric for change in compared.changes}
    found: dict[str, float] = {}
    for text, effect in typed.items():
        metric = metric_called(text, known)
        if metric not in known and metric != ANY:
            raise UnknownName("metric compared here", text, known, f" (compared are {', '.join(sorted(known))})")
        if metric in found:
            raise SuiteError(f"--least: {metric} is given twice, also as {text!r}; give it once")
        found[metric] = effect
    return found
