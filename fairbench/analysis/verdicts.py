"""What may be said of a method in one section: points above the coin, skill, and a verdict, each from its interval.

The lines are made of stored rows alone: the coin of the baseline's, the common threshold of the baseline's scores, the
attainable line of the operating points of the method ``attainable``. Every comparison is over the repeats that all of
its parts have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional, TypeVar

import numpy as np

from fairbench.analysis.baselines import Baseline, baseline_of
from fairbench.analysis.columns import Columns
from fairbench.analysis.counts import StoredRows
from fairbench.analysis.filtered import unfiltered
from fairbench.analysis.gaps import GAPS, gap
from fairbench.analysis.intervals import NO_INTERVAL, Correction, half_width, overlap_correction
from fairbench.analysis.lines import ABOVE, BELOW, OPEN, ROUNDING, AboveLine, Line, Vertex, best_constant, coin
from fairbench.analysis.resampling import draw_jointly, percentiles
from fairbench.analysis.spread import moments
from fairbench.analysis.thresholds import Sweep, Sweeps
from fairbench.analysis.values import Measured, alike_count, finished, on_the_same_splits
from fairbench.data.rows import Floats
from fairbench.records import Record, Results
from fairbench.running.references import COMPARING, HOLDOUT
from fairbench.texts import counted

T = TypeVar("T")
ATTAINABLE = "attainable"
SHORT = {
    "demographic_parity_difference": "dp",
    "equalized_odds_difference": "eo",
    "equal_opportunity_difference": "eopp",
}
"""How the operating points of ``attainable`` call the gap that they bound: ``dp<=0.05``."""

ABOVE_COIN = "above the coin, not above a stricter common threshold"
ABOVE_BOTH = "above the coin and a stricter common threshold"
NO_ROOM = "no room: the lines are not told apart at this gap"
"""Why points are no share of the room: ``Verdict.no_skill`` where the attainable line is not told from the coin."""
WIDER = "wider gap than the baseline"
"""One of ``Verdict.notes``: at such a gap, points above the coin are accuracy and no fairness."""
WORSE = "below always predicting"
"""Another, which goes on with the label that is always predicted."""
NO_ATTAINABLE = "no attainable line"
NO_BETTER = "the baseline is no better than a constant"
REPEATS, ROWS = "repeats", "rows"


@dataclass(frozen=True)
class Verdict:
    """What may be said of a method at one kind of gap, or of ratio.

    Args:
        metric: the gap, one of ``gaps.GAPS``, or the ratio, one of ``ratios.RATIOS``.
        value: mean gap of the method over the repeats that count; or the ratio of its mean rates.
        above: points above the coin, V, as a fraction; None with the ``reason``.
        room: height of the attainable line above the coin at the method's gap; None without an attainable line.
        common: height above the common threshold; None without the baseline's scores.
        notes: what else must be known, e.g. a wider gap than the baseline's.
        reason: why there is no verdict.
        basis: ``repeats``, or ``rows`` for a single repeat: then the interval is over the rows of its test part.
        flat: whether the coin is flat, because the baseline is no better than a constant.
    """

    metric: str
    value: Optional[float] = None
    above: Optional[AboveLine] = None
    room: Optional[AboveLine] = None
    common: Optional[AboveLine] = None
    notes: tuple[str, ...] = ()
    reason: str = ""
    basis: str = REPEATS
    flat: bool = False

    @property
    def reading(self) -> str:
        """Return the verdict in words."""
        if self.above is None:
            return f"no verdict: {self.reason}"
        if self.above.side is None:
            return NO_INTERVAL
        if self.above.side != 1 or self.common is None or self.common.side is None:
            return (OPEN, ABOVE, BELOW)[self.above.side]
        return ABOVE_BOTH if self.common.side == 1 else ABOVE_COIN

    @property
    def no_skill(self) -> str:
        """Return why V is not shown as a share of the room; empty if it is."""
        if self.above is None:
            return self.reason
        if self.flat:
            return NO_BETTER
        if self.room is None:
            return NO_ATTAINABLE
        if self.room.low is None:
            return NO_INTERVAL
        return "" if self.room.low > ROUNDING else NO_ROOM

    @property
    def skill(self) -> Optional[float]:
        """Return V as a share of the room; None if it cannot be one, see ``no_skill``."""
        if self.above is None or self.room is None or self.no_skill:
            return None
        return self.above.value / self.room.value


@dataclass(frozen=True, eq=False)
class SectionLines:
    """The reference lines of one section: one dataset, attribute, preparation and scenario.

    Args:
        baseline: the method that the coin mixes with a constant.
        ones: share of the label 1 in the test part of each repeat.
        correction: for intervals over the repeats.
        records: all finished records of the split, those of the reference methods included.
        rows: the run's stored predictions.
    """

    baseline: Baseline
    ones: Mapping[int, float]
    correction: Correction
    records: Sequence[Record]
    rows: StoredRows
    _drawn: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False)  # lines, by kind, metric and repeats

    @classmethod
    def of(cls, records: Sequence[Record], results: Results, rows: StoredRows) -> SectionLines:
        """Return the lines of a section from its ``records``, the run's ``results`` and its stored ``rows``.

        If the section has no attainable method or no baseline of its own, those of another scenario on the same splits
        are taken: a suite that tunes its methods has its reference methods in ``holdout``. Scenarios of other kinds
        have test parts of their own, and take nothing.
        """
        records, results = unfiltered(records, results), results.whole or results
        first, own = records[0].cell, finished(records)
        shares = first.scenario.name in COMPARING
        same = on_the_same_splits(results, first) if shares else []
        names = {record.cell.method.name for record in own}
        others = [
            record for record in same if record.cell.scenario.name == HOLDOUT and record.cell.method.name not in names
        ]
        every = [*own, *others]
        baseline = baseline_of(every, results)
        return cls(baseline, _ones(every, rows), overlap_correction(every), every, rows)

    @cached_property
    def _attainable(self) -> Columns:
        return Columns(self.attainable)

    @cached_property
    def attainable(self) -> Sequence[Record]:
        """Return the finished repeats of the method ``attainable``."""
        return [record for record in self.records if record.cell.method.name == ATTAINABLE]

    def points(self, metric: str) -> dict[str, tuple[Mapping[int, float], Mapping[int, float]]]:
        """Return gap and accuracy by repeat of the points of ``attainable`` for a ``metric``, and of its model."""
        columns = self._attainable
        names = dict.fromkeys(name for record in self.attainable for name in Measured(record).points)
        wanted = re.compile(rf"{SHORT.get(metric, '-')}\W.*|unconstrained")
        return {
            name: (columns.series(metric, point=name), columns.series("accuracy", point=name))
            for name in names
            if wanted.fullmatch(name)
        }

    def coin(self, metric: str, repeats: Sequence[int]) -> Line:
        """Return the trivial line of a ``metric`` over ``repeats`` that baseline and constant have."""
        return self._once("coin", metric, repeats, lambda: self._coin(metric, repeats))

    def _coin(self, metric: str, repeats: Sequence[int]) -> Line:
        return coin(self._baseline_vertex(metric, repeats), self.constant(repeats))

    def _once(self, kind: str, metric: str, repeats: Sequence[int], draw: Callable[[], T]) -> T:
        """Return a line that was drawn before, as methods with the same repeats share it, or draw it."""
        key = (kind, metric, *repeats)
        if key not in self._drawn:
            self._drawn[key] = draw()
        found: T = self._drawn[key]
        return found

    def constant(self, repeats: Sequence[int]) -> Floats:
        """Return the accuracy (J,) of the better constant prediction in these ``repeats``."""
        return self._once("constant", "", repeats, lambda: best_constant([self.ones[repeat] for repeat in repeats]))

    def reached(self, metric: str, repeats: Sequence[int]) -> Optional[Line]:
        """Return the attainable line of a ``metric`` over ``repeats``; None if ``attainable`` lacks one of them."""
        return self._once("attainable", metric, repeats, lambda: self._reached(metric, repeats))

    def _reached(self, metric: str, repeats: Sequence[int]) -> Optional[Line]:
        points = [
            _vertex(gaps, accuracy, repeats)
            for gaps, accuracy in self.points(metric).values()
            if {*repeats} <= gaps.keys() & accuracy.keys()
        ]
        if not points:
            return None
        return Line.through(self.constant(repeats), [*points, self._baseline_vertex(metric, repeats)])

    def common(self, metric: str, repeats: Sequence[int]) -> Optional[Line]:
        """Return a ``metric``'s line of a common threshold; None if the baseline lacks scores in one of ``repeats``."""
        return self._once("common", metric, repeats, lambda: self._common(metric, repeats))

    def _common(self, metric: str, repeats: Sequence[int]) -> Optional[Line]:
        chosen = [self._swept.get(repeat) for repeat in repeats]
        known = [found for found in chosen if found is not None]
        if len(known) < len(chosen):
            return None
        sweeps = self._once("sweeps", "", repeats, lambda: Sweeps.of(known))
        points = [*sweeps.vertices(metric), self._baseline_vertex(metric, repeats)]
        return Line.through(self.constant(repeats), points)

    @cached_property
    def _swept(self) -> dict[int, Sweep]:
        found = {}
        for record in self.baseline.records:
            stored = self.rows.predictions(record)
            if stored is not None and stored[1].y_score is not None:
                found[record.cell.repeat] = Sweep.of(*stored)
        return found

    @cached_property
    def _baseline(self) -> dict[str, Mapping[int, float]]:
        columns = Columns(self.baseline.records)
        return {metric: columns.series(metric) for metric in ("accuracy", *GAPS)}

    @cached_property
    def _baseline_alike(self) -> bool:
        return alike_count(self.baseline.records) == len(self.baseline.records)

    def _baseline_vertex(self, metric: str, repeats: Sequence[int]) -> Vertex:
        parts = self._baseline[metric], self._baseline["accuracy"]
        return self._once("baseline", metric, repeats, lambda: _vertex(*parts, repeats))

    def shared(self, metric: str) -> list[int]:
        """Return the repeats in which the baseline has this ``metric`` and an accuracy, and the constant is known."""
        return sorted(self._baseline[metric].keys() & self._baseline["accuracy"].keys() & self.ones.keys())

    def verdict(self, records: Sequence[Record], metric: str) -> Verdict:
        """Return what may be said of a method.

        Args:
            records: its finished repeats in this section.
            metric: one of ``gaps.GAPS``.
        """
        if not self.baseline.records:
            return Verdict(metric, reason=f"there is no baseline: {self.baseline.why}")
        columns = Columns.of(records)
        gaps, accuracy = columns.series(metric), columns.series("accuracy")
        own = gaps.keys() & accuracy.keys()
        repeats = sorted(own & {*self.shared(metric)})
        if not own:
            return Verdict(metric, reason=_no_repeat_has(gaps, accuracy))
        if not repeats:
            return Verdict(metric, reason=self._nothing_shared(metric))
        point = _vertex(gaps, accuracy, repeats)
        line, ratio = self.coin(metric, repeats), self.correction.ratio
        above, basis = line.above(point.gap, point.accuracy, ratio), REPEATS
        if len(repeats) == 1:
            above, basis = self._in_rows(records, metric, repeats[0], above)
        reached, common = self.reached(metric, repeats), self.common(metric, repeats)
        room = None if reached is None else _between(reached, line, point.gap, ratio)
        beside = None if common is None else common.above(point.gap, point.accuracy, ratio)
        baseline = self._baseline_vertex(metric, repeats).mean
        notes = self.notes(point.mean[1], baseline[1], columns, repeats)
        if point.mean[0] > baseline[0] + ROUNDING:
            notes.append(WIDER)
        elif (
            reached is not None and len(reached.vertices) > 1 and point.mean[0] < reached.vertices[1].mean[0] - ROUNDING
        ):
            notes.append(
                "narrower gap than was measured for the attainable line, which is a mixture with a constant there"
            )
        if reached is None and self.attainable:
            notes.append("no attainable line: 'attainable' lacks repeats in which these are compared")
        return Verdict(metric, point.mean[0], above, room, beside, tuple(notes), "", basis, NO_BETTER in notes)

    def _nothing_shared(self, metric: str) -> str:
        """Return why a method cannot be compared with the baseline in any repeat."""
        if not self.ones:
            return "the run has no stored predictions, which tell how accurate a constant is"
        if not self._baseline[metric].keys() & self._baseline["accuracy"].keys():
            return f"the baseline {self.baseline.label} has no repeat with both this gap and an accuracy"
        return f"no repeat is finished and defined for both it and {self.baseline.label}"

    def heights(self, records: Sequence[Record], metric: str) -> dict[int, float]:
        """Return a method's points above the coin by repeat, as a fraction, linearised: their mean is V.

        They can be compared between methods, repeat by repeat. Empty without a baseline, a gap or an accuracy.

        Args:
            records: its finished repeats in this section.
            metric: one of ``gaps.GAPS``.
        """
        columns = Columns.of(records)
        gaps, accuracy = columns.series(metric), columns.series("accuracy")
        repeats = sorted(gaps.keys() & accuracy.keys() & {*(self.shared(metric) if self.baseline.records else ())})
        if not repeats:
            return {}
        point = _vertex(gaps, accuracy, repeats)
        above = point.accuracy - self.coin(metric, repeats).linear(point.gap)
        return dict(zip(repeats, above.tolist()))

    def notes(self, accuracy: float, baseline: float, records: Sequence[Record], repeats: Sequence[int]) -> list[str]:
        """Return what must be known of a method, whatever gap or ratio it is compared at.

        Args:
            accuracy: of the method, mean over the repeats that count.
            baseline: the baseline's.
            records: the method's finished repeats.
            repeats: those that count.
        """
        constant, notes = float(self.constant(repeats).mean()), []
        if self._baseline_alike:
            notes.append("the baseline makes the same decision for everybody")
        if baseline <= constant + ROUNDING:
            notes.append(NO_BETTER)
        if accuracy < constant - ROUNDING:
            label = int(np.mean([self.ones[repeat] for repeat in repeats]) >= 0.5)
            notes.append(f"{WORSE} {label}")
        ran = len({*Columns.of(records).repeats})
        if len(repeats) < ran:
            both = f"in which {self.baseline.label} too has this gap and an accuracy"
            notes.append(f"compared in {len(repeats)} of {counted(ran, 'repeat')}: those {both}")
        return notes

    def _in_rows(self, records: Sequence[Record], metric: str, repeat: int, above: AboveLine) -> tuple[AboveLine, str]:
        """Return the points above the coin of a single repeat with the interval that the rows of its test part leave.

        Gaps of the drawn test parts are taken in the direction in which they are largest in the test part itself.
        """
        first = next((record for record in self.baseline.records if record.cell.repeat == repeat), None)
        second = next((record for record in records if record.cell.repeat == repeat), None)
        joint = None if first is None or second is None else self.rows.joint(first, second)
        counts = [None if record is None else self.rows.counts(record) for record in (first, second)]
        if joint is None or counts[0] is None or counts[1] is None:
            return above, REPEATS
        directions = [gap(found, metric).direction for found in counts if found is not None]
        if None in directions:
            return above, REPEATS
        drawn = draw_jointly(joint)
        gaps = [draws.difference(*direction) for draws, direction in zip(drawn, directions) if direction is not None]
        ones = drawn[0].rows[:, :, 1].sum(axis=1) / drawn[0].rows.sum(axis=(1, 2))
        constant = ones if self.ones[repeat] >= 0.5 else 1 - ones
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.clip(np.where(gaps[0] > 0, gaps[1] / gaps[0], 1.0), 0, 1)
        gain = np.maximum(drawn[0].accuracy - constant, 0)
        limits = percentiles(drawn[1].accuracy - constant - gain * share)
        if limits is None:
            return above, REPEATS
        return AboveLine(above.value, min(limits[0], above.value), max(limits[1], above.value), 1), ROWS


