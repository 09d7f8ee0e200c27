"""The state of a field as neutral tables: under each rule every method on each dataset, and over all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairbench.api import FAILURES, Record, Results, Rule, Undefined
from fairbench.api.analysis import (
    DESERVED,
    GIVEN,
    NO_ROOM,
    Baseline,
    Change,
    CorrectedT,
    Estimate,
    Spent,
    Standing,
    StoredRows,
    budget_of,
    by_method,
    chosen_by,
    corrected_t,
    finished,
    harm_between,
    ledger,
    rule_of,
    section_standings,
    series,
    stored_rows,
)
from fairbench.api.analysis import sections as comparable
from fairbench_reports._ranked import Quantity, Ranking, rankings
from fairbench_reports._table import Section, sections
from fairbench_reports.tradeoff import panel_titles

GAPS = {"dp": "demographic_parity_difference", "eo": "equalized_odds_difference"}
BENEFITS = {"dp": GIVEN, "eo": DESERVED}
"""What harm is measured in beside each gap: the favourable outcome, of all, or of those who deserve it."""
FEWEST = 6  # datasets over which a mean has an interval
POST_PROCESSING = (
    "aif360_calibrated_eq_odds",
    "aif360_eq_odds",
    "aif360_reject_option",
    "fairlearn_threshold_optimizer",
    "parity_projection_posthoc",
    "threshold",
)
"""Methods that leave the model as it is and change its decisions."""


@dataclass(frozen=True)
class Harmed:
    """The group that a method serves worst against the baseline, and by how much its benefit changes."""

    group: str
    change: Change


@dataclass(frozen=True)
class FieldRow:
    """A method on one dataset under one rule.

    Args:
        label: the method, with those parameters that tell it from the section's other variants.
        method: its name.
        parameters: all of its parameters, as the command line reads them.
        records: its finished repeats.
        cells: how many cells it has.
        failed: how many of them failed, in whatever way.
        skipped: how many were skipped, since the method does not apply.
        standing: gap, points above the coin and verdict; None without a finished repeat.
        spent: trials, fits and time; None likewise.
        cost: CPU time as a multiple of the baseline's; None if one of the two is not known.
        harmed: the group whose benefit falls most, or rises least; None if no group can be compared.
        accuracy: over the repeats.
        gap: likewise.
    """

    label: str
    method: str
    parameters: str
    records: Sequence[Record]
    cells: int
    failed: int
    skipped: int
    standing: Standing | None
    spent: Spent | None
    cost: float | None
    harmed: Harmed | None
    accuracy: Estimate
    gap: Estimate

    @property
    def side(self) -> int | None:
        """Return 1 above the coin, 0 not told apart from it, -1 below; None without a verdict."""
        above = self.standing.verdict.above if self.standing else None
        return above.side if above else None

    @property
    def above_common(self) -> bool:
        """Return whether the method is above the coin, and above the common threshold too."""
        common = self.standing.verdict.common if self.standing else None
        return self.side == 1 and common is not None and common.side == 1

    @property
    def no_room(self) -> bool:
        """Return whether the lines are not told apart at the method's gap."""
        return self.standing is not None and self.standing.verdict.no_skill == NO_ROOM

    @property
    def loses(self) -> bool:
        """Return whether a group's benefit falls beyond its interval."""
        return self.harmed is not None and self.harmed.change.fell


@dataclass(frozen=True)
class Board:
    """The methods on one dataset and attribute under one rule, in the order of the plan.

    Args:
        title: dataset and attribute, and what else tells it from the other boards.
        section: scenario, dataset, attribute and preparation.
        rows: of all methods but baseline and references.
        baseline: what they are compared with.
        tiers: by label, among the points above the coin; empty if nothing is told apart at all.
        budget: trials that the scenario grants each method; None if it says nothing.
    """

    title: str
    section: Section
    rows: Sequence[FieldRow]
    baseline: Baseline
    tiers: Mapping[str, int]
    budget: int | None

    @property
    def has_room(self) -> bool | None:
        """Return whether the attainable line is told apart from the coin at some method's gap; None if unknown.

        It is unknown without an attainable line, without a valid interval, and over a flat coin.
        """
        told = {row.standing.verdict.no_skill for row in self.rows if row.standing is not None}
        return True if "" in told else False if NO_ROOM in told else None


@dataclass(frozen=True)
class Overall:
    """A method over the datasets of one rule.

    Args:
        label: the method.
        rows: its rows, one for each dataset and attribute.
        points: mean of the points above the coin over datasets, a fraction, with Student's interval from 6 datasets on.
    """

    label: str
    rows: Sequence[FieldRow]
    points: CorrectedT | None

    def count(self, what: str) -> int:
        """Return on how many datasets the property holds, ``no_room``, ``loses`` or ``above_common``."""
        return sum(bool(getattr(row, what)) for row in self.rows)

    def on_side(self, side: int | None) -> int:
        """Return on how many datasets the verdict is on a side of the coin."""
        return sum(row.side == side for row in self.rows)

    def median(self, numbers: Sequence[float | None]) -> float | None:
        """Return the median of those numbers that are known."""
        known = [number for number in numbers if number is not None]
        return statistics.median(known) if known else None

    @property
    def unequal(self) -> int:
        """Return on how many datasets the budget is unequal to the others'."""
        return sum(row.spent is not None and bool(row.spent.unequal) for row in self.rows)


