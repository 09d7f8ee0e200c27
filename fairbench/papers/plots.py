"""The drawing of a reproduction's figures, as PNG and SVG; shape and line style tell apart what colour does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fairbench.analysis.drawing import (
    BLACK,
    BLUE,
    DOTS_PER_INCH,
    GREY,
    LIGHT,
    SETTINGS,
    STYLES,
    VERMILLION,
    require_matplotlib,
)
from fairbench.analysis.labels import Label, write_labels
from fairbench.papers.explain import Explanation

NARROWEST = 7.0  # inches, so that the legend fits below a single panel


@dataclass(frozen=True)
class Dot:
    """A point of a trade-off: gap and accuracy, their standard deviations or None, and what to write beside it."""

    gap: float
    accuracy: float
    gap_sd: Optional[float] = None
    accuracy_sd: Optional[float] = None
    text: str = ""


@dataclass(frozen=True)
class Panel:
    """What is drawn for one dataset.

    Args:
        title: the dataset.
        constant: accuracy of the better constant.
        baseline: gap and accuracy.
        curve: operating points in their order.
        series: measured points of each series.
        published: published points of each series.
    """

    title: str
    constant: float
    baseline: Dot
    curve: Sequence[Dot]
    series: Sequence[Sequence[Dot]]
    published: Sequence[Sequence[Dot]]


def draw_trade_off(
    panels: Sequence[Panel], labels: Sequence[str], curve: str, gap: str, title: str, stem: Path
) -> None:
    """Draw accuracy against a gap, a panel for each dataset, and write ``stem``.png and ``stem``.svg.

    Args:
        panels: at least one.
        labels: of the series.
        curve: label of the curve.
        gap: label of the horizontal axis.
        title: of the whole.
        stem: path without a suffix.
    """
    matplotlib = require_matplotlib()
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context(SETTINGS):
        figure, grid = _figure((max(NARROWEST, 4.6 * columns), 3.5 * rows + 1.1), rows, columns)
        for axes, panel in zip(grid, panels):
            _trade_off(axes, panel, labels, curve)
            axes.set_title(panel.title)
            axes.set_xlabel(f"{gap} (fraction; 0 is parity)")
            axes.set_ylabel("accuracy (fraction)")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        named = {name: handle for axes in grid for handle, name in zip(*axes.get_legend_handles_labels())}
        figure.legend([*named.values()], [*named], loc="outside lower center", ncols=2)
        _entitle(figure, title)
        _write_texts(figure, grid, panels)
        _save(figure, stem)


def _write_texts(figure: Any, grid: Sequence[Any], panels: Sequence[Panel]) -> None:
    """Write the texts beside the dots, once it is known where these are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, panel in zip(grid, panels):
        base = panel.baseline
        free = [Label(0.0, panel.constant, "", BLACK), Label(base.gap, base.accuracy, "", BLACK)]
        free += [Label(dot.gap, dot.accuracy, "", BLACK) for dots in panel.published for dot in dots]
        named = list(_named(axes, panel.curve, BLUE))
        for number, dots in enumerate(panel.series):
            named += _named(axes, dots, STYLES[number % len(STYLES)][0])
        write_labels(axes, [*free, *named], renderer)


def _entitle(figure: Any, title: str) -> None:
    """Write the title above everything, on as many lines as the width requires."""
    width = int(11 * figure.get_figwidth())  # letters of this size
    figure.suptitle("\n".join(textwrap.fill(line, width) for line in title.splitlines()))


def _figure(size: tuple[float, float], rows: int, columns: int, **options: Any) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def _trade_off(axes: Any, panel: Panel, labels: Sequence[str], curve: str) -> None:
    base = panel.baseline
    top = max(panel.constant, base.accuracy)
    axes.plot(
        [0, base.gap], [panel.constant, top], "--", color=BLACK, linewidth=1, label="coin of baseline and constant"
    )
    axes.plot([0], [panel.constant], "X", color=BLACK, markersize=7, label="constant prediction", clip_on=False)
    axes.plot([base.gap], [base.accuracy], "D", color=BLACK, markersize=6, label="baseline")
    for number, (label, dots) in enumerate(zip(labels, panel.series)):
        colour, marker = STYLES[number % len(STYLES)]
        style = {"color": colour, "marker": marker, "linewidth": 1, "markersize": 6}
        if dots:
            axes.errorbar(
                *([dot.gap for dot in dots], [dot.accuracy for dot in dots]),
                xerr=[dot.gap_sd or 0 for dot in dots],
                yerr=[dot.accuracy_sd or 0 for dot in dots],
                ecolor=(colour, 0.3),
                label=f"{label} (± standard deviation)",
                **style,
            )
        if panel.published[number]:
            said = panel.published[number]
            axes.plot(
                *([dot.gap for dot in said], [dot.accuracy for dot in said]),
                linestyle=":",
                markerfacecolor="white",
                label=f"{label}, as published",
                **style,
            )
    # The curve is drawn within the limits of the rest: it extends to gaps that nobody would choose.
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -0.06 * right), 1.1 * right)  # no gap is below 0, whatever a bar suggests
    axes.set_ylim(axes.get_ylim())
    axes.xaxis.get_major_locator().set_params(nbins=6)
    if panel.curve:
        gaps, accuracies = [dot.gap for dot in panel.curve], [dot.accuracy for dot in panel.curve]
        axes.plot(gaps, accuracies, "-", marker=".", color=BLUE, linewidth=1.2, label=f"{curve}, all operating points")


