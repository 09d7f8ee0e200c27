"""Entry points and local files become a Registry; what cannot be loaded becomes a problem of its own, and no more."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Optional

import pluggy

import fairbench.hooks
from fairbench.components import Metric, Paper, Report
from fairbench.errors import PluginError, UnknownName, did_you_mean
from fairbench.hooks import HOOKS, NAMESPACE
from fairbench.isolation import process_state_kept
from fairbench.names import KINDS
from fairbench.registry import Plugin, Registry

GROUP = "fairbench"
BUILT_IN = "fairbench-harness"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_CLASS_NEEDS = {
    "datasets": ("load", "files", "sensitive_features"),
    "methods": ("fit",),
    "scenarios": ("run",),
    "executors": ("map",),
}
_INSTANCES = {"metrics": Metric, "reports": Report, "papers": Paper}


class EntryPoint(NamedTuple):
    """An entry point of group ``fairbench``: its name, the package it points to and who brought it."""

    name: str
    module: str
    distribution: str
    version: str


def entry_points() -> list[EntryPoint]:
    """Return every entry point of the group, the built-in ones first; of two copies of a distribution one is kept."""
    found: dict[str, list[EntryPoint]] = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if name in found:
            continue  # an egg-info beside the sources, or an older copy later on the path
        found[name] = [
            EntryPoint(point.name, point.value.strip(), name, distribution.version)
            for point in distribution.entry_points
            if point.group == GROUP
        ]
    ordered = sorted(found, key=lambda name: (name != BUILT_IN, name))
    return [point for name in ordered for point in sorted(found[name])]


def load_plugins(files: Sequence[str] = (), only: Optional[Sequence[str]] = None) -> tuple[Registry, list[Plugin]]:
    """Load every plugin.

    Args:
        files: paths of local plugin files.
        only: names of the entry points to load; by default those in the environment's ``FAIRBENCH_PLUGINS``, or all.

    Returns:
        The registry, and the plugins that could not be used.

    Raises:
        PluginError: a local file, which was asked for by name, cannot be used.
        UnknownName: ``only`` names an entry point that is not installed.
    """
    if only is None:
        only = [name.strip() for name in os.environ.get("FAIRBENCH_PLUGINS", "").split(",") if name.strip()]
    registry = _load(tuple((os.path.abspath(file), _digest(Path(file))) for file in files), tuple(only))
    return registry, registry.problems


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""  # importing it says what is wrong


@lru_cache(maxsize=8)
def _load(files: tuple[tuple[str, str], ...], only: tuple[str, ...]) -> Registry:
    registry = Registry(restricted=bool(only))
    points = entry_points()
    for name in only:
        if name not in {point.name for point in points}:
            raise UnknownName("plugin", name, {point.name for point in points}, " (see FAIRBENCH_PLUGINS)")
    for point in points:
        if not only or point.name in only:
            for module in _modules(point):
                _register(registry, Plugin(module, point.distribution, point.version))
    for file, digest in files:
        refused = len(registry.problems)
        _register(registry, Plugin(file, "local file", "", sha256=digest), Path(file))
        if len(registry.problems) > refused:
            raise PluginError(f"plugin {file}: {registry.problems[-1].problem}")
    return registry


def _modules(point: EntryPoint) -> Iterator[str]:
    """Yield the module of an entry point and, if it is a package, each public module in it."""
    yield point.module
    try:
        with process_state_kept():
            package = importlib.import_module(point.module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return  # _register meets the same error and keeps it
    for found in sorted(pkgutil.iter_modules(getattr(package, "__path__", [])), key=lambda found: found.name):
        if not found.name.startswith("_"):
            yield f"{point.module}.{found.name}"


def _register(registry: Registry, plugin: Plugin, file: Optional[Path] = None) -> None:
    """Import one module and take in its components, or remember why not.

    What the import changed in the process is put back and remembered; folders that it added to the path of imports are
    searched after the others, since it may import from them later.
    """
    path = list(sys.path)
    try:
        with process_state_kept() as changed:
            module = importlib.import_module(plugin.name) if file is None else _import_file(file)
            components = _components(module)
            added = [folder for folder in sys.path if folder not in path]
        sys.path += added
        plugin = replace(plugin, changed=tuple(name for name in changed if name != "sys.path"))
        if not components and hasattr(module, "__path__"):
            return  # a package whose modules are the plugins
        if not components:
            raise PluginError(f"it implements no hook; mark one of {', '.join(HOOKS)} with @hookimpl")
        names = {kind: tuple(component.name for component in members) for kind, members in components.items()}
        registry.add(replace(plugin, components=names), components)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's module may raise anything, SystemExit too, and harms only itself
        missing = isinstance(error, ModuleNotFoundError) and not str(error.name).startswith(plugin.name.split(".")[0])
        registry.refuse(replace(plugin, problem=_problem(error), unavailable=missing))


def _problem(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"needs {error.name!r}, which is not installed"
    if isinstance(error, PluginError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename if trace else ""
    if trace is None or file.startswith("<frozen importlib"):  # a syntax error, which names its place itself
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}: {error} ({Path(file).name}, line {trace.tb_lineno})"


def _import_file(file: Path) -> ModuleType:
    if file.is_dir():
        raise PluginError("it is a folder; name a Python file in it")
    if not file.is_file():
        raise PluginError("no such file")
    name = f"fairbench_local_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _components(module: ModuleType) -> dict[str, list[Any]]:
    """Return what the module's hooks return, by kind, checked.

    Raises:
        PluginError: a hook is misspelt or takes an unknown argument, or a component is not what its kind must be.
    """
    marked = [
        name
        for name, member in vars(module).items()
        if inspect.isfunction(member) and hasattr(member, f"{NAMESPACE}_impl")
    ]
    for name in marked:
        if name not in HOOKS:
            raise PluginError(f"{name!r} is not a hook{did_you_mean(name, HOOKS)}")
    manager = pluggy.PluginManager(NAMESPACE)
    manager.add_hookspecs(fairbench.hooks)
    try:
        manager.register(module)
    except pluggy.PluginValidationError as error:
        raise PluginError(str(error).replace("\n", " ")) from error
    manager.check_pending()
    components: dict[str, list[Any]] = {}
    for kind, hook in zip(KINDS, HOOKS):
        for returned in getattr(manager.hook, hook)():
            if not isinstance(returned, (list, tuple)):
                raise PluginError(f"{hook} returned {type(returned).__name__}; it must return a list")
            for component in returned:
                _check_component(kind, hook, component)
            components.setdefault(kind, []).extend(returned)
    return {kind: members for kind, members in components.items() if members}


def _check_component(kind: str, hook: str, component: Any) -> None:
    label = getattr(component, "__name__", None) or repr(component)
    if kind in _INSTANCES:
        if not isinstance(component, _INSTANCES[kind]):
            raise PluginError(f"{hook} returned {label}, which is not a {_INSTANCES[kind].__name__}")
    else:
        if not isinstance(component, type) or not hasattr(component, "__dataclass_fields__"):
            raise PluginError(
                f"{hook} returned {label}, which is not a dataclass; decorate the class with @dataclass(frozen=True)"
            )
        for needed in _CLASS_NEEDS[kind]:
            if not hasattr(component, needed):
                raise PluginError(f"{hook} returned {label}, which has no {needed!r}")
    name = getattr(component, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{hook} returned {label}, whose name is {name!r}; use small letters, digits, '_', '-' and '.'"
        )
