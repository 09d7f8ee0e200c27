"""Names beside the marks of a plot: as many as there is room for at the plot's usual size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairbench_reports._page.axes import Place

SIZE = (480.0, 330.0)  # pixels of a plot beside another one; on a wider one there is more room
NARROW = (280.0, 250.0)  # on a phone
LETTER, HEIGHT = 6.7, 15.0  # pixels, of a text of 12 pixels
MARK, GAP = 7.0, 9.0  # half a mark, and how far from its middle a text begins
LONGEST = 40  # letters
CROWD = 14  # marks, among which only the first names may stand a little higher or lower than their marks
PLACES = ((True, 0.0), (False, 0.0), (True, -13.0), (True, 13.0), (False, -13.0), (False, 13.0))  # side, pixels down


class Named(NamedTuple):
    """A mark: its name, its place in per cent, its order of precedence (0 is first), and whether it is one of many."""

    name: str
    place: Place
    precedence: int
    usual: bool = False


class Text(NamedTuple):
    """A text that fits, whether it is to the right of its mark, and how many pixels lower than it."""

    text: str
    right: bool
    down: float


def placed(marks: Sequence[Named], others: Sequence[Place], size: tuple[float, float] = SIZE) -> list[Text | None]:
    """Return for each mark the text that has room beside it; None where there is none.

    Args:
        marks: of one plot.
        others: places that texts must leave free too.
        size: of the plot, in pixels.
    """
    spots = [(x * size[0] / 100, y * size[1] / 100) for x, y in [*(mark.place for mark in marks), *others]]
    taken = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in spots]
    found: list[Text | None] = [None] * len(marks)
    for index in sorted(range(len(marks)), key=lambda index: (marks[index].precedence, index)):
        name, (x, y) = marks[index].name, spots[index]
        width = LETTER * len(name)
        places = PLACES[:2] if marks[index].usual and len(marks) > CROWD else PLACES
        for right, down in places if len(name) <= LONGEST else ():
            left = x + GAP if right else x - GAP - width
            box = (left, y + down - HEIGHT / 2, left + width, y + down + HEIGHT / 2)
            inside = left >= 0 and left + width <= size[0] and box[1] >= 0 and box[3] <= size[1]
            if inside and not any(_touch(box, other) for place, other in enumerate(taken) if place != index):
                taken.append(box)
                found[index] = Text(name, right, down)
                break
    return found


Box = tuple[float, float, float, float]


def _touch(one: Box, other: Box) -> bool:
    """Return whether two boxes (left, top, right, bottom) have a point in common."""
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
