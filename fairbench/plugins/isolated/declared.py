"""Method classes as JSON, and classes made of it: what a manifest says of the methods in an environment."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, Literal, Union

from fairbench.errors import PluginError
from fairbench.notation import plain
from fairbench.plugins.annotations import SEQUENCES, TABLES, UNIONS, is_enum, unwrapped
from fairbench.plugins.group_use import declared_use, depends_on_parameters
from fairbench.plugins.parameters import Parameter, convert, parameters_of
from fairbench.plugins.ranges import Options, Range

ATTRIBUTES = ("is_reference", "takes_unknown_group")  # plain attributes of a method's class that the harness reads
_PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "none": type(None), "any": Any}
_PATHS = {"path": Path, "pure path": PurePath}
_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "sequence": Sequence}
_LIMITS = ("help", "source", "minimum", "maximum")


def described(method: type) -> dict[str, Any]:
    """Return all that the harness needs to know of a method's class without its code, as JSON can hold it.

    Raises:
        PluginError: a parameter's type cannot be described.
        SuiteError: a value has no plain form.
    """
    found: dict[str, Any] = {
        "name": method.name,  # type: ignore[attr-defined]  # the registry has checked it
        "about": inspect.cleandoc(method.__doc__ or ""),
        "parameters": {name: _described(declared) for name, declared in parameters_of(method).items()},
        "attributes": {name: plain(getattr(method, name)) for name in ATTRIBUTES if hasattr(method, name)},
    }
    with suppress(TypeError):  # it depends on a parameter that users must give
        found["uses_group"] = plain(declared_use(method))
    if depends_on_parameters(method):
        found["asks_uses"] = True  # of other parameters than the defaults
    if hasattr(method, "grid"):
        found["grid"] = plain(method.grid)
    if getattr(method, "ranges", None):
        ranges = method.ranges  # type: ignore[attr-defined]  # it is there
        found["ranges"] = {name: _space(space) for name, space in ranges.items()}
    return found


def _described(declared: Parameter) -> dict[str, Any]:
    metadata = declared.field.metadata
    found = {"type": type_to_json(declared.hint)}
    if not declared.required:
        found["default"] = plain(declared.default)
    if metadata.get("choices") is not None:
        found["choices"] = plain(list(metadata["choices"]))
    return {**found, **{name: plain(metadata[name]) for name in _LIMITS if metadata.get(name) is not None}}


def _space(space: Union[Range, Options]) -> dict[str, Any]:
    if isinstance(space, Options):
        return {"options": plain(list(space.values)), "source": space.source}
    return {"low": space.low, "high": space.high, "log": space.log, "source": space.source}


def declare(about: Mapping[str, Any], base: type, **more: Any) -> type:
    """Return a class with the parameters, presets and ranges of a described method.

    Args:
        about: what ``described`` returned.
        base: a class with ``fit``.
        more: further attributes.

    Raises:
        PluginError, KeyError, TypeError, ValueError: the description is damaged.
    """
    fields = [(name, *_field(name, declared)) for name, declared in about["parameters"].items()]
    fields.sort(key=lambda one: not _required(one[2]))  # those that users must give come first
    namespace = {"name": about["name"], "__doc__": about["about"], **more}
    namespace.update({name: about["attributes"][name] for name in ATTRIBUTES if name in about["attributes"]})
    uses = None if about.get("uses_group") is None else tuple(about["uses_group"])
    namespace["_usual_uses" if about.get("asks_uses") else "uses_group"] = uses
    namespace["_usual"] = {name: one["default"] for name, one in about["parameters"].items() if "default" in one}
    if "grid" in about:
        namespace["grid"] = tuple(about["grid"])
    if "ranges" in about:
        namespace["ranges"] = {name: _space_of(space) for name, space in about["ranges"].items()}
    made = dataclasses.make_dataclass("Isolated", fields, bases=(base,), namespace=namespace, frozen=True)
    made.__module__ = base.__module__
    return made


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default_factory is dataclasses.MISSING


def _field(name: str, declared: Mapping[str, Any]) -> tuple[Any, dataclasses.Field[Any]]:
    hint = type_from_json(declared["type"])
    metadata = {name: declared[name] for name in _LIMITS if name in declared}
    if "choices" in declared:
        metadata["choices"] = [convert(choice, hint, f"parameter {name}") for choice in declared["choices"]]
    if "default" not in declared:
        return hint, dataclasses.field(metadata=metadata)
    default = declared["default"]
    return hint, dataclasses.field(default_factory=lambda: default, metadata=metadata)


def _space_of(space: Mapping[str, Any]) -> Union[Range, Options]:
    return Options(*space["options"], source=space["source"]) if "options" in space else Range(**space)


def type_to_json(hint: Any) -> Any:
    """Return a parameter's type as JSON can hold it: a name, or a list of a name and what it contains.

    Raises:
        PluginError: there is no word for it.
    """
    hint = unwrapped(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS:
        return ["union", *map(type_to_json, arguments)]
    if origin is Literal:
        return ["literal", *plain(list(arguments))]
    if is_enum(hint):
        members = {member.name: plain(member) for member in hint}
        return ["enum", hint.__name__, members]
    kind = origin or hint
    if kind in SEQUENCES:
        name = next(name for name, known in _CONTAINERS.items() if known is kind)
        return [name, *("..." if argument is ... else type_to_json(argument) for argument in arguments)]
    if kind in TABLES:
        return ["table", *map(type_to_json, arguments[1:])]
    for name, known in {**_PLAIN, **_PATHS}.items():
        if hint is known:
            return name
    raise PluginError(f"parameters of type {hint!r} cannot be described")


def type_from_json(given: Any) -> Any:
    """Return the type that ``type_to_json`` wrote.

    Raises:
        PluginError: nobody wrote it so.
    """
    if isinstance(given, str):
        found = {**_PLAIN, **_PATHS}.get(given)
        if found is not None:
            return found
    elif isinstance(given, list) and given:
        name, *inner = given
        if name == "literal":
            return Literal[tuple(inner)]
        if name == "enum":
            return enum.Enum(*inner)
        arguments = tuple(... if argument == "..." else type_from_json(argument) for argument in inner)
        if name == "union":
            return Union[arguments]
        if name == "table":
            return dict[str, arguments[0]] if arguments else dict  # type: ignore[valid-type]  # built as it runs
        if name in _CONTAINERS:
            return _CONTAINERS[name][arguments] if arguments else _CONTAINERS[name]  # type: ignore[index]  # as above
    raise PluginError(f"{given!r} is not a type of a parameter")
