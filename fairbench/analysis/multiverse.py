"""In which share of universes a verdict stands, whose preparation, split or label was chosen otherwise.

A suite can vary such choices as axes: parameters of a dataset, scaling, whether the group is a feature, stratification.
Each combination is a *universe*. A verdict that stands in few of them says more about these choices than about methods.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.baselines import Baseline, baseline_of
from fairbench.analysis.columns import series
from fairbench.analysis.counts import StoredRows
from fairbench.analysis.filtered import unfiltered
from fairbench.analysis.intervals import corrected_t, overlap_correction
from fairbench.analysis.lines import ROUNDING
from fairbench.analysis.values import alike_count, by_method, finished, grouped, identity, sections
from fairbench.analysis.verdicts import SectionLines
from fairbench.cells import Cell, Choice
from fairbench.notation import show_value
from fairbench.records import Record, Results

ACCURACY = "accuracy"
GAP_METRICS = ("demographic_parity_difference", "equalized_odds_difference")
DEFAULT = "default"
FOR, AGAINST, OPEN, MIXED, NONE = "+", "-", "=", "x", "?"
"""Which way a verdict goes: for the method, against it, not told apart, one of each, no verdict."""


@dataclass(frozen=True)
class Finding:
    """A verdict in one universe.

    Args:
        side: which way it goes.
        words: the verdict, or why there is none.
        difference: mean of method minus baseline over their common repeats; None where a verdict is no such difference.
    """

    side: str
    words: str
    difference: Optional[float] = None


@dataclass(frozen=True)
class Compared:
    """One question about one method, with the answer in every universe, in their order.

    ``method`` is its choice; ``question`` says what is asked; ``findings`` has one entry for each universe.
    """

    method: Choice
    question: str
    findings: tuple[Finding, ...]

    @property
    def shares(self) -> list[tuple[str, int]]:
        """Return each verdict with the number of universes in which it stands, the most frequent first."""
        return Counter(finding.words for finding in self.findings).most_common()

    @property
    def contradictory(self) -> bool:
        """Return whether the verdict is for the method in some universe and against it in another."""
        return {FOR, AGAINST} <= {finding.side for finding in self.findings}


@dataclass(frozen=True)
class Multiverse:
    """The universes of one dataset, attribute and scenario.

    Args:
        dataset, group, scenario: what they share, by name.
        assumption: what all of them assume of where the group is known, in words; what some of them assume is an axis.
        axes: what differs between them -> its value in each universe, as text.
        universes: the number of them.
        baseline: with which the others are compared; the same method in all.
        compared: by method and question; empty if there is nothing to compare with the baseline.
    """

    dataset: str
    group: str
    scenario: str
    assumption: str
    axes: Mapping[str, tuple[str, ...]]
    universes: int
    baseline: Baseline
    compared: tuple[Compared, ...]


def multiverses(results: Results, stored: StoredRows) -> list[Multiverse]:
    """Return the multiverses of a run, those with a single universe included.

    Args:
        results: of the run.
        stored: its stored predictions, for verdicts against the coin.

    Raises:
        StoreError: the store is damaged.
    """
    done = [record for record in results.records if finished([record])]
    together = grouped(done, lambda cell: (cell.dataset.name, cell.group, cell.scenario.name))
    return [_multiverse(records, results, stored) for records in together]


def _multiverse(records: Sequence[Record], results: Results, stored: StoredRows) -> Multiverse:
    universes = sections(records)
    cells = [universe[0].cell for universe in universes]
    baseline = baseline_of(records, results)
    lines = [SectionLines.of(universe, results, stored) for universe in universes]
    whole = [finished(unfiltered(universe, results)) for universe in universes]
    references = results.run.get("reference_methods", ())
    compared: list[Compared] = []
    for several in by_method(records) if baseline.records else []:
        method = several[0].cell.method
        if identity(method) == identity(baseline.records[0].cell.method) or method.name in references:
            continue
        answers = [
            _answers(_of(universe, method), _of(everything, baseline.records[0].cell.method), here)
            for universe, everything, here in zip(universes, whole, lines)
        ]
        compared += [Compared(method, question, tuple(one[question] for one in answers)) for question in answers[0]]
    cell = cells[0]
    return Multiverse(
        *(cell.dataset.name, cell.group, cell.scenario.name, _assumption(cells), _axes(cells), len(cells), baseline),
        tuple(compared),
    )


def _of(records: Sequence[Record], method: Choice) -> list[Record]:
    return [record for record in records if identity(record.cell.method) == identity(method)]


def _assumption(cells: Sequence[Cell]) -> str:
    """Return what all of the universes assume of where the group is known."""
    first, *others = (cell.preparation.assumptions for cell in cells)
    return "; ".join(assumed for assumed in first if all(assumed in other for other in others))


def _axes(cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
    """Return what differs between the universes, with the value in each."""
    choices: list[dict[str, str]] = []
    for cell in cells:
        preparation = cell.preparation
        choices.append(
            {
                **{f"{cell.dataset.name} {name}": show_value(value) for name, value in cell.dataset.params.items()},
                **{f"{cell.scenario.name} {name}": show_value(value) for name, value in cell.scenario.params.items()},
                "scale": preparation.scale,
                "sensitive_as_feature": show_value(preparation.sensitive_as_feature),
                "stratify": show_value(preparation.stratify),
                "group_known": show_value(preparation.group_known),
                "group_at_prediction": show_value(preparation.group_at_prediction),
            }
        )
    names = dict.fromkeys(name for choice in choices for name in choice)
    axes = {name: tuple(choice.get(name, DEFAULT) for choice in choices) for name in names}
    return {name: values for name, values in axes.items() if len(set(values)) > 1}


def _answers(method: Sequence[Record], baseline: Sequence[Record], lines: SectionLines) -> dict[str, Finding]:
    """Return the answer to every question in one universe; a further kind of verdict is added here."""
    found = {ACCURACY: _difference(method, baseline, ACCURACY, ("better", "worse"))}
    for metric in GAP_METRICS:
        found[metric] = _difference(method, baseline, metric, ("smaller", "larger"))
    for metric in GAP_METRICS:
        found[f"dominance, {metric}"] = _dominance(found[ACCURACY], found[metric])
    for metric in GAP_METRICS:
        found[f"coin, {metric}"] = _against_coin(method, lines, metric)
    return found


def _difference(method: Sequence[Record], baseline: Sequence[Record], metric: str, words: tuple[str, str]) -> Finding:
    """Return whether a method differs from the baseline, by the corrected t of their differences by repeat.

    ``words`` are the verdicts for and against the method: of more accuracy, or of a smaller gap.
    """
    if metric != ACCURACY and 2 * alike_count(method) > len(method) > 0:
        return Finding(NONE, "decides alike for everybody")
    ours, others = series(method, metric), series(baseline, metric)
    repeats = sorted(ours.keys() & others.keys())
    if not repeats:
        return Finding(NONE, "no common repeat" if ours or others else "neither has a value")
    differences = [ours[repeat] - others[repeat] for repeat in repeats]
    mean = statistics.fmean(differences)
    if len(repeats) < 2:
        return Finding(NONE, "no spread: one repeat", mean)
    correction = overlap_correction([*method, *baseline])
    interval = corrected_t(differences, correction.ratio)
    if interval.low is None or interval.high is None:
        return Finding(NONE, f"no valid interval: {correction.reason}", mean)
    if interval.low <= ROUNDING and interval.high >= -ROUNDING:
        return Finding(OPEN, "not told apart", mean)
    good = (interval.low > 0) == (metric == ACCURACY)
    return Finding(FOR, words[0], mean) if good else Finding(AGAINST, words[1], mean)


def _dominance(accuracy: Finding, gap: Finding) -> Finding:
    """Return whether the method is better in accuracy or gap and worse in neither, or the reverse."""
    sides = {accuracy.side, gap.side}
    if NONE in sides:
        return Finding(NONE, (gap if gap.side == NONE else accuracy).words)
    if {FOR, AGAINST} <= sides:
        return Finding(MIXED, "a trade-off")
    if FOR in sides:
        return Finding(FOR, "dominates")
    return Finding(AGAINST, "is dominated") if AGAINST in sides else Finding(OPEN, "not told apart")


def _against_coin(method: Sequence[Record], lines: SectionLines, metric: str) -> Finding:
    if 2 * alike_count(method) > len(method) > 0:
        return Finding(NONE, "decides alike for everybody")
    verdict = lines.verdict(method, metric)
    side = None if verdict.above is None else verdict.above.side
    return Finding(NONE if side is None else (OPEN, FOR, AGAINST)[side], verdict.reading)
