"""Rows whose group is withheld: everything else of them is there, and asking for the group raises an error."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NoReturn, overload

import numpy as np
from numpy.typing import NDArray

from fairbench.data.rows import Inputs, Samples, unchecked
from fairbench.errors import GroupWithheld


def _refuse(rows: Any) -> NoReturn:
    raise GroupWithheld(rows.why)


def _refusing() -> Any:
    """Return what stands for the group of rows that have none."""
    return property(_refuse, doc="Raise ``GroupWithheld``, whatever the rows.")


@dataclass(frozen=True, eq=False)
class GrouplessInputs(Inputs):
    """``Inputs`` without a group.

    ``group`` is no field of them, so that ``dataclasses.replace`` works and what it returns has no group either.

    Args:
        why: the message of the error that ``group`` and ``protected`` raise.
    """

    group: ClassVar[Any] = _refusing()  # type: ignore[misc]  # a field of the base class
    why: str = ""

    def __post_init__(self) -> None:
        """Check and freeze the other fields."""
        _take(self, Inputs(self.X, _no_codes(self.X), self.schema, self.keys))

    def select(self, rows: NDArray[Any]) -> GrouplessInputs:
        """Return the rows selected by a boolean mask or an array of positions, without a group like these."""
        return withheld(Inputs(self.X, _no_codes(self.X), self.schema, self.keys).select(rows), self.why)


@dataclass(frozen=True, eq=False)
class GrouplessSamples(Samples):
    """``Samples`` without a group; see ``GrouplessInputs``.

    Args:
        why: the message of the error that ``group`` and ``protected`` raise.
    """

    group: ClassVar[Any] = _refusing()  # type: ignore[misc]  # a field of the base class
    why: str = ""

    def __post_init__(self) -> None:
        """Check and freeze the other fields."""
        _take(self, Samples(self.X, _no_codes(self.X), self.schema, self.y, self.keys, self.rows))

    @property
    def inputs(self) -> GrouplessInputs:
        """Return the same rows without their labels."""
        return unchecked(GrouplessInputs, X=self.X, schema=self.schema, keys=self.keys, why=self.why)

    def select(self, rows: NDArray[Any]) -> GrouplessSamples:
        """Return the rows selected by a boolean mask or an array of positions, without a group like these."""
        kept = {field.name: getattr(self, field.name) for field in fields(Samples) if field.name != "group"}
        return withheld(unchecked(Samples, group=_no_codes(self.X), **kept).select(rows), self.why)


@overload
def withheld(rows: Samples, why: str) -> GrouplessSamples: ...


@overload
def withheld(rows: Inputs, why: str) -> GrouplessInputs: ...


def withheld(rows: Any, why: str) -> Any:
    """Return the rows without their group; they share all other arrays.

    Args:
        rows: ``Inputs`` or ``Samples``; those that have no group already are returned as they are.
        why: the message of the error that asking for the group raises.
    """
    if isinstance(rows, (GrouplessInputs, GrouplessSamples)):
        return rows
    kind: type[Any] = GrouplessSamples if isinstance(rows, Samples) else GrouplessInputs
    return unchecked(kind, **{name: value for name, value in vars(rows).items() if name != "group"}, why=why)


def _no_codes(X: NDArray[Any]) -> NDArray[np.int64]:
    """Return group codes (n,) for the checks, which nobody reads afterwards."""
    return np.zeros(len(X), dtype=np.int64)


def _take(rows: Any, checked: Any) -> None:
    for name, value in vars(checked).items():
        if name != "group":
            object.__setattr__(rows, name, value)
