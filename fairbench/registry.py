"""Names to components, with "did you mean"; parameters are checked here, once, before anything runs."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from fairbench.cells import Choice, show_value
from fairbench.choices import parse_choices
from fairbench.components import Method, Metric, Paper, Report, Scenario
from fairbench.errors import PluginError, SuiteError, UnknownName
from fairbench.names import KINDS
from fairbench.output import output_on_stderr


@dataclass(frozen=True)
class Plugin:
    """One loaded (or refused) plugin module.

    Args:
        name: its module, or the path of a local file.
        distribution: the installed distribution that brought it, or ``local file``.
        version: of the distribution.
        components: ``kind -> names`` of what it supplies.
        problem: empty, or why it cannot be used.
        unavailable: True if only a library is missing, False if the plugin is broken.
        sha256: of a local file, as it was loaded.
        changed: what its import changed in the process, e.g. ``the working directory``; it was put back.
    """

    name: str
    distribution: str
    version: str
    components: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    problem: str = ""
    unavailable: bool = False
    sha256: str = ""
    changed: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Return ``usable``, ``unavailable`` or ``broken``."""
        if not self.problem:
            return "usable"
        return "unavailable" if self.unavailable else "broken"

    def __str__(self) -> str:
        """Return ``acme_fair.gap (acme-fair 2.1)``."""
        return f"{self.name} ({' '.join(filter(None, [self.distribution, self.version]))})"


class Registry:
    """Every component by kind and name, and the plugins that brought them."""

    def __init__(self, restricted: bool = False) -> None:
        """Start empty; ``plugins.load_plugins`` fills it (``restricted``: with some of the installed plugins only)."""
        self.restricted = restricted
        self.plugins: list[Plugin] = []
        self._components: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._origins: dict[tuple[str, str], Plugin] = {}

    def add(self, plugin: Plugin, components: Mapping[str, Sequence[Any]]) -> None:
        """Take in a plugin with its components.

        Raises:
            PluginError: a name is taken; nothing of the plugin is taken in.
        """
        for kind, members in components.items():
            seen = set()
            for component in members:
                taken = self._origins.get((kind, component.name))
                if taken or component.name in seen:
                    raise PluginError(
                        f"two {kind} are named {component.name!r}: {taken or plugin} and {plugin}; rename one"
                    )
                seen.add(component.name)
        for kind, members in components.items():
            for component in members:
                self._components[kind][component.name] = component
                self._origins[kind, component.name] = plugin
        self.plugins.append(plugin)

    def refuse(self, plugin: Plugin) -> None:
        """Remember a plugin that cannot be used, with its problem."""
        self.plugins.append(plugin)

    @property
    def problems(self) -> list[Plugin]:
        """Return the plugins that cannot be used."""
        return [plugin for plugin in self.plugins if plugin.problem]

    def names(self, kind: str) -> list[str]:
        """Return the sorted names of a kind (``methods``, ``datasets`` …)."""
        return sorted(self._components[kind])

    def get(self, kind: str, name: str) -> Any:
        """Return a component (a class, or a Metric, Report or Paper).

        Raises:
            UnknownName: no component has the name; a plugin that could not be loaded is mentioned.
        """
        members = self._components[kind]
        if name not in members:
            hint = f" ('fairbench list {kind}' shows all {len(members)})"
            if self.restricted:
                hint += "; FAIRBENCH_PLUGINS is set, and leaves all plugins out but those it names"
            if self.problems:
                hint += f"; {len(self.problems)} plugins could not be loaded ('fairbench plugins' says why)"
            raise UnknownName(kind[:-1], name, members, hint)
        return members[name]

    def origin(self, kind: str, name: str) -> Plugin:
        """Return the plugin that brought a component."""
        self.get(kind, name)
        return self._origins[kind, name]

    def build(self, kind: str, choice: Choice) -> Any:
        """Return the component's class built with the choice's parameters.

        Raises:
            UnknownName: no such component or parameter.
            SuiteError: a value of the wrong type or out of range.
        """
        cls = self.get(kind, choice.name)
        with output_on_stderr():
            return cls(**check_parameters(cls, f"{kind[:-1]} {choice.name}", choice.params))

    def complete(self, kind: str, choice: Choice) -> Choice:
        """Return the choice with every parameter spelled out, defaults included, as plain JSON values."""
        built = self.build(kind, choice)
        return Choice(
            choice.name, {field.name: plain(getattr(built, field.name)) for field in dataclasses.fields(built)}
        )

    def shorten(self, kind: str, choice: Choice) -> Choice:
        """Return the choice with only those parameters that differ from their defaults."""
        defaults = self.complete(kind, Choice(choice.name)).params
        params = self.complete(kind, choice).params
        return Choice(choice.name, {name: value for name, value in params.items() if value != defaults[name]})

    def method(self, choice: Choice) -> Method:
        """Return a method ready to fit."""
        return typing.cast(Method, self.build("methods", choice))

    def scenario(self, choice: Choice) -> Scenario:
        """Return a scenario ready to run."""
        return typing.cast(Scenario, self.build("scenarios", choice))

    def metric(self, name: str) -> Metric:
        """Return a metric."""
        return typing.cast(Metric, self.get("metrics", name))

    def report(self, name: str) -> Report:
        """Return a report."""
        return typing.cast(Report, self.get("reports", name))

    def paper(self, name: str) -> Paper:
        """Return a paper."""
        return typing.cast(Paper, self.get("papers", name))


