"""Entry points and local files become a Registry; a plugin that cannot be loaded is recorded as a problem."""

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
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Optional

import pluggy

import fairbench.plugins.hooks
from fairbench.data.own.declaration import OwnData
from fairbench.errors import NotApplicable, PluginError, UnknownName, did_you_mean
from fairbench.plugins.code_digest import local_code
from fairbench.plugins.components import BETTER, Metric, Paper, Report
from fairbench.plugins.hooks import HOOKS, NAMESPACE
from fairbench.plugins.isolated.environments import Found, found_environments
from fairbench.plugins.isolated.methods import methods_of
from fairbench.plugins.kinds import KINDS
from fairbench.plugins.made_for import DECLARATION, MadeForNewer, check_api, declared_in
from fairbench.plugins.namesake import ADVICE, requires_namesake
from fairbench.plugins.own import Contents, register_own, with_contents
from fairbench.plugins.registry import BUILT_IN, LOCAL, Plugin, Registry
from fairbench.system.isolation import process_state_kept

GROUP = "fairbench"
_LOCAL_MODULE = "fairbench_local_"
_BROUGHT: dict[str, set[str]] = {}  # by module of a local file: when it is loaded again, they are there already
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_CLASS_NEEDS = {
    "datasets": ("load", "files", "sensitive_features"),
    "methods": ("fit",),
    "scenarios": ("run",),
    "executors": ("map",),
}
_INSTANCES = {"metrics": Metric, "reports": Report, "papers": Paper}


class EntryPoint(NamedTuple):
    """An entry point of group ``fairbench``: its name, the package it points to, and the distribution it belongs to."""

    name: str
    module: str
    distribution: str
    version: str
    misled: bool = False  # its distribution depends on the other project's fairbench


def entry_points(places: Optional[Sequence[str]] = None) -> list[EntryPoint]:
    """Return every entry point of the group, built-in ones first; of two copies of a distribution, one is kept.

    Args:
        places: folders to look in; by default those that imports search.
    """
    found: dict[str, list[EntryPoint]] = {}
    for distribution in distributions() if places is None else distributions(path=list(places)):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if name in found:
            continue  # an egg-info beside the sources, or an older copy later on the path
        points = [point for point in distribution.entry_points if point.group == GROUP]
        misled = bool(points) and requires_namesake(distribution.requires or [])
        found[name] = [
            EntryPoint(point.name, point.value.strip(), name, distribution.version, misled) for point in points
        ]
    ordered = sorted(found, key=lambda name: (name != BUILT_IN, name))
    return [point for name in ordered for point in sorted(found[name])]


def load_plugins(
    files: Sequence[str] = (),
    only: Optional[Sequence[str]] = None,
    own: Sequence[OwnData] = (),
    places: Optional[Sequence[str]] = None,
    kind: Optional[str] = None,
) -> tuple[Registry, list[Plugin]]:
    """Load every plugin.

    Args:
        files: paths of local plugin files.
        only: names of the entry points and isolated plugins to load; by default those in the environment's
            ``FAIRBENCH_PLUGINS``, or all.
        own: tables of the user's own, each of which is a dataset.
        places: folders whose entry points are loaded; by default those that imports search, and isolated plugins too.
        kind: what is asked for, e.g. ``reports``: built-in modules that supply none are left out, as is what they
            import. Other plugins are loaded all the same. None for every kind.

    Returns:
        The registry, and the plugins that could not be used.

    Raises:
        PluginError: a local file, which was requested by name, cannot be used.
        UnknownName: ``only`` names what is not installed.
        SuiteError: a table of the user's own has the name of another dataset.
    """
    if only is None:
        only = [name.strip() for name in os.environ.get("FAIRBENCH_PLUGINS", "").split(",") if name.strip()]
    sources = tuple((os.path.abspath(file), _content(Path(file))) for file in files)
    isolated = found_environments() if places is None else ()
    where = None if places is None else tuple(places)
    registry = _load(sources, tuple(only), with_contents(own), isolated, where, kind)
    return registry, registry.problems


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # importing it says what is wrong


@lru_cache(maxsize=8)
def _load(
    files: tuple[tuple[str, bytes], ...],
    only: tuple[str, ...],
    own: tuple[tuple[OwnData, Contents], ...] = (),
    isolated: tuple[Found, ...] = (),
    places: Optional[tuple[str, ...]] = None,
    kind: Optional[str] = None,
) -> Registry:
    registry = Registry(restricted=bool(only))
    points = entry_points(places)
    known = {*(point.name for point in points), *(found.name for found in isolated)}
    for name in only:
        if name not in known:
            raise UnknownName("plugin", name, known, " (see FAIRBENCH_PLUGINS)")
    for point in points:
        if not only or point.name in only:
            if point.misled:
                registry.advice.append(
                    f"plugin {point.name} ({point.distribution} {point.version}) depends on 'fairbench', another "
                    f"project's distribution with a package of the same name: {ADVICE}"
                )
            for module in _modules(point):
                if kind is None or point.distribution != BUILT_IN or _supplies(module, kind):
                    _register(registry, Plugin(module, point.distribution, point.version))
    for found in isolated:
        if not only or found.name in only:
            _register_isolated(registry, found)
    for file, source in files:
        refused = len(registry.problems)
        _register(registry, Plugin(file, LOCAL, ""), source)
        if any(not problem.components for problem in registry.problems[refused:]):  # else some may be used
            raise PluginError(f"plugin {file}: {registry.problems[-1].problem}")
    register_own(registry, own)
    registry.freeze()
    return registry


