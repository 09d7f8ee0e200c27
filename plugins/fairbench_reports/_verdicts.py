"""The verdict on each method as neutral tables: gaps with every uncertainty apart, points above the coin, skill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairbench.api import Results
from fairbench.api.analysis import Standing, Standings, Verdict, section_standings
from fairbench_reports._entries import clean
from fairbench_reports._table import Section, number

METRICS = ("demographic_parity_difference", "equalized_odds_difference")
FAINT = "~"
HEADINGS = ("method", "gap", "± repeats", "± rows", "floor", "points above the coin", "of the room", "verdict")
NOTHING = "-"


@dataclass(frozen=True)
class VerdictTable:
    """The verdicts of a section at one kind of gap.

    Args:
        title: e.g. "DP diff.: points of accuracy above the coin".
        rows: a text for each of ``HEADINGS``.
        notes: the section in one sentence, and what must be known of single methods.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def verdict_tables(results: Results, shown: Sequence[Section]) -> list[list[VerdictTable]]:
    """Return for each section its tables, one for each kind of gap; empty where no method can be judged."""
    standings = {here.lines.records[0].cell.key: here for here in section_standings(results) if here.methods}
    return [_tables(section, standings.get(_key(section), None), results) for section in shown]
