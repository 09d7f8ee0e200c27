"""Methods in tiers on each dataset and over all of them, as neutral tables for the reports on ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairbench.api import Results, compares_groups
from fairbench.api.analysis import (
    AcrossDatasets,
    Estimate,
    Placed,
    SectionLines,
    across_datasets,
    finished,
    overlap_correction,
    planned_repeats,
    runs_within,
    series,
    stored_rows,
    within_dataset,
)
from fairbench.api.analysis import sections as comparable
from fairbench_reports._entries import clean
from fairbench_reports._table import MethodRow, Section, sections

DP, EO = "demographic_parity_difference", "equalized_odds_difference"


@dataclass(frozen=True)
class Quantity:
    """What methods are ranked by: a metric, or points above the coin at the method's own value of it (``above``)."""

    metric: str
    above: bool = False

    @property
    def spared(self) -> bool:
        """Return whether deciding alike for everybody is no merit in it: a gap of 0, but 0 points above the coin."""
        return compares_groups(self.metric) and not self.above


QUANTITIES = (Quantity("accuracy"), Quantity(DP), Quantity(EO), Quantity(DP, above=True), Quantity(EO, above=True))


@dataclass(frozen=True)
class Within:
    """The methods on one dataset and attribute, in tiers; ``notes`` say what the order leaves out, and why.

    ``tested`` says whether a test could tell any apart: it needs two repeats that all have, and valid intervals.
    """

    title: str
    placed: Sequence[Placed]
    notes: Sequence[str]
    tested: bool


@dataclass(frozen=True)
class Ranking:
    """What is comparable (a scenario and a preparation) in one metric.

    Args:
        setting: scenario and preparation in words.
        heading: of the quantity.
        decimals: with which its means are shown.
        arrow: its better direction.
        sign: 1 if larger is better, else -1; the means in ``within`` are multiplied by it.
        within: for each dataset and attribute.
        across: over datasets.
        datasets: how many there are, with or without values of all methods.
        notes: who is not ranked, and why.
    """

    setting: str
    heading: str
    decimals: int
    arrow: str
    sign: int
    within: Sequence[Within]
    across: AcrossDatasets
    datasets: int
    notes: Sequence[str]


def values_of(row: MethodRow, quantity: Quantity, lines: SectionLines) -> dict[int, float]:
    """Return by repeat what a method is compared by on one dataset: the metric, or percentage points above the coin.

    This is the only place that says what that is. Its mean over the repeats is what the method is ranked by.
    """
    if not quantity.above:
        return series(row.records, quantity.metric)
    return {repeat: 100 * height for repeat, height in lines.heights(row.records, quantity.metric).items()}


def rankings(results: Results, quantities: Sequence[Quantity] = QUANTITIES) -> list[Ranking]:
    """Return a ranking for each scenario, preparation and quantity with at least two methods to compare."""
    found = []
    with stored_rows(results) as rows:
        lines = {
            records[0].cell.key: SectionLines.of(records, results, rows)
            for records in comparable(results.records)
            if finished(records)
        }
        for block in _blocks(sections(results)):
            for quantity in quantities:
                ranking = _ranking(block, quantity, results, lines)
                if ranking is not None:
                    found.append(ranking)
    return found


def _blocks(shown: Sequence[Section]) -> list[list[Section]]:
    """Return the sections in blocks of the same scenario and preparation, whatever their dataset and attribute."""
    by_setting: dict[str, list[Section]] = {}
    for section in shown:
        by_setting.setdefault(setting_of(section), []).append(section)
    return list(by_setting.values())


def setting_of(section: Section) -> str:
    """Return scenario and preparation in words: the methods of sections that share it are compared over datasets."""
    return section.setting.partition("; values at the last step")[0]  # which steps those are differs between datasets


