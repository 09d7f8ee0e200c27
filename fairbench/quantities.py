"""Durations and amounts of memory as users write them: ``90``, ``10m``, ``1h30m``; ``500M``, ``2G``."""

from __future__ import annotations

import math
import re
from typing import Optional, Union

from fairbench.errors import SuiteError

SECONDS = {"h": 3600, "m": 60, "s": 1}
BYTES = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_DURATION = re.compile("".join(rf"(?:({_NUMBER}){unit})?" for unit in SECONDS))
_MEMORY = re.compile(rf"({_NUMBER})([{''.join(BYTES)}])i?b?")
_LARGEST = 2.0**53


def seconds_of(what: str, given: Optional[Union[str, float]]) -> Optional[float]:
    """Return a duration in seconds; None for None.

    Args:
        what: the name of the option, for messages.
        given: a number of seconds, or a text: ``90``, ``45s``, ``10m``, ``1h30m``.

    Raises:
        SuiteError: it is neither, or not above 0.
    """
    found = given
    if isinstance(given, str):
        text = given.strip().lower()
        parts = _DURATION.fullmatch(text)
        if re.fullmatch(_NUMBER, text):
            found = float(text)
        elif text and parts:
            found = sum(float(part) * unit for part, unit in zip(parts.groups(), SECONDS.values()) if part)
    return _above_zero(what, given, found, "a number of seconds, or a duration such as 45s, 10m or 2h")


def bytes_of(what: str, given: Optional[Union[str, float]]) -> Optional[int]:
    """Return an amount of memory in bytes; None for None.

    Args:
        what: the name of the option, for messages.
        given: a number of bytes, or a text with a unit of 1024: ``500M``, ``2G``.

    Raises:
        SuiteError: it is neither, or less than one byte.
    """
    found = given
    if isinstance(given, str):
        parts = _MEMORY.fullmatch(given.strip().lower())
        found = float(parts[1]) * BYTES[parts[2]] if parts else given
    checked = _above_zero(what, given, found, "an amount of memory with its unit, such as 500M or 2G")
    return None if checked is None else max(1, int(checked))


def retries_of(given: int) -> int:
    """Return how often a cell is tried again.

    Raises:
        SuiteError: it is not a whole number, or below 0.
    """
    if type(given) is not int or given < 0:
        raise SuiteError(f"retries is {given!r}; it must be a whole number, at least 0")
    return given


def _above_zero(what: str, given: object, found: object, words: str) -> Optional[float]:
    if found is None:
        return None
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not number or not 0 < found < _LARGEST:  # type: ignore[operator]  # a number
        raise SuiteError(f"{what} is {given!r}; it must be {words}, and above 0")
    return float(found)  # type: ignore[arg-type]  # a number


def duration(seconds: float) -> str:
    """Return a duration in words, rounded up to what matters: ``45 s``, ``3 min``, ``2.5 h``."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    if seconds < 3600:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h".replace(".0 h", " h")
