"""Curves over the steps of a loop and over the batches of a stream, as small plots side by side."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from fairbench.api import Cell, Record, Results
from fairbench.api.analysis import Estimate, Measured, finished, grouped, identity, only, telling_parameters
from fairbench_reports._entries import clean
from fairbench_reports._page.axes import Axis, Frame, Place
from fairbench_reports._table import number

METRICS = (
    "accuracy",
    "worst_group_accuracy",
    "demographic_parity_difference",
    "equalized_odds_difference",
)
STREAMED = {  # what the scenario 'stream' records after each batch
    "pooled_gap": "gap of all outputs so far",
    "average_gap": "batches' mean gap so far",
    "batch_gap": "gap of each batch",
}
LOOKS = 7  # colours and dashes of lines; then again
MOST = 160  # values of a line that are drawn
TICKS = 5  # spaces between the ticks of an axis of steps, at most


@dataclass(frozen=True)
class Curve:
    """A line of a panel.

    Args:
        label: what distinguishes it from the panel's other lines.
        look: number of its colour and dashes.
        line: of the means over the repeats.
        band: around it, one standard deviation to either side; empty for a single repeat.
        crosses: places of steps at which some repeat makes the same decision for everybody.
        only: its place, if it has one step only.
        first, last: its means at both ends, in figures.
    """

    label: str
    look: int
    line: str
    band: str
    crosses: tuple[Place, ...]
    only: Place | None
    first: str
    last: str


@dataclass(frozen=True)
class Panel:
    """One quantity: its title, its axes and its lines."""

    title: str
    frame: Frame
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Strip:
    """Panels of the same lines: of a method in the variants of a scenario, or of all methods in the only one.

    ``step`` is what the horizontal axis counts; ``spread`` is what the bands show, if there are any.
    """

    title: str
    panels: tuple[Panel, ...]
    step: str
    spread: bool
    crossed: bool

    @property
    def legend(self) -> list[tuple[str, int]]:
        """Return label and look of each line."""
        return list(dict.fromkeys((curve.label, curve.look) for panel in self.panels for curve in panel.curves))


@dataclass(frozen=True)
class _Line:
    """The repeats of one method in one variant of a scenario."""

    label: str
    records: tuple[Record, ...]


Series = list[tuple[float, Estimate, bool]]  # step, values over repeats, and whether one of them decides alike


def strips(results: Results) -> list[Strip]:
    """Return the curves of a run, in the order of its plan; none if no cell has several steps or a stream."""
    found = []
    for records in grouped(finished(results.records), _place):
        last = max(Measured(record).last_step for record in records)
        streamed = [name for name in STREAMED if any(len(record.diagnostics.get(name, ())) > 1 for record in records)]
        if not last and not streamed:
            continue
        for title, lines in _strips(records):
            strip = _loop(title, lines, last, results) if last else _stream(title, lines, streamed)
            if strip.panels:
                found.append(strip)
    return found


def _place(cell: Cell) -> Hashable:
    return identity(cell.dataset), cell.group, cell.preparation, cell.scenario.name


def _strips(records: Sequence[Record]) -> Iterator[tuple[str, list[_Line]]]:
    """Yield title and lines: a strip for each method where the scenario has variants, else one for all methods."""
    cell = records[0].cell
    methods = telling_parameters({identity(record.cell.method): record.cell.method for record in records}.values())
    scenarios = {identity(record.cell.scenario): record.cell.scenario for record in records}
    telling = telling_parameters(scenarios.values())[cell.scenario.name]
    place = f"{cell.place}, {cell.scenario.name}"
    by_method = grouped(records, lambda cell: identity(cell.method))
    names = [only(several[0].cell.method, methods[several[0].cell.method.name]) for several in by_method]
    if len(scenarios) == 1:
        yield clean(place), [_Line(clean(name), tuple(several)) for name, several in zip(names, by_method)]
        return
    for name, several in zip(names, by_method):
        variants = grouped(several, lambda cell: identity(cell.scenario))
        lines = [_Line(_variant(variant[0].cell, telling), tuple(variant)) for variant in variants]
        yield clean(f"{place}, {name}"), lines


def _variant(cell: Cell, telling: set[str]) -> str:
    """Return the parameters by which a variant of a scenario differs from the others."""
    return clean(only(cell.scenario, telling)[len(cell.scenario.name) + 1 : -1].replace(",", ", ").replace("=", " "))


def _loop(title: str, lines: Sequence[_Line], last: int, results: Results) -> Strip:
    steps = range(last + 1)
    panels = []
    for metric in METRICS:
        if metric in results.labels:
            heading = clean(results.labels[metric][0])
            panels.append(_panel(heading, [_steps(line, metric, steps) for line in lines], lines, metric))
    return _strip(title, panels, "step (generation)")


def _steps(line: _Line, metric: str, steps: Sequence[int]) -> Series:
    runs = [Measured(record) for record in line.records]
    found = []
    for step in steps:
        values = [run.whole(metric, step=step) for run in runs]
        known = Estimate.of(value for value in values if value is not None)
        found.append((float(step), known, any(run.decides_alike(step) for run in runs)))
    return found


def _stream(title: str, lines: Sequence[_Line], names: Sequence[str]) -> Strip:
    panels = [_panel(STREAMED[name], [_batches(line, name) for line in lines], lines, name) for name in names]
    return _strip(title, panels, "batch")


def _batches(line: _Line, name: str) -> Series:
    """Return the mean over repeats after each batch that all of them have; of many batches, evenly spaced ones."""
    curves = [curve for curve in (record.diagnostics.get(name, ()) for record in line.records) if len(curve)]
    length = min(map(len, curves), default=0)
    every = max(1, -(-length // MOST))
    at = sorted({*range(0, length, every), *([length - 1] if length else [])})
    return [(float(place + 1), Estimate.of(curve[place] for curve in curves), False) for place in at]


def _strip(title: str, panels: Sequence[Panel], step: str) -> Strip:
    shown = tuple(panel for panel in panels if panel.curves)
    curves = [curve for panel in shown for curve in panel.curves]
    return Strip(title, shown, step, any(c.band for c in curves), any(c.crosses for c in curves))


def _panel(title: str, several: Sequence[Series], lines: Sequence[_Line], name: str) -> Panel:
    known = [[point for point in series if point[1].mean is not None] for series in several]
    means = [(x, found.mean or 0.0, found.sd or 0.0) for series in known for x, found, _ in series]
    ends = [value for _, mean, sd in means for value in (mean - sd, mean + sd)]
    floor = None if name == "roc_auc" else 0.0
    most = 1.0 if name in METRICS else None
    steps = [x for x, _, _ in means] or [0.0, 1.0]
    along = Axis(min(steps), max(max(steps), min(steps) + 1), whole(min(steps), max(steps)))
    frame = Frame(along, Axis.around([min(max(end, 0.0), most or end) for end in ends], 4, least=floor, most=most))
    curves = [
        _curve(line.label, look % LOOKS, series, frame)
        for look, (line, series) in enumerate(zip(lines, known))
        if series
    ]
    return Panel(title, frame, tuple(curves))


def whole(low: float, high: float) -> tuple[float, ...]:
    """Return as ticks the multiples of a round whole number, a few of them and equally far apart."""
    rounds = (factor * 10**power for power in count() for factor in (1, 2, 5))
    step = next(each for each in rounds if high - low <= TICKS * each)
    return tuple(float(tick) for tick in range(math.ceil(low / step) * step, math.floor(high) + 1, step))


def _curve(label: str, look: int, series: Series, frame: Frame) -> Curve:
    means = [(x, found.mean or 0.0, found.sd or 0.0) for x, found, _ in series]
    band = ""
    if any(sd for _, _, sd in means):
        edge = [(x, mean + sd) for x, mean, sd in means] + [(x, mean - sd) for x, mean, sd in reversed(means)]
        band = frame.line(edge)
    return Curve(
        label,
        look,
        frame.line([(x, mean) for x, mean, _ in means]),
        band,
        tuple(frame.place(x, found.mean or 0.0) for x, found, alike in series if alike),
        frame.place(*means[0][:2]) if len(means) == 1 else None,
        number(means[0][1]),
        number(means[-1][1]),
    )
