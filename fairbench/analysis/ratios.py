"""The coin for ratios between groups: the accuracy that is to be had for nothing at every ratio.

Ratios are not linear in the share of a mixture. Mixing a baseline with the constant 0 leaves the ratio of a rate as it
is, whatever the share; mixing with 1 raises it. So the line is that of the best mixture with 1, or the accuracy of a
constant where that is higher. There is no attainable line and no common threshold for ratios.

A ratio of noisy rates is biased downwards, the more so the rarer a group is selected. Heights above the line are
therefore taken at the ratio of a method's mean rates over the repeats, as the line is drawn through the baseline's: so
a mixture of the two predictions lies exactly on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

import numpy as np

from fairbench.analysis.columns import Columns, series
from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, StoredRows
from fairbench.analysis.intervals import LEVEL, half_width
from fairbench.analysis.lines import BEND, AboveLine, best_constant
from fairbench.analysis.spread import moments
from fairbench.analysis.stacked import Stack
from fairbench.analysis.verdicts import NO_BETTER, SectionLines, Verdict
from fairbench.data.rows import Floats
from fairbench.records import Record

RATIOS = {
    "demographic_parity_ratio": (SELECTION,),
    "equalized_odds_ratio": (TRUE_POSITIVE, FALSE_POSITIVE),
}
"""Which rates each metric that is a ratio compares; it is the smallest of the ratios of any of them."""

Function = Callable[[Floats], Floats]


def ratio_coin(ratio: float, baseline_accuracy: float, rates: Sequence[Floats], ones: float) -> float:
    """Return the accuracy of the best mixture of baseline and constants whose ratio between groups is ``ratio``.

    The line is the better of a mixture with the constant 1 and a constant: a random prediction of a tiny rate has ratio
    1 and nearly the accuracy of 0.

    Args:
        ratio: at most 1, smallest over largest rate; with several rates the worst of their ratios.
        baseline_accuracy: a fraction.
        rates: of the baseline, each (G,): selection rates, or true and false positive rates.
        ones: share of the label 1, which is the accuracy of the constant 1.
    """
    mixed = [float(_mixed(ratio, baseline_accuracy, rate, ones)) for rate in rates]
    return max(min([baseline_accuracy, *mixed]) if ones < baseline_accuracy else 0.0, ones, 1 - ones)


def _mixed(ratio: Floats | float, accuracy: Floats | float, rate: Floats, ones: Floats | float) -> Floats:
    """Return the accuracy of the mixture with 1 whose ratio of one rate (G, ...) is ``ratio``.

    Below the baseline's own ratio it is prolonged: more of the baseline than there is, and less than nothing of the 1.
    """
    needed, share = ratio * rate.max(axis=0) - rate.min(axis=0), 1 - np.asarray(ratio)  # κ (1 - ratio), 1 - ratio
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (share * accuracy + needed * ones) / (share + needed)
    return np.where(share + needed > 0, found, accuracy)  # the baseline has ratio 1 itself


def linearised(function: Function, values: Floats, ratio: Optional[float], level: float = LEVEL) -> AboveLine:
    """Return a smooth function of means with its interval, the corrected t of its linearisation.

    Args:
        function: from means (K, P) of the quantities at P points to its values (P,).
        values: by quantity and repeat (K, J).
        ratio: the splits' ratio; None if no interval is valid.
        level: confidence level of the interval.
    """
    value, sd = _spread(function, values)
    if sd is None or ratio is None:
        return AboveLine(value, None, None, values.shape[1])
    width = half_width(sd, values.shape[1], ratio, level)
    return AboveLine(value, value - width, value + width, values.shape[1])


def _spread(function: Function, values: Floats) -> tuple[float, Optional[float]]:
    """Return a function of means, and the standard deviation of its linearisation; None for a single repeat."""
    means, k = values.mean(axis=1)[:, None], len(values)
    if values.shape[1] < 2:
        return float(function(means)[0]), None
    steps = np.eye(k) * 1e-6
    found = function(np.concatenate([means, means + steps, means - steps], axis=1))
    gradient = (found[1 : k + 1] - found[k + 1 :]) / 2e-6
    return float(found[0]), moments(gradient @ values)[1]


@dataclass(frozen=True, eq=False)
class Decided:
    """What a method decides over J repeats: ``accuracy`` (J,), and R ``rates`` of G groups (R, G, J)."""

    accuracy: Floats
    rates: Floats

    @property
    def ratio(self) -> float:
        """Return the worst ratio of the mean rates."""
        return float(_worst(self.rates.mean(axis=2)[:, :, None])[0])


def _worst(rates: Floats) -> Floats:
    """Return the smallest over the largest rate of a group (R, G, P), of R rates the worst (P,)."""
    return np.asarray((rates.min(axis=1) / rates.max(axis=1)).min(axis=0))


def above_ratio_coin(
    method: Decided, baseline: Decided, ones: Floats, ratio: Optional[float], level: float = LEVEL
) -> AboveLine:
    """Return how far a ``method`` lies above the coin of a ``baseline``, over the same J repeats.

    As on the coin of a difference, there is a bend at the baseline's own ratio of each rate. If the method's ratio is
    not told apart from it, both sides of the bend count: the lower end of the interval is the largest of theirs at the
    level that Bonferroni asks for, the upper end the largest.

    Args:
        method: whose ratio is defined.
        baseline: its rates are the same.
        ones: share of the label 1 (J,), which is the accuracy of the constant 1.
        ratio: the splits' ratio, see ``intervals.overlap_correction``; None if no interval is valid.
        level: confidence level of the interval.
    """
    size, shape, n = method.rates[:, :, 0].size, method.rates.shape[:2], len(ones)
    values = np.concatenate(
        [
            np.stack([method.accuracy, baseline.accuracy, ones, best_constant(ones.tolist())]),
            method.rates.reshape(size, n),
            baseline.rates.reshape(size, n),
        ]
    )

    def own(means: Floats) -> Floats:
        return _worst(means[4 : 4 + size].reshape(*shape, -1))

    def base(means: Floats, place: int) -> Floats:
        return np.asarray(means[4 + size :].reshape(*shape, -1)[place])

    def over(place: Optional[int]) -> Function:
        """Return the height above the mixture that one rate asks for; above the baseline itself for None."""
        if place is None:
            return lambda means: means[0] - means[1]
        return lambda means: means[0] - _mixed(own(means), means[1], base(means, place), means[2])

    def bend(place: int) -> Function:
        return lambda means: own(means) - _worst(base(means, place)[None])

    constant = linearised(lambda means: means[0] - means[3], values, ratio, level)
    if values[2].mean() >= values[1].mean():  # what the constant 1 adds makes the baseline better: 1 alone is best
        return constant
    rated = [place for place in range(shape[0]) if baseline.rates[place].any()]
    known = {place: _spread(over(place), values) for place in (None, *rated)}
    active = max(known, key=lambda place: known[place][0])
    value = known[active][0]
    if n > 1 and ratio is not None:
        near = [place for place in rated if linearised(bend(place), values, ratio, BEND).side == 0]
        sides = dict.fromkeys([active, *near, *([None] if near else [])])  # None is the flat one
        strict = 1 - (1 - level) / len(sides)
        ends = [(mean, sd) for mean, sd in map(known.__getitem__, sides) if sd is not None]
        low = max(mean - half_width(sd, n, ratio, strict) or -1.0 for mean, sd in ends)
        high = max(mean + half_width(sd, n, ratio, level) or -1.0 for mean, sd in ends)
        mixture = AboveLine(value, min(low, value), max(high, value), n)
    else:
        mixture = AboveLine(value, None, None, n)
    if mixture.low is None or constant.low is None:
        return min(mixture, constant, key=lambda one: one.value)
    lower = min(mixture, constant, key=lambda one: one.value)  # the line is the higher of the two
    return AboveLine(lower.value, min(mixture.low, constant.low), lower.high, n)


@dataclass(frozen=True, eq=False)
class MeanRates:
    """The rates of a method over its repeats.

    Args:
        places: by repeat its place among J.
        rates: by name, by repeat and group (J, G); a mean where a repeat has several records.
    """

    places: Mapping[int, int]
    rates: Mapping[str, Floats]

    def at(self, names: Sequence[str], repeats: Sequence[int]) -> Floats:
        """Return some of the rates, in some repeats: (R, J, G)."""
        places = [self.places[repeat] for repeat in repeats]
        return np.stack([self.rates[name][places] for name in names])


def mean_rates(rows: StoredRows, records: Sequence[Record], stack: Optional[Stack] = None) -> MeanRates:
    """Return the rates of a method.

    Args:
        rows: the run's stored predictions.
        records: of the method.
        stack: the counts of all records, if they are the plain case and somebody has them.
    """
    names, repeats = (SELECTION, TRUE_POSITIVE, FALSE_POSITIVE), [record.cell.repeat for record in records]
    if stack is None:
        found = [(repeat, rows.counts(record)) for repeat, record in zip(repeats, records)]
        counted = [(repeat, counts) for repeat, counts in found if counts is not None]
        if not counted:
            return MeanRates({}, {})
        repeats = [repeat for repeat, _ in counted]
        rates = {name: np.stack([counts.rates(name) for _, counts in counted]) for name in names}
    else:
        rates = {name: stack.rates(name) for name in names}
    together: dict[int, list[int]] = {}
    for place, repeat in enumerate(repeats):
        together.setdefault(repeat, []).append(place)
    places = {repeat: place for place, repeat in enumerate(together)}
    if len(together) < len(repeats):
        rates = {
            name: np.stack([of[several].mean(axis=0) for several in together.values()]) for name, of in rates.items()
        }
    return MeanRates(places, rates)


@dataclass(frozen=True, eq=False)
class RatioLines:
    """The coin of a section for ratios; its baseline and constants are those of the section's ``lines``."""

    lines: SectionLines
    _shared: dict[str, list[int]] = field(default_factory=dict, init=False)  # by metric
    _decided: dict[tuple[Any, ...], Decided] = field(
        default_factory=dict, init=False
    )  # the baseline, by metric, repeats

    @cached_property
    def _rates(self) -> MeanRates:
        return mean_rates(self.lines.rows, self.lines.baseline.records)

    @cached_property
    def _accuracy(self) -> dict[int, float]:
        return series(self.lines.baseline.records, "accuracy")

    def shared(self, metric: str) -> list[int]:
        """Return the repeats in which the baseline has an accuracy, and all groups the rates of the ``metric``."""
        if metric not in self._shared:
            known = sorted(self._rates.places.keys() & self._accuracy.keys() & self.lines.ones.keys())
            lacking = np.isnan(self._rates.at(RATIOS[metric], known)).sum(axis=(0, 2)).tolist() if known else []
            self._shared[metric] = [repeat for repeat, groups in zip(known, lacking) if not groups]
        return self._shared[metric]

    def _baseline(self, metric: str, repeats: Sequence[int]) -> Decided:
        key = (metric, *repeats)
        if key not in self._decided:
            self._decided[key] = _decided(metric, self._rates, self._accuracy, repeats)
        return self._decided[key]

    def at(self, metric: str, ratio: float) -> Optional[float]:
        """Return the coin's accuracy at a ``ratio`` in a ``metric`` of ``RATIOS``; None if no repeat has a baseline."""
        repeats = self.shared(metric)
        if not repeats:
            return None
        baseline = self._baseline(metric, repeats)
        ones = float(np.mean([self.lines.ones[repeat] for repeat in repeats]))
        return ratio_coin(ratio, float(baseline.accuracy.mean()), list(baseline.rates.mean(axis=2)), ones)

    def verdict(self, records: Sequence[Record], metric: str, rates: Optional[MeanRates] = None) -> Verdict:
        """Return what may be said of a method at its own ratio; without a room, as there is no attainable line.

        Args:
            records: its finished repeats in the section.
            metric: one of ``RATIOS``.
            rates: its ``mean_rates``, if somebody has them.
        """
        lines = self.lines
        if not lines.baseline.records:
            return Verdict(metric, reason=f"there is no baseline: {lines.baseline.why}")
        columns, rates = Columns.of(records), mean_rates(lines.rows, records) if rates is None else rates
        accuracy = columns.series("accuracy")
        own = columns.series(metric).keys() & accuracy.keys() & rates.places.keys()
        if not own:
            return Verdict(metric, reason="no repeat has this ratio, an accuracy and stored predictions")
        repeats = sorted(own & {*self.shared(metric)})
        if not repeats:
            return Verdict(metric, reason=f"no repeat is finished and defined for both it and {lines.baseline.name}")
        method, baseline = _decided(metric, rates, accuracy, repeats), self._baseline(metric, repeats)
        ones = np.array([lines.ones[repeat] for repeat in repeats])
        above = above_ratio_coin(method, baseline, ones, lines.correction.ratio)
        notes = lines.notes(float(method.accuracy.mean()), float(baseline.accuracy.mean()), columns, repeats)
        return Verdict(metric, method.ratio, above, notes=tuple(notes), flat=NO_BETTER in notes)


def _decided(metric: str, rates: MeanRates, accuracy: Mapping[int, float], repeats: Sequence[int]) -> Decided:
    compared = rates.at(RATIOS[metric], repeats)  # (R, J, G)
    return Decided(np.array([accuracy[repeat] for repeat in repeats]), compared.transpose(0, 2, 1))
