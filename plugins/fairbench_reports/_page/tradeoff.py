"""Accuracy against a gap between groups: every method with its intervals, beside the reference lines of its section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fairbench.api import Record, Results
from fairbench.api.analysis import (
    CorrectedT,
    Measured,
    SectionLines,
    Standing,
    chosen_points,
    corrected_t,
    series,
)
from fairbench_reports._entries import clean
from fairbench_reports._levels import ACCURACY, constant_level
from fairbench_reports._page.axes import Axis, Frame, Place
from fairbench_reports._page.labels import NARROW, Named, placed
from fairbench_reports._table import ALIKE, MethodRow, Section, number
from fairbench_reports._verdicts import HEADINGS, POINTS, VerdictTable

SIDES = {1: "above", 0: "open", -1: "below", None: "none"}
BASELINE = "baseline"
LONGEST = 320  # characters of the parameters beside a point


def side_of(standing: Standing) -> str:
    """Return on which side of the coin a method is: ``above``, ``open``, ``below``, or ``none`` without an interval."""
    above = standing.verdict.above
    return "none" if above is None else SIDES[above.side]


@dataclass(frozen=True)
class Mark:
    """A method in the plot.

    Args:
        method: its label.
        side: ``above``, ``open``, ``below`` or ``none``, see ``side_of``, or ``baseline``.
        collapsed: whether it makes the same decision for everybody in more than half of its repeats.
        place: of its means.
        bars: the ends (x, y) of both intervals, in per cent; those that are known.
        curve: the line through its operating points, if there are several.
        tip: what is said of it, by line; the first is its label.
        text: its label, where there is room beside the mark; else empty.
        right: whether the text is to the right of the mark.
        down: how many pixels lower it is than the mark.
        narrow: whether there is room for it on a phone too.
    """

    method: str
    side: str
    collapsed: bool
    place: Place
    bars: tuple[tuple[Place, Place], ...]
    curve: str
    tip: tuple[str, ...]
    text: str = ""
    right: bool = True
    down: float = 0.0
    narrow: bool = False


@dataclass(frozen=True)
class Plot:
    """A section at one kind of gap.

    Args:
        heading: of the gap, e.g. "DP diff.".
        frame: its axes.
        marks: the methods.
        coin: the line through the constant and the baseline; this and the other lines are empty where they are unknown.
        common: a common threshold for everybody.
        mixed: the attainable line below the smallest gap that was measured.
        attained: the rest of the attainable line.
        constant: where the better constant prediction is; None if the run does not tell.
        baseline: label of the baseline.
        sentence: what the verdicts at this gap say, in one sentence; empty without any.
    """

    heading: str
    frame: Frame
    marks: tuple[Mark, ...]
    coin: str
    common: str
    mixed: str
    attained: str
    constant: Place | None
    baseline: str
    sentence: str


@dataclass(frozen=True)
class _Point:
    """A method's means and intervals of gap and accuracy, over the repeats that have both."""

    row: MethodRow
    gap: CorrectedT
    accuracy: CorrectedT

    @property
    def mean(self) -> Place:
        return self.gap.mean, self.accuracy.mean


def plot_of(
    section: Section,
    metric: str,
    lines: SectionLines,
    verdicts: VerdictTable | None,
    results: Results,
    rule: str,
) -> Plot | None:
    """Return the plot of a ``section`` at the gap ``metric``; None if no method has both an accuracy and this gap.

    Args:
        section: what is drawn.
        metric: name of the gap.
        lines: of the section.
        verdicts: of its methods at this gap, if there are any.
        results: of the run.
        rule: how operating points were chosen, in words.
    """
    references = results.run.get("reference_methods", ())
    own = {record.cell.key for record in lines.baseline.records}
    rows = [row for row in section.rows if row.records]
    is_base = {row.label: row.records[0].cell.key in own for row in rows}
    drawn = [row for row in rows if row.method not in references or is_base[row.label]]
    points = [point for row in drawn for point in _points(row, metric, lines)]
    if not points:
        return None
    level = constant_level(lines, [record for row in rows for record in row.records])
    coin, common, reached = _lines(lines, metric)
    frame = _frame(points, level, (coin, reached))
    heading = next(column.heading for column in section.columns if column.metric == metric)
    judged = _judged(verdicts)
    marks = [_mark(point, metric, heading, judged.get(point.row.label), is_base, frame, rule) for point in points]
    edge = frame.x.high
    constant = None if level is None else frame.place(0.0, level)
    return Plot(
        heading,
        frame,
        tuple(_labelled(marks, constant)),
        frame.line(_to_edge(coin, edge)),
        frame.line(_to_edge(common, edge)),
        frame.line(reached[:2]),
        frame.line(_to_edge(reached, edge)[1:]),
        constant,
        clean(lines.baseline.label) if lines.baseline.records else "",
        verdicts.notes[0] if verdicts is not None and verdicts.notes else "",
    )


def _judged(verdicts: VerdictTable | None) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Return by label the side of the coin and the texts of the table's row."""
    if verdicts is None:
        return {}
    return {row[0]: (side_of(standing), row) for row, standing in zip(verdicts.rows, verdicts.standings)}


