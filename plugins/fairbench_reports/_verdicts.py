"""The verdict on each method as neutral tables: gaps with every uncertainty apart, points above the coin, skill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairbench.api import Results, counted
from fairbench.api.analysis import Standing, Standings, Verdict, section_standings
from fairbench_reports._entries import clean
from fairbench_reports._table import Section, number

METRICS = ("demographic_parity_difference", "equalized_odds_difference")
FAINT = "~"
HEADINGS = ("method", "gap", "± repeats", "± rows", "floor", "points above the coin", "of the room", "verdict")
POINTS = HEADINGS.index("points above the coin")
NOTHING = "-"


@dataclass(frozen=True)
class VerdictTable:
    """The verdicts of a section at one kind of gap.

    Args:
        title: e.g. "DP diff.: points of accuracy above the coin".
        rows: a text for each of ``HEADINGS``.
        notes: the section in one sentence, and what must be known of single methods.
        metric: name of the gap.
        standings: what each of the rows shows.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    metric: str
    standings: tuple[Standing, ...]


def verdict_tables(results: Results, shown: Sequence[Section]) -> list[list[VerdictTable]]:
    """Return for each section its tables, one for each kind of gap; empty where no method is compared.

    They are made once for all reports.

    Args:
        results: of the run.
        shown: its ``sections``.
    """
    return results.once("verdict tables of fairbench_reports", lambda: _verdict_tables(results, shown)) if shown else []


def _verdict_tables(results: Results, shown: Sequence[Section]) -> list[list[VerdictTable]]:
    standings = {here.section: here for here in section_standings(results)}
    return [_tables(section, standings.get(section.key)) for section in shown]


def _tables(section: Section, standings: Standings | None) -> list[VerdictTable]:
    if standings is None:
        return []
    labels = {row.records[0].cell.key: row.label for row in section.rows if row.records}
    headings = {column.metric: column.heading for column in section.columns}
    found = []
    for metric in METRICS:
        told = [(labels[done[0].cell.key], here[metric]) for done, here in standings.methods if metric in here]
        if told and metric in headings:
            rows = tuple((label, *_texts(standing)) for label, standing in told)
            title = f"{headings[metric]}: accuracy above the coin of {standings.lines.baseline.label} and a constant"
            every = tuple(standing for _, standing in told)
            found.append(VerdictTable(clean(title), rows, tuple(_notes(standings, metric, told)), metric, every))
    return found


def _texts(standing: Standing) -> list[str]:
    verdict, gap = standing.verdict, standing.gap
    half = None if gap is None or gap.high is None else gap.high - gap.mean
    return [
        number(None if gap is None else gap.mean) + (FAINT if standing.faint else ""),
        number(half),
        number(standing.rows),
        number(standing.floor_mean),
        above_coin(verdict),
        of_the_room(verdict),
        clean(verdict.reading),
    ]


def above_coin(verdict: Verdict) -> str:
    """Return the points above the coin with their interval: ``+1.1 [-5.7, +7.9]``."""
    above = verdict.above
    if above is None:
        return NOTHING
    if above.low is None or above.high is None:
        return _points(above.value)
    return f"{_points(above.value)} [{_points(above.low)}, {_points(above.high)}]"


def _points(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def of_the_room(verdict: Verdict) -> str:
    """Return the room in points and, where it can be told from none, the share of it that the method makes use of."""
    if verdict.above is None or verdict.room is None:
        return NOTHING
    if verdict.flat:
        return "undefined"
    if verdict.skill is None:
        return "no room" if verdict.room.low is not None else f"{100 * verdict.room.value:.1f}"
    return f"{100 * verdict.room.value:.1f} ({verdict.skill:.0%})"


def _notes(standings: Standings, metric: str, told: Sequence[tuple[str, Standing]]) -> list[str]:
    """Return the section in one sentence, the smallest gap, and what must be known of single methods."""
    return [clean(note) for note in (standings.sentence(metric), *remarks(standings, told)) if note]


def remarks(standings: Standings, told: Sequence[tuple[str, Standing]], beside: Sequence[str] = ()) -> list[str]:
    """Return the smallest gap that a section can show, and what must be known of single methods.

    Args:
        standings: of the section.
        told: the methods by label, one or more, each at the same gap.
        beside: how notes begin that the report shows beside each method.
    """
    notes = []
    smallest, baseline = told[0][1].smallest, standings.lines.baseline.label
    if baseline and not standings.lines.baseline.expected:
        notes.append(f"compared with {baseline}: {standings.lines.baseline.why}")
    repeats = counted(len({record.cell.repeat for record in standings.lines.baseline.records}), "repeat")
    if smallest is not None and smallest.value is not None:
        notes.append(f"the smallest gap that {repeats} can show at the rates of {baseline} is {smallest.value:.3f}")
    elif smallest is not None:
        notes.append(f"at the rates of {baseline} {repeats} can show no gap: rates would have to leave [0, 1]")
    for text in dict.fromkeys(note for _, standing in told for note in standing.verdict.notes):
        if text.startswith(tuple(beside)):
            continue
        labels = [label for label, standing in told if text in standing.verdict.notes]
        of_all = len(labels) == len(told) and text.startswith(("the baseline", "no attainable"))
        notes.append(text if of_all or len(told) == 1 else f"{text}: {', '.join(labels)}")
    if any(standing.verdict.basis == "rows" for _, standing in told):
        notes.append("a single repeat has no spread: intervals are over the rows of its test part")
    return [clean(note) for note in notes]


def _without(results: Results) -> list[str]:
    """Return why no section of a run has verdicts, unless it has nothing but the baseline that it was meant to have."""
    told: dict[str, list[str]] = {}
    for here in section_standings(results):
        baseline, cells = here.lines.baseline, [record.cell for record in here.lines.records]
        if here.methods or baseline.expected or not cells:
            continue
        reason = baseline.why
        if baseline.records:
            reason = f"{baseline.label} is the baseline ({reason}), and no other method has a finished repeat"
        told.setdefault(reason, []).append(cells[0].place)
    return [clean(f"no verdicts on {', '.join(dict.fromkeys(where))}: {reason}") for reason, where in told.items()]


def reading(results: Results, tables: Iterable[VerdictTable]) -> list[str]:
    """Return how the ``tables`` of a run are to be read, or why there are none if that is not plain from the suite."""
    shown = list(tables)
    if not shown:
        return _without(results) if any(metric in results.labels for metric in METRICS) else []
    lines = [
        "points above the coin: accuracy beyond that of tossing a coin between the baseline and a constant prediction "
        "with the same gap between groups, in per cent of all rows, with its 95% interval; a coin costs nothing, so "
        "only what lies above it is progress",
        "read the interval, not the points: a method equal to its baseline scores a little above 0 on average, because "
        "the coin bends there; and noise widens narrow gaps in small test parts, so that fair methods score too low",
        "of the room: the height of the attainable line (optimal post-processing that knows the group) above the coin "
        "at the method's own gap, and the share of it that is reached; no room: the lines are not told apart there",
        "± repeats: half-width of the 95% interval of the mean gap over repeats (corrected t); ± rows: half-width that "
        "the rows of one test part alone leave; floor: the mean gap of a fair method on such rows",
    ]
    if any(FAINT in row[1] for table in shown for row in table.rows):
        lines.append(
            f"{FAINT} smaller than this number of repeats can show, and the interval of the signed difference holds 0"
        )
    return lines
