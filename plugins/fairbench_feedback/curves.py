"""Curves over the generations as a figure: one panel per metric, with and without reparation, bands over repeats."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import SETTINGS, require_matplotlib

from ._histories import Strip, strips

PANELS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "worst_group_accuracy": "accuracy, worst group",
    "equalized_odds_difference": "equalized odds difference",
    "demographic_parity_difference": "demographic parity difference",
    "training_kl": "KL of training rows to ideal (nats)",
    "population_favourable_share": "favourable share of samples",
}
LEAST = 0.1  # the least height of an axis, so that noise does not look like change
# Okabe and Ito's colours, which colour-blind readers can tell apart
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES: Mapping[str, tuple[str, Any]] = {  # the plain loop red, the classifiers' STAR green and dashed, as in the paper
    "none": ("#D55E00", "-"),
    "classifier": ("#009E73", (0, (5, 2))),
    "generator": ("#0072B2", (0, (5, 1.5, 1, 1.5))),
    "both": ("#CC79A7", (0, (1, 1.2))),
}
INCH = {"panel": 2.55, "strip": 2.15, "title": 0.62, "legend": 0.22, "foot": 0.62}
DPI = 110
UNDATED: Mapping[str, Mapping[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}
VARIANTS = ((0, (8, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))  # dashes for further lines of the same reparation


def render(results: Results, form: str = "png") -> bytes:
    """Return a picture with a row of panels for each dataset, scenario and method; nothing where no loop has finished.

    A line is the mean over the repeats, its band one standard deviation to either side. A cross marks generations in
    which some repeat has collapsed to a constant or to the group; where repeats end in different states, some collapsed
    and some not, each is drawn by itself as a thin line too. Dotted: the annotator that was trained on real labels.

    Args:
        results: of a run.
        form: ``png`` or ``svg``; the same results give the same bytes.

    Raises:
        NotApplicable: matplotlib is not installed.
    """
    shown = strips(results)
    if not shown:
        return b""
    matplotlib = require_matplotlib()
    with matplotlib.rc_context({**SETTINGS, "text.parse_math": False}):
        return _draw(shown, form)


def _draw(shown: Sequence[Strip], form: str) -> bytes:
    from matplotlib.figure import Figure

    limits = {metric: _limits(shown, metric) for metric in PANELS}
    heights = [INCH["title"] + INCH["strip"] + INCH["legend"] * _legend_rows(strip) for strip in shown]
    figure = Figure(figsize=(INCH["panel"] * len(PANELS), sum(heights) + INCH["foot"]), dpi=DPI)
    figure.set_facecolor("white")
    top = sum(heights) + INCH["foot"]
    total = top
    for strip, height in zip(shown, heights):
        _draw_strip(figure, strip, top, height, total, limits)
        top -= height
    figure.text(0.008, 0.12 / total, _foot(shown), fontsize=7.5, color="#444444", va="bottom")
    picture = io.BytesIO()
    figure.savefig(picture, format=form, metadata=UNDATED[form])
    return picture.getvalue() if form == "svg" else _with_palette(picture)


def _with_palette(picture: io.BytesIO) -> bytes:
    """Return a PNG picture in at most 256 colours: as sharp, in a third of the bytes, however many rows it has."""
    from PIL import Image  # which matplotlib needs

    small = io.BytesIO()
    Image.open(picture).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
    return small.getvalue()


def _limits(shown: Sequence[Strip], metric: str) -> tuple[float, float]:
    """Return the ends of a metric's axis, the same in all rows: where its values lie, with their bands."""
    ends = []
    for line in (line for strip in shown for line in strip.lines):
        for step in line.steps:
            mean = line.mean(metric, step)
            spread = 0.0 if mean is None else line.spread(metric, step)
            ends += [] if mean is None else [mean - spread, mean + spread]
        reference = line.mean(f"annotator_{metric}", 0)
        ends += [] if reference is None else [reference]
    if not ends:
        return 0.0, 1.0
    low, high = max(0.0, min(ends)), max(ends)
    wider = max(0.0, LEAST - (high - low)) / 2 + 0.04 * (high - low)
    return low - wider, high + wider


def render_svg(results: Results) -> bytes:
    """Return the picture that ``curves`` gives as SVG."""
    return render(results, "svg")


