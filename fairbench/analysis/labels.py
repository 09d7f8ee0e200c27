"""Short texts beside the dots of a figure, placed so that none overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

NEAR = 9.0  # points; a text farther from its dot than this has a line that leads to it
DISTANCES = (4.0, NEAR, 16.0, 25.0, 36.0, 50.0, 66.0, 84.0)
LEADS, FARTHEST = 25.0, DISTANCES[-1]
DIRECTIONS = tuple(math.radians(degrees) for degrees in (45, 315, 135, 225, 0, 180, 90, 270))
PALE = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}  # over lines
DOT, GAP = 4.0, 1.0  # points: half the side of a dot, and the space left free around a text


class Label(NamedTuple):
    """A text and the dot that it belongs to, in the units of the axes; bars reach from the dot to either side.

    Args:
        x: of the dot.
        y: of the dot.
        text: to write beside it; empty for a dot that is only kept free.
        colour: of the text.
        across: half the length of its horizontal bar.
        up: half the length of its vertical bar.
    """

    x: float
    y: float
    text: str
    colour: str
    across: float = 0.0
    up: float = 0.0


class Box(NamedTuple):
    """A rectangle on the canvas, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> Box:
        """Return the rectangle of this size with this middle."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def touches(self, other: Box) -> bool:
        """Return whether the two have a point in common."""
        apart = self.right < other.left or other.right < self.left
        return not (apart or self.top < other.bottom or other.top < self.bottom)

    def holds(self, other: Box) -> bool:
        """Return whether the other lies within this one."""
        wide = self.left <= other.left and other.right <= self.right
        return wide and self.bottom <= other.bottom and other.top <= self.top


def write_labels(axes: Any, labels: Sequence[Label], renderer: Any, size: float = 7.0) -> int:
    """Write each text where there is room for it, as near to its dot as possible; return how many found none.

    A text covers a bar only where every place without one is farther from its dot than a line would lead.

    Args:
        axes: of matplotlib, with their final limits and place.
        labels: of all dots, including those without a text, which are kept free.
        renderer: of the figure's canvas; it knows how wide a text is.
        size: of the letters, in points.
    """
    pixel = axes.figure.dpi / 72  # of a point
    spots = [(float(x), float(y)) for x, y in (axes.transData.transform((label.x, label.y)) for label in labels)]
    taken = [Box.around(x, y, 2 * DOT * pixel, 2 * DOT * pixel) for x, y in spots]
    bars = [bar for label in labels for bar in _bars(axes, label, pixel)]
    frame, left_out = Box(*axes.bbox.extents), 0
    for label, spot in sorted(zip(labels, spots), key=lambda pair: pair[1]):
        if not label.text:
            continue
        style = {"fontsize": size, "color": label.colour, "ha": "center", "va": "center", "zorder": 6, "bbox": PALE}
        probe = axes.text(label.x, label.y, label.text, **style)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        width, height = extent.width + 2 * GAP * pixel, extent.height + 2 * GAP * pixel
        found = _free_place(spot, width, height, pixel, [*taken, *bars], frame, LEADS)
        found = found or _free_place(spot, width, height, pixel, taken, frame, FARTHEST)
        if found is None:
            left_out += 1
            continue
        box, distance = found
        taken.append(box)
        middle = axes.transData.inverted().transform(((box.left + box.right) / 2, (box.bottom + box.top) / 2))
        line = {"arrowstyle": "-", "color": label.colour, "lw": 0.5, "alpha": 0.6, "shrinkA": 0, "shrinkB": 2}
        leads = line if distance > NEAR else None
        axes.annotate(label.text, (label.x, label.y), tuple(middle), arrowprops=leads, **style)
    return left_out


def _bars(axes: Any, label: Label, pixel: float) -> Iterator[Box]:
    """Yield the rectangles of a dot's bars."""
    x, y = axes.transData.transform((label.x, label.y))
    end, top = axes.transData.transform((label.x + label.across, label.y + label.up))
    if label.across:
        yield Box.around(x, y, 2 * (end - x), pixel)
    if label.up:
        yield Box.around(x, y, pixel, 2 * (top - y))


def _free_place(
    spot: tuple[float, float],
    width: float,
    height: float,
    pixel: float,
    taken: Sequence[Box],
    frame: Box,
    farthest: float,
) -> tuple[Box, float] | None:
    """Return the nearest free rectangle of this size around a spot with its distance in points, if there is one."""
    for distance in (each for each in DISTANCES if each <= farthest):
        for direction in DIRECTIONS:
            across, up = math.cos(direction), math.sin(direction)
            x = spot[0] + across * (distance * pixel + width / 2)
            y = spot[1] + up * (distance * pixel + height / 2)
            box = Box.around(x, y, width, height)
            if frame.holds(box) and not any(box.touches(other) for other in taken):
                return box, distance
    return None
