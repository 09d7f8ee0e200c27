"""Arrays as the data types keep them: read-only, and refused if they hold what they must not."""

from __future__ import annotations

from typing import Any, Optional, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairbench.data.columns import NUMBERS, TRUTHS, kind, shown
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


def unchecked(made_of: type[Checked], **fields: Any) -> Checked:
    """Return an instance built from fields that were already checked as parts of another instance."""
    made = object.__new__(made_of)
    made.__dict__.update(fields)
    return made


def array_of(values: Any, what: str) -> NDArray[Any]:
    """Return the values as an array; refuse those of which some are masked, and lists of several lengths."""
    if isinstance(values, np.ma.MaskedArray) and np.any(values.mask):
        mask = np.ma.getmaskarray(values).ravel()
        raise DataError(
            f"{what} is masked in {mask.sum()} of {len(mask)} values, first in row {int(mask.argmax())}; a value is "
            "needed in every row"
        )
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"{what} is {shown(values)}; give one number for each row") from error


def reals(values: Any, what: str) -> NDArray[Any]:
    """Return real numbers as an array of any shape; refuse others, such as texts, dates and complex numbers."""
    array = array_of(values, what)
    for value in () if array.dtype.kind in "biuf" else array.ravel():
        if kind(value) not in (NUMBERS, TRUTHS):
            raise DataError(f"{what} holds {shown(value)}; give real numbers")
    return array


def check_labels(y: Any, where: str) -> NDArray[Any]:
    """Return labels as an array; refuse those that are not one 0 or 1 for each row."""
    array = array_of(y, f"{where}: y")
    if array.ndim == 1 and array.dtype.kind in "biuf" and ((array == 0) | (array == 1)).all():
        return array
    plain = array.dtype.kind in "biuf" or all(kind(value) in (NUMBERS, TRUTHS) for value in array.ravel())
    if array.ndim != 1 or not plain or not ((array == 0) | (array == 1)).all():
        seen = ", ".join(sorted({shown(value) for value in array.ravel()})[:5])
        raise DataError(f"{where}: y must hold 0 and 1 only, one for each row; seen {seen} in shape {array.shape}")
    return array


def check_key(name: str, values: NDArray[Any], where: str) -> None:
    """Refuse a task key that is neither numbers nor strings, or that is missing in some row."""
    if values.ndim != 1 or values.dtype.kind not in "biufU":
        raise DataError(f"{where}: key {name!r} is {values.ndim}-dimensional of {values.dtype}; use numbers or strings")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.isfinite(values).argmin())
        raise DataError(f"{where}: key {name!r} is {values[row]} in row {row}; every row needs a task")


def fractions(values: Any, what: str, n: Optional[int] = None) -> NDArray[np.float64]:
    """Return numbers (n,) in [0, 1]; values that rounding carried past an end are moved back to it.

    Raises:
        DataError: they are not real numbers in [0, 1], or not one for each of the ``n`` rows, if ``n`` is given.
    """
    given = reals(values, what)
    if given.ndim != 1 or (n is not None and len(given) != n):
        rows = "row" if n is None else f"of the {n} rows"
        raise DataError(f"{what} has shape {given.shape}; a value is needed for each {rows}")
    array = np.asarray(given, dtype=np.float64)
    rounding = FLOAT32_ROUNDING if given.dtype == np.float32 else ROUNDING
    if len(array) and not (array.min() >= -rounding and array.max() <= 1 + rounding):  # false for NaN too
        reach = f"from {float(array.min())!r} to {float(array.max())!r}"
        raise DataError(f"{what} runs {reach}; it must stay within [0, 1] without NaN")
    return frozen(array.clip(0, 1))


def thresholds(threshold: Any, n: int) -> NDArray[Any]:
    """Return a number, or one for each of n rows, as an array; refuse NaN, which no score reaches."""
    array = reals(threshold, "the threshold")
    if array.shape not in ((), (1,), (n,)):
        raise DataError(f"the threshold has shape {array.shape}; give one number, or one for each of the {n} rows")
    missing = np.asarray(array != array)
    if missing.any():
        place = f" in row {int(missing.argmax())}" if array.ndim else ""
        raise DataError(f"the threshold is NaN{place}, which no score reaches; give a number")
    return array
