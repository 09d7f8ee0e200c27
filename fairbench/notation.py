"""Values as people type them: numbers, words, ``"quoted texts"``, tuples ``(64,32)``, tables ``{"a":1}``; both ways."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import Any, Optional

from fairbench.errors import SuiteError

_OPEN, _CLOSE = "[({", "])}"
_BEFORE = "[({,|=:"  # a quote opens a text only where a value may begin: it's one word
_POINTED = re.compile(r"-?(?:[0-9]+\.|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")  # 5. and .5, which are no JSON
DEEPEST = 20


class WrittenInt(int):
    """A whole number that remembers how it was typed, should it turn out to be meant as a text."""

    written: str


class WrittenFloat(float):
    """A number that remembers how it was typed."""

    written: str


class WrittenList(list[Any]):
    """A tuple that remembers how it was typed."""

    written: str


class WrittenDict(dict[str, Any]):
    """A table that remembers how it was typed."""

    written: str


_WRITTEN = {int: WrittenInt, float: WrittenFloat, list: WrittenList, dict: WrittenDict}


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside brackets and quotes; blanks around the pieces go.

    Raises:
        SuiteError: a bracket or a quote is left open, or brackets are nested too deeply.
    """
    pieces, depth, start, position, before = [], 0, 0, 0, _BEFORE[0]
    while position < len(text):
        character = text[position]
        if character in "\"'" and before in _BEFORE:
            position = _closing_quote(text, position)
        depth += (character in _OPEN) - (character in _CLOSE)
        if depth < 0:
            raise SuiteError(f"{text!r} closes a bracket that is not open, at character {position + 1}")
        if depth > DEEPEST:
            raise SuiteError(f"{text[:60]!r}… nests brackets more than {DEEPEST} deep")
        if character == separator and depth == 0:
            pieces.append(text[start:position].strip())
            start = position + 1
        before = before if character.isspace() else character
        position += 1
    if depth:
        raise SuiteError(f"{text!r} leaves {depth} bracket{'s' if depth > 1 else ''} open")
    return [*pieces, text[start:].strip()]


def _closing_quote(text: str, start: int) -> int:
    """Return where the quote that opens at ``start`` closes; a backslash escapes within double quotes alone."""
    position = start + 1
    while position < len(text) and text[position] != text[start]:
        position += 2 if text[position] == "\\" and text[start] == '"' else 1
    if position >= len(text):
        raise SuiteError(f"{text!r} leaves a quote open, at character {start + 1}")
    return position


def parse_value(text: str) -> Any:
    r"""Return a number, true or false, None, a tuple, a table, a quoted text, or else the text itself.

    Single quotes hold a text as it is; within double quotes, ``\"``, ``\\`` and ``\n`` are as in JSON.

    Raises:
        SuiteError: a bracket or a quote is left open, or something follows a closing quote.
    """
    text = text.strip()
    if text[:1] in ('"', "'"):
        return _unquoted(text)
    split_outside(text, ",")  # brackets and quotes must be closed, whatever the text
    if text == "None":
        return None
    items = _items(text)
    if items is not None:
        return remembered([parse_value(item) for item in items], text)
    try:
        value = float(text) if _POINTED.fullmatch(text) else json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text
    return remembered(value, text) if isinstance(value, (bool, int, float, dict)) else text


def _items(text: str) -> Optional[list[str]]:
    """Return what a tuple holds; None if the text is none, such as ``(a)(b)``."""
    if len(text) < 2 or text[0] != "(" or text[-1] != ")":
        return None
    try:
        items = split_outside(text[1:-1], ",")
    except SuiteError:
        return None
    if not items[-1]:  # () or (8,)
        items.pop()
    if not all(items):
        raise SuiteError(f'{text!r} has an empty item; an empty text is written ""')
    return items


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def remembered(value: Any, text: str) -> Any:
    """Return a value equal to the one given that remembers the text; true, false and None can be typed in one way."""
    kind = _WRITTEN.get(type(value))
    if kind is None:
        return value
    made = kind(value)
    made.written = text
    return made


def _unquoted(text: str) -> str:
    if _closing_quote(text, 0) != len(text) - 1:
        raise SuiteError(f"{text!r} continues after its closing quote; write the whole value within quotes")
    if text.startswith("'"):
        return text[1:-1]
    try:
        return str(json.loads(text, strict=False))
    except ValueError as error:
        raise SuiteError(
            f"{text!r} is not a text in double quotes: {error}; in single quotes it is taken literally"
        ) from error


def plain(value: Any) -> Any:
    """Return a parameter's value as JSON knows it: tuples and sets become lists, paths and enums texts or numbers.

    Raises:
        SuiteError: JSON cannot have it.
    """
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, (str, int, float)) else value.name
    if callable(getattr(value, "item", None)) and getattr(value, "ndim", None) == 0:
        value = value.item()  # a number that numpy made
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise SuiteError(f"{value!r} has names that are not texts; put them in quotes")
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, AbstractSet):
        return sorted(map(plain, value), key=repr)
    if isinstance(value, PurePath):
        return str(value)
    for kind in (bool, int, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if value is None:
        return None
    raise SuiteError(f"{value!r} is not a plain value (a finite number, a text, true, false, a tuple or a table)")


def show_value(value: Any) -> str:
    """Return a parameter's value as ``parse_value`` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if _is_word(value) else _quoted(value)
    if isinstance(value, (list, tuple)):
        return "(" + ",".join(map(show_value, value)) + ")"
    if isinstance(value, Mapping):
        shown = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return shown if shown.isprintable() else json.dumps(value, sort_keys=True, separators=(",", ":"))
    return str(value)


def show_params(params: Mapping[str, Any]) -> str:
    """Return ``inner_steps=10,split=config1``, sorted by name, as the command line reads it."""
    return ",".join(f"{name}={show_value(params[name])}" for name in sorted(params))


def _is_word(text: str) -> bool:
    """Return whether a text is read as itself without quotes, wherever a value may stand."""
    if not text or not text.isprintable():
        return False
    try:
        alone = split_outside(text, ",") == split_outside(text, "|") == [text]
        return alone and parse_value(text) == text
    except SuiteError:
        return False


def _quoted(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return shown if shown.isprintable() else json.dumps(text)
