"""Rows whose group is not known: withheld from all of them, so that asking for it raises an error, or from some."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NoReturn, overload

import numpy as np
from numpy.typing import NDArray

from fairbench.data.arrays import unchecked
from fairbench.data.rows import UNKNOWN_GROUP, Inputs, Samples, Split
from fairbench.errors import FairbenchError, GroupWithheld


def _refuse(rows: Any) -> NoReturn:
    raise rows.error(rows.why)


def _refusing() -> Any:
    """Return what stands for the group of rows that have none."""
    return property(_refuse, doc="Raise the error of these rows.")


@dataclass(frozen=True, eq=False)
class GrouplessInputs(Inputs):
    """``Inputs`` without a group.

    ``group`` is no field of them, so that ``dataclasses.replace`` works and what it returns has no group either.

    Args:
        why: the message of the error that ``group`` and ``protected`` raise.
        error: its type.
    """

    group: ClassVar[Any] = _refusing()  # type: ignore[misc]  # a field of the base class
    why: str = ""
    error: type[FairbenchError] = GroupWithheld

    def __post_init__(self) -> None:
        """Check and freeze the other fields."""
        _take(self, Inputs(self.X, no_codes(self.X), self.schema, self.keys))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.X)

    def select(self, rows: NDArray[Any]) -> GrouplessInputs:
        """Return the rows selected by a boolean mask or an array of positions, without a group like these."""
        return withheld(Inputs(self.X, no_codes(self.X), self.schema, self.keys).select(rows), self.why, self.error)


@dataclass(frozen=True, eq=False)
class GrouplessSamples(Samples):
    """``Samples`` without a group; see ``GrouplessInputs``.

    Args:
        why: the message of the error that ``group`` and ``protected`` raise.
        error: its type.
    """

    group: ClassVar[Any] = _refusing()  # type: ignore[misc]  # a field of the base class
    why: str = ""
    error: type[FairbenchError] = GroupWithheld

    def __post_init__(self) -> None:
        """Check and freeze the other fields."""
        _take(self, Samples(self.X, no_codes(self.X), self.schema, self.y, self.keys, self.rows))

    @property
    def inputs(self) -> GrouplessInputs:
        """Return the same rows without their labels."""
        return unchecked(GrouplessInputs, X=self.X, schema=self.schema, keys=self.keys, why=self.why, error=self.error)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.X)

    def select(self, rows: NDArray[Any]) -> GrouplessSamples:
        """Return the rows selected by a boolean mask or an array of positions, without a group like these."""
        kept = {field.name: getattr(self, field.name) for field in fields(Samples) if field.name != "group"}
        return withheld(unchecked(Samples, group=no_codes(self.X), **kept).select(rows), self.why, self.error)


@overload
def withheld(rows: Samples, why: str, error: type[FairbenchError] = ...) -> GrouplessSamples: ...


@overload
def withheld(rows: Inputs, why: str, error: type[FairbenchError] = ...) -> GrouplessInputs: ...


def withheld(rows: Any, why: str, error: type[FairbenchError] = GroupWithheld) -> Any:
    """Return the rows without their group; they share all other arrays.

    Args:
        rows: ``Inputs`` or ``Samples``; those that have no group already are returned as they are.
        why: the message of the error that asking for the group raises.
        error: its type.
    """
    if isinstance(rows, (GrouplessInputs, GrouplessSamples)):
        return rows
    kind: type[Any] = GrouplessSamples if isinstance(rows, Samples) else GrouplessInputs
    return unchecked(
        kind, **{name: value for name, value in vars(rows).items() if name != "group"}, why=why, error=error
    )


def no_codes(X: NDArray[Any]) -> NDArray[np.int64]:
    """Return group codes (n,) for the checks, which nobody reads afterwards, of features (n, d)."""
    return np.zeros(len(X), dtype=np.int64)


def _take(rows: Any, checked: Any) -> None:
    for name, value in vars(checked).items():
        if name != "group":
            object.__setattr__(rows, name, value)


def partly_known(split: Split, share: float, seed: int) -> Split:
    """Return the split with the group of most training and validation rows replaced by ``UNKNOWN_GROUP``.

    Args:
        split: with all groups; the test part keeps them.
        share: of the rows of each part whose group stays known, rounded to whole rows. Rows that are known at a share
            are known at any larger one.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    return Split(_partly(split.train, share, random), _partly(split.validation, share, random), split.test)


def _partly(part: Samples, share: float, random: np.random.Generator) -> Samples:
    group = part.group.copy()
    group[random.permutation(len(part))[round(share * len(part)) :]] = UNKNOWN_GROUP
    group.flags.writeable = False
    return unchecked(Samples, **{**vars(part), "group": group})


def known_rows(part: Samples) -> Samples:
    """Return the rows whose group is known; the part itself if all are."""
    known = part.group != UNKNOWN_GROUP
    return part if known.all() else part.select(known)
