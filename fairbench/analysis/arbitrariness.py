"""Arbitrariness: whether a person would be decided about alike if the method were fitted on other rows.

The test parts of repeats share rows, so a person is decided about by several fits of one method. Self-consistency is
the chance that two of these agree: 1 if all do, and 1/2 for a coin. Two methods of equal accuracy and equal gaps can
differ widely in it, and so can the groups under one method.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from fairbench.analysis.counts import StoredRows
from fairbench.data.rows import Floats, Integers
from fairbench.records import Record

FEW_PEOPLE = 30
"""How many people of a group a mean over them should have at least; with fewer, it hangs on each of them."""

NOT_STORED = "there are no stored predictions to read"
NO_ROWS = (
    "who is in two test parts is not known: they are not rows of the dataset, or an older fairbench did not keep which"
)
NOBODY = "nobody is decided about twice: the test parts of {} share no row"
ONE_RUN = "nobody is decided about twice in one repeat"


@dataclass(frozen=True)
class Consistency:
    """How a method decides about the people of a group whom it decides about at least twice.

    Args:
        group: its name; empty for everybody.
        people: how many they are.
        predictions: how many decisions there are about each of them on average; 0 without people.
        value: mean self-consistency, in [0, 1]; None without people.
        chance: what a predictor that selects as many of them, but regardless of who they are, would have.
    """

    group: str
    people: int
    predictions: float
    value: Optional[float]
    chance: Optional[float]


@dataclass(frozen=True)
class Arbitrariness:
    """A method's self-consistency.

    Args:
        overall: of everybody; None if there is none.
        groups: of each group; empty if there is none.
        reason: why there is none.
    """

    overall: Optional[Consistency]
    groups: tuple[Consistency, ...] = ()
    reason: str = ""


def self_consistency(row: Integers, chance: Floats) -> tuple[Integers, Integers, Floats]:
    """Return which rows are decided about at least twice (n,), how often (n,), and their self-consistency (n,).

    Of B decisions about a row, B0 against and B1 for it, it is the share of pairs that agree:
    1 - 2 B0 B1 / (B (B - 1)).
    Randomised decisions are taken in expectation, as if tossed independently.

    Args:
        row: (m,) which row of the dataset each of m decisions is about.
        chance: (m,) with which chance it selects the row; 0 or 1 if it is not randomised.

    References:
        Cooper et al. (2024), Arbitrariness and social prediction, AAAI, definition 3.
    """
    rows, place = np.unique(row, return_inverse=True)
    times = np.bincount(place, minlength=len(rows))
    selected, squared = np.bincount(place, chance, len(rows)), np.bincount(place, chance**2, len(rows))
    refused, squared_refused = times - selected, np.bincount(place, (1 - chance) ** 2, len(rows))
    twice = times > 1
    agreeing = selected**2 - squared + refused**2 - squared_refused  # ordered pairs
    value = agreeing[twice] / (times[twice] * (times[twice] - 1))
    return rows[twice], times[twice], value


def arbitrariness(stored: StoredRows, records: Iterable[Record]) -> Arbitrariness:
    """Return the self-consistency of one method, by its chosen operating points.

    Args:
        stored: the run's stored predictions.
        records: the finished records of the method in one section.

    Raises:
        StoreError: the store is damaged.
    """
    found = [stored.predictions(record) for record in records]
    known = [pair for pair in found if pair is not None]
    if not known:
        return Arbitrariness(None, reason=NOT_STORED)
    rows = [truth.rows for truth, _ in known if truth.rows is not None]
    if len(rows) < len(known):
        return Arbitrariness(None, reason=NO_ROWS)
    row, chance = np.concatenate(rows), np.concatenate([made.decision for _, made in known])
    group = np.concatenate([truth.group for truth, _ in known])
    people, times, value = self_consistency(row, chance)
    if not len(people):
        return Arbitrariness(None, reason=NOBODY.format(f"{len(known)} repeats") if len(known) > 1 else ONE_RUN)
    code = group[np.unique(row, return_index=True)[1]][np.isin(np.unique(row), people)]
    seen = np.isin(row, people)

    def of(name: str, who: NDArray[np.bool_], decided: NDArray[np.bool_]) -> Consistency:
        if not who.any():
            return Consistency(name, 0, 0.0, None, None)
        rate = float(chance[decided].mean())
        return Consistency(
            name, int(who.sum()), float(times[who].mean()), float(value[who].mean()), rate**2 + (1 - rate) ** 2
        )

    groups = [of(name, code == at, seen & (group == at)) for at, name in enumerate(known[0][0].group_names)]
    return Arbitrariness(of("", np.ones(len(people), bool), seen), tuple(groups))
