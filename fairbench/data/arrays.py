"""Arrays as the data types keep them: read-only, and refused if they hold what they must not."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairbench.data.columns import shown
from fairbench.errors import DataError

Checked = TypeVar("Checked")
ROUNDING = 1e-9  # how far a score may lie outside [0, 1]: sums of many terms in float64
FLOAT32_ROUNDING = 1e-6  # the same for scores that come as float32


def frozen(array: Any, dtype: Any = None) -> NDArray[Any]:
    """Return a read-only view (or a converted copy) of the array."""
    view: NDArray[Any] = np.asarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view


def copied(array: Any, dtype: Any) -> NDArray[Any]:
    """Return a read-only copy, which cannot change through another reference."""
    copy = np.array(array, dtype=dtype)
    copy.flags.writeable = False
    return copy


def unchecked(kind: type[Checked], **fields: Any) -> Checked:
    """Return an instance built from fields that were already checked as parts of another instance."""
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


def check_labels(y: NDArray[Any], where: str) -> None:
    """Refuse labels that are not one 0 or 1 for each row."""
    if y.ndim == 1 and y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all():
        return
    values = set(y.ravel().tolist())
    if y.ndim != 1 or not values <= {0, 1}:
        seen = ", ".join(sorted(map(shown, values))[:5])
        raise DataError(f"{where}: y must hold 0 and 1 only, one for each row; seen {seen} in shape {y.shape}")


def check_key(name: str, values: NDArray[Any], where: str) -> None:
    """Refuse a task key that is neither numbers nor strings, or that is missing in some row."""
    if values.ndim != 1 or values.dtype.kind not in "biufU":
        raise DataError(f"{where}: key {name!r} is {values.ndim}-dimensional of {values.dtype}; use numbers or strings")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.isfinite(values).argmin())
        raise DataError(f"{where}: key {name!r} is {values[row]} in row {row}; every row needs a task")


def fractions(values: Any, what: str, n: int) -> NDArray[np.float64]:
    """Return numbers (n,) in [0, 1]; values that rounding carried past an end are moved back to it."""
    given = np.asarray(values)
    array = np.asarray(given, dtype=np.float64)
    if array.shape != (n,):
        raise DataError(f"{what} has shape {array.shape}; a value is needed for each of the {n} rows")
    rounding = FLOAT32_ROUNDING if given.dtype == np.float32 else ROUNDING
    if n and not (array.min() >= -rounding and array.max() <= 1 + rounding):  # false for NaN too
        reach = f"from {float(array.min())!r} to {float(array.max())!r}"
        raise DataError(f"{what} runs {reach}; it must stay within [0, 1] without NaN")
    return frozen(array.clip(0, 1))