@dataclass(frozen=True)
class UnderRule:
    """The field under one rule.

    Args:
        rule: in words.
        metric: the gap that the rule is about, at which methods are judged.
        heading: of the gap.
        boards: one for each dataset and attribute.
        overall: the methods, those first that are above the coin on most datasets, then by their mean points.
        rankings: by points above the coin, one for each setting.
    """

    rule: str
    metric: str
    heading: str
    boards: Sequence[Board]
    overall: Sequence[Overall]
    rankings: Sequence[Ranking]

    @property
    def rows(self) -> list[FieldRow]:
        """Return the rows of all datasets."""
        return [row for board in self.boards for row in board.rows]


def rules_of(records: Sequence[Record]) -> list[str]:
    """Return the rules for which points of a section were kept: that of the choice, then the scenario's further ones.

    Where another rule has chosen since, there is only that one.
    """
    anew = dict.fromkeys(record.rule for record in records if record.rule)
    rule = rule_of(records[0])
    if anew or rule is None:
        return list(anew)
    also = str(records[0].cell.scenario.params.get("also", ""))
    return list(dict.fromkeys([str(rule), *(str(Rule.parse(text)) for text in also.split(";") if text.strip())]))


def fields(results: Results) -> list[UnderRule]:
    """Return the field under each rule that the run's scenarios name; none if no scenario names one.

    Raises:
        StoreError: the run's store is damaged.
    """
    rules = dict.fromkeys(rule for records in comparable(results.records) for rule in rules_of(records))
    return [found for rule in rules for found in _under(rule, results)]


def _under(rule: str, results: Results) -> Iterator[UnderRule]:
    metric = GAPS[Rule.parse(rule).shown_gap]
    rules = {records[0].cell.key: rules_of(records) for records in comparable(results.records)}
    if any(rule != known[0] for known in rules.values() if rule in known):
        results = chosen_by(results, rule)
    shown = [section for section in sections(results) if rule in rules[section.key]]
    if not shown or metric not in results.labels:
        return
    ranked = rankings(results, [Quantity(metric, above=True)])
    with stored_rows(results) as stored:
        boards = list(_boards(shown, metric, BENEFITS[Rule.parse(rule).shown_gap], ranked, results, stored))
    yield UnderRule(rule, metric, results.labels[metric][0], boards, _overall(boards), ranked)


def _boards(
    shown: Sequence[Section],
    metric: str,
    benefit: str,
    ranked: Sequence[Ranking],
    results: Results,
    stored: StoredRows,
) -> Iterator[Board]:
    standings = {here.section: here for here in section_standings(results)}
    every = {records[0].cell.key: records for records in comparable(results.records)}
    references = results.run.get("reference_methods", ())
    for title, section in zip(panel_titles(shown), shown):
        here = standings.get(section.key)
        if here is None:
            continue
        baseline = here.lines.baseline
        told = {done[0].cell.key: by_metric.get(metric) for done, by_metric in here.methods}
        spent = {str(each.method): each for each in ledger(every[section.key], references)}
        cells = {str(records[0].cell.method): records for records in by_method(every[section.key])}
        labels = {_choice(row.method, row.parameters): row for row in section.rows}
        typical = Estimate.of(record.cpu_seconds for record in baseline.records).mean
        rows = []
        for method, records in cells.items():
            row = labels[method]
            known = {record.cell.key for record in records}
            if row.method in references or known & here.lines.baseline_keys:
                continue
            cost = spent.get(method)
            rows.append(
                FieldRow(
                    row.label,
                    row.method,
                    row.parameters,
                    row.records,
                    len(records),
                    sum(record.status in FAILURES for record in records),
                    sum(record.status == "skipped" for record in records),
                    told.get(row.records[0].cell.key) if row.records else None,
                    cost,
                    cost.cpu_seconds / typical if cost and typical else None,
                    _harmed(stored, baseline, row.records, benefit),
                    Estimate.of(series(row.records, "accuracy").values()),
                    Estimate.of(series(row.records, metric).values()),
                )
            )
        yield Board(title, section, rows, baseline, _tiers(section, ranked), budget_of(finished(every[section.key])[0]))


def _choice(method: str, parameters: str) -> str:
    return f"{method}[{parameters}]" if parameters else method


def _tiers(section: Section, ranked: Sequence[Ranking]) -> Mapping[str, int]:
    """Return the tiers of a section; empty if they tell nothing apart."""
    for ranking in ranked:
        for within in ranking.within:
            if within.title == section.title and section.setting.startswith(ranking.setting):
                tiers = {placed.method: placed.tier for placed in within.placed}
                return tiers if len(set(tiers.values())) > 1 else {}
    return {}


def _harmed(stored: StoredRows, baseline: Baseline, records: Sequence[Record], benefit: str) -> Harmed | None:
    if not records or not baseline.records:
        return None
    try:
        found = harm_between(stored, baseline.records, records)
    except Undefined:
        return None
    changes = [
        Harmed(group, served.change)
        for group, served in zip(found.groups, found.served[benefit])
        if served.change is not None
    ]
    return min(changes, key=lambda harmed: harmed.change.value, default=None)


def _overall(boards: Sequence[Board]) -> list[Overall]:
    labels = dict.fromkeys(row.label for board in boards for row in board.rows)
    found = []
    for label in labels:
        pairs = [(board, row) for board in boards for row in board.rows if row.label == label]
        by_dataset: dict[str, list[float]] = {}
        for board, row in pairs:
            above = row.standing.verdict.above if row.standing else None
            if above:
                by_dataset.setdefault(board.section.cell.dataset.name, []).append(above.value)
        means = [statistics.fmean(values) for values in by_dataset.values()]  # a dataset counts once
        points = corrected_t(means, 0.0 if len(means) >= FEWEST else None) if means else None
        found.append(Overall(label, [row for _, row in pairs], points))
    return sorted(found, key=lambda each: (-each.on_side(1), -(each.points.mean if each.points else -1.0)))
