"""Accuracy against the demographic parity difference of any run, as a picture: a panel for each dataset."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairbench.api import NotApplicable, Record, Report, Results, hookimpl
from fairbench.api.analysis import (
    BLACK,
    BLUE,
    DOTS_PER_INCH,
    JUDGED,
    SETTINGS,
    STYLES,
    Estimate,
    Label,
    Measured,
    SectionLines,
    only,
    planned_repeats,
    require_matplotlib,
    series,
    stored_rows,
    telling_parameters,
    write_labels,
)
from fairbench_reports._entries import clean
from fairbench_reports._foot import spread
from fairbench_reports._levels import ACCURACY, constant_level
from fairbench_reports._table import MethodRow, Section, sections

GAP = "demographic_parity_difference"
STYLE = {**SETTINGS, "text.parse_math": False}
UNDRAWN = ("constant", "attainable")  # lines stand for them
COLOURS = (*(colour for colour, _ in STYLES), BLUE)
MARKS = "o^svPD*<>ph"  # a colour gets another mark when the colours repeat
INCH = {"panel": 4.8, "row": 3.4, "left": 0.62, "bottom": 0.55, "right": 0.18, "top": 0.3, "line": 0.19, "title": 0.35}
ENTRY = 2.7  # inches for an entry of the legend
LETTERS = 60  # per line of a title above a panel


@dataclass(frozen=True)
class Dot:
    """A method with its parameters, over repeats.

    Args:
        method: its name.
        label: what the legend calls it: the name, and the parameters in which its variants differ.
        text: the values of these parameters.
        gap: of decisions, between groups.
        accuracy: over the same repeats.
        trivial: whether it makes the same decision for everybody in more than half of its repeats.
        curve: (gap, accuracy) of each operating point, in the order in which they are stored.
    """

    method: str
    label: str
    text: str
    gap: Estimate
    accuracy: Estimate
    trivial: bool
    curve: Sequence[tuple[float, float]]

    @property
    def place(self) -> tuple[float, float]:
        """Return the means of gap and accuracy."""
        return self.gap.mean or 0.0, self.accuracy.mean or 0.0


@dataclass(frozen=True)
class Panel:
    """What is drawn for a section.

    Args:
        title: of the section.
        dots: the methods, except constant predictions and those that only lines are drawn through.
        constant: accuracy of the better constant prediction, if the run has it.
        attainable: (gap, accuracy) of the attainable line's vertices; empty without one.
        baseline: the dot that the coin mixes with the constant; None if the baseline has none.
    """

    title: str
    dots: Sequence[Dot]
    constant: float | None
    attainable: Sequence[tuple[float, float]]
    baseline: Dot | None


def panels(results: Results, metric: str = GAP) -> list[Panel]:
    """Return what there is to draw: the sections in which a method has both an accuracy and this ``metric``."""
    shown = sections(results)
    telling: dict[str, set[str]] = {}
    for section in shown:  # each separately, because defaults may differ between datasets
        here = telling_parameters(row.records[0].cell.method for row in section.rows if row.records)
        telling = {**telling, **{name: names | telling.get(name, set()) for name, names in here.items()}}
    found = []
    with stored_rows(results) as stored:
        for section, title in zip(shown, panel_titles(shown)):
            rows = [row for row in section.rows if row.records]
            records = [record for row in rows for record in row.records]
            by_key = {
                row.records[0].cell.key: dot
                for row in rows
                if row.method not in UNDRAWN
                for dot in _dots(row, telling[row.method], metric)
            }
            if by_key:
                lines = SectionLines.of(records, results, stored)
                baseline = next((by_key[r.cell.key] for r in lines.baseline.records if r.cell.key in by_key), None)
                level = constant_level(lines, records)
                found.append(Panel(title, [*by_key.values()], level, _attained(lines, metric), baseline))
    return found


def _attained(lines: SectionLines, metric: str) -> list[tuple[float, float]]:
    """Return the vertices of the attainable line, the first at gap 0; nothing if the run has no such line."""
    repeats = lines.shared(metric) if lines.baseline.records and lines.attainable else []
    line = lines.reached(metric, repeats) if repeats else None
    return [] if line is None else [vertex.mean for vertex in line.vertices]


def panel_titles(shown: Sequence[Section]) -> list[str]:
    """Return for each section the dataset, the attribute, and what distinguishes its setting from the others'."""
    scenarios = [section.cell.scenario for section in shown]
    telling = telling_parameters(scenarios)
    labels = [f"scenario {only(scenario, telling[scenario.name])}" for scenario in scenarios]
    settings = [(label, *section.prepared) for label, section in zip(labels, shown)]
    shared = set(settings[0]).intersection(*settings) if settings else set()
    shared = shared.difference(*(section.cell.preparation.assumptions for section in shown))
    return [
        clean("; ".join([section.title, *(part for part in setting if part not in shared)]))
        for section, setting in zip(shown, settings)
    ]