def _legend_rows(strip: Strip) -> int:
    return -(-len(strip.lines) // 4)


def _look(strip: Strip) -> list[tuple[str, Any]]:
    """Return colour and dashes of each line: by reparation where the method is one, else coloured by method."""
    taken: list[str] = []
    look = []
    for line in strip.lines:
        colour, dashes = STYLES.get(line.reparation, (COLOURS[0], "-"))
        if not strip.method or colour in taken:
            dashes = VARIANTS[len(taken) % len(VARIANTS)] if taken else "-"
            colour = next((free for free in COLOURS if free not in taken), COLOURS[0])
        taken.append(colour)
        look.append((colour, dashes))
    return look


def _draw_strip(
    figure: Any, strip: Strip, top: float, height: float, total: float, limits: Mapping[str, tuple[float, float]]
) -> None:
    """Draw one row of panels; ``top`` and ``height`` are in inches from the bottom of a figure ``total`` high."""
    width = 1 / len(PANELS)
    bottom = (top - INCH["title"] - INCH["strip"] + 0.42) / total
    handles: list[Any] = []
    for place, (metric, title) in enumerate(PANELS.items()):
        axes = figure.add_axes((place * width + 0.027, bottom, width - 0.038, (INCH["strip"] - 0.42) / total))
        drawn = _draw_panel(axes, strip, metric)
        handles = handles or drawn
        axes.set_ylim(*limits[metric])
        axes.set_title(title, pad=4)
    figure.text(0.008, (top - 0.16) / total, f"{strip.title}  ({strip.runs})", fontsize=10.5, weight="bold", va="top")
    figure.legend(
        handles,
        [strip.name(line) for line in strip.lines],
        loc="lower left",
        bbox_to_anchor=(0.012, (top - height - 0.02) / total),
        ncols=4,
        handlelength=3.2,
        borderaxespad=0,
    )


def _draw_panel(axes: Any, strip: Strip, metric: str) -> list[Any]:
    """Draw the lines of one metric; return a handle for each."""
    handles = []
    for line, (colour, dashes) in zip(strip.lines, _look(strip)):
        found = [(step, line.mean(metric, step), line.spread(metric, step)) for step in line.steps]
        points = [(step, mean, spread) for step, mean, spread in found if mean is not None]
        steps, means, spreads = ([point[index] for point in points] for index in range(3))
        (handle,) = axes.plot(
            steps, means, color=colour, linestyle=dashes, linewidth=1.6, marker="o" if len(steps) == 1 else "", zorder=3
        )
        handles.append(handle)
        low, high = ([mean + sign * spread for mean, spread in zip(means, spreads)] for sign in (-1, 1))
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
        if 0 < line.collapsed(line.steps[-1]) < len(line.records):
            for repeat in range(len(line.records)):
                run = [float("nan") if value is None else value for value in line.run(repeat, metric)]
                axes.plot(line.steps, run, color=colour, linewidth=0.6, alpha=0.7, zorder=2)
        crossed = [(step, mean) for step, mean, _ in points if line.collapsed(step)]
        axes.plot(*zip(*crossed), "x", color=colour, markersize=4, zorder=4) if crossed else None
    reference = strip.lines[0].mean(f"annotator_{metric}", 0)
    if reference is not None:
        axes.axhline(reference, color="#777777", linestyle=":", linewidth=1, zorder=0)
    _frame(axes, strip)
    return handles


def _frame(axes: Any, strip: Strip) -> None:
    last = max(line.steps[-1] for line in strip.lines)
    axes.set_xlim(-0.02 * max(last, 1), max(last, 1) * 1.02)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(nbins=5)
    axes.tick_params(length=2.5, color="#999999")
    axes.set_xlabel("generation", labelpad=1)


def _foot(shown: Sequence[Strip]) -> str:
    lines = [line for strip in shown for line in strip.lines]
    several = any(len(line.records) > 1 for line in lines)
    text = "mean over the runs, band ± one standard deviation; " if several else ""
    text += "dotted grey: annotator A_L, trained on real labels; axes begin where the values do, alike in all rows"
    if any(line.collapsed(step) for line in lines for step in line.steps):
        text += "; x: some run has collapsed: its classifier is a constant or the group alone"
    if any(0 < line.collapsed(line.steps[-1]) < len(line.records) for line in lines):
        text += "; thin: single runs, where they end differently"
    if all(len(line.steps) == 1 for line in lines):
        text += "; one generation: there is no loop to see"
    return text


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the picture in two forms."""
    return [Report("curves", ".png", render), Report("curves_svg", ".svg", render_svg)]
