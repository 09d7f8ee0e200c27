"""The values of a stored cell: numbers in one row of bytes, found through a shape that many cells share.

A run of 100,000 cells has millions of values. An object for each of them would take minutes and gigabytes; here a
value is made when it is asked for, and its place is looked up in an index that is made once for each shape.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Optional, Union, overload

import numpy as np
from numpy.typing import NDArray

from fairbench.records import Value

NAN = math.nan


class Place(NamedTuple):
    """Where a value was measured, see ``Value``."""

    step: int
    point: str
    group: str
    metric: str


class Shape:
    """The places of a cell's values, in their order; cells of one suite share it."""

    def __init__(self, places: Sequence[Place]) -> None:
        """Take the places."""
        self.places = tuple(places)

    @cached_property
    def index(self) -> dict[tuple[int, str, str, str], int]:
        """Return the number of each place."""
        return {place: number for number, place in enumerate(self.places)}

    @cached_property
    def last_step(self) -> int:
        """Return the last step, or 0 if there are no values."""
        return max((place.step for place in self.places), default=0)

    @cached_property
    def points(self) -> tuple[str, ...]:
        """Return the operating points, in the order of the values."""
        return tuple(dict.fromkeys(place.point for place in self.places))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Return the groups that have values, in the order of the values."""
        return tuple(dict.fromkeys(place.group for place in self.places if place.group))

    @cached_property
    def metrics(self) -> tuple[tuple[str, bool], ...]:
        """Return each metric with whether it is measured within a group, in the order of the values."""
        return tuple(dict.fromkeys((place.metric, bool(place.group)) for place in self.places))

    def place(self, step: Optional[int], point: str, group: str, metric: str) -> Optional[int]:
        """Return the number of a place, or None if there is no such place; the last step for ``step`` None."""
        return self.index.get((self.last_step if step is None else step, point, group, metric))

    @cached_property
    def groups_at(self) -> dict[tuple[int, str], frozenset[str]]:
        """Return the groups that have values, by step and operating point."""
        found: dict[tuple[int, str], set[str]] = {}
        for place in self.places:
            if place.group:
                found.setdefault((place.step, place.point), set()).add(place.group)
        return {at: frozenset(groups) for at, groups in found.items()}


class PackedValues(Sequence[Value]):
    """A record's values: equal to the tuple of them, and as cheap to keep as their bytes."""

    __slots__ = ("_numbers", "_reasons", "shape")

    def __init__(self, shape: Shape, numbers: bytes, reasons: str = "") -> None:
        """Take what the store holds.

        Args:
            shape: n places.
            numbers: n little-endian 64-bit floats; NaN stands for None.
            reasons: JSON of (number of the place, reason) for each value that has a reason; empty if none has.

        Raises:
            ValueError: there are not n numbers.
        """
        if len(numbers) != 8 * len(shape.places):
            raise ValueError(f"{len(numbers)} bytes of values stand for {len(shape.places)} values")
        self.shape, self._numbers = shape, numbers
        self._reasons: Union[str, dict[int, str]] = reasons

    @classmethod
    def of(cls, values: Sequence[Value]) -> PackedValues:
        """Return the values packed, in their order."""
        if isinstance(values, cls):
            return values
        reasons = [(number, value.reason) for number, value in enumerate(values) if value.reason]
        numbers = [NAN if value.value is None else value.value for value in values]
        return cls(
            shape_of(tuple(value[:4] for value in values)),
            struct.pack(f"<{len(numbers)}d", *numbers),
            json.dumps(reasons) if reasons else "",
        )

    def number(self, place: int) -> Optional[float]:
        """Return the number at a place; None if it is undefined."""
        (number,) = _FLOAT(self._numbers, 8 * place)
        return None if number != number else number

    def reason(self, place: int) -> str:
        """Return the reason that belongs to the number at a place; mostly empty."""
        if not self._reasons:
            return ""
        if isinstance(self._reasons, str):
            self._reasons = dict(json.loads(self._reasons))
        return self._reasons.get(place, "")

    @property
    def reasoned(self) -> bool:
        """Return whether some value has a reason."""
        return bool(self._reasons)

    @staticmethod
    def table(several: Sequence[PackedValues]) -> NDArray[np.float64]:
        """Return the numbers of several (J) that share a shape of P places, (J, P); NaN stands for None."""
        numbers = np.frombuffer(b"".join(values._numbers for values in several), "<f8")
        return numbers.reshape(len(several), -1)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.shape.places)

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Value, ...]: ...
    def __getitem__(self, at: Union[int, slice]) -> Union[Value, tuple[Value, ...]]:
        """Return one value, or a tuple of some."""
        if isinstance(at, slice):
            return tuple(self[place] for place in range(*at.indices(len(self))))
        place = range(len(self))[at]
        return Value(*self.shape.places[place], self.number(place), self.reason(place))

    def __iter__(self) -> Iterator[Value]:
        """Yield the values, in their order."""
        numbers = struct.unpack(f"<{len(self)}d", self._numbers)
        for place, (where, number) in enumerate(zip(self.shape.places, numbers)):
            yield Value(*where, None if number != number else number, self.reason(place))

    def __eq__(self, other: object) -> bool:
        """Return whether the other is a sequence of the same values."""
        if isinstance(other, PackedValues) and other.shape is self.shape and not (self._reasons or other._reasons):
            return self._numbers == other._numbers
        if isinstance(other, (tuple, PackedValues)):
            return len(self) == len(other) and all(one == two for one, two in zip(self, other))
        return NotImplemented

    def __hash__(self) -> int:
        """Return the hash of the tuple of the values."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Return the text of the tuple of the values."""
        return repr(tuple(self))


_FLOAT = struct.Struct("<d").unpack_from


@lru_cache(maxsize=256)
def shape_of(places: Union[str, tuple[tuple[Any, ...], ...]]) -> Shape:
    """Return the shape of places, or of their JSON; the same object for those that were asked about before."""
    return Shape([Place(*place) for place in (json.loads(places) if isinstance(places, str) else places)])