def _dots(row: MethodRow, telling: set[str], metric: str) -> Iterator[Dot]:
    """Yield the method's dot, if it has one: over the repeats in which both quantities are defined."""
    gap, accuracy = _both(row.records, metric)
    if gap.n:
        method = row.records[0].cell.method
        values = (
            str(only(method, {name}))[len(method.name) + 1 : -1].partition("=")[2].strip("()")
            for name in sorted(telling)
        )
        text = clean(", ".join(filter(None, values)))
        label = clean(f"{row.method} ({', '.join(sorted(telling))})" if telling else row.method)
        yield Dot(row.method, label, text, gap, accuracy, row.constant, list(_curve(row.records, metric, gap.n)))


def _both(records: Sequence[Record], metric: str, point: str | None = None) -> tuple[Estimate, Estimate]:
    gap, accuracy = (series(records, name, point=point) for name in (metric, ACCURACY))
    repeats = sorted(gap.keys() & accuracy.keys())
    return Estimate.of(gap[repeat] for repeat in repeats), Estimate.of(accuracy[repeat] for repeat in repeats)


def _curve(records: Sequence[Record], metric: str, repeats: int) -> Iterator[tuple[float, float]]:
    """Yield the means of each operating point, if there are several; only of those that equally many repeats have."""
    points = dict.fromkeys(point for record in records for point in Measured(record).points)
    for point in points if len(points) > 1 else ():
        gap, accuracy = _both(records, metric, point)
        if gap.n == repeats and gap.mean is not None and accuracy.mean is not None:
            yield gap.mean, accuracy.mean


def render(results: Results) -> bytes:
    """Return a PNG picture of accuracy against the demographic parity difference, nothing if no method has both.

    A mark is the mean over repeats at the operating point that stands for the method; its bars are one standard
    deviation to either side, and hollow ones decide alike for everybody. All operating points make a faint curve. The
    dashed line is a coin that mixes the baseline with the better constant prediction, where the run has both: what
    lies below it is worth less than tossing it. The solid blue line is what optimal post-processing attains, dotted
    below the smallest gap that was measured. The same results give the same bytes.

    Raises:
        NotApplicable: matplotlib is not installed.
    """
    shown = panels(results)
    if not shown:
        return b""
    matplotlib = require_matplotlib()
    with matplotlib.rc_context(STYLE):
        return _png(_draw(shown, spread(planned_repeats(results)), GAP))


def figure(results: Results, metric: str = GAP) -> Any:
    """Return the same picture as a figure of matplotlib, with any gap that has lines.

    Args:
        results: of a run.
        metric: one of ``JUDGED``.

    Raises:
        NotApplicable: matplotlib is not installed, or no method has both.
    """
    matplotlib = require_matplotlib()
    shown = panels(results, metric)
    if not shown:
        raise NotApplicable(f"there is nothing to draw: no method has both an accuracy and a {JUDGED[metric]}")
    with matplotlib.rc_context(STYLE):
        drawn = _draw(shown, spread(planned_repeats(results)), metric)
        picture = _png(drawn)
    drawn._repr_png_ = lambda: picture  # which a notebook shows
    return drawn


