"""Ranges of hyper-parameters that a method declares, for a scenario that searches in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Union, runtime_checkable

from fairbench.data.rows import Samples
from fairbench.errors import FairbenchError, PluginError
from fairbench.notation import plain, show_value
from fairbench.plugins.parameters import check_parameters, parameters_of

Number = Union[int, float]


@dataclass(frozen=True)
class Range:
    """An interval of numbers; of whole numbers if both ends are whole.

    Args:
        low: the smallest value.
        high: the largest value, above ``low``.
        log: whether to draw evenly on a logarithmic scale; ``low`` is then above 0.
        source: where the range comes from, e.g. a paper's section.
    """

    low: Number
    high: Number
    log: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        """Check that there is something to draw from.

        Raises:
            ValueError: an end is not a finite number, the range is empty, or its logarithm is undefined.
        """
        for end in (self.low, self.high):
            if isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end):
                raise ValueError(f"{self}: {end!r} is not a finite number")
        if not self.low < self.high:
            raise ValueError(f"{self} is empty: low must be below high")
        if self.log and self.low <= 0:
            raise ValueError(f"{self}: a logarithmic range starts above 0")

    @property
    def whole(self) -> bool:
        """Return whether it is a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        """Return ``0.0001 to 0.1, log``."""
        return f"{self.low} to {self.high}{', log' if self.log else ''}"

    @property
    def described(self) -> dict[str, Any]:
        """Return what ``fairbench show`` says of it."""
        return {"text": str(self), "low": self.low, "high": self.high, "log": self.log, "source": self.source}


class Options:
    """Several values to choose from, in no order: ``Options((8,), (64,))``; ``source`` says where they come from."""

    def __init__(self, *values: Any, source: str = "") -> None:
        """Take two values or more, all different.

        Raises:
            ValueError: there are fewer, or two are equal.
        """
        self.values, self.source = values, source
        if len(values) < 2:
            raise ValueError(f"Options{values!r} leaves nothing to choose; give two values or more")
        if any(value in values[:number] for number, value in enumerate(values)):
            raise ValueError(f"Options{values!r} has a value twice")

    def __str__(self) -> str:
        """Return ``(8) or (64)``."""
        return " or ".join(map(show_value, plain(self.values)))

    @property
    def described(self) -> dict[str, Any]:
        """Return what ``fairbench show`` says of them."""
        return {"text": str(self), "values": list(self.values), "source": self.source}


@runtime_checkable
class Searchable(Protocol):
    """What a method also declares if a scenario such as ``search`` can search for its hyper-parameters.

    ``ranges`` is a class attribute that gives for each of some parameters a ``Range`` or ``Options``: ``{"lr":
    Range(1e-4, 1e-1, log=True), "hidden": Options((8,), (64,))}``. Names, ends and values are checked when the plugin
    is loaded.
    """

    ranges: ClassVar[Mapping[str, Union[Range, Options]]]


@runtime_checkable
class Stackable(Protocol):
    """What a method also offers if it fits several of its configurations faster together than one after another.

    A scenario such as ``sweep``, which knows all configurations before the first fit, then calls ``fit_together`` in
    place of ``fit``. Within a cell only: what is stored never depends on which cells run beside it.
    """

    def fit_together(
        self, configurations: Sequence[Any], train: Samples, validation: Samples, *, seed: int
    ) -> Sequence[Any]:
        """Return what ``fit`` of each configuration would return, in their order, up to the rounding of floats.

        Args:
            configurations: instances of the method, any of its parameters differing; the method itself counts only if
                it is among them. Those that do not fit into one computation are the method's to separate.
            train: the rows to learn from.
            validation: the rows to choose on.
            seed: the one that each ``fit`` would be given.

        Raises:
            NotApplicable: the method cannot be used on such data.
        """
        ...


def check_ranges(cls: type) -> None:
    """Check the ranges that a method declares for its hyper-parameters, if it does.

    Raises:
        PluginError: ``ranges`` is not a table, names something that is not a parameter, or has an end or a value that
            the parameter does not accept.
    """
    ranges: Any = getattr(cls, "ranges", None)
    if "ranges" in parameters_of(cls):
        raise PluginError("a method's ranges are those of its parameters; give the parameter another name")
    if ranges is None:
        return
    if not isinstance(ranges, Mapping) or not ranges:
        raise PluginError(f"ranges is {ranges!r}; it must give ranges by parameter, e.g. {{'depth': Range(1, 9)}}")
    for name, space in ranges.items():
        if not isinstance(space, (Range, Options)):
            raise PluginError(f"ranges[{name!r}] is {space!r}; it must be a Range or Options")
        for value in (space.low, space.high) if isinstance(space, Range) else space.values:
            try:
                check_parameters(cls, "ranges", {name: plain(value)})
            except FairbenchError as error:
                raise PluginError(f"its ranges do not fit: {error}") from error
