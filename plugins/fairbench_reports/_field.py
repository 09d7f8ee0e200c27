"""The state of a field: under each rule every method on each dataset, and over all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fairbench.api import FAILURES, Record, Results, Rule, Undefined
from fairbench.api.analysis import (
    DESERVED,
    GIVEN,
    WIDER,
    WORSE,
    Baseline,
    Estimate,
    StoredRows,
    budget_of,
    by_method,
    chosen_by,
    corrected_t,
    finished,
    harm_between,
    ledger,
    planned_repeats,
    rule_of,
    section_standings,
    series,
    stored_rows,
)
from fairbench.api.analysis import sections as comparable
from fairbench_reports._board import Board, FieldRow, Harmed, Overall, UnderRule
from fairbench_reports._ranked import Quantity, Ranking, rankings, setting_of
from fairbench_reports._table import Section, sections
from fairbench_reports._verdicts import remarks
from fairbench_reports.tradeoff import panel_titles

GAPS = {"dp": "demographic_parity_difference", "eo": "equalized_odds_difference"}
BENEFITS = {"dp": GIVEN, "eo": DESERVED}
"""What harm is measured in beside each gap: the favourable outcome, of all, or of those who deserve it."""
FEWEST = 6  # datasets over which a mean has an interval


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
    """Return the field under each rule that the run's scenarios name, apart for each setting; none if none names one.

    Raises:
        StoreError: the run's store is damaged.
    """
    rules = dict.fromkeys(rule for records in comparable(results.records) for rule in rules_of(records))
    return [found for rule in rules for found in _under(rule, results)]


def _under(rule: str, results: Results) -> Iterator[UnderRule]:
    metric = GAPS[Rule.parse(rule).shown_gap]
    rules = {records[0].cell.key: rules_of(records) for records in comparable(results.records)}
    if metric not in results.labels or not any(rule in rules[section.key] for section in sections(results)):
        return
    if any(rule != known[0] for known in rules.values() if rule in known):
        results = chosen_by(results, rule)
    by_setting: dict[str, list[Section]] = {}
    for section in sections(results):
        if rule in rules[section.key]:
            by_setting.setdefault(setting_of(section), []).append(section)
    heading, benefit = metric.replace("_", " "), BENEFITS[Rule.parse(rule).shown_gap]
    for setting, shown in by_setting.items():
        own = [record for section in shown for row in section.rows for record in row.records]
        kept = dict.fromkeys(record.cell.method.name for record in own if str(rule_of(record)) != rule)
        complete, left_out = _complete(results, shown)
        ranked = rankings(complete, [Quantity(metric, above=True)])
        with stored_rows(results) as stored:
            boards = list(_boards(shown, metric, benefit, ranked, results, stored))
        if not boards:
            continue
        yield UnderRule(
            rule=rule,
            setting=setting if len(by_setting) > 1 else "",
            metric=metric,
            heading=heading,
            boards=boards,
            overall=_overall(boards),
            rankings=ranked,
            left_out=left_out,
            repeats=planned_repeats(results),
            kept=list(kept),
        )


def _complete(results: Results, shown: Sequence[Section]) -> tuple[Results, list[str]]:
    """Return the results for rankings, and in sentences what they leave out.

    Methods are tested over the repeats and datasets that all of them have, so one that is skipped on a dataset, or has
    hardly begun there, would take all others' tests with it.
    """
    keys, without, unfit = set(), [], dict[str, list[str]]()
    methods = max(len(section.rows) for section in shown)
    for section in shown:
        most = max(len(row.records) for row in section.rows)
        enough = [row for row in section.rows if row.records and 2 * len(row.records) >= most]
        if 2 * len(enough) < methods:
            without.append(section.title)
            continue
        keys |= {record.cell.key for row in enough for record in row.records}
        ranked = {row.label for row in enough}
        for label in (row.label for row in section.rows if row.label not in ranked):
            unfit.setdefault(label, []).append(section.title)
    sentences = []
    if without:
        sentences.append(f"no tiers, since most methods have not run there yet: {', '.join(without)}")
    if unfit:
        named = (f"{label} ({', '.join(titles)})" for label, titles in unfit.items())
        sentences.append(f"without a tier, for less than half of the repeats: {'; '.join(named)}")
    records = [record for record in results.records if record.cell.key in keys]
    return replace(results, records=records, whole=results.whole or results), sentences


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
            if row.method in references or baseline.ran(records):
                continue
            cost = spent.get(method)
            rows.append(
                FieldRow(
                    label=row.label,
                    method=row.method,
                    parameters=row.parameters,
                    repeats=row.repeats,
                    records=row.records,
                    cells=len(records),
                    failed=sum(record.status in FAILURES for record in records),
                    skipped=sum(record.status == "skipped" for record in records),
                    standing=told.get(row.records[0].cell.key) if row.records else None,
                    spent=cost,
                    cpu_seconds=sum(record.cpu_seconds for record in records),
                    cost=cost.cpu_seconds / typical if cost and typical else None,
                    harmed=_harmed(stored, baseline, row.records, benefit),
                    accuracy=Estimate.of(series(row.records, "accuracy").values()),
                    gap=Estimate.of(series(row.records, metric).values()),
                )
            )
        judged = [(row.label, row.standing) for row in rows if row.standing is not None]
        notes = remarks(here, judged, beside=(WIDER, WORSE)) if judged else []
        budget = budget_of(finished(every[section.key])[0])
        yield Board(title, section, rows, baseline, _tiers(section, ranked), budget, notes)


def _choice(method: str, parameters: str) -> str:
    return f"{method}[{parameters}]" if parameters else method


def _tiers(section: Section, ranked: Sequence[Ranking]) -> Mapping[str, int]:
    """Return the tiers of a section; empty if no test is possible."""
    for ranking in ranked:
        for within in ranking.within:
            if within.title == section.title and section.setting.startswith(ranking.setting):
                return {placed.method: placed.tier for placed in within.placed} if within.tested else {}
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
            if row.points is not None:
                by_dataset.setdefault(board.section.cell.dataset.name, []).append(row.points)
        means = [statistics.fmean(values) for values in by_dataset.values()]  # a dataset counts once
        points = corrected_t(means, 0.0 if len(means) >= FEWEST else None) if means else None
        found.append(Overall(label, [row for _, row in pairs], points))
    return sorted(found, key=lambda each: (-each.on_side(1), -(each.points.mean if each.points else -1.0)))