def _modules(point: EntryPoint) -> Iterator[str]:
    """Yield the module of an entry point and, if it is a package, each public module in it."""
    yield point.module
    try:
        with process_state_kept():
            package = importlib.import_module(point.module)
            check_api(getattr(package, DECLARATION, None))  # of all modules in it
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return  # _register meets the same error and keeps it
    for found in sorted(pkgutil.iter_modules(getattr(package, "__path__", [])), key=lambda found: found.name):
        if not found.name.startswith("_"):
            yield f"{point.module}.{found.name}"


def _supplies(module: str, kind: str) -> bool:
    """Return whether a built-in module supplies components of a kind: whether its source names the hook."""
    return f"{NAMESPACE}_{kind}".encode() in _source_of(module)


def _register(registry: Registry, plugin: Plugin, source: Optional[bytes] = None) -> None:
    """Import one module, or a local file with this content, and register its components, or record why not.

    What the import changed in the process is restored and recorded; folders that it added to the import path are
    searched after the others, since it may import from them later.
    """
    path = list(sys.path)
    try:
        brought: set[str] = set()
        with process_state_kept() as changed:
            if source is None:
                module = importlib.import_module(plugin.name)
            else:
                module, brought = _import_file(Path(plugin.name), source)
            check_api(getattr(module, DECLARATION, None))
            components = _components(module)
            added = [folder for folder in sys.path if folder not in path]
        sys.path += added
        plugin = replace(plugin, changed=tuple(name for name in changed if name != "sys.path"))
        if source is not None:
            plugin = replace(plugin, code=local_code(Path(plugin.name), source, brought))
        if not components and hasattr(module, "__path__"):
            return  # a package whose modules are the plugins
        if not components:
            raise PluginError(f"it implements no hook; mark one of {', '.join(HOOKS)} with @hookimpl")
        registry.add(plugin, components)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's module may raise anything, SystemExit too, and harms only itself
        if not isinstance(error, PluginError):  # it may fail because it wants what this fairbench does not have
            try:
                check_api(declared_in(_source_of(plugin.name) if source is None else source))
            except PluginError as refused:
                error = refused
        missing = isinstance(error, ModuleNotFoundError) and not str(error.name).startswith(plugin.name.split(".")[0])
        unavailable = missing or isinstance(error, (MadeForNewer, NotApplicable))
        registry.refuse(replace(plugin, problem=_problem(error), unavailable=unavailable))


def _register_isolated(registry: Registry, found: Found) -> None:
    """Register the methods of an isolated plugin from its manifest, or record why not; nothing of it is imported."""
    label = f"{found.name} (isolated)"
    plugin = Plugin(label, label, "")
    try:
        environment, methods = methods_of(found)
        plugin = replace(plugin, version=environment.version, code=environment.code)
        registry.add(plugin, {"methods": methods})
    except PluginError as error:
        registry.refuse(replace(plugin, problem=str(error)))


def _source_of(name: str) -> bytes:
    """Return the source of a module, which is not imported; an empty text if there is none."""
    with suppress(Exception, SystemExit):  # no such module, or a package that fails as well
        spec = importlib.util.find_spec(name)
        return Path((spec and spec.origin) or "").read_bytes()
    return b""


def _problem(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"needs {error.name!r}, which is not installed"
    if isinstance(error, (PluginError, NotApplicable)):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename if trace else ""
    if trace is None or file == __file__ or file.startswith("<frozen importlib"):  # it names its place itself
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}: {error} ({Path(file).name}, line {trace.tb_lineno})"


def _import_file(file: Path, source: bytes) -> tuple[ModuleType, set[str]]:
    """Return a local file's module, and the names of the modules that were imported with it.

    The module is made from the content that was read before, so that the digest belongs to the code that runs: Python's
    own loader uses compiled code if the file has the same second and size.
    """
    if file.is_dir():
        raise PluginError("it is a folder; name a Python file in it")
    if not file.is_file():
        raise PluginError("no such file")
    name = f"{_LOCAL_MODULE}{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102 - as the loader does
    except BaseException:
        del sys.modules[name]
        raise
    brought = _BROUGHT.setdefault(name, set())
    brought |= {other for other in set(sys.modules) - before if not other.startswith(_LOCAL_MODULE)}
    return module, brought


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
    manager.add_hookspecs(fairbench.plugins.hooks)
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
        if isinstance(component, Metric) and (component.better not in BETTER or not isinstance(component.label, str)):
            raise PluginError(
                f"metric {component.name!r} has better = {component.better!r} and label = {component.label!r}; "
                f"better must be one of {', '.join(BETTER)}, and label a text"
            )
    else:
        if not isinstance(component, type) or not hasattr(component, "__dataclass_fields__"):
            raise PluginError(
                f"{hook} returned {label}, which is not a dataclass; decorate the class with @dataclass(frozen=True)"
            )
        for needed in _CLASS_NEEDS[kind]:
            if not hasattr(component, needed) and needed not in component.__dataclass_fields__:
                raise PluginError(f"{hook} returned {label}, which has no {needed!r}")
        if kind == "executors":
            _check_map(label, component)
    name = getattr(component, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{hook} returned {label}, whose name is {name!r}; use small letters, digits, '_', '-' and '.'"
        )


def _check_map(label: str, component: type) -> None:
    """Refuse an executor that was written before cells had limits: the run would end when it calls it."""
    function = vars(component).get("map")
    if not inspect.isfunction(function):
        return
    try:
        inspect.signature(function).bind("self", "function", "items", "limits")
    except TypeError as error:
        raise PluginError(f"executor {label}: map must take (function, items, limits): {error}") from error