def _ranking(
    block: Sequence[Section], quantity: Quantity, results: Results, lines: Mapping[str, SectionLines]
) -> Ranking | None:
    labels = dict.fromkeys(row.label for section in block for row in section.rows)
    values = {
        section.key: {row.label: values_of(row, quantity, lines[section.key]) for row in section.rows}
        for section in block
    }
    ranked, notes = _ranked(block, quantity, results, list(labels), values)
    if len(ranked) < 2:
        return None
    column = next(column for section in block for column in section.columns if column.metric == quantity.metric)
    sign = -1 if column.better == "lower" and not quantity.above else 1
    repeats = planned_repeats(results) // math.prod(runs_within(results))  # splits: values are means over each
    within = [_within(section, values[section.key], ranked, sign, repeats) for section in block]
    by_dataset, merged = _by_dataset(block, within)
    everywhere = [label for label in ranked if all(label in {row.label for row in section.rows} for section in block)]
    some = [label for label in ranked if label not in everywhere]
    notes = [*notes, *merged]
    if some:
        notes.append(f"not compared over datasets, because the run has it on some of them only: {', '.join(some)}")
    across = across_datasets(by_dataset, everywhere)
    heading, arrow, decimals = column.heading, column.arrow, 3
    if quantity.above:
        heading, arrow, decimals = f"points of accuracy above the coin at {heading}", "↑", 1
    return Ranking(setting_of(block[0]), heading, decimals, arrow, sign, within, across, len(by_dataset), notes)


def _ranked(
    block: Sequence[Section],
    quantity: Quantity,
    results: Results,
    labels: Sequence[str],
    values: Mapping[str, Mapping[str, Mapping[int, float]]],
) -> tuple[list[str], list[str]]:
    """Return the labels of the methods that are ranked, and a sentence for each reason why others are not.

    As in the tables, who decides alike for everybody does not compete for gaps between groups.
    """
    references = set(results.run.get("reference_methods", ()))
    known, alike, names = set(), set(), {}
    for section in block:
        for row in section.rows:
            names[row.label] = row.method
            if values[section.key][row.label]:
                known.add(row.label)
            if row.constant and quantity.spared:
                alike.add(row.label)
    reasons = {
        "reference methods, with which others are compared, have no rank": [
            label for label in labels if names[label] in references
        ],
        "no rank, because it has no value on any dataset": [label for label in labels if label not in known],
        "no rank, because on some dataset it decides alike for everybody in most repeats": [
            label for label in labels if label in alike
        ],
    }
    out: set[str] = set()
    sentences = []
    for reason, here in reasons.items():
        new = [label for label in here if label not in out]
        out.update(new)
        sentences += [f"{reason}: {', '.join(new)}"] if new else []
    return [label for label in labels if label not in out], sentences


def _within(
    section: Section, values: Mapping[str, Mapping[int, float]], ranked: Sequence[str], sign: int, repeats: int
) -> Within:
    own = {label: found for label, found in values.items() if label in ranked}
    oriented = {label: {repeat: sign * value for repeat, value in found.items()} for label, found in own.items()}
    known = {label: found for label, found in oriented.items() if found}
    missing = [label for label in ranked if label not in known]
    correction = overlap_correction(record for row in section.rows for record in row.records)
    placed = within_dataset(known, correction.ratio)
    notes = [f"{section.title}: no value of {', '.join(missing)}"] if missing else []
    common = set.intersection(*map(set, known.values())) if known else set()
    if known and not common:
        notes.append(f"{section.title}: no repeat has values of all methods, so none are compared")
    elif known and len(common) < repeats:
        notes.append(f"{section.title}: means over the {len(common)} of {repeats} repeats that all methods have")
    if len(common) == 1:
        notes.append(f"{section.title}: one repeat has no spread, so no methods are told apart")
    elif common and correction.reason:
        notes.append(f"{section.title}: no methods are told apart, because {clean(correction.reason)}")
    return Within(section.title, placed, notes, len(common) > 1 and correction.ratio is not None)


def _by_dataset(
    block: Sequence[Section], within: Sequence[Within]
) -> tuple[Mapping[str, Mapping[str, float]], list[str]]:
    """Return one number for each dataset and method, and which sections count as one dataset.

    Variants of a dataset and its several attributes share rows, so they are one observation: the mean over them.
    """
    by_name: dict[str, list[Within]] = {}
    for section, found in zip(block, within):
        by_name.setdefault(clean(section.cell.dataset.name), []).append(found)
    values, notes = {}, []
    for name, together in by_name.items():
        means = [{row.method: row.mean for row in found.placed} for found in together]
        shared = [label for label in means[0] if all(label in others for others in means)]
        values[name] = {label: Estimate.of(others[label] for others in means).mean or 0.0 for label in shared}
        if len(together) > 1:
            notes.append(f"{', '.join(found.title for found in together)} count as one dataset, with their mean")
    return values, notes
