"""All that the page shows of a run, as the templates read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairbench.api import Results
from fairbench.api.analysis import FEW_ROWS, SectionLines, StoredRows, planned_repeats, rule_of, stored_rows
from fairbench.api.analysis import sections as comparable
from fairbench_reports._entries import SMALL, clean
from fairbench_reports._foot import foot, one_line, spread
from fairbench_reports._page.coverage import coverage
from fairbench_reports._page.curves import strips
from fairbench_reports._page.harms import HEADINGS, HarmTable, harm_table
from fairbench_reports._page.provenance import provenance
from fairbench_reports._page.ranking import Ranked, ranked, too_many
from fairbench_reports._page.summary import Told, cards, overview, told_in
from fairbench_reports._page.tradeoff import Plot, plot_of
from fairbench_reports._table import Section, sections
from fairbench_reports._verdicts import METRICS, VerdictTable, reading, verdict_tables
from fairbench_reports.harm import FOOT
from fairbench_reports.tradeoff import panel_titles

OWN_CHOICE = "each method's own choice"


@dataclass(frozen=True)
class Part:
    """A section of the page.

    Args:
        section: the tables' section.
        title: dataset, attribute, and what distinguishes its setting from the others'.
        rule: by which operating points were chosen.
        plots: one for each kind of gap that it has.
        verdicts: likewise.
        told: the verdicts, by method and heading of the gap.
        harm: who gains and who loses.
        supports: by group, how many rows it has in a test part, in words.
    """

    section: Section
    title: str
    rule: str
    plots: tuple[Plot, ...]
    verdicts: tuple[VerdictTable, ...]
    told: Mapping[tuple[str, str], Told]
    harm: HarmTable
    supports: Mapping[str, str]


def contents(results: Results) -> dict[str, Any]:
    """Return everything that the page shows of a run, by the names under which the template reads it.

    Raises:
        StoreError: the run's store is damaged.
    """
    shown = sections(results)
    tables = verdict_tables(results, shown)
    titles = dict(zip([section.key for section in shown], panel_titles(shown)))
    with stored_rows(results) as stored:
        parts = _parts(shown, titles, tables, results, stored)
    told = [each for part in parts for each in part.told.values()]
    rankings = ranked(results, shown)
    every = [table for several in tables for table in several]
    covered = coverage(results, titles)
    return {
        "name": one_line(
            str(results.run.get("suite", {}).get("name") or "") or (results.path.name if results.path else "run")
        ),
        "spread": spread(planned_repeats(results)),
        "cards": cards(results, shown, covered, told, _over_datasets(rankings)),
        "overview": overview(told, titles),
        "parts": parts,
        "rules": list(dict.fromkeys(part.rule for part in parts)),
        "strips": strips(results),
        "rankings": rankings,
        "unranked": too_many(shown),
        "coverage": covered,
        "harm_headings": HEADINGS,
        "harm_notes": FOOT,
        "reading": reading(results, every),
        "notes": foot(results, shown, best="bold"),
        "provenance": provenance(results),
    }


def _parts(
    shown: Sequence[Section],
    titles: Mapping[str, str],
    tables: Sequence[Sequence[VerdictTable]],
    results: Results,
    stored: StoredRows,
) -> list[Part]:
    by_key = {records[0].cell.key: records for records in comparable(results.records)}
    parts = []
    for section, judged in zip(shown, tables):
        records = by_key[section.key]
        rule = rule_of(records[0])
        lines = SectionLines.of(records, results, stored)
        words = OWN_CHOICE if rule is None else clean(str(rule))
        by_metric = {table.metric: table for table in judged}
        have = {column.metric for column in section.columns}
        plots = [
            plot_of(section, metric, lines, by_metric.get(metric), results, words)
            for metric in METRICS
            if metric in have
        ]
        told = {(each.method, each.heading): each for each in told_in(section, judged)}
        parts.append(
            Part(
                section,
                titles[section.key],
                words,
                tuple(plot for plot in plots if plot is not None),
                tuple(judged),
                told,
                harm_table(section, results, stored),
                {group: _support(rows) for group, rows in section.supports.items()},
            )
        )
    return parts


def _support(rows: Sequence[int]) -> str:
    """Return "117", or the fewest and the most rows, with a mark if they are few."""
    counts = "-".join(str(count) for count in sorted({min(rows), max(rows)}))
    return f"{counts} {SMALL}" if min(rows) < FEW_ROWS else counts


def _over_datasets(rankings: Sequence[Ranked]) -> list[str]:
    """Return in one sentence what the tests over datasets can say; the notes under Ranks say more."""
    if any(ranking.diagram for ranking in rankings):
        return ["Tests over datasets are under Ranks"]
    few = (
        f"Tests over datasets: {note.partition(':')[0]}"
        for ranking in rankings
        for note in ranking.notes
        if "cannot show" in note
    )
    return list(dict.fromkeys(few))[:1]
