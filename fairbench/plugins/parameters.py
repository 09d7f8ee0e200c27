"""Parameters of components: values for the fields of a dataclass, checked and converted before anything runs.

No library (cattrs, pydantic, msgspec) is used, on purpose. Importing one costs each start 24, 65 or 10 ms, and none
keeps a text as it was typed, accepts one number for a tuple of one, or reads ``int | None`` on Python 3.9.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Optional

from fairbench.choices import parse_choices
from fairbench.errors import FairbenchError, PluginError, SuiteError, UnknownName
from fairbench.notation import plain, show_value
from fairbench.plugins.annotations import (
    PATHS,
    SEQUENCES,
    TABLES,
    UNIONS,
    WORDS,
    check_type,
    field_type,
    is_enum,
    options,
    type_name,
    unwrapped,
)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a component: its dataclass field, and its type."""

    field: dataclasses.Field[Any]
    hint: Any

    @property
    def required(self) -> bool:
        """Return whether it has no default."""
        return self.field.default is dataclasses.MISSING and self.field.default_factory is dataclasses.MISSING

    @property
    def default(self) -> Any:
        """Return the default as the component's author wrote it."""
        made = self.field.default_factory
        return self.field.default if made is dataclasses.MISSING else made()


@cache
def parameters_of(cls: Any) -> Mapping[str, Parameter]:
    """Return the parameters of a component's class by name: its dataclass fields, except those with ``init=False``.

    Raises:
        PluginError: an annotation cannot be read, or is of a kind that cannot be checked.
    """
    found = {}
    for field in dataclasses.fields(cls):
        if field.init:
            hint = field_type(cls, field)
            if field.default is None and type(None) not in typing.get_args(hint):
                hint = Optional[hint]  # as type checkers once read it too
            check_type(hint, f"parameter {field.name}")
            found[field.name] = Parameter(field, hint)
    return found


def check_component(cls: type) -> None:
    """Check that a component's parameters can be given, recorded and read again.

    Raises:
        PluginError: they cannot.
    """
    for name, parameter in parameters_of(cls).items():
        choices = parameter.field.metadata.get("choices")
        if choices is not None and (isinstance(choices, (str, bytes)) or not isinstance(choices, Collection)):
            raise PluginError(
                f"parameter {name}: choices is {choices!r}; it must be a tuple of the values allowed "
                "(a tuple of one ends with a comma: ('x',))"
            )
        if not parameter.required:
            try:
                _checked(plain(parameter.default), parameter, f"parameter {name}")
            except Exception as error:  # a default_factory, or limits that are no numbers, may raise anything
                raise PluginError(f"its default does not fit: {error}") from error


def check_grid(cls: type) -> None:
    """Check the configurations that a method declares for scenarios to try, if it does.

    Raises:
        PluginError: ``grid`` is not a sequence of tables, or one of them names something that is not a parameter, gives
            a parameter a value that it does not accept, or occurs twice.
    """
    grid: Any = getattr(cls, "grid", ({},))
    known = parameters_of(cls)
    if "grid" in known:
        raise PluginError("a method's grid is the list of its configurations; give the parameter another name")
    if not isinstance(grid, (tuple, list)) or not grid or not all(isinstance(entry, Mapping) for entry in grid):
        raise PluginError(f"grid is {grid!r}; it must list parameters by name, e.g. ({{'depth': 3}}, {{'depth': 5}})")
    seen: list[Mapping[str, Any]] = []
    for number, entry in enumerate(grid):
        try:
            checked = check_parameters(cls, f"grid[{number}]", plain(dict(entry)))
        except FairbenchError as error:
            raise PluginError(f"its grid does not fit: {error}") from error
        if checked in seen:
            raise PluginError(f"grid[{number}] is {dict(entry)!r}, which the grid already has; remove one of them")
        seen.append(checked)


