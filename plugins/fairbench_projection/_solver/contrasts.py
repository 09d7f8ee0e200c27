"""Affine constraints |c_k . y - d_k| <= epsilon_k on the outputs y: the usual ones by group, and others by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import numpy as np

from fairbench_projection._solver.cells import Array, Codes

ATTRIBUTES = 2  # at most: for three or more attributes, use intersections


@dataclass(frozen=True, eq=False)
class Contrasts:
    """K contrasts of n outputs.

    Args:
        weight: (K, C), the weight of every row of a cell; or (K, n), the weight of every row, if ``code`` is None.
        offset: (K,) targets d_k.
        code: (n,) each row's cell, 0 to C - 1.
        names: (K,) for messages.
        dropped: names of contrasts left out because a group has no rows.
    """

    weight: Array
    offset: Array
    code: Optional[Codes] = None
    names: Sequence[str] = field(default=())
    dropped: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check shapes and values, and name what has no name."""
        weight = np.asarray(self.weight, dtype=np.float64)
        if weight.ndim != 2:
            raise ValueError(f"the contrasts' weights have shape {weight.shape}; one row for each contrast is needed")
        offset = np.asarray(self.offset, dtype=np.float64).reshape(-1)
        if len(offset) != len(weight):
            raise ValueError(f"offset has length {len(offset)} for contrasts of shape {weight.shape}; each needs one")
        if not (np.isfinite(weight).all() and np.isfinite(offset).all()):
            raise ValueError("the contrasts' weights and offsets must be finite")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "names", tuple(self.names) or tuple(f"contrast {k}" for k in range(len(weight))))

    @property
    def rows(self) -> int:
        """Return the number of outputs that the contrasts are about."""
        return int(self.weight.shape[1]) if self.code is None else len(self.code)

    def at(self, offset: Any) -> Contrasts:
        """Return the same contrasts with other targets: their ``offset`` (K,)."""
        return replace(self, offset=offset)

    @classmethod
    def affine(cls, weight: Any, offset: Any = None, names: Sequence[str] = ()) -> Contrasts:
        """Return contrasts with arbitrary weights.

        Args:
            weight: (K, n) or (n,), the weight of every row.
            offset: (K,) targets; None means zeros.
            names: (K,) for messages.
        """
        table = np.atleast_2d(np.asarray(weight, dtype=np.float64))
        return cls(table, np.zeros(len(table)) if offset is None else offset, None, names)

    @classmethod
    def mean_prediction(cls, group: Any) -> Contrasts:
        """Return, for each attribute, the mean of the outputs in group 0 minus that in group 1 (target 0).

        Args:
            group: (n,) or (n, a) codes 0 and 1 of one or two attributes, each constrained by itself.
        """
        return _compare(_attributes(group, binary=True), None)

    @classmethod
    def equalized_odds(cls, group: Any, y: Any) -> Contrasts:
        """Return, for each attribute and class, the mean in group 0 minus that in group 1 (target 0).

        Args:
            group: (n,) or (n, a) codes 0 and 1 of one or two attributes, each constrained by itself.
            y: (n,) labels; a row's class is y > 0.5. The outputs then reveal the labels: never use true ones to
                predict.
        """
        attributes = _attributes(group, binary=True)
        return _compare(attributes, check_labels(y, len(attributes)) > 0.5)

    @classmethod
    def mean_residual(cls, group: Any, y: Any) -> Contrasts:
        """Return, for each attribute and group, the mean of the outputs, with the mean of y as its target.

        An attribute with rows in only one group is not constrained.

        Args:
            group: (n,) codes of any number of groups, or (n, 2) codes 0 and 1 of two attributes.
            y: (n,) targets. The outputs depend on them, and so reveal them: never use true ones to predict.
        """
        attributes = _attributes(group, binary=False)
        y = check_labels(y, len(attributes))
        code, sizes = _product(attributes)
        levels = np.indices(sizes).reshape(len(sizes), -1)  # each cell's group, for each attribute
        weight, offset, names, dropped = [], [], [], []
        for attribute, column in enumerate(attributes.T):
            count = np.bincount(column, minlength=sizes[attribute])
            for value in range(sizes[attribute]):
                name = f"the mean residual of group {value}" + _which(attribute, attributes)
                if count[value] == 0 or (count > 0).sum() < 2:
                    dropped.append(name)
                    continue
                weight.append((levels[attribute] == value) / count[value])
                offset.append(np.sort(y[column == value]).sum() / count[value])  # sorted: whatever the rows' order
                names.append(name)
        return cls(np.reshape(weight, (len(weight), levels.shape[1])), np.array(offset), code, names, dropped)