def _png(figure: Any) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw(shown: Sequence[Panel], what: str, metric: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    titles = [textwrap.wrap(panel.title, LETTERS, max_lines=3, placeholder=" …") for panel in shown]
    above = INCH["top"] + INCH["line"] * (max(map(len, titles)) - 1)
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    labels = dict.fromkeys(dot.label for panel in shown for dot in panel.dots)
    styles = {label: (COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]) for i, label in enumerate(labels)}
    width = INCH["panel"] * max(columns, 1.4)
    entries = len(labels) + 2 + any(panel.attainable for panel in shown)
    notes = _notes(shown, what, int(15 * width))
    foot = INCH["line"] * (-(-entries // int(width / ENTRY)) + len(notes) + 1)
    height = INCH["title"] + (INCH["row"] + above) * rows + foot
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    room = width / columns
    for index, (panel, title) in enumerate(zip(shown, titles)):
        row, column = divmod(index, columns)
        left = column * room + INCH["left"]
        bottom = height - INCH["title"] - (row + 1) * (INCH["row"] + above) + INCH["bottom"]
        size = room - INCH["left"] - INCH["right"], INCH["row"] - INCH["bottom"]
        axes = figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
        hidden = _draw_panel(axes, panel, metric, styles, renderer)
        room_for = f"\n(no room for {hidden} of the texts beside marks)" if hidden else ""
        axes.set_title("\n".join(title) + room_for)
    figure.suptitle(f"Accuracy against the {JUDGED[metric]}", y=1 - 0.1 / height, va="top")
    _legend(figure, shown, styles, (foot - INCH["line"] * 0.4) / height, int(width / ENTRY))
    figure.text(0.1 / width, 0.08 / height, "\n".join(notes), fontsize=7.5, color="#444444", va="bottom")
    return figure


def _draw_panel(axes: Any, panel: Panel, metric: str, styles: Mapping[str, tuple[str, str]], renderer: Any) -> int:
    """Draw a panel; return how many texts there was no room for."""
    for dot in panel.dots:
        colour, mark = styles[dot.label]
        face = "white" if dot.trivial else colour
        bars = {"xerr": dot.gap.sd or 0, "yerr": dot.accuracy.sd or 0, "ecolor": (colour, 0.3)}
        axes.errorbar(*dot.place, **bars, fmt=mark, color=colour, markerfacecolor=face, markersize=6, zorder=3)
    base = panel.baseline
    if panel.constant is not None:
        axes.plot([0], [panel.constant], "X", color=BLACK, markersize=7, zorder=4, clip_on=False)
    if panel.constant is not None and base is not None:
        gap, accuracy = base.place
        axes.plot([0, gap], [panel.constant, max(panel.constant, accuracy)], "--", color=BLACK, linewidth=1, zorder=2)
    if panel.attainable:  # the last stretch is flat; below the first measured gap it is a mixture with the constant
        edge = max([*(dot.place[0] for dot in panel.dots), panel.attainable[-1][0]])
        axes.plot(*zip(*panel.attainable[:2]), ":", color=BLUE, linewidth=1, zorder=2)
        axes.plot(*zip(*panel.attainable[1:], (edge, panel.attainable[-1][1])), "-", color=BLUE, linewidth=1, zorder=2)
    # The curves are drawn within the limits of the rest: they run on to gaps that nobody would choose.
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -0.06 * right), right + 0.04 * (right - left))  # no gap is below 0, whatever a bar suggests
    axes.set_ylim(axes.get_ylim())
    for dot in panel.dots:
        if dot.curve:
            axes.plot(*zip(*dot.curve), "-", marker=".", color=styles[dot.label][0], alpha=0.3, linewidth=1, zorder=1)
    axes.set_xlabel(f"{JUDGED[metric]} (fraction; 0 is parity)")
    axes.set_ylabel("accuracy (fraction)")
    labels = [
        Label(*dot.place, dot.text, styles[dot.label][0], dot.gap.sd or 0.0, dot.accuracy.sd or 0.0)
        for dot in panel.dots
    ]
    constant = [] if panel.constant is None else [Label(0.0, panel.constant, "", BLACK)]
    return write_labels(axes, [*labels, *constant], renderer)


def _legend(
    figure: Any,
    shown: Sequence[Panel],
    styles: Mapping[str, tuple[str, str]],
    top: float,
    columns: int,
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", label=label) for label, (colour, mark) in styles.items()
    ]
    constants = [panel for panel in shown if panel.constant is not None]
    if constants:
        handles.append(Line2D([], [], color=BLACK, marker="X", linestyle="", label="the better constant prediction"))
    bases = dict.fromkeys(panel.baseline.method for panel in constants if panel.baseline is not None)
    if bases:
        label = f"coin of {' or '.join(bases)} and a constant"
        handles.append(Line2D([], [], color=BLACK, linestyle="--", linewidth=1, label=label))
    if any(panel.attainable for panel in shown):
        handles.append(Line2D([], [], color=BLUE, linewidth=1, label="attainable with the group known"))
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, top), ncols=max(columns, 1))


def _notes(shown: Sequence[Panel], what: str, width: int) -> list[str]:
    """Return the sentences at the foot of the picture, wrapped to this many characters."""
    dots = [dot for panel in shown for dot in panel.dots]
    parts = [what]
    if any(dot.text for dot in dots):
        parts.append("beside marks: the values of the parameters that the legend names")
    if any(dot.curve for dot in dots):
        parts.append("faint: all operating points, of which the mark is the chosen one")
    if any(dot.trivial for dot in dots):
        parts.append("hollow: makes the same decision for everybody in more than half of its repeats")
    if any(panel.constant is not None and panel.baseline is not None for panel in shown):
        parts.append("what lies below the dashed line is worth less than tossing that coin")
    return textwrap.wrap("; ".join(parts), width)


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the picture."""
    return [Report("tradeoff", "", render, figure)]