def _named(axes: Any, dots: Sequence[Dot], colour: str) -> Iterator[Label]:
    """Yield each dot within the frame with its text; of dots that nearly coincide, the first has all their texts."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    places: list[tuple[Dot, list[str]]] = []
    for dot in dots:
        if not (left <= dot.gap <= right and low <= dot.accuracy <= high):
            continue
        near = (
            texts
            for other, texts in places
            if abs(other.gap - dot.gap) < 0.04 * (right - left)
            and abs(other.accuracy - dot.accuracy) < 0.04 * (high - low)
        )
        texts = next(near, None)
        if texts is None:
            places.append((dot, [dot.text]))
        else:
            texts.append(dot.text)
            yield Label(dot.gap, dot.accuracy, "", colour, dot.gap_sd or 0.0, dot.accuracy_sd or 0.0)
    for dot, texts in places:
        text = ", ".join(filter(None, texts))
        yield Label(dot.gap, dot.accuracy, text, colour, dot.gap_sd or 0.0, dot.accuracy_sd or 0.0)


def draw_explanations(parts: Sequence[tuple[str, Explanation]], title: str, stem: Path) -> None:
    """Draw a beeswarm of SHAP values for each explanation, side by side, and write ``stem``.png and ``stem``.svg."""
    matplotlib = require_matplotlib()
    most = max(len(explanation.names) for _, explanation in parts)
    with matplotlib.rc_context(SETTINGS):
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        colours = LinearSegmentedColormap.from_list("levels", [BLUE, LIGHT, VERMILLION])
        figure, grid = _figure((5.2 * len(parts), 0.36 * most + 1.9), 1, len(parts), sharex=True)
        for axes, (label, explanation) in zip(grid, parts):
            _beeswarm(axes, explanation, colours)
            axes.set_title(label)
            axes.set_xlabel("SHAP value (change in the score, a fraction)")
        bar = figure.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=grid, ticks=[0, 1], aspect=40, pad=0.01)
        bar.ax.set_yticklabels(["low\nvalue", "high\nvalue"])
        bar.outline.set_visible(False)
        _entitle(figure, title)
        _make_room(figure, grid)
        _save(figure, stem)


def _make_room(figure: Any, grid: Sequence[Any]) -> None:
    """Widen the axis that the ``grid`` shares until no name of a category leaves it."""
    for _ in range(8):  # a wider axis brings the ends of a name closer to it, and never quite there
        figure.canvas.draw()
        left, right = grid[0].get_xlim()
        ends = [
            axes.transData.inverted().transform(text.get_window_extent().padded(3))[:, 0]
            for axes in grid
            for text in axes.texts
        ]
        lowest, highest = min([left, *(low for low, _ in ends)]), max([right, *(high for _, high in ends)])
        if (lowest, highest) == (left, right):
            return
        grid[0].set_xlim(lowest - 0.01 * (right - left), highest + 0.01 * (right - left))


def _beeswarm(axes: Any, explanation: Explanation, colours: Any) -> None:
    """Draw the attributes from the most important one downwards; the sensitive one's name is bold."""
    order = np.argsort(explanation.importance, kind="stable")  # the axis counts upwards
    for place, attribute in enumerate(order):
        values, levels = explanation.values[:, attribute], explanation.levels[:, attribute]
        colour = [GREY if np.isnan(level) else colours(level) for level in levels]
        axes.scatter(values, place + _spread(values), s=9, c=colour, linewidths=0, rasterized=True)
        extremes = explanation.extremes(int(attribute)) or ()
        for name, end, sign in zip(extremes, (values.min(), values.max()), (-1, 1)):
            here = levels[explanation.categories[:, attribute] == name][0]
            style = {"color": GREY if np.isnan(here) else colours(here), "fontsize": 6.5, "va": "center"}
            side = "right" if sign < 0 else "left"
            axes.annotate(name, (end, place), (4 * sign, 0), textcoords="offset points", ha=side, **style)
    axes.axvline(0, color=BLACK, linewidth=0.8)
    axes.set_yticks(range(len(order)), [explanation.names[attribute] for attribute in order])
    axes.get_yticklabels()[int(np.flatnonzero(order == len(order) - 1)[0])].set_fontweight("bold")
    axes.set_ylim(-0.6, len(order) - 0.4)


def _spread(values: Any, height: float = 0.38, bins: int = 60) -> Any:
    """Return vertical offsets (n,) that put dots of nearly the same value one above the other, from the middle out."""
    span = np.ptp(values) or 1.0
    column = ((values - values.min()) / span * (bins - 1)).astype(int)
    offsets = np.zeros(len(values))
    tallest = max(int(np.bincount(column).max()), 2)
    for number in np.unique(column):
        rows = np.flatnonzero(column == number)
        step = np.arange(len(rows))
        offsets[rows] = np.where(step % 2, -1, 1) * ((step + 1) // 2)
    return offsets * 2 * height / tallest


def _save(figure: Any, stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        figure.savefig(stem.with_name(stem.name + suffix), dpi=DOTS_PER_INCH, metadata=metadata)
