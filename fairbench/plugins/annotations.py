"""The types that parameters can have: annotations of a component's fields, read and checked when a plugin is loaded."""

from __future__ import annotations

import ast
import dataclasses
import enum
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal, Optional, Union

from fairbench.errors import PluginError
from fairbench.notation import plain

UNIONS = (Union, getattr(types, "UnionType", Union))  # int | None has an origin of its own from Python 3.10 on
SEQUENCES = (list, tuple, set, frozenset, Sequence)
TABLES = (dict, Mapping)
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "none"}
PATHS = (Path, PurePath)
_KNOWN = "int, float, bool, str, Path, an Enum, Literal, Optional, Union, tuple, list, set and dict can"


def field_type(cls: type, field: dataclasses.Field[Any]) -> Any:
    """Return a field's type; a type given as text is evaluated in the module of the class that declares the field.

    Raises:
        PluginError: the text cannot be read.
    """
    owner = [base for base in cls.__mro__ if base.__dict__.get("__dataclass_fields__", {}).get(field.name) is field][-1]
    module = vars(sys.modules[owner.__module__]) if owner.__module__ in sys.modules else {}
    text = field.type
    try:
        if isinstance(text, str) and "|" in text:
            text = ast.unparse(_UnionWriter().visit(ast.parse(text, mode="eval")))
        annotated = type("Annotated", (), {"__annotations__": {field.name: text}})
        hints = typing.get_type_hints(annotated, globalns=module, localns={**vars(owner), "_Union": Union})
    except Exception as error:
        raise PluginError(
            f"parameter {field.name}: its annotation {field.type!r} cannot be read: {error} "
            "(import what it names outside 'if TYPE_CHECKING')"
        ) from error
    return hints[field.name]


class _UnionWriter(ast.NodeTransformer):
    """Writes ``int | None`` as ``Union[int, None]``, which Python 3.9 can read."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Replace ``left | right``."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        both = ast.Tuple([node.left, node.right], ast.Load())
        return ast.Subscript(ast.Name("_Union", ast.Load()), both, ast.Load())


def check_type(hint: Any, where: str) -> None:
    """Refuse a type whose values could not be checked, or not be read back from a record.

    Raises:
        PluginError: it is such a type; ``where`` is for the message.
    """
    hint = unwrapped(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS or origin in SEQUENCES:
        for argument in arguments:
            if argument is not ...:
                check_type(argument, where)
        return
    if origin in TABLES and arguments:
        if arguments[0] is not str:
            raise PluginError(f"{where}: a table's names are texts; write dict[str, ...], not {type_name(hint)}")
        check_type(arguments[1], where)
        return
    if origin is Literal:
        for option in arguments:
            check_type(type(option), where)
        return
    if hint is Any or origin in TABLES or hint in (*WORDS, *PATHS, *SEQUENCES, *TABLES) or is_enum(hint):
        return
    raise PluginError(
        f"{where}: values of type {type_name(hint)} cannot be given ({_KNOWN}); "
        "make a field that is not a parameter a ClassVar or field(init=False)"
    )


def unwrapped(hint: Any) -> Any:
    """Return the type behind a ``NewType`` or ``Final``."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Final else hint


def is_enum(hint: Any) -> bool:
    """Return whether a type is an enumeration."""
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def options(hint: Any) -> Optional[list[Any]]:
    """Return the values that a type itself enumerates."""
    if typing.get_origin(hint) is Literal:
        return plain(list(typing.get_args(hint)))  # type: ignore[no-any-return]  # a list of a list
    return plain(list(hint)) if is_enum(hint) else None


def type_name(hint: Any) -> str:
    """Return a type as it is written in source code."""
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint).replace("typing.", "")
