"""How each method of a section stands: its gaps with every uncertainty kept apart, beside the verdicts on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Optional

from fairbench.analysis.columns import Columns
from fairbench.analysis.counts import Counts, stored_rows
from fairbench.analysis.gaps import GAPS, RowInterval, debiased, gap_interval, row_spread
from fairbench.analysis.intervals import CorrectedT, corrected_t
from fairbench.analysis.noise import NoiseFloor, floor_over_repeats, gap_of_mean, signed_gap
from fairbench.analysis.power import Detectable, detectable_gap, too_small
from fairbench.analysis.ratios import RATIOS, MeanRates, RatioLines, mean_rates
from fairbench.analysis.stacked import Stack
from fairbench.analysis.values import alike_count, by_method, finished, only, sections, telling_parameters
from fairbench.analysis.verdicts import ABOVE_BOTH, ABOVE_COIN, ROWS, SectionLines, Verdict
from fairbench.records import Record, Results
from fairbench.texts import counted

JUDGED = {
    "demographic_parity_difference": "demographic parity difference",
    "equalized_odds_difference": "equalized odds difference",
    "equal_opportunity_difference": "equal opportunity difference",
}
"""The gaps that lines are drawn for in full, in words."""


@dataclass(frozen=True, eq=False)
class Standing:
    """A method at one kind of gap, or of ratio.

    Args:
        verdict: points above the coin, skill and verdict.
        gap: mean over the repeats with its corrected interval, "± repeats"; None if the gap is undefined in all.
        rows: half-width of the interval that the rows of a test part alone leave, "± rows"; None for a ratio and
            without predictions, as all that follows.
        within: the interval within the test part of a single repeat; else None.
        floor_mean: the gap that chance alone shows, on average.
        smallest: the smallest gap that the repeats can show at the baseline's rates, between the groups where the
            baseline's gap lies; None if it is not known.
        signed: the difference between the two groups' rates where the gap of the mean rates is, which can be 0 or lie
            on the other side; None for a single repeat.
        of_mean: the gap, or the ratio, of the mean rates.
        debiased: mean over the repeats of the gap without much of its bias at 0, for comparison only.
        metric: the gap, one of ``GAPS``; empty for a ratio.
        counts: of the repeats that have predictions.
    """

    verdict: Verdict
    gap: Optional[CorrectedT]
    rows: Optional[float]
    within: Optional[RowInterval]
    floor_mean: Optional[float]
    smallest: Optional[Detectable]
    signed: Optional[CorrectedT] = None
    of_mean: Optional[float] = None
    debiased: Optional[float] = None
    metric: str = ""
    counts: tuple[Counts, ...] = ()

    @cached_property
    def floor(self) -> Optional[NoiseFloor]:
        """Return the gap that chance alone shows, with its 95% quantile."""
        return floor_over_repeats(self.counts, self.metric) if self.counts else None

    @property
    def faint(self) -> bool:
        """Return whether the gap is smaller than what the repeats can show, and its interval holds 0."""
        interval = self.signed if self.within is None else self.within
        if self.gap is None or self.smallest is None or interval is None or interval.low is None:
            return False
        return too_small(self.gap.mean, interval.low, self.smallest)


@dataclass(frozen=True, eq=False)
class Standings:
    """How the methods of a section stand.

    Args:
        section: key of its first cell.
        lines: its reference lines.
        methods: all but baseline and reference methods, each with its finished repeats and its standing by metric.
    """

    section: str
    lines: SectionLines
    methods: tuple[tuple[Sequence[Record], dict[str, Standing]], ...]

    @classmethod
    def of(cls, records: Sequence[Record], results: Results, lines: SectionLines) -> Standings:
        """Return how the methods of a section stand.

        Args:
            records: of the section.
            results: of the run.
            lines: of the section.
        """
        metrics = [metric for metric in (*GAPS, *RATIOS) if metric in results.labels]
        references = results.run.get("reference_methods", ())
        methods = [done for done in map(finished, by_method(records)) if done]
        smallest, ratios = smallest_gaps(lines), RatioLines(lines)
        return cls(
            records[0].cell.key,
            lines,
            tuple(
                (done, _standings(done, metrics, ratios, smallest))
                for done in methods
                if done[0].cell.method.name not in references and not lines.baseline.ran(done)
            ),
        )

    def sentence(self, metric: str) -> str:
        """Return what the section shows at one kind of gap (``metric``), as one sentence; empty without a verdict."""
        told = [(done, here[metric]) for done, here in self.methods if metric in here and here[metric].verdict.above]
        if not told:
            return ""
        cell, baseline = told[0][0][0].cell, self.lines.baseline.label
        coin = f"a coin that mixes {baseline} with a constant prediction"
        parts: list[str] = []
        if all(here.verdict.flat for _, here in told):
            coin = f"the better constant prediction, which {baseline} does not beat"
        for side, words in ((1, "above"), (0, "not told apart from"), (-1, "below")):
            found = [(done, here) for done, here in told if here.verdict.above and here.verdict.above.side == side]
            if found:
                line = "it" if parts else coin
                parts.append(f"{len(found)} {_is(len(found))} {words} {line}{self._named(found) if side else ''}")
        if not parts:
            return ""
        without = sum(here.verdict.above is not None and here.verdict.above.side is None for _, here in told)
        parts += [f"{without} {'has' if without == 1 else 'have'} no valid interval"] if without else []
        stricter = _stricter([here.verdict.reading for _, here in told])
        splits = [len({record.cell.repeat for record in done}) for done, _ in told]
        fewest, most = min(splits), max(splits)
        repeats = counted(most, "repeat") if fewest == most else f"{fewest} to {most} repeats"
        if all(here.verdict.basis == ROWS for _, here in told):
            repeats = "1 repeat, with intervals over the rows of its test part"
        return (
            f"On {cell.place}, {repeats}: of {counted(len(told), 'method')}, compared at "
            f"{'its' if len(told) == 1 else 'their'} own {JUDGED[metric]}, {_listed(parts)}{stricter}."
        )

    def _named(self, found: Sequence[tuple[Sequence[Record], Standing]]) -> str:
        """Return the methods with their points and intervals, in brackets; no more than three."""
        telling = telling_parameters([done[0].cell.method for done, _ in self.methods])
        shown = []
        for done, here in found[:3]:
            above, method = here.verdict.above, done[0].cell.method
            if above is not None and above.low is not None and above.high is not None:
                points = " to ".join(f"{round(100 * end, 1) + 0.0:+.1f}" for end in (above.low, above.high))
                name = only(method, telling[method.name])
                shown.append(f"{name} {100 * above.value:+.1f} points, {points}")
        more = [f"and {len(found) - 3} more"] if len(found) > 3 else []
        return f" ({'; '.join([*shown, *more])})"


def smallest_gaps(lines: SectionLines) -> dict[str, Detectable]:
    """Return by metric the smallest gap that the repeats can show at the baseline's rates.

    There are none if the baseline of the ``lines`` has no stored predictions, if its test parts lack groups, or if it
    makes the same decision for everybody: at rates of 0 or 1 nothing can be said of other methods' gaps.
    """
    first = {record.cell.repeat: record for record in reversed(lines.baseline.records)}  # splits are what is repeated
    counts = [found for found in map(lines.rows.counts, first.values()) if found is not None]
    if not counts or alike_count(lines.baseline.records) == len(lines.baseline.records):
        return {}
    found = {metric: detectable_gap(counts, metric, lines.correction.ratio) for metric in GAPS}
    return {metric: smallest for metric, smallest in found.items() if smallest is not None}


def section_standings(results: Results) -> list[Standings]:
    """Return how the methods of each section of the ``results`` stand, in the order of the plan.

    There are none if the results come from no run directory, as lines are drawn through stored predictions.

    Raises:
        StoreError: the run's store is damaged.
    """
    if results.path is None:
        return []
    if results.whole is not None:
        return _still_shown(results, section_standings(results.whole))
    return results.once("standings", lambda: _stand(results))


def _stand(results: Results) -> list[Standings]:
    with stored_rows(results) as rows:
        return [
            Standings.of(records, results, SectionLines.of(records, results, rows))
            for records in sections(results.records)
            if finished(records)
        ]


def _still_shown(results: Results, standings: Iterable[Standings]) -> list[Standings]:
    """Return of the ``standings`` of a whole run what a filter has left in its ``results``."""
    by_section = {here.section: here for here in standings}
    whole = () if results.whole is None else results.whole.records
    first = {record.cell.key: records[0].cell.key for records in sections(whole) for record in records}
    found = []
    for records in sections(results.records):
        keys = {record.cell.key for record in finished(records)}
        if keys:
            here = by_section[first[records[0].cell.key]]
            methods = tuple(
                (done, {metric: standing for metric, standing in told.items() if metric in results.labels})
                for done, told in here.methods
                if done[0].cell.key in keys
            )
            found.append(replace(here, section=records[0].cell.key, methods=methods))
    return found


def _standings(
    records: Sequence[Record], metrics: Iterable[str], ratios: RatioLines, smallest: Mapping[str, Detectable]
) -> dict[str, Standing]:
    """Return the standing of a method by metric, from its finished records."""
    lines, columns = ratios.lines, Columns.of(records)
    stack = Stack.stored(lines.rows, columns)
    if stack is None:
        found = [(record.cell.repeat, lines.rows.counts(record)) for record in records]
        counts = [(repeat, here) for repeat, here in found if here is not None]
        stack = Stack.of([here for _, here in counts])
    else:
        counts = list(zip(columns.repeats, stack.counts))
    rates = mean_rates(lines.rows, columns, stack if stack and len(counts) == len(columns) else None)
    return {
        metric: _at_ratio(columns, metric, ratios, rates)
        if metric in RATIOS
        else _standing(columns, metric, lines, counts, smallest.get(metric), stack)
        for metric in metrics
    }


def _standing(
    records: Columns,
    metric: str,
    lines: SectionLines,
    runs: Sequence[tuple[int, Counts]],
    smallest: Optional[Detectable],
    stack: Optional[Stack],
) -> Standing:
    """Return the standing of a method at a gap.

    Args:
        records: its finished repeats.
        metric: the gap.
        lines: of the section.
        runs: its counts with the repeat that each belongs to.
        smallest: the smallest gap that the repeats can show.
        stack: the counts as arrays, if they can be.
    """
    counts = [here for _, here in runs]
    spread = row_spread(counts, metric, known=stack.row_variances(metric) if stack else None) if counts else None
    every = stack.debiased(metric) if stack else [debiased(found, metric) for found in counts]
    mended = [value for value in every if value is not None]
    means = stack.floor_means(metric) if stack else None
    floor = floor_over_repeats(counts, metric) if counts and not means else None
    ratio, splits, signed = lines.correction.ratio, [repeat for repeat, _ in runs], None
    if len(counts) > 1:
        signed = stack.signed_gap(metric, ratio, splits) if stack else signed_gap(counts, metric, ratio, splits)
    of_mean = None
    if counts:
        of_mean = stack.gap_of_mean(metric).value if stack else gap_of_mean(counts, metric).value
    return Standing(
        lines.verdict(records, metric),
        _over_repeats(records, metric, lines),
        None if spread is None else spread.half_width,
        gap_interval(counts[0], metric) if len(counts) == 1 else None,
        fmean(means) if means else None if floor is None else floor.mean,
        smallest,
        signed,
        of_mean,
        fmean(mended) if mended else None,
        metric,
        tuple(counts),
    )


def _at_ratio(records: Columns, metric: str, ratios: RatioLines, rates: MeanRates) -> Standing:
    verdict = ratios.verdict(records, metric, rates)
    return Standing(
        verdict, _over_repeats(records, metric, ratios.lines), None, None, None, None, of_mean=verdict.value
    )


def _over_repeats(records: Columns, metric: str, lines: SectionLines) -> Optional[CorrectedT]:
    values = records.series(metric)
    return corrected_t(list(values.values()), lines.correction.ratio) if values else None


def _stricter(readings: Sequence[str]) -> str:
    """Return how many of the methods above the coin are above a stricter common threshold too; empty if unknown."""
    judged = [reading for reading in readings if reading in (ABOVE_BOTH, ABOVE_COIN)]
    both = judged.count(ABOVE_BOTH)
    if not judged:
        return ""
    if len(judged) == 1:
        return (
            f"; the one above it is {'' if both else 'not '}above a stricter common threshold{' too' if both else ''}"
        )
    some = f"of the {len(judged)} above it, {both or 'none'} {_is(both or 1)}"
    return f"; {some} above a stricter common threshold{' too' if both else ''}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
