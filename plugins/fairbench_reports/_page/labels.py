"""Names beside the marks of a plot: as many as there is room for at the plot's usual size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairbench_reports._page.axes import Place

SIZE = (480.0, 330.0)  # pixels of a plot beside another one; on a wider one there is more room
LETTER, HEIGHT = 6.7, 15.0  # pixels, of a text of 12 pixels
MARK, GAP = 7.0, 9.0  # half a mark, and how far from its middle a text begins
LONGEST = 30  # letters


class Named(NamedTuple):
    """A mark: its name, its place in per cent, and its order of precedence, 0 being the first."""

    name: str
    place: Place
    precedence: int


class Text(NamedTuple):
    """A text that fits, and whether it is to the right of its mark."""

    text: str
    right: bool


def placed(marks: Sequence[Named], others: Sequence[Place]) -> list[Text | None]:
    """Return for each mark the text that has room beside it, to the right or to the left; None where there is none.

    Args:
        marks: of one plot.
        others: places that texts must leave free too.
    """
    spots = [(x * SIZE[0] / 100, y * SIZE[1] / 100) for x, y in [*(mark.place for mark in marks), *others]]
    taken = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in spots]
    found: list[Text | None] = [None] * len(marks)
    for index in sorted(range(len(marks)), key=lambda index: (marks[index].precedence, index)):
        name, (x, y) = marks[index].name, spots[index]
        width = LETTER * len(name)
        for right in (True, False) if len(name) <= LONGEST else ():
            left = x + GAP if right else x - GAP - width
            box = (left, y - HEIGHT / 2, left + width, y + HEIGHT / 2)
            inside = left >= 0 and left + width <= SIZE[0]
            if inside and not any(_touch(box, other) for place, other in enumerate(taken) if place != index):
                taken.append(box)
                found[index] = Text(name, right)
                break
    return found


Box = tuple[float, float, float, float]


def _touch(one: Box, other: Box) -> bool:
    """Return whether two boxes (left, top, right, bottom) have a point in common."""
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
