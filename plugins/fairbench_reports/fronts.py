"""Methods with several operating points as fronts: accuracy at fixed gaps, gaps at fixed accuracies, attainment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from rich.text import Text

from fairbench.api import Report, Results, Undefined, hookimpl
from fairbench.api.analysis import (
    Line,
    Measured,
    SectionLines,
    area_skill,
    attainment,
    finished,
    gap_at,
    heights,
    hull,
    pareto,
    series,
    stored_rows,
)
from fairbench.api.analysis import sections as comparable
from fairbench_reports._entries import clean
from fairbench_reports._foot import missing
from fairbench_reports._levels import ACCURACY, constant_level
from fairbench_reports._plain import new_console, new_table, print_head, print_lines, print_table, printed
from fairbench_reports._table import MethodRow, Section, number, sections

GAPS = {"demographic_parity_difference": "DP", "equalized_odds_difference": "EO"}
AT_GAPS = (0.02, 0.05, 0.1)
BELOW_THE_BEST = (0.01, 0.02, 0.05)  # accuracies, below the best that a front of the section reaches
READING = (
    "a front is the concave hull of a method's operating points and, if the run has it, of the better constant "
    "prediction: whoever tosses a coin between two points of it reaches what lies between them",
    "the fronts are of test values: a point picked from one after the fact looks better than it is, the more so the "
    "more points there are. What a method reaches with a point chosen on validation is in the other tables",
)


@dataclass(frozen=True)
class Lines:
    """The coin and the attainable line of a section as vertices (v, 2), the baseline's gap, and over which repeats."""

    coin: np.ndarray
    attainable: np.ndarray
    baseline_gap: float
    repeats: frozenset[int] | None = None


@dataclass(frozen=True)
class References:
    """What a section's fronts are held against: the better constant's accuracy, and lines by name of the gap."""

    constant: float | None
    lines: Mapping[str, Lines]


@dataclass(frozen=True)
class Front:
    """The operating points of a method at one kind of gap.

    Args:
        label: the method.
        points: (gap, accuracy) by name of the operating point: means over the repeats, which all have the point.
        repeats: for each repeat (n, 2) its points.
        constant: accuracy of the better constant prediction, mean over repeats; None if the run has none.
        places: which repeats these are.
    """

    label: str
    points: Mapping[str, tuple[float, float]]
    repeats: Sequence[np.ndarray]
    constant: float | None
    places: frozenset[int] = frozenset()

    @property
    def means(self) -> np.ndarray:
        """Return the points (n, 2)."""
        return np.array(list(self.points.values()), dtype=np.float64).reshape(-1, 2)

    @property
    def vertices(self) -> np.ndarray:
        """Return the vertices (v, 2) of the hull."""
        return hull(self.means, self.constant)


def fronts(section: Section, gap: str, constant: float | None) -> list[Front]:
    """Return the fronts of a section's methods with several operating points, at one kind of gap."""
    found = (_front(row, gap, constant) for row in section.rows)
    return [front for front in found if len(front.points) > 1]


def _front(row: MethodRow, gap: str, constant: float | None) -> Front:
    by_repeat: list[dict[str, tuple[float, float]]] = []
    for record in row.records:
        measured = Measured(record)
        places = {
            point: (measured.whole(gap, point=point), measured.whole(ACCURACY, point=point))
            for point in measured.points
        }
        by_repeat.append({name: (g, a) for name, (g, a) in places.items() if g is not None and a is not None})
    shared = [name for name in (by_repeat[0] if by_repeat else {}) if all(name in here for here in by_repeat)]
    means = {name: tuple(np.mean([here[name] for here in by_repeat], axis=0).tolist()) for name in shared}
    ran = frozenset(record.cell.repeat for record in row.records)
    return Front(row.label, means, [np.array([here[name] for name in shared]) for here in by_repeat], constant, ran)


def references(results: Results) -> dict[str, References]:
    """Return by key of the section what its fronts are held against, as far as the run's stored rows have it."""
    found = {}
    with stored_rows(results) as rows:
        for records in filter(finished, comparable(results.records)):
            here = SectionLines.of(records, results, rows)
            lines = {gap: drawn for gap in GAPS if (drawn := _drawn(here, gap)) is not None}
            found[records[0].cell.key] = References(constant_level(here, records), lines)
    return found


def _drawn(here: SectionLines, gap: str) -> Lines | None:
    """Return the lines at one kind of gap; None without a baseline or an attainable line."""
    repeats = here.shared(gap) if here.baseline.records else []
    reached = here.reached(gap, repeats) if repeats else None
    if reached is None:
        return None
    own = series(here.baseline.records, gap)
    width = float(np.mean([own[repeat] for repeat in repeats]))
    return Lines(_vertices(here.coin(gap, repeats)), _vertices(reached), width, frozenset(repeats))