def _no_repeat_has(gaps: Mapping[int, float], accuracy: Mapping[int, float]) -> str:
    """Return why a method without a repeat that has gap and accuracy is not judged."""
    if gaps and accuracy:
        return "no repeat has both this gap and an accuracy"
    gap_over_all = "this gap over all groups"
    return f"no repeat has {'an accuracy' if gaps else gap_over_all if accuracy else gap_over_all + ' or an accuracy'}"


def _vertex(gaps: Mapping[int, float], accuracy: Mapping[int, float], repeats: Iterable[int]) -> Vertex:
    chosen = list(repeats)
    return Vertex(np.array([gaps[repeat] for repeat in chosen]), np.array([accuracy[repeat] for repeat in chosen]))


def _between(upper: Line, lower: Line, gaps: Floats, ratio: Optional[float]) -> AboveLine:
    """Return the height of one line over another at a method's gap; the vertices around the gap are held fixed."""
    linear, n = upper.linear(gaps) - lower.linear(gaps), len(gaps)
    if n < 2 or ratio is None:
        return AboveLine(float(linear.mean()), None, None, n)
    value, sd = moments(linear)
    width = half_width(sd, n, ratio)
    return AboveLine(value, value - width, value + width, n)


def _ones(records: Sequence[Record], rows: StoredRows) -> dict[int, float]:
    """Return the share of the label 1 in each repeat's test part, from any record of it that has predictions."""
    found: dict[int, float] = {}
    for record in records:
        if record.cell.repeat not in found:
            counts = rows.counts(record)
            if counts is not None and counts.rows.any():
                found[record.cell.repeat] = float(counts.rows[:, 1].sum() / counts.rows.sum())
    return found
