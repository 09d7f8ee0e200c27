"""The coin for ratios between groups: the accuracy that is to be had for nothing at every ratio.

Ratios are not linear in the share of a mixture. Mixing a baseline with the constant 0 leaves the ratio of a rate as it
is, whatever the share; mixing with 1 raises it. So the line is that of the best mixture with 1, or the accuracy of a
constant where that is higher. There is no attainable line and no common threshold for ratios.

A ratio of noisy rates is biased downwards, the more so the rarer a group is selected. Heights above the line are
therefore taken at the ratio of a method's mean rates over the repeats, as the line is drawn through the baseline's: so
a mixture of the two predictions lies exactly on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Optional

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, StoredRows
from fairbench.analysis.intervals import LEVEL, half_width
from fairbench.analysis.lines import BEND, AboveLine, best_constant
from fairbench.analysis.values import series
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
    means, n = values.mean(axis=1)[:, None], values.shape[1]
    value = float(function(means)[0])
    if n < 2 or ratio is None:
        return AboveLine(value, None, None, n)
    steps = np.eye(len(means)) * 1e-6
    gradient = (function(means + steps) - function(means - steps)) / 2e-6
    width = half_width(float((gradient @ values).std(ddof=1)), n, ratio, level)
    return AboveLine(value, value - width, value + width, n)


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
    exact = {place: linearised(over(place), values, None).value for place in (None, *rated)}
    active = max(exact, key=lambda place: exact[place])
    value = exact[active]
    if n > 1 and ratio is not None:
        near = [place for place in rated if linearised(bend(place), values, ratio, BEND).side == 0]
        sides = dict.fromkeys([active, *near, *([None] if near else [])])  # None is the flat one
        strict = 1 - (1 - level) / len(sides)
        low = max(linearised(over(place), values, ratio, strict).low or -1.0 for place in sides)
        high = max(linearised(over(place), values, ratio, level).high or -1.0 for place in sides)
        mixture = AboveLine(value, min(low, value), max(high, value), n)
    else:
        mixture = AboveLine(value, None, None, n)
    if mixture.low is None or constant.low is None:
        return min(mixture, constant, key=lambda one: one.value)
    lower = min(mixture, constant, key=lambda one: one.value)  # the line is the higher of the two
    return AboveLine(lower.value, min(mixture.low, constant.low), lower.high, n)


def mean_rates(rows: StoredRows, records: Iterable[Record]) -> dict[int, dict[str, Floats]]:
    """Return by repeat each rate by name (G,), the mean over the ``records`` of the repeat, from stored ``rows``."""
    found: dict[int, list[dict[str, Floats]]] = {}
    for record in records:
        counts = rows.counts(record)
        if counts is not None:
            rates = {rate: counts.rates(rate) for rate in (SELECTION, TRUE_POSITIVE, FALSE_POSITIVE)}
            found.setdefault(record.cell.repeat, []).append(rates)
    return {
        repeat: several[0]
        if len(several) == 1
        else {rate: np.mean([one[rate] for one in several], axis=0) for rate in several[0]}
        for repeat, several in found.items()
    }


@dataclass(frozen=True, eq=False)
class RatioLines:
    """The coin of a section for ratios; its baseline and constants are those of the section's ``lines``."""

    lines: SectionLines
    _of_method: dict[tuple[str, ...], dict[int, dict[str, Floats]]] = field(default_factory=dict, init=False)

    def _rates_of(self, records: Sequence[Record]) -> dict[int, dict[str, Floats]]:
        """Return ``mean_rates`` of a method, whose ratios are asked for one after the other."""
        keys = tuple(record.cell.key for record in records)
        if keys not in self._of_method:
            self._of_method.clear()
            self._of_method[keys] = mean_rates(self.lines.rows, records)
        return self._of_method[keys]

    @cached_property
    def _rates(self) -> dict[int, dict[str, Floats]]:
        return mean_rates(self.lines.rows, self.lines.baseline.records)

    @cached_property
    def _accuracy(self) -> dict[int, float]:
        return dict(series(self.lines.baseline.records, "accuracy"))

    def shared(self, metric: str) -> list[int]:
        """Return the repeats in which the baseline has an accuracy, and all groups the rates of the ``metric``."""
        whole = {
            repeat
            for repeat, rates in self._rates.items()
            if all(np.isfinite(rates[rate]).all() for rate in RATIOS[metric])
        }
        return sorted(whole & self._accuracy.keys() & self.lines.ones.keys())

    def _baseline(self, metric: str, repeats: Sequence[int]) -> Decided:
        return _decided(metric, self._rates, self._accuracy, repeats)

    def at(self, metric: str, ratio: float) -> Optional[float]:
        """Return the coin's accuracy at a ``ratio`` in a ``metric`` of ``RATIOS``; None if no repeat has a baseline."""
        repeats = self.shared(metric)
        if not repeats:
            return None
        baseline = self._baseline(metric, repeats)
        ones = float(np.mean([self.lines.ones[repeat] for repeat in repeats]))
        return ratio_coin(ratio, float(baseline.accuracy.mean()), list(baseline.rates.mean(axis=2)), ones)

    def verdict(self, records: Sequence[Record], metric: str) -> Verdict:
        """Return what may be said of a method at its own ratio; without a room, as there is no attainable line.

        Args:
            records: its finished repeats in the section.
            metric: one of ``RATIOS``.
        """
        lines = self.lines
        if not lines.baseline.records:
            return Verdict(metric, reason=f"there is no baseline: {lines.baseline.why}")
        accuracy, rates = dict(series(records, "accuracy")), self._rates_of(records)
        own = series(records, metric).keys() & accuracy.keys() & rates.keys()
        if not own:
            return Verdict(metric, reason="no repeat has this ratio, an accuracy and stored predictions")
        repeats = sorted(own & {*self.shared(metric)})
        if not repeats:
            return Verdict(metric, reason=f"no repeat is finished and defined for both it and {lines.baseline.name}")
        method, baseline = _decided(metric, rates, accuracy, repeats), self._baseline(metric, repeats)
        ones = np.array([lines.ones[repeat] for repeat in repeats])
        above = above_ratio_coin(method, baseline, ones, lines.correction.ratio)
        notes = lines.notes(float(method.accuracy.mean()), float(baseline.accuracy.mean()), records, repeats)
        return Verdict(metric, method.ratio, above, notes=tuple(notes), flat=NO_BETTER in notes)


def _decided(
    metric: str, rates: dict[int, dict[str, Floats]], accuracy: dict[int, float], repeats: Sequence[int]
) -> Decided:
    compared = np.array([[rates[repeat][rate] for repeat in repeats] for rate in RATIOS[metric]])  # (R, J, G)
    return Decided(np.array([accuracy[repeat] for repeat in repeats]), compared.transpose(0, 2, 1))