def check_parameters(cls: type, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters converted to the types that the dataclass declares.

    Args:
        cls: a component's dataclass.
        where: for messages, e.g. ``method faalgrad``.
        params: values by name, as read from TOML or the command line.

    Raises:
        UnknownName: there is no such parameter.
        SuiteError: a value is of the wrong type or out of range.
    """
    known = parameters_of(cls)
    for name in params:
        if name not in known:
            raise UnknownName(f"parameter of {where}", name, known, f" (it takes {', '.join(known) or 'none'})")
    return {name: _checked(value, known[name], f"{where}: {name}") for name, value in params.items()}


def build(cls: type, where: str, params: Mapping[str, Any]) -> Any:
    """Return the class built with parameters that are checked first; defaults are converted as well.

    Raises:
        UnknownName: there is no such parameter.
        SuiteError: a parameter is missing, a value is of the wrong type or out of range, or the class refuses it.
    """
    given = check_parameters(cls, where, params)
    for name, parameter in parameters_of(cls).items():
        if name not in given:
            if parameter.required:
                raise SuiteError(f"{where} needs {name}, which has no default; write {where.split()[-1]}[{name}=...]")
            given[name] = _checked(plain(parameter.default), parameter, f"{where}: {name}")
    shown = f" with {', '.join(f'{name}={show_value(params[name])}' for name in params)}" if params else ""
    try:
        built = cls(**given)
    except (FairbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a stranger's __post_init__ may raise anything
        raise SuiteError(f"{where} cannot be built{shown}: {type(error).__name__}: {error}") from error
    if not isinstance(built, cls):
        raise SuiteError(
            f"{where} cannot be built{shown}: {cls.__name__}() made an object of type {type(built).__name__}; "
            "its __new__ must return an instance of the class"
        )
    return built


def values(built: Any, where: str = "") -> dict[str, Any]:
    """Return the parameters of a component instance, as plain JSON values.

    Raises:
        SuiteError: a value has no plain form; only ``__post_init__`` can have set such a value.
    """
    found, cls = {}, built.__class__
    for name in parameters_of(cls):
        try:
            found[name] = plain(getattr(built, name))
        except SuiteError as error:
            raise SuiteError(f"{where or cls.__name__}: {name} cannot be recorded: {error}") from error
    return found


def build_choice(text: str, classes: Mapping[str, type], where: str) -> Any:
    """Return the part of a component that a choice within a parameter names, e.g. ``gaussian_mixture[components=10]``.

    Args:
        text: one choice, as the command line reads it.
        classes: dataclasses of parameters, by name.
        where: for messages, e.g. ``generator``.

    Raises:
        UnknownName: no class, or no parameter of it, has the name.
        SuiteError: the text names none or several, or a value is of the wrong type or out of range.
    """
    choices = parse_choices(text)
    if len(choices) != 1:
        raise SuiteError(f"{where} is {text!r}, which names {len(choices)}; name one")
    (choice,) = choices
    if choice.name not in classes:
        raise UnknownName(where, choice.name, classes, f" (there are {', '.join(sorted(classes))})")
    return build(classes[choice.name], f"{where} {choice.name}", choice.params)


def describe_parameters(component: Any) -> list[dict[str, Any]]:
    """Return name, type, default, meaning, limits and source of each parameter of a component's class."""
    if not dataclasses.is_dataclass(component) or not isinstance(component, type):
        return []
    return [
        {
            "name": name,
            "type": type_name(parameter.hint),
            "required": parameter.required,
            "default": None if parameter.required else plain(parameter.default),
            "help": parameter.field.metadata.get("help", ""),
            "choices": plain(list(parameter.field.metadata.get("choices") or [])) or options(parameter.hint),
            "minimum": parameter.field.metadata.get("minimum"),
            "maximum": parameter.field.metadata.get("maximum"),
            "source": parameter.field.metadata.get("source", ""),
        }
        for name, parameter in parameters_of(component).items()
    ]


def _checked(value: Any, parameter: Parameter, where: str) -> Any:
    """Return the value as the parameter's type, within its limits."""
    value = convert(value, parameter.hint, where)
    limits = parameter.field.metadata
    choices = limits.get("choices")
    if choices is not None and value not in list(choices):  # a set cannot be asked for a list
        raise SuiteError(f"{where} is {_shown(value)}; it must be one of {', '.join(map(_shown, choices))}")
    for bound, wrong, words in (("minimum", _below, "at least"), ("maximum", _above, "at most")):
        limit = limits.get(bound)
        if limit is not None and wrong(value, limit):
            raise SuiteError(f"{where} is {_shown(value)}; it must be {words} {limit:g}")
    return value


def _numbers(value: Any) -> Iterator[float]:
    """Yield every number of a value, however deep it stands in tuples, lists, sets and tables."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def _below(value: Any, limit: float) -> bool:
    return not all(item >= limit for item in _numbers(value))


def _above(value: Any, limit: float) -> bool:
    return not all(item <= limit for item in _numbers(value))


def convert(value: Any, hint: Any, where: str) -> Any:
    """Return a plain value as the annotated type.

    Raises:
        SuiteError: it is not of that type; ``where`` is for the message.
    """
    hint = unwrapped(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS:
        return _one_of(value, arguments, where)
    if origin is Literal:
        return _literal(value, arguments, where)
    kind = origin or hint
    if kind in SEQUENCES:
        return _items(value, kind, arguments, where)
    if kind in TABLES:
        return _table(value, arguments, where)
    if is_enum(hint):
        return _member(value, hint, where)
    if hint in (str, *PATHS):
        return hint(_text(value, where))
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and not abs(value) <= sys.float_info.max:
        raise SuiteError(f"{where} is {_shown(value)}; it must be a finite number")
    if hint is Any:
        return plain(value)
    if hint is float and number:
        return float(value)
    if hint is int and number and isinstance(value, int):
        return int(value)
    if hint in (bool, type(None)) and isinstance(value, hint):
        return value
    raise SuiteError(f"{where} is {_seen(value)}; it must be {WORDS[hint]}")


def _text(value: Any, where: str) -> str:
    """Return the text that was typed, even if it looks like another type; a number in TOML is not a text."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return show_value(value)  # which can be typed in one way
    typed = getattr(value, "written", None)
    if typed is None:
        raise SuiteError(f"{where} is {_shown(value)}; it must be a text, so put it in quotes")
    return str(typed)


def _one_of(value: Any, hints: Sequence[Any], where: str) -> Any:
    """Return the value as one of several types: the type that it already has, else the first that accepts it."""
    absent = type(None) in hints and value == "none"
    errors = []
    for hint in sorted(hints, key=lambda hint: _distance(value, hint)):
        if absent and typing.get_origin(hint) in SEQUENCES:
            continue  # "none" is not a tuple of one word
        try:
            return convert(value, hint, where)
        except SuiteError as error:
            errors += [] if hint is type(None) else [error]
    if absent:
        return None
    if len(errors) == 1:
        raise errors[0]
    raise SuiteError(f"{where} is {_seen(value)}; it must be {' or '.join(map(_words, hints))}")


def _distance(value: Any, hint: Any) -> int:
    """Return 0 for a value that has the type already, 1 for a whole number where a number is wanted, else 2."""
    hint = unwrapped(hint)
    plain_class = isinstance(hint, type) and typing.get_origin(hint) is None  # on Python 3.9 list[int] is a type
    if not plain_class or isinstance(value, bool) != (hint is bool):
        return 2
    return 0 if isinstance(value, hint) else 1 if hint is float and isinstance(value, int) else 2


def _literal(value: Any, options: Sequence[Any], where: str) -> Any:
    for option in options:
        try:
            if convert(value, type(option), where) == option:
                return option
        except SuiteError:
            continue
    raise SuiteError(f"{where} is {_shown(value)}; it must be one of {', '.join(map(_shown, options))}")


def _member(value: Any, kind: type[enum.Enum], where: str) -> enum.Enum:
    """Return the member whose value, or else whose name, is given."""
    for attribute in ("value", "name"):
        for member in kind:
            try:
                own = getattr(member, attribute)
                if convert(value, type(own), where) == own:
                    return member
            except (SuiteError, KeyError):
                continue
    options = ", ".join(_shown(plain(member)) for member in kind)
    raise SuiteError(f"{where} is {_shown(value)}; it must be one of {options}")


def _items(value: Any, kind: Any, arguments: Sequence[Any], where: str) -> Any:
    """Return a tuple, list or set of items that are converted; a single value stands for one item."""
    if isinstance(value, str) and value[:1] == "[" and value[-1:] == "]":
        raise SuiteError(f"{where} is {_seen(value)}; a list is written in round brackets: ({value[1:-1]})")
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    hints: Sequence[Any] = [Any] * len(given)
    if kind is tuple and arguments and arguments[-1] is not ...:
        hints = arguments
        if len(given) != len(hints):
            raise SuiteError(f"{where} is {_shown(value)}; it must have {len(hints)} items, not {len(given)}")
    elif arguments:
        hints = [arguments[0]] * len(given)
    made = [convert(item, hint, where) for item, hint in zip(given, hints)]
    if kind in (set, frozenset):
        try:
            return kind(made)
        except TypeError as error:
            raise SuiteError(f"{where} is {_shown(value)}; the items of a set are plain values") from error
    return made if kind is list else tuple(made)


def _table(value: Any, arguments: Sequence[Any], where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SuiteError(f'{where} is {_shown(value)}; it must be a table such as {{"a":1}}')
    hint = arguments[1] if arguments else Any
    return {str(name): convert(item, hint, f"{where}.{name}") for name, item in plain(value).items()}


def _shown(value: Any) -> str:
    """Return a value as a message shows it, even if it cannot be recorded."""
    try:
        return show_value(plain(value))
    except (SuiteError, ValueError):  # infinite, or a whole number of thousands of digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else str(value)


def _seen(value: Any) -> str:
    """Return a value of the wrong type for a message; a text is always in quotes, to show that it is a text."""
    return repr(str(value)) if isinstance(value, str) else _shown(value)


def _words(hint: Any) -> str:
    return WORDS.get(hint, type_name(hint))
