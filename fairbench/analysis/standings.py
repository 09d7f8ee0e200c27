"""How each method of a section stands: its gaps with every uncertainty kept apart, beside the verdicts on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.gaps import GAPS, RowInterval, gap_interval, row_spread
from fairbench.analysis.intervals import CorrectedT, corrected_t
from fairbench.analysis.lines import ABOVE, BELOW, OPEN
from fairbench.analysis.noise import FAIR, NoiseFloor, floor_over_repeats
from fairbench.analysis.values import by_method, finished, series
from fairbench.analysis.verdicts import ABOVE_BOTH, ABOVE_COIN, ROWS, SectionLines, Verdict
from fairbench.records import Record, Results
from fairbench.texts import counted

NAMES = {
    "demographic_parity_difference": "demographic parity difference",
    "equalized_odds_difference": "equalized odds difference",
    "equal_opportunity_difference": "equal opportunity difference",
}


@dataclass(frozen=True)
class Standing:
    """A method at one kind of gap.

    Args:
        verdict: points above the coin, skill and verdict.
        gap: mean over the repeats with its corrected interval, "± repeats"; None if the gap is undefined in all.
        rows: half-width of the interval that the rows of a test part alone leave, "± rows"; None without predictions.
        within: the interval within the test part of a single repeat; else None.
        floor: the gap that chance alone shows; None without predictions.
    """

    verdict: Verdict
    gap: Optional[CorrectedT]
    rows: Optional[float]
    within: Optional[RowInterval]
    floor: Optional[NoiseFloor]

    @property
    def fair(self) -> bool:
        """Return whether the gap is not told apart from that of a fair method."""
        return self.floor is not None and self.floor.reading == FAIR


@dataclass(frozen=True, eq=False)
class Standings:
    """A section's methods, reference methods left out, each with its finished repeats and its standing by metric."""

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
        metrics = [metric for metric in GAPS if metric in results.labels]
        references = results.run.get("reference_methods", ())
        methods = [done for done in map(finished, by_method(records)) if done]
        return cls(
            lines,
            tuple(
                (done, {metric: _standing(done, metric, lines) for metric in metrics})
                for done in methods
                if done[0].cell.method.name not in references and not is_baseline(done, lines)
            ),
        )

    def sentence(self, metric: str) -> str:
        """Return what the section shows at one kind of gap (``metric``), as one sentence; empty without a verdict."""
        told = [(done, here[metric]) for done, here in self.methods if metric in here and here[metric].verdict.above]
        if not told:
            return ""
        cell, baseline = told[0][0][0].cell, self.lines.baseline.name
        by_side = {
            side: [(done, here) for done, here in told if here.verdict.above and here.verdict.above.side == side]
            for side in (1, 0, -1)
        }
        parts = [
            f"{len(found)} {words}{_named(found) if side else ''}"
            for side, found in by_side.items()
            for words in [f"{'is' if len(found) == 1 else 'are'} {(OPEN, ABOVE, BELOW)[side]}"]
            if found
        ]
        if not parts:
            return ""
        both = sum(here.verdict.reading == ABOVE_BOTH for _, here in told)
        judged = sum(here.verdict.reading in (ABOVE_BOTH, ABOVE_COIN) for _, here in told)
        stricter = (
            f"; {both or 'none'} of {'it' if judged == 1 else 'these'} is also above a stricter common threshold"
            if judged
            else ""
        )
        basis = told[0][1].verdict
        repeats = (
            "in one repeat, with intervals over the rows of its test part"
            if basis.basis == ROWS
            else f"over {counted(max(len(done) for done, _ in told), 'repeat')}"
        )
        return (
            f"On {cell.dataset} by {cell.group} {repeats}, of {counted(len(told), 'method')} at "
            f"{'its' if len(told) == 1 else 'their'} own {NAMES[metric]}, {_listed(parts)}, which mixes {baseline} with "
            f"a constant prediction{stricter}."
        )


def is_baseline(records: Sequence[Record], lines: SectionLines) -> bool:
    """Return whether these ``records`` are those of the method that the ``lines`` are drawn through."""
    own = lines.baseline.records
    return bool(own) and records[0].cell.key in {record.cell.key for record in own}


def _standing(records: Sequence[Record], metric: str, lines: SectionLines) -> Standing:
    verdict = lines.verdict(records, metric)
    values = series(records, metric)
    counts = [found for found in map(lines.rows.counts, records) if found is not None]
    spread = row_spread(counts, metric) if counts else None
    return Standing(
        verdict,
        corrected_t(list(values.values()), lines.correction.ratio) if values else None,
        None if spread is None else spread.half_width,
        gap_interval(counts[0], metric) if len(counts) == 1 else None,
        floor_over_repeats(counts, metric) if counts else None,
    )


def _named(found: Sequence[tuple[Sequence[Record], Standing]]) -> str:
    """Return the methods with their points and intervals, in brackets; no more than three."""
    shown = []
    for done, here in found[:3]:
        above = here.verdict.above
        if above is not None and above.low is not None and above.high is not None:
            low, high = 100 * above.low, 100 * above.high
            shown.append(f"{done[0].cell.method.name} {100 * above.value:+.1f} points, {low:+.1f} to {high:+.1f}")
    more = [f"and {len(found) - 3} more"] if len(found) > 3 else []
    return f" ({'; '.join([*shown, *more])})"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