def _vertices(line: Line) -> np.ndarray:
    return np.array([vertex.mean for vertex in line.vertices])


def render(results: Results) -> str:
    """Return for each method with several operating points its front, and what is reached at fixed gaps.

    If the run has an attainable line, a column says how high the front lies above the coin on average up to the
    baseline's gap, of how much room.
    """
    return show(results, references(results))


def show(results: Results, beside: Mapping[str, References]) -> str:
    """Return the fronts, held against what is given by key of the section."""
    console = new_console()
    shown = False
    for section in sections(results):
        known = beside.get(section.key, References(None, {}))
        found = {gap: here for gap in GAPS if (here := fronts(section, gap, known.constant))}
        if found:
            print_head(console, section)
            shown = True
        for gap, here in found.items():
            for table in _tables(here, GAPS[gap], known.lines.get(gap)):
                print_table(console, table)
                console.print()
    what = READING if shown else ("no method has several operating points with an accuracy and a gap",)
    print_lines(console, [*what, *missing(results)])
    return printed(console)


def _tables(found: Sequence[Front], heading: str, lines: Lines | None) -> Iterator[Table]:
    yield _summary(found, heading, lines)
    yield _corners(found, heading)
    if any(len(front.repeats) > 1 for front in found):
        yield _attained(found, heading)


def _summary(found: Sequence[Front], heading: str, lines: Lines | None) -> Table:
    """Return the height of each front at fixed gaps, and its gap at fixed accuracies."""
    best = max(front.vertices[-1, 1] for front in found)
    accuracies = [round(best - step, 2) for step in BELOW_THE_BEST]
    headings = [f"accuracy\nat {heading}\n{gap:g}" for gap in AT_GAPS]
    headings += [f"{heading} at\naccuracy\n{accuracy:.2f}" for accuracy in accuracies]
    texts = ["method", *([f"above the coin up to\nthe baseline's {heading}"] if lines else [])]
    table = new_table(1, texts, ["points", "on the\nfront", *headings])
    for front in found:
        numbers = [*map(_height, heights(front.vertices, AT_GAPS))]
        numbers += [number(gap_at(front.vertices, accuracy)) for accuracy in accuracies]
        counts = [str(len(front.points)), str(len(pareto(front.means)))]
        skill = [Text(_skill(front, lines))] if lines else []
        table.add_row(Text(front.label), *skill, *map(Text, [*counts, *numbers]))
    return table


def _skill(front: Front, lines: Lines) -> str:
    """Return the mean height above the coin in points, of how much room, and the mean depth below it."""
    if lines.repeats not in (None, front.places):
        return "not compared: the baseline has other repeats"
    try:
        area = area_skill(front.means, lines.coin, lines.attainable, lines.baseline_gap)
    except Undefined as reason:
        return clean(str(reason))
    below = f", {100 * area.lost:.1f} below it" if area.lost > 0 else ""
    return f"{100 * area.gained:.1f} of {100 * area.room:.1f} points ({area.share:.0%}){below}"


def _height(value: float) -> str:
    return number(value if np.isfinite(value) else None)


def _corners(found: Sequence[Front], heading: str) -> Table:
    """Return the operating points at the corners of each hull, in the order of the gap."""
    table = new_table(2, ["method", "corner of the front"], [heading, "accuracy"])
    for front in found:
        names: dict[tuple[float, ...], str] = {}
        for name, place in front.points.items():
            names.setdefault(place, name)
        for index, (gap, accuracy) in enumerate(map(tuple, front.vertices)):
            name = names.get((gap, accuracy), "the better constant prediction")
            cells = (front.label if index == 0 else "", clean(name), number(gap), number(accuracy))
            table.add_row(*map(Text, cells))
    return table


def _attained(found: Sequence[Front], heading: str) -> Table:
    """Return the accuracy at fixed gaps that one, half and all of the repeats attain, each with its own front."""
    table = new_table(2, ["method", "attained in"], [f"accuracy at {heading} {gap:g}" for gap in AT_GAPS])
    for front in found:
        hulls = [hull(points, front.constant) for points in front.repeats]
        for index, (k, level) in enumerate(attainment(hulls, AT_GAPS).items()):
            cells = (front.label if index == 0 else "", f"{k} of {len(hulls)} repeats", *map(_height, level))
            table.add_row(*map(Text, cells))
    return table


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the fronts."""
    return [Report("fronts", "", render)]