def plain(value: Any) -> Any:
    """Return a parameter's value as JSON knows it (tuples become lists)."""
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def check_parameters(cls: type, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters converted to the types that the dataclass declares.

    Args:
        cls: a component's dataclass.
        where: for messages, e.g. ``method faalgrad``.
        params: values by name, as read from TOML or the command line.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    checked = {}
    for name, value in params.items():
        if name not in fields:
            raise UnknownName(f"parameter of {where}", name, fields, f" (it takes {', '.join(fields) or 'none'})")
        value = _convert(value, hints[name], f"{where}: {name}")
        limits = fields[name].metadata
        choices = limits.get("choices")
        if choices is not None and value not in choices:
            raise SuiteError(
                f"{where}: {name} is {show_value(value)}; it must be one of {', '.join(map(show_value, choices))}"
            )
        for bound, wrong, words in (("minimum", _below, "at least"), ("maximum", _above, "at most")):
            limit = limits.get(bound)
            if limit is not None and wrong(value, limit):
                raise SuiteError(f"{where}: {name} is {show_value(value)}; it must be {words} {limit:g}")
        checked[name] = value
    return checked


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
    cls = classes[choice.name]
    return cls(**check_parameters(cls, f"{where} {choice.name}", choice.params))


def _numbers(value: Any) -> list[float]:
    items = value if isinstance(value, tuple) else [value]
    return [item for item in items if isinstance(item, (int, float)) and not isinstance(item, bool)]


def _below(value: Any, limit: float) -> bool:
    return not all(item >= limit for item in _numbers(value))  # so that a NaN is refused


def _above(value: Any, limit: float) -> bool:
    return not all(item <= limit for item in _numbers(value))


_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Return the value as the annotated type; the simple types, Optional and tuple[T, ...] are known."""
    if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
        raise SuiteError(f"{where} is {show_value(value)}; it must be a finite number")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        if value is None or (value == "none" and str not in arguments):
            return None
        inner = [argument for argument in arguments if argument is not type(None)]
        return _convert(value, inner[0], where)
    if origin is tuple:
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        return tuple(_convert(item, arguments[0], where) for item in items)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in _TYPE_NAMES and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise SuiteError(f"{where} is {show_value(value)!r}; it must be {_TYPE_NAMES[hint]}")
    return value


def parameters(component: Any) -> list[dict[str, Any]]:
    """Return name, type, default, meaning, limits and source of each parameter of a component's class."""
    if not dataclasses.is_dataclass(component) or not isinstance(component, type):
        return []
    hints = typing.get_type_hints(component)
    return [
        {
            "name": field.name,
            "type": _type_name(hints[field.name]),
            "default": plain(field.default),
            "help": field.metadata.get("help", ""),
            "choices": plain(list(field.metadata["choices"])) if field.metadata.get("choices") else None,
            "minimum": field.metadata.get("minimum"),
            "maximum": field.metadata.get("maximum"),
            "source": field.metadata.get("source", ""),
        }
        for field in dataclasses.fields(component)
    ]


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint).replace("typing.", "")


def describe(component: Any) -> str:
    """Return the first line of a component's docstring, or a paper's title."""
    return component.title if isinstance(component, Paper) else docstring(component).split("\n")[0]


def docstring(component: Any) -> str:
    """Return a component's docstring; a metric's or a report's is its function's own, not of the function's type."""
    target = getattr(component, "function", None) or getattr(component, "render", None) or component
    own = target.__doc__ != type(target).__doc__
    return (inspect.getdoc(target) or "").strip() if own else ""
