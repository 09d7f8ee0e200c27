"""TOML files read with errors that name the file, the place in it, the value seen and what to do."""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypeVar

from fairbench.cells import Choice
from fairbench.choices import parse_choices
from fairbench.errors import PaperError, SuiteError, UnknownName, did_you_mean
from fairbench.running.suite import check_plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
_WORDS = {
    str: ("a text", str),
    int: ("a whole number", int),
    float: ("a number", (int, float)),
    bool: ("true or false", bool),
    list: ("a list", list),
    dict: ("a table", dict),
}


@dataclass(frozen=True)
class Node:
    """A TOML table and where it is, for messages."""

    table: Mapping[str, Any]
    where: str

    def only(self, known: Iterable[str]) -> None:
        """Refuse a key that is not among the known ones."""
        names = list(known)
        for key in self.table:
            if key not in names:
                hint = did_you_mean(key, names)
                raise PaperError(f"{self.where}: {key!r} is not known here{hint} (known: {', '.join(names)})")

    def get(self, key: str, kind: type[T], default: Any = None) -> T:
        """Return a value of the right type; without a default it must be there."""
        words, allowed = _WORDS[kind]
        if key not in self.table:
            if default is None:
                raise PaperError(f"{self.where}: {key!r} is missing; give {words}")
            return typing.cast(T, default)
        value = self.table[key]
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
            raise PaperError(f"{self.where}: {key} is {value!r}; it must be {words}")
        return typing.cast(T, value)

    def texts(self, key: str, default: Any = None) -> tuple[str, ...]:
        """Return a text or a list of texts as a tuple."""
        if isinstance(self.table.get(key), str):
            return (self.table[key],)
        values = self.get(key, list, default)
        for value in values:
            if not isinstance(value, str):
                raise PaperError(f"{self.where}: {key} contains {value!r}; it must be a list of texts")
        return tuple(values)

    def child(self, key: str) -> Node:
        """Return a table in this table; an empty one if it is not there."""
        return Node(self.get(key, dict, {}), f"{self.where}: {key}")

    def children(self, key: str) -> dict[str, Node]:
        """Return the tables in a table of tables, by name."""
        parent = self.child(key)
        return {name: Node(parent.get(name, dict), f"{parent.where}.{name}") for name in parent.table}

    def rows(self, key: str, default: Any = None) -> list[Node]:
        """Return the tables of a list of tables; ``where`` counts them from 1."""
        nodes = []
        for number, row in enumerate(self.get(key, list, default), start=1):
            where = f"{self.where}: {key} {number}"
            if not isinstance(row, dict):
                raise PaperError(f"{where} is {row!r}; it must be a table such as {{dataset = 'adult', ...}}")
            nodes.append(Node(row, where))
        return nodes

    def choices(self, key: str) -> list[Choice]:
        """Return a text in the language of choices, alternatives expanded."""
        return self._choices(self.get(key, str), key)

    def choice(self, key: str) -> Choice:
        """Return a text that stands for one choice."""
        found = self.choices(key)
        if len(found) != 1:
            raise PaperError(f"{self.where}: {key} is {self.table[key]!r}, which stands for {len(found)}; name one")
        return found[0]

    def _choices(self, text: str, key: str) -> list[Choice]:
        return named(lambda: parse_choices(text), f"{self.where}: {key}")


def named(look_up: Callable[[], T], where: str) -> T:
    """Return what a look-up returns; if a name or a value is wrong, the error says where it stands."""
    try:
        return look_up()
    except (SuiteError, UnknownName) as error:
        raise PaperError(f"{where}: {error}") from error


def read_toml(path: Path, where: str) -> Node:
    """Return a file's content.

    Raises:
        PaperError: it cannot be read, is not TOML, or holds a date or a number that cannot be kept.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        check_plain(table, where)
    except (OSError, UnicodeDecodeError) as error:
        raise PaperError(f"{where} cannot be read: {error}") from error
    except SuiteError as error:
        raise PaperError(str(error)) from error
    except (ValueError, RecursionError) as error:  # Python refuses numbers of thousands of digits by a ValueError
        raise PaperError(f"{where} is not valid TOML: {error}") from error
    return Node(table, where)
