"""Mean ranks over datasets as critical-difference diagrams, from six datasets on."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import (
    BLACK,
    DOTS_PER_INCH,
    SETTINGS,
    AcrossDatasets,
    critical_difference,
    require_matplotlib,
)
from fairbench_reports._ranked import Ranking, rankings

WIDTH = 8.0  # inches
CAPTION = "a thick line joins methods of which no two are told apart (exact signed-rank tests, Holm's correction, 5%)"
INCH = {"head": 0.75, "bar": 0.45, "line": 0.22, "foot": 0.35}


def render(results: Results) -> bytes:
    """Return a PNG picture with a diagram of mean ranks for each metric; nothing for fewer than six datasets.

    A thick line joins methods of which no two are told apart by signed-rank tests with Holm's correction. The bar above
    is Nemenyi's critical difference, for comparison with other papers. The same results give the same bytes.

    Raises:
        NotApplicable: matplotlib is not installed.
    """
    shown = [ranking for ranking in rankings(results) if ranking.across.tested]
    if not shown:
        return b""
    matplotlib = require_matplotlib()
    with matplotlib.rc_context({**SETTINGS, "text.parse_math": False}):
        return _draw(shown)


def told_together(across: AcrossDatasets) -> list[Sequence[int]]:
    """Return the longest runs of methods, in the order of mean ranks, of which no two are told apart."""
    order = sorted(range(len(across.methods)), key=lambda method: across.mean_ranks[method])
    apart = {frozenset(pair.methods) for pair in across.pairs if pair.told_apart}
    runs: list[Sequence[int]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and all(frozenset((order[end], one)) not in apart for one in order[start:end]):
            end += 1
        if end - start > 1 and not (runs and set(order[start:end]) <= set(runs[-1])):
            runs.append(order[start:end])
    return runs


def _draw(shown: Sequence[Ranking]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rooms = [_height(ranking.across) for ranking in shown]
    height = sum(rooms)
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    top = height
    for ranking, room in zip(shown, rooms):
        top -= room
        axes = figure.add_axes((0, top / height, 1, room / height))
        axes.set_axis_off()
        axes.grid(visible=False)
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(room, 0)  # inches from above
        _draw_panel(axes, ranking)
    figure.text(0.1 / WIDTH, 0.1 / height, CAPTION, fontsize=7)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _height(across: AcrossDatasets) -> float:
    sides = -(-len(across.methods) // 2)
    return INCH["head"] + INCH["bar"] + INCH["line"] * (len(told_together(across)) + sides) + INCH["foot"]


def _draw_panel(axes: Any, ranking: Ranking) -> None:
    """Draw the axis of ranks with 1 at the left, the bar, the runs, and the names on both sides."""
    across, k = ranking.across, len(ranking.across.methods)
    left, right = 0.3 * WIDTH, 0.7 * WIDTH
    unit = (right - left) / (k - 1)
    axes.text(0.1, 0.2, f"{ranking.heading} {ranking.arrow}; {len(across.datasets)} datasets", va="center", fontsize=10)
    axes.text(0.1, 0.4, ranking.setting, va="center", fontsize=7)
    bar = critical_difference(len(across.datasets), k)
    drawn = min(bar, k - 1.0)
    y = INCH["head"]
    axes.plot([left, left + drawn * unit], [y - 0.12] * 2, "|-", color=BLACK, linewidth=1)
    axes.text(left + drawn * unit + 0.08, y - 0.12, f"critical difference {bar:.2f}", va="center", fontsize=7)
    y += INCH["bar"] / 2
    axes.plot([left, right], [y, y], "-", color=BLACK, linewidth=1)
    for place in range(1, k + 1):
        axes.plot([left + (place - 1) * unit] * 2, [y - 0.05, y], "-", color=BLACK, linewidth=1)
        axes.text(left + (place - 1) * unit, y - 0.07, str(place), ha="center", va="bottom", fontsize=7)
    ranks = across.mean_ranks
    runs = told_together(across)
    for number, run in enumerate(runs, start=1):
        ends = [left + (ranks[method] - 1) * unit for method in (run[0], run[-1])]
        level = y + INCH["line"] * number - 0.08
        axes.plot([ends[0] - 0.04, ends[1] + 0.04], [level, level], "-", color=BLACK, linewidth=3)
    order = sorted(range(k), key=lambda method: ranks[method])
    half = -(-k // 2)
    for place, method in enumerate(order):
        first = place < half
        level = y + INCH["line"] * (len(runs) + 1 + (place if first else k - 1 - place))
        x, end = left + (ranks[method] - 1) * unit, left - 0.1 if first else right + 0.1
        axes.plot([x, x, end], [y, level, level], "-", color=BLACK, linewidth=0.7)
        text = f"{across.methods[method]} {ranks[method]:.2f}"
        axes.text(
            end - 0.05 if first else end + 0.05, level, text, ha="right" if first else "left", va="center", fontsize=8
        )


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the picture."""
    return [Report("ranks-diagram", "", render)]
