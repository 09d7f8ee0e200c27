"""The state of a field as one picture: under each rule a square for each method and dataset."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import BLACK, BLUE, DOTS_PER_INCH, SETTINGS, require_matplotlib
from fairbench_reports._board import FieldRow, Overall, UnderRule
from fairbench_reports._entries import clean
from fairbench_reports._field import fields

KINDS: Mapping[str, tuple[str, str]] = {
    "above both": (BLUE, "white"),
    "above the coin": ("#9CD3F5", BLACK),
    "above the coin, at a wider gap than the baseline's": ("#E9C4DA", BLACK),
    "not told apart": ("white", "#555555"),
    "below the coin": ("#F2C56B", BLACK),
    "no verdict": ("#DDDDDD", BLACK),
}
"""What a square can say, with its colour and that of its text."""
INCH = {"square": 0.42, "line": 0.2, "letter": 0.07, "head": 0.3, "names": 1.05, "foot": 1.0, "gap": 0.25}
LETTERS = 24  # of a dataset's name, for which there is room
NOTE = (
    "Numbers: points above a coin that mixes the baseline with a constant prediction at the method's own gap, in per "
    "cent of all rows; a verdict is that of their 95% interval. Above both: above one common threshold on the "
    "baseline's scores too, which is stricter. Methods stand in the order of the datasets on which they are above the "
    "coin, then of their mean points, which is no ranking."
)


def render(results: Results) -> bytes:
    """Return a PNG picture with a panel for each rule of a field; nothing without a leaderboard.

    The colour of a square is the verdict of a method on a dataset, its number the points above the coin. The same
    results give the same bytes.

    Raises:
        NotApplicable: matplotlib is not installed.
    """
    shown = fields(results)
    if not shown:
        return b""
    matplotlib = require_matplotlib()
    with matplotlib.rc_context({**SETTINGS, "text.parse_math": False}):
        return _draw(shown)


def kind_of(row: FieldRow) -> str:
    """Return what a square says of a method on a dataset, one of ``KINDS``."""
    if row.side is None:
        return "no verdict"
    if row.side < 1:
        return "below the coin" if row.side else "not told apart"
    if row.wider:
        return "above the coin, at a wider gap than the baseline's"
    return "above both" if row.above_common else "above the coin"


def squares(each: Overall, under: UnderRule) -> list[tuple[str, str]]:
    """Return for each dataset what a method's square says, and its number; ``no verdict`` where it has no row."""
    own = {id(row) for row in each.rows}
    by_board = [next((row for row in board.rows if id(row) in own), None) for board in under.boards]
    return [("no verdict", "") if row is None else (kind_of(row), _number(row)) for row in by_board]


def _number(row: FieldRow) -> str:
    return "" if row.points is None else f"{round(100 * row.points, 1) + 0.0:+.1f}"


def _draw(shown: Sequence[UnderRule]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    label = INCH["letter"] * max(len(clean(each.label)) for under in shown for each in under.overall)
    widths = [label + INCH["gap"] + INCH["square"] * len(under.boards) for under in shown]
    width = max(8.0, sum(widths) + INCH["names"])  # the last name reaches beyond its square
    height = INCH["line"] * max(len(under.overall) for under in shown) + sum(
        INCH[part] for part in ("head", "names", "foot")
    )
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    left = 0.0
    for under, room in zip(shown, widths):
        tall = INCH["line"] * len(under.overall)
        bottom = height - INCH["head"] - INCH["names"] - tall
        begin, wide = left + label + INCH["gap"], room - label - INCH["gap"]
        place = begin / width, bottom / height, wide / width, tall / height
        _draw_panel(figure.add_axes(place), under)
        title = "\n".join(textwrap.wrap("; ".join(filter(None, [under.rule, under.setting])), int(13 * room)))
        figure.text((left + 0.1) / width, 1 - 0.1 / height, title, va="top", fontsize=10)
        left += room
    seen = {kind for under in shown for each in under.overall for kind, _ in squares(each, under)}
    handles = [Patch(facecolor=colour, edgecolor=BLACK, linewidth=0.4, label=kind)
               for kind, (colour, _) in KINDS.items() if kind in seen]  # fmt: skip
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 0.55 / height), ncols=int(width / 2.4))
    figure.text(0.1 / width, 0.08 / height, "\n".join(textwrap.wrap(NOTE, int(15 * width))), fontsize=7.5, va="bottom")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw_panel(axes: Any, under: UnderRule) -> None:
    """Draw a rule's squares, the first method on top, with the datasets' names above them."""
    from matplotlib.patches import Rectangle

    for line, each in enumerate(under.overall):
        for column, (kind, number) in enumerate(squares(each, under)):
            colour, ink = KINDS[kind]
            axes.add_patch(Rectangle((column, line), 1, 1, facecolor=colour, edgecolor="#BBBBBB", linewidth=0.4))
            axes.text(column + 0.5, line + 0.52, number, ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_xlim(0, len(under.boards))
    axes.set_ylim(len(under.overall), 0)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_yticks([place + 0.5 for place in range(len(under.overall))], [clean(each.label) for each in under.overall])
    names = [textwrap.shorten(clean(board.title), LETTERS, placeholder=" …") for board in under.boards]
    axes.xaxis.tick_top()
    axes.set_xticks([place + 0.5 for place in range(len(names))], names, rotation=35, ha="left")


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the picture."""
    return [Report("field-map", "", render)]