def _which(attribute: int, attributes: Codes) -> str:
    return f" of attribute {attribute}" if attributes.shape[1] > 1 else ""


def _attributes(group: Any, *, binary: bool) -> Codes:
    """Return codes (n, a) after checking them."""
    table = np.asarray(group)
    table = table.reshape(-1, 1) if table.ndim == 1 else table
    if table.ndim != 2 or table.dtype.kind not in "iub":
        raise ValueError(
            f"group has shape {table.shape} of {table.dtype}; it must hold whole-number codes, (n,) or (n, a)"
        )
    if table.shape[1] > ATTRIBUTES:
        raise ValueError(
            f"group has {table.shape[1]} attributes; at most {ATTRIBUTES} can be constrained one by one: give every "
            "combination of them a code of its own, (n,), to constrain them together"
        )
    smallest, largest = (int(table.min()), int(table.max())) if table.size else (0, 0)
    if smallest < 0 or ((binary or table.shape[1] > 1) and largest > 1):
        raise ValueError(
            f"group codes run from {smallest} to {largest}; "
            + (
                "a contrast compares two groups, 0 and 1 (project_parity takes more)"
                if smallest >= 0
                else "codes start at 0"
            )
        )
    return table.astype(np.int64, copy=False)


def check_labels(y: Any, n: int) -> Array:
    """Return labels (n,) as numbers after checking them.

    Raises:
        ValueError: there are not n, or one is NaN or infinite.
    """
    labels = np.asarray(y, dtype=np.float64).reshape(-1)
    if len(labels) != n:
        raise ValueError(f"y has length {len(labels)} but group has length {n}; every row needs a label")
    if not np.isfinite(labels).all():
        raise ValueError(f"NaN or infinite labels: {(~np.isfinite(labels)).sum()} of {n}")
    return labels


def _product(attributes: Codes) -> tuple[Codes, tuple[int, ...]]:
    """Return each row's cell, the combination of its groups, and the number of groups of each attribute."""
    if attributes.shape[1] == 1:
        column = attributes[:, 0]
        return column, (int(column.max()) + 1 if len(column) else 1,)
    return attributes[:, 0] * 2 + attributes[:, 1], (2, 2)


def _compare(attributes: Codes, positive: Optional[np.ndarray[Any, Any]]) -> Contrasts:
    """Return group 0 minus group 1 for each attribute, and for each class if there are any."""
    code = attributes @ (1 << np.arange(attributes.shape[1])[::-1])
    sizes = (2,) * attributes.shape[1]
    classes: Sequence[Optional[int]] = [None]
    if positive is not None:
        code, sizes, classes = 2 * code + positive, (*sizes, 2), [0, 1]
    levels = np.indices(sizes).reshape(len(sizes), -1)  # each cell's groups, and its class
    count = np.bincount(code, minlength=levels.shape[1])
    weight, names, dropped = [], [], []
    for attribute in range(attributes.shape[1]):
        for label in classes:
            among = np.ones(levels.shape[1], dtype=bool) if label is None else levels[-1] == label
            sides = [among & (levels[attribute] == value) for value in (0, 1)]
            rows = [int(count[side].sum()) for side in sides]
            name = "the gap between the means of groups 0 and 1" + _which(attribute, attributes)
            name += "" if label is None else f" among rows with y = {label}"
            if min(rows) == 0:
                dropped.append(name)
                continue
            weight.append(sides[0] / rows[0] - sides[1] / rows[1])
            names.append(name)
    return Contrasts(np.reshape(weight, (len(weight), levels.shape[1])), np.zeros(len(weight)), code, names, dropped)
