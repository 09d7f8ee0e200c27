"""The first screen: what ran, what beat the coin, what is significant, and what could not run, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fairbench.api import Results, counted
from fairbench.api.analysis import FAIR, Standing, planned_repeats
from fairbench_reports._foot import ENDED, missing
from fairbench_reports._page.coverage import DONE, Coverage
from fairbench_reports._page.tradeoff import side_of
from fairbench_reports._table import Section
from fairbench_reports._verdicts import VerdictTable

NAMES = 5
LONGEST = 150  # letters of a reason on a card


@dataclass(frozen=True)
class Told:
    """A verdict: which method, at which heading of a gap, where, on which side of the coin, and its words.

    ``weak`` says that the gap itself is not told apart from that of a fair method, or too small to be shown;
    ``collapsed`` that the method makes the same decision for everybody in more than half of its repeats.
    """

    method: str
    heading: str
    key: str
    side: str
    reading: str
    weak: bool
    collapsed: bool


@dataclass(frozen=True)
class Overview:
    """Verdicts at a glance.

    Args:
        places: key and title of each section, and the headings of its gaps; each of these is a column.
        rows: label of a method, and a verdict for each column that has one.
    """

    places: tuple[tuple[str, str, tuple[str, ...]], ...]
    rows: tuple[tuple[str, tuple[Told | None, ...]], ...]


@dataclass(frozen=True)
class Card:
    """An answer on the first screen: its question, its number, and sentences."""

    question: str
    figure: str
    lines: tuple[str, ...]


def told_in(section: Section, tables: Iterable[VerdictTable]) -> list[Told]:
    """Return the verdicts of a section."""
    headings = {column.metric: column.heading for column in section.columns}
    alike = {row.label for row in section.rows if row.constant}
    return [
        Told(row[0], headings[table.metric], section.key, side_of(standing), row[-1], weak(standing), row[0] in alike)
        for table in tables
        for row, standing in zip(table.rows, table.standings)
    ]


def weak(standing: Standing) -> bool:
    """Return whether a gap is not told apart from that of a fair method, or smaller than its repeats can show."""
    return standing.faint or (standing.floor is not None and standing.floor.reading == FAIR)


def overview(told: Sequence[Told], titles: dict[str, str]) -> Overview:
    """Return the verdicts of a run by method, in the order of the plan."""
    columns = list(dict.fromkeys((each.key, each.heading) for each in told))
    by_place = {(each.method, each.key, each.heading): each for each in told}
    methods = dict.fromkeys(each.method for each in told)
    rows = [(name, tuple(by_place.get((name, *column)) for column in columns)) for name in methods]
    places = [
        (key, titles[key], tuple(heading for of, heading in columns if of == key))
        for key in dict.fromkeys(key for key, _ in columns)
    ]
    return Overview(tuple(places), tuple(rows))


def cards(
    results: Results, shown: Sequence[Section], covered: Coverage, told: Sequence[Told], ranks: Sequence[str]
) -> list[Card]:
    """Return the answers on the first screen.

    Args:
        results: of the run.
        shown: its sections.
        covered: how its cells ended.
        told: all verdicts.
        ranks: what the tests over datasets say.
    """
    return [_ran(results, shown, covered), _beat(told), _significant(told, ranks), _could_not(results)]


def _ran(results: Results, shown: Sequence[Section], covered: Coverage) -> Card:
    statuses = Counter(record.status for record in results.records)
    datasets = {str(record.cell.dataset) for record in results.records}
    repeats = counted(planned_repeats(results), "repeat")
    lines = [f"{counted(len(covered.rows), 'method')} on {counted(len(datasets), 'dataset')}, {repeats} each."]
    alike = dict.fromkeys(row.label for section in shown for row in section.rows if row.constant)
    references = set(results.run.get("reference_methods", ()))
    named = [row.label for section in shown for row in section.rows if row.label in alike and row.method in references]
    collapsed = [label for label in alike if label not in named]
    if collapsed:
        lines.append(f"Collapsed to the same decision for everybody: {few(collapsed)}.")
    return Card("What ran", f"{statuses[DONE]} of {counted(results.planned, 'cell')}", tuple(lines))


def _beat(told: Sequence[Told]) -> Card:
    if not told:
        return Card("What beat the coin", "no verdict", ("No method is compared with a baseline; the notes say why.",))
    if all(each.side == "none" for each in told):
        reasons = ", ".join(dict.fromkeys(each.reading for each in told))
        return Card("What beat the coin", "not known", (f"No verdict can be given: {_short(reasons)}.",))
    methods = dict.fromkeys(each.method for each in told)
    above = Counter(each.method for each in told if each.side == "above")
    compared = Counter(each.method for each in told)
    names = [f"{name} ({count} of {compared[name]})" for name, count in above.most_common()]
    lines = [f"Above it somewhere: {few(names)}."] if names else ["No method lies above it beyond its interval."]
    return Card("What beat the coin", f"{len(above)} of {counted(len(methods), 'method')}", tuple(lines))


def _significant(told: Sequence[Told], ranks: Sequence[str]) -> Card:
    sides = Counter(each.side for each in told)
    beyond = sides["above"] + sides["below"]
    lines = []
    if told:
        words = {"above": "above the coin", "below": "below", "open": "not told apart", "none": "without an interval"}
        parts = [f"{sides[side]} {text}" for side, text in words.items() if sides[side]]
        each = "; each interval is at 95% for itself" if len(told) > sides["none"] else ""
        lines.append(f"{', '.join(parts)}{each}.")
    small = sum(each.weak for each in told)
    if small:
        lines.append(f"{counted(small, 'gap')} not told apart from noise (grey).")
    lines += [f"{sentence}." for sentence in ranks]
    return Card("What is significant", f"{beyond} of {counted(len(told), 'verdict')}", tuple(lines))


def _could_not(results: Results) -> Card:
    statuses = Counter(record.status for record in results.records)
    left = results.planned - len(results.records)
    parts = [f"{statuses[status]} {words}" for status, words in ENDED.items() if statuses[status]]
    parts += [f"{left} not run yet"] if left > 0 else []
    lines = [f"{sentence}." for sentence in _first(missing(results), 2)] or ["Every planned cell has values."]
    return Card("What could not run", ", ".join(parts) or "nothing", tuple(lines))


def _first(sentences: Sequence[str], count: int) -> Iterator[str]:
    """Yield the first sentences, cut to what fits on a card, and how many more there are."""
    yield from map(_short, sentences[:count])
    if len(sentences) > count:
        yield f"{counted(len(sentences) - count, 'more reason')} under Coverage"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def few(names: Sequence[str]) -> str:
    """Return the names, but no more than a person reads at a glance."""
    more = len(names) - NAMES
    return ", ".join(names) if more < 1 else f"{', '.join(names[:NAMES])} and {more} more"
