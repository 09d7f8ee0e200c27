"""Rates of two methods that decided about the same rows: intervals of their changes within one test part.

Rates of one group's same rows are correlated, rates of different rows are independent. Every interval here is a
square-and-add combination of Wilson's limits, which stays valid at rates of 0 and 1 and needs no draws. Randomised
decisions enter as expected counts of independent tosses. A toss varies more than its expectation, so their intervals
are wider than needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairbench.analysis.intervals import LEVEL
from fairbench.data.rows import Floats
from fairbench.data.score_limits import wilson


@dataclass(frozen=True)
class Term:
    """One rate in a sum of rates that are added or subtracted.

    Args:
        sign: 1 or -1.
        table: (2, 2) numbers of the same rows by the first and the second method's decision.
        second: whether it is the second method's rate, and not the first's.
    """

    sign: int
    table: Floats
    second: bool

    @property
    def rate(self) -> float:
        """Return the share of rows that the method selects."""
        selected = self.table[:, 1] if self.second else self.table[1]
        return float(selected.sum() / self.table.sum())


def change_limits(table: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the limits of the second method's rate minus the first's.

    Args:
        table: (2, 2) numbers of the same rows, at least one, by the first and the second method's decision.
        level: confidence level.

    References:
        Newcombe (1998), Improved confidence intervals for the difference between binomial proportions based on paired
        data, Statistics in Medicine 17, method 10.
    """
    low, high = sum_limits([Term(1, table, second=True), Term(-1, table, second=False)], level)
    return max(low, -1.0), min(high, 1.0)


def sum_limits(terms: Sequence[Term], level: float = LEVEL) -> tuple[float, float]:
    """Return the limits of a sum of rates, of which two are correlated if they share a table.

    Args:
        terms: each with at least one row; equal tables are the same object.
        level: confidence level.

    References:
        Zou and Donner (2008), Construction of confidence limits about effect measures, Statistics in Medicine 27.
    """
    total = sum(term.sign * term.rate for term in terms)
    down, up = zip(*(_reach(term, level) for term in terms))
    return total - _length(terms, down), total + _length(terms, up)


def _reach(term: Term, level: float) -> tuple[float, float]:
    """Return how far a term reaches below and above its value."""
    rate, rows = term.rate, term.table.sum()
    low, high = map(float, wilson(np.array(rate * rows), rows, level))
    return (rate - low, high - rate) if term.sign > 0 else (high - rate, rate - low)


def _length(terms: Sequence[Term], reach: Sequence[float]) -> float:
    squared = sum(distance**2 for distance in reach)
    for place, one in enumerate(terms):
        for other, term in enumerate(terms[:place]):
            if one.table is term.table and one.second != term.second:
                squared += 2 * one.sign * term.sign * _correlation(one.table) * reach[place] * reach[other]
    return math.sqrt(max(squared, 0.0))


def _correlation(table: Floats) -> float:
    """Return the correlation of two methods' decisions about the same rows, a positive one corrected for continuity."""
    margins = math.prod([*table.sum(axis=0).tolist(), *table.sum(axis=1).tolist()])
    if margins <= 0:
        return 0.0
    excess = float(table[0, 0] * table[1, 1] - table[0, 1] * table[1, 0])
    return (max(excess - float(table.sum()) / 2, 0.0) if excess > 0 else excess) / math.sqrt(margins)
