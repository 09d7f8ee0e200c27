"""The small language of choices: ``faalgrad[split=config1|config2,inner_steps=1|10],threshold``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from fairbench.cells import Choice
from fairbench.errors import SuiteError

_OPEN, _CLOSE = "[(", "])"


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside brackets; blanks around the pieces go."""
    pieces, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if depth < 0:
            raise SuiteError(f"{text!r} closes a bracket that is not open, at character {position + 1}")
        if character == separator and depth == 0:
            pieces.append(text[start:position].strip())
            start = position + 1
    if depth:
        raise SuiteError(f"{text!r} leaves {depth} bracket{'s' if depth > 1 else ''} open")
    return [*pieces, text[start:].strip()]


def parse_choices(text: str) -> list[Choice]:
    """Return the choices of a list; a value with alternatives (``1|10``) becomes one choice for each.

    >>> [str(choice) for choice in parse_choices("faalgrad[inner_steps=1|10],threshold")]
    ['faalgrad[inner_steps=1]', 'faalgrad[inner_steps=10]', 'threshold']
    """
    return [choice for piece in split_outside(text, ",") for choice in _expand(piece, text)]


def _expand(piece: str, text: str) -> Iterator[Choice]:
    name, bracket, rest = piece.partition("[")
    if not name.strip():
        raise SuiteError(f"{text!r} has an empty name; write names separated by commas")
    if bracket and not rest.endswith("]"):
        raise SuiteError(f"{piece!r} goes on after its parameters; write name[parameter=value,...]")
    names, alternatives = [], []
    for item in split_outside(rest[:-1], ",") if bracket else []:
        key, equals, values = item.partition("=")
        if not equals or not key.strip() or not values.strip():
            raise SuiteError(f"{piece!r}: {item!r} is not a parameter; write name[parameter=value,...]")
        if key.strip() in names:
            raise SuiteError(f"{piece!r} gives {key.strip()!r} twice; alternatives are written {key.strip()}=1|10")
        names.append(key.strip())
        alternatives.append([parse_value(value) for value in split_outside(values, "|")])
    for combination in itertools.product(*alternatives):
        yield Choice(name.strip(), dict(zip(names, combination)))


def parse_value(text: str) -> Any:
    """Return a number, true or false, a tuple such as ``(64,32)``, or else the text itself."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        return [parse_value(item) for item in split_outside(text[1:-1], ",") if item]
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text
