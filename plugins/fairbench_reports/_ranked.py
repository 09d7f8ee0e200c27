"""Methods in tiers on each dataset and over all of them, as neutral tables for the reports on ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairbench.api import Results, compares_groups
from fairbench.api.analysis import (
    AcrossDatasets,
    Estimate,
    Placed,
    across_datasets,
    overlap_correction,
    planned_repeats,
    series,
    within_dataset,
)
from fairbench_reports._entries import clean
from fairbench_reports._table import MethodRow, Section, sections

METRICS = ("accuracy", "demographic_parity_difference", "equalized_odds_difference")


@dataclass(frozen=True)
class Within:
    """The methods on one dataset and attribute, in tiers; ``notes`` say what the order leaves out, and why."""

    title: str
    placed: Sequence[Placed]
    notes: Sequence[str]


@dataclass(frozen=True)
class Ranking:
    """What is comparable (a scenario and a preparation) in one metric.

    Args:
        setting: scenario and preparation in words.
        heading: the metric's.
        arrow: its better direction.
        sign: 1 if larger is better, else -1; the means in ``within`` are multiplied by it.
        within: for each dataset and attribute.
        across: over datasets.
        datasets: how many there are, with or without values of all methods.
        notes: who is not ranked, and why.
    """

    setting: str
    heading: str
    arrow: str
    sign: int
    within: Sequence[Within]
    across: AcrossDatasets
    datasets: int
    notes: Sequence[str]


def quantity(row: MethodRow, metric: str) -> dict[int, float]:
    """Return by repeat what a method is compared by on one dataset.

    This is the only place that says what that is. Its mean over the repeats is what the method is ranked by.
    """
    return series(row.records, metric)


def rankings(results: Results) -> list[Ranking]:
    """Return a ranking for each scenario, preparation and metric with at least two methods to compare."""
    found = []
    for block in _comparable(sections(results)):
        for metric in METRICS:
            ranking = _ranking(block, metric, results)
            if ranking is not None:
                found.append(ranking)
    return found


def _comparable(shown: Sequence[Section]) -> list[list[Section]]:
    """Return the sections in blocks of the same scenario and preparation, whatever their dataset and attribute."""
    by_setting: dict[str, list[Section]] = {}
    for section in shown:
        by_setting.setdefault(_setting(section), []).append(section)
    return list(by_setting.values())


def _setting(section: Section) -> str:
    return section.setting.partition("; values at the last step")[0]  # which steps those are differs between datasets


def _ranking(block: Sequence[Section], metric: str, results: Results) -> Ranking | None:
    labels = dict.fromkeys(row.label for section in block for row in section.rows)
    ranked, notes = _ranked(block, metric, results, list(labels))
    if len(ranked) < 2:
        return None
    column = next(column for section in block for column in section.columns if column.metric == metric)
    sign = -1 if column.better == "lower" else 1
    within = [_within(section, metric, ranked, sign, planned_repeats(results)) for section in block]
    values, merged = _by_dataset(block, within)
    everywhere = [label for label in ranked if all(label in {row.label for row in section.rows} for section in block)]
    some = [label for label in ranked if label not in everywhere]
    notes = [*notes, *merged]
    if some:
        notes.append(f"not compared over datasets, because the run has it on some of them only: {', '.join(some)}")
    across = across_datasets(values, everywhere)
    return Ranking(_setting(block[0]), column.heading, column.arrow, sign, within, across, len(values), notes)


def _ranked(
    block: Sequence[Section], metric: str, results: Results, labels: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the labels of the methods that are ranked, and a sentence for each reason why others are not.

    As in the tables, who decides alike for everybody does not compete for gaps between groups.
    """
    references = set(results.run.get("reference_methods", ()))
    known, alike, names = set(), set(), {}
    for section in block:
        for row in section.rows:
            names[row.label] = row.method
            if quantity(row, metric):
                known.add(row.label)
            if row.constant and compares_groups(metric):
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


def _within(section: Section, metric: str, ranked: Sequence[str], sign: int, repeats: int) -> Within:
    values = {row.label: quantity(row, metric) for row in section.rows if row.label in ranked}
    oriented = {label: {repeat: sign * value for repeat, value in found.items()} for label, found in values.items()}
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
    return Within(section.title, placed, notes)


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
