"""Axes with round ticks, and places in a plot in per cent of its width and height, from the upper left corner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
Place = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A range of values, from ``low`` to ``high``, and the values that have a tick."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def around(
        cls, values: Iterable[float], count: int = 5, least: float | None = None, most: float | None = None
    ) -> Axis:
        """Return an axis with about ``count`` ticks that holds all ``values`` with some room around them.

        Args:
            values: finite numbers; without any, the axis goes from 0 to 1.
            count: of the spaces between ticks.
            least: where the axis begins at the earliest, e.g. 0 for what is never negative.
            most: where it ends at the latest.
        """
        known = list(values) or [0.0, 1.0]
        low, high = min(known), max(known)
        room = 0.06 * (high - low) or 0.05 * max(abs(high), 0.1)
        low, high = low - room, high + room
        low = low if least is None else max(low, least)
        high = high if most is None else min(high, most)
        if high <= low:
            low, high = low - 0.05, low + 0.05
        step = _step((high - low) / count)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return cls(low, high, tuple(round(place * step, 10) + 0.0 for place in range(first, last + 1)))

    def share(self, value: float) -> float:
        """Return where a value is, in per cent from ``low`` to ``high``; beyond them for values outside."""
        return 100 * (value - self.low) / (self.high - self.low)

    def label(self, value: float) -> str:
        """Return a tick's number, all ticks of an axis with as many decimals."""
        decimals = max((len(f"{tick:.6f}".rstrip("0").partition(".")[2]) for tick in self.ticks), default=0)
        return f"{value:.{decimals}f}"


def _step(width: float) -> float:
    """Return the round number that is nearest to a width, by their ratio."""
    power = 10.0 ** math.floor(math.log10(width))
    return min((factor * power for factor in ROUND), key=lambda step: abs(math.log(step / width)))


@dataclass(frozen=True)
class Frame:
    """The two axes of a plot."""

    x: Axis
    y: Axis

    def place(self, x: float, y: float) -> Place:
        """Return where a point is in the plot, in per cent."""
        return round(self.x.share(x), 2), round(100 - self.y.share(y), 2)

    def line(self, points: Sequence[Place]) -> str:
        """Return the ``points`` attribute of a line through points (x, y)."""
        return " ".join(f"{x:g},{y:g}" for x, y in (self.place(*point) for point in points))
