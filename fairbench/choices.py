"""The small language of choices: ``faalgrad[split=config1|config2,inner_steps=1|10],threshold``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterator

from fairbench.cells import Choice
from fairbench.errors import SuiteError
from fairbench.notation import parse_value, plain, split_outside

MOST = 10_000  # choices that one text may stand for
METRIC_ALIASES = {"dp": "demographic_parity_difference", "eo": "equalized_odds_difference"}
"""What may be typed for a metric, in letters of either case, where no metric has that very name."""


def metric_called(typed: str, known: Container[str]) -> str:
    """Return the name of the metric that was typed: its own, or what ``dp`` and ``eo`` stand for.

    Args:
        typed: a name, which need not be known.
        known: the names that metrics have here; they come first.
    """
    return typed if typed in known else METRIC_ALIASES.get(typed.lower(), typed)


def parse_choices(text: str) -> list[Choice]:
    """Return the choices of a list; a value with alternatives (``1|10``) becomes one choice for each.

    Raises:
        SuiteError: the text is malformed, or stands for more than ``MOST`` choices.

    >>> [str(choice) for choice in parse_choices("faalgrad[inner_steps=1|10],threshold")]
    ['faalgrad[inner_steps=1]', 'faalgrad[inner_steps=10]', 'threshold']
    """
    found: list[Choice] = []
    for piece in split_outside(text, ","):
        found += _expand(piece, text, MOST - len(found))
    return found


def _expand(piece: str, text: str, most: int) -> Iterator[Choice]:
    name, bracket, rest = piece.partition("[")
    if not name.strip():
        raise SuiteError(f"{text!r} has an empty name; write names separated by commas")
    if bracket and not rest.endswith("]"):
        raise SuiteError(f"{piece!r} continues after its parameters; write name[parameter=value,...]")
    names, alternatives = [], []
    for item in split_outside(rest[:-1], ",") if bracket else []:
        key, equals, values = item.partition("=")
        if not equals or not key.strip() or not values.strip():
            raise SuiteError(f"{piece!r}: {item!r} is not a parameter; write name[parameter=value,...]")
        if key.strip() in names:
            raise SuiteError(f"{piece!r} gives {key.strip()!r} twice; alternatives are written {key.strip()}=1|10")
        names.append(key.strip())
        alternatives.append([_alternative(value, item, piece) for value in split_outside(values, "|")])
    if math.prod(map(len, alternatives)) > most:
        beside = "" if most == MOST else " together with what stands before it"
        raise SuiteError(
            f"{f'{name.strip()}[…]'!r}{beside} stands for more than {MOST} combinations; give fewer alternatives"
        )
    for combination in itertools.product(*alternatives):
        yield Choice(name.strip(), dict(zip(names, combination)))


def _alternative(value: str, item: str, piece: str) -> object:
    if not value:
        raise SuiteError(f'{piece!r}: {item!r} has an empty alternative; an empty text is written ""')
    return parse_value(value)


def stands_for(named: Choice, method: Choice) -> bool:
    """Return whether a choice as users write it (``named``), which leaves parameters out, stands for a ``method``."""
    return named.name == method.name and all(
        name in method.params and plain(method.params[name]) == plain(value) for name, value in named.params.items()
    )
