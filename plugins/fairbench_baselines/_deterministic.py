"""The most accurate threshold for each group under a tolerance for one rate or two: nothing is left to chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairbench_baselines._hulls import Counts, Curve, Floats, Weights

SLACK = 1e-12  # by which rounding can move a rate out of a window

Positions = NDArray[np.intp]


def best_weights(curves: Sequence[Curve], kinds: Sequence[str], tolerance: float) -> Optional[Weights]:
    """Return the weights, 0 and 1, of the thresholds that decide most rows rightly while rates differ by no more.

    The lowest rate of a kind is one that some group has, so each is tried. Rates rise along a curve; hence those
    within a window are neighbours, and the best of them is read off a table of maxima.

    Args:
        curves: for each group the thresholds to choose from.
        kinds: one kind of rate, or two, see ``Curve.counts``.
        tolerance: the largest difference allowed, in [0, 1].

    Returns:
        For each group a weight (K,) of 1 on one threshold; None if the tolerance is below the step that one row makes
        in a rate, as rates of groups of different sizes are then hardly ever alike, but for those of constants.
    """
    if tolerance < max(1 / curve.counts(kind)[-1] for curve in curves for kind in kinds):
        return None
    tables = [_Maxima(curve.gain) for curve in curves]
    *first, (starts, stops) = [_windows([curve.rate(kind) for curve in curves], tolerance) for kind in kinds]
    ends = np.array([[len(curve.threshold)] for curve in curves])
    outer_starts, outer_stops = first[0] if first else (np.zeros_like(ends), ends)
    best, chosen = -1.0, [0] * len(curves)
    for outer_start, outer_stop in zip(outer_starts.T, outer_stops.T):
        start, stop = np.maximum(starts, outer_start[:, None]), np.minimum(stops, outer_stop[:, None])
        possible = np.flatnonzero((start < stop).all(axis=0))
        if not len(possible):
            continue
        places = [table.places(*ends) for table, *ends in zip(tables, start[:, possible], stop[:, possible])]
        total = np.sum([curve.gain[place] for curve, place in zip(curves, places)], axis=0)
        if total.max() > best:
            best, chosen = total.max(), [int(place[total.argmax()]) for place in places]
    return [np.eye(1, len(curve.threshold), place)[0] for curve, place in zip(curves, chosen)]


def thinned(curve: Curve, most: int) -> Curve:
    """Return the curve through at most ``most`` of its thresholds, at even steps, the ends included."""
    return curve.only(np.unique(np.linspace(0, len(curve.threshold) - 1, most).round().astype(int)))


def _windows(rates: Sequence[Floats], tolerance: float) -> tuple[Positions, Positions]:
    """Return for each group, for each lowest rate, where its rates in the window start and stop, each (G, L)."""
    low = np.unique(np.concatenate(rates))
    return (
        np.array([np.searchsorted(rate, low - SLACK, side="left") for rate in rates]),
        np.array([np.searchsorted(rate, low + tolerance + SLACK, side="right") for rate in rates]),
    )


class _Maxima:
    """Positions of the maxima of all stretches of an array (K,) whose length is a power of 2."""

    def __init__(self, values: Counts) -> None:
        self.values = values
        self.table = [np.arange(len(values))]
        while 2 ** len(self.table) <= len(values):
            half, before = 2 ** (len(self.table) - 1), self.table[-1]
            self.table.append(self._better(before[:-half], before[half:]))

    def places(self, start: Positions, stop: Positions) -> Positions:
        """Return the positions of the maxima from each start (L,) up to each stop (L,), which is above it."""
        level = np.frexp(stop - start)[1] - 1  # of the longest stretch that fits
        found = np.empty_like(start)
        for number in np.unique(level):
            own = level == number
            table = self.table[number]
            found[own] = self._better(table[start[own]], table[stop[own] - 2**number])
        return found

    def _better(self, one: Any, other: Any) -> Positions:
        better: Positions = np.where(self.values[other] > self.values[one], other, one)
        return better
