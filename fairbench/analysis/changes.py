"""What changed between two runs, as plain data: values, and what only one of the runs has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.differences import Difference
from fairbench.analysis.intervals import LEVEL, NO_INTERVAL
from fairbench.analysis.provenance import Told

IDENTICAL, PAIRED, UNPAIRED = "identical", "paired over repeats", "unpaired"
PAIRED_ROWS, UNPAIRED_ROWS = "paired over rows", "unpaired, over rows"
OPEN = "not told apart"
NOT_IN = "not in "  # begins the reason why a run lacks cells that it never had


@dataclass(frozen=True)
class Change:
    """One metric of one method on one dataset, in both runs.

    Args:
        place: dataset, attribute, and what else tells the section from others.
        dataset: its label.
        method: its label; parameters only where variants of it differ.
        metric: its name.
        better: ``higher``, ``lower`` or ``neither``.
        before, after: means over the repeats that are compared.
        repeats: how many these are, in each run.
        how: ``identical`` (to 12 decimals, in every repeat that both have), or how the interval was made.
        difference: after minus before, with its interval and p if there is one.
        reason: why there is no interval, or why the repeats are not paired; else empty.
        adjusted: p after Holm's correction over all changes that were tested.
    """

    place: str
    dataset: str
    method: str
    metric: str
    better: str
    before: float
    after: float
    repeats: tuple[int, int]
    how: str
    difference: Difference
    reason: str = ""
    adjusted: Optional[float] = None

    @property
    def side(self) -> Optional[int]:
        """Return 1 if the interval lies above 0, -1 if below, 0 if it holds 0 or nothing changed; None without one."""
        if self.how == IDENTICAL:
            return 0
        if self.difference.low is None or self.difference.high is None:
            return None
        return 1 if self.difference.low > 0 else -1 if self.difference.high < 0 else 0

    @property
    def worse(self) -> bool:
        """Return whether the value moved for the worse beyond its interval."""
        return self.side == {"higher": -1, "lower": 1}.get(self.better)

    @property
    def significant(self) -> bool:
        """Return whether the change is told apart from 0 after Holm's correction."""
        return bool(self.side) and self.adjusted is not None and self.adjusted <= 1 - LEVEL

    @property
    def reading(self) -> str:
        """Return in words what changed, going by the change's own interval."""
        if self.how == IDENTICAL:
            return IDENTICAL
        if not self.side:
            return OPEN if self.side == 0 else NO_INTERVAL
        if self.better in ("higher", "lower"):
            return "worse" if self.worse else "better"
        return "higher" if self.side > 0 else "lower"


@dataclass(frozen=True)
class Lost:
    """What the first run has of a method and the second lacks.

    Args:
        place: as in ``Change``.
        method: likewise.
        what: ``5 of 5 cells``, or the metric that has no value there.
        reason: why the second run lacks it.
    """

    place: str
    method: str
    what: str
    reason: str


@dataclass(frozen=True)
class Unshared:
    """Cells of a method that ran in one run only: ``before`` of them in the first, ``after`` in the second."""

    place: str
    method: str
    before: int
    after: int


@dataclass(frozen=True)
class Compared:
    """Two runs compared.

    Args:
        names: of the two runs.
        cells: in each, how many ended in which way.
        told: what produced them, where they differ: versions, digests, code, suite.
        parameters: where, which method, which parameter, its value before and after.
        unshared: cells that only one has.
        lost: what the first has and the second lacks.
        gained: likewise the other way round.
        unfinished: methods of both runs of which neither has a finished cell, with the reasons.
        changes: of every value that both have.
        headings: short headings of the metrics by name.
    """

    names: tuple[str, str]
    cells: tuple[Mapping[str, int], Mapping[str, int]]
    told: tuple[Told, ...]
    parameters: tuple[tuple[str, str, str, str, str], ...]
    unshared: tuple[Unshared, ...]
    lost: tuple[Lost, ...]
    gained: tuple[Lost, ...]
    unfinished: tuple[Lost, ...]
    changes: tuple[Change, ...]
    headings: Mapping[str, str]

    @property
    def tested(self) -> int:
        """Return how many changes have a p, which Holm's correction is over."""
        return sum(change.adjusted is not None for change in self.changes)

    @property
    def same(self) -> bool:
        """Return whether every value is identical and neither run lacks anything that the other has."""
        return not (self.lost or self.gained or self.unshared) and all(c.how == IDENTICAL for c in self.changes)