def _points(row: MethodRow, metric: str, lines: SectionLines) -> Iterator[_Point]:
    gap, accuracy = (series(row.records, name) for name in (metric, ACCURACY))
    repeats = sorted(gap.keys() & accuracy.keys())
    if repeats:
        ratio = lines.correction.ratio
        both = (corrected_t([found[repeat] for repeat in repeats], ratio) for found in (gap, accuracy))
        yield _Point(row, *both)


def _lines(lines: SectionLines, metric: str) -> tuple[list[Place], list[Place], list[Place]]:
    """Return the vertices of the coin, the common threshold and the attainable line; empty where there is none."""
    repeats = lines.shared(metric) if lines.baseline.records else []
    if not repeats:
        return [], [], []
    found = lines.coin(metric, repeats), lines.common(metric, repeats), lines.reached(metric, repeats)
    coin, common, reached = ([] if line is None else [vertex.mean for vertex in line.vertices] for line in found)
    return coin, common, reached


def _to_edge(vertices: Sequence[Place], edge: float) -> list[Place]:
    """Return the vertices with the flat end of the line, up to the right edge of the plot."""
    return [*vertices, (max(edge, vertices[-1][0]), vertices[-1][1])] if vertices else []


def _frame(points: Sequence[_Point], level: float | None, lines: Sequence[Sequence[Place]]) -> Frame:
    ends = [place for line in lines for place in (*line[:1], *line[-1:])] if any(lines) else []
    means = [point.mean for point in points]
    gaps = [0.0, *(gap for gap, _ in [*means, *ends])]
    heights = [*(accuracy for _, accuracy in [*means, *ends]), *([] if level is None else [level])]
    widest = max(gaps)
    return Frame(Axis.around([-0.02 * widest, widest], 5, least=-0.03 * max(widest, 0.01)), Axis.around(heights, 5))


def _mark(
    point: _Point,
    metric: str,
    heading: str,
    judged: tuple[str, tuple[str, ...]] | None,
    is_base: Mapping[str, bool],
    frame: Frame,
    rule: str,
) -> Mark:
    row, (gap, accuracy) = point.row, point.mean
    ends = [
        (frame.place(low, accuracy), frame.place(high, accuracy))
        for low, high in [(point.gap.low, point.gap.high)]
        if low is not None and high is not None
    ]
    ends += [
        (frame.place(gap, low), frame.place(gap, high))
        for low, high in [(point.accuracy.low, point.accuracy.high)]
        if low is not None and high is not None
    ]
    side, told = judged or (BASELINE if is_base[row.label] else "none", ())
    return Mark(
        method=row.label,
        side=side,
        collapsed=row.constant,
        place=frame.place(gap, accuracy),
        bars=tuple(ends),
        curve=frame.line(list(_curve(row.records, metric, point.gap.n))),
        tip=tuple(_tip(point, heading, told, is_base[row.label], rule)),
    )


def _tip(point: _Point, heading: str, told: Sequence[str], base: bool, rule: str) -> Iterator[str]:
    """Yield what is said of a point."""
    row = point.row
    yield row.label + (f" {ALIKE}" if row.constant else "")
    yield f"accuracy {_between(point.accuracy)}"
    yield f"{heading} {_between(point.gap)}"
    if told:
        yield f"{HEADINGS[POINTS]}: {told[POINTS]}"
        yield told[-1]
    if base:
        yield "the baseline, with which others are compared"
    if row.constant:
        yield "makes the same decision for everybody, so its gap is meaningless"
    yield f"repeats done: {row.repeats}"
    chosen = [f"{name} in {count}" for name, count in chosen_points(row.records) if name]
    if chosen:
        yield clean(f"operating point: {', '.join(chosen[:3])}{' and others' if len(chosen) > 3 else ''}; {rule}")
    if row.parameters:
        text = clean(row.parameters.replace(",", ", "))
        yield f"parameters: {text if len(text) <= LONGEST else text[:LONGEST] + ' …'}"


def _between(found: CorrectedT) -> str:
    if found.low is None or found.high is None:
        return number(found.mean)
    return f"{number(found.mean)} (95% {number(found.low)} to {number(found.high)})"


def _curve(records: Sequence[Record], metric: str, repeats: int) -> Iterator[Place]:
    """Yield the means of each operating point, if there are several; only of those that equally many repeats have."""
    points = dict.fromkeys(point for record in records for point in Measured(record).points)
    for name in points if len(points) > 1 else ():
        gap, accuracy = (series(records, what, point=name) for what in (metric, ACCURACY))
        both = sorted(gap.keys() & accuracy.keys())
        if len(both) == repeats:
            yield sum(gap[each] for each in both) / repeats, sum(accuracy[each] for each in both) / repeats


def _labelled(marks: Sequence[Mark], constant: Place | None) -> Iterator[Mark]:
    """Yield the marks with a text beside those for which there is room; what is above the coin comes first."""
    order = ["above", BASELINE, "below", "none", "open"]
    named = [Named(mark.method, mark.place, order.index(mark.side), mark.side == "open") for mark in marks]
    others = [constant] if constant else []
    for mark, text, narrow in zip(marks, placed(named, others), placed(named, others, NARROW)):
        yield replace(mark, **text._asdict(), narrow=text == narrow) if text else mark
