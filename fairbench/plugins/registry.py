"""Names to components, with "did you mean"; parameters are checked here, once, before anything runs."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fairbench.cells import Cell, Choice, Preparation
from fairbench.choices import metric_called
from fairbench.data.sources import DataFile
from fairbench.errors import DataError, FairbenchError, NotApplicable, PluginError, UnknownName
from fairbench.plugins import parameters
from fairbench.plugins.code_digest import digest_of, package_code
from fairbench.plugins.components import DatasetSpec, Method, Metric, Paper, Report, Scenario
from fairbench.plugins.group_use import EVERYWHERE, check_group_use, withholding
from fairbench.plugins.kinds import KINDS, component_label
from fairbench.plugins.ranges import check_ranges
from fairbench.system.output import output_on_stderr
from fairbench.version import __version__

BUILT_IN = "fairbench-harness"
LOCAL = "local file"
SHORT = 12  # digits of a digest that stand for a version


@dataclass(frozen=True)
class Plugin:
    """One loaded (or refused) plugin module.

    Args:
        name: its module, or the path of a local file.
        distribution: the installed distribution that contains it, or ``local file``.
        version: the distribution's version.
        components: ``kind -> names`` of what it supplies.
        problem: empty, or why it cannot be used.
        unavailable: True if only a library is missing, False if the plugin is broken.
        code: of a local file, name -> sha256 of it and of its own modules, as they were loaded; of an isolated plugin
            also the versions in its environment.
        changed: what its import changed in the process, e.g. ``the working directory``; it was restored.
    """

    name: str
    distribution: str
    version: str
    components: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    problem: str = ""
    unavailable: bool = False
    code: Mapping[str, str] = dataclasses.field(default_factory=dict)
    changed: tuple[str, ...] = ()

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Return name -> sha256 of every file of the plugin's code."""
        if self.distribution == LOCAL or self.code:
            return self.code
        return package_code(self.name, self.distribution, follow=self.distribution != BUILT_IN)

    @property
    def sha256(self) -> str:
        """Return one sha256 for all of the plugin's code."""
        return digest_of(self.files)

    @property
    def code_version(self) -> str:
        """Return the distribution's version, or for a local file, which has none, the first digits of its digest."""
        return self.sha256[:SHORT] if self.distribution == LOCAL else str(self.version)

    @property
    def source(self) -> str:
        """Return the unit that has one digest: a local file, or a package with all its modules."""
        return self.name if self.distribution == LOCAL else self.name.partition(".")[0]

    @property
    def state(self) -> str:
        """Return ``usable``, ``unavailable`` or ``broken``."""
        if not self.problem:
            return "usable"
        return "unavailable" if self.unavailable else "broken"

    def __str__(self) -> str:
        """Return ``acme_fair.gap (acme-fair 2.1)``, or ``acme-fair (isolated) 2.1``."""
        if self.name == self.distribution:
            return f"{self.name} {self.version}".rstrip()
        return f"{self.name} ({' '.join(filter(None, [self.distribution, self.version]))})"


class Registry:
    """Every component by kind and name, and the plugins that supply them."""

    def __init__(self, restricted: bool = False) -> None:
        """Start empty; ``plugins.load_plugins`` fills it (``restricted``: with only some of the installed plugins)."""
        self.restricted = restricted
        self.plugins: list[Plugin] = []
        self.problems: list[Plugin] = []  # those of them that cannot be used
        self.advice: list[str] = []  # sentences for the user about plugins that work
        self._components: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._origins: dict[tuple[str, str], Plugin] = {}
        self._refused: dict[tuple[str, str], Plugin] = {}
        self._versions: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._frozen = False

    def add(self, plugin: Plugin, components: Mapping[str, Sequence[Any]]) -> None:
        """Add a plugin with its components; only a component whose parameters cannot be checked is refused.

        Raises:
            PluginError: a name is taken, or the registry is frozen; nothing of the plugin is added.
        """
        self._refuse_if_frozen(plugin)
        for kind, members in components.items():
            seen = set()
            for component in members:
                taken = self._origins.get((kind, component.name))
                if taken or component.name in seen:
                    raise PluginError(
                        f"two {kind} are named {component.name!r}: {taken or plugin} and {plugin}; rename one"
                    )
                seen.add(component.name)
        taken_in = {
            kind: [member for member in components[kind] if self._sound(plugin, kind, member)] for kind in components
        }
        names = {kind: tuple(member.name for member in members) for kind, members in taken_in.items()}
        plugin = dataclasses.replace(plugin, components=names)
        for kind, members in taken_in.items():
            for component in members:
                self._components[kind][component.name] = component
                self._origins[kind, component.name] = plugin
        self._take_in(plugin)

    def _sound(self, plugin: Plugin, kind: str, component: Any) -> bool:
        """Return whether a component's parameters can be checked; if not, remember why."""
        try:
            if isinstance(component, type):
                parameters.check_component(component)
            if kind == "methods":
                parameters.check_grid(component)
                check_ranges(component)
                check_group_use(component)
            if kind == "datasets" and _is_declared(component, "sensitive_features"):
                _check_attributes(component.sensitive_features)
        except PluginError as error:
            problem = f"{component_label(kind, component.name)}: {error}"
            only = {kind: (component.name,)}
            self._refused[kind, component.name] = dataclasses.replace(plugin, components=only, problem=problem)
            self._take_in(self._refused[kind, component.name])
            return False
        return True

    def refuse(self, plugin: Plugin) -> None:
        """Remember a plugin that cannot be used, with its problem."""
        self._refuse_if_frozen(plugin)
        self._take_in(plugin)

    def freeze(self) -> None:
        """Accept no more plugins: what a run has planned with its registry stays as it is."""
        self._frozen = True

    def _refuse_if_frozen(self, plugin: Plugin) -> None:
        if self._frozen:
            raise PluginError(f"plugin {plugin} comes too late: all plugins are loaded; name its file with --plugin")

    def _take_in(self, plugin: Plugin) -> None:
        self.plugins.append(plugin)
        if plugin.problem:
            self.problems.append(plugin)

    @property
    def warnings(self) -> list[str]:
        """Return what is to be mended about plugins that work, and a sentence for each that cannot be used.

        Built-in adapters of libraries that are not here are left out: nobody has asked for them by installing them.
        """
        told = [plugin for plugin in self.problems if plugin.distribution != BUILT_IN or not plugin.unavailable]
        return [*self.advice, *(f"plugin {plugin} is {plugin.state}: {plugin.problem}" for plugin in told)]

    @property
    def import_warnings(self) -> list[str]:
        """Return a sentence for each plugin that changed a setting of the process when it was imported."""
        return [
            f"plugin {plugin} changed {', '.join(plugin.changed)} when it was imported; it was put back"
            for plugin in self.plugins
            if plugin.changed
        ]

    def names(self, kind: str) -> list[str]:
        """Return the sorted names of a kind (``methods``, ``datasets`` …)."""
        return sorted(self._components[kind])

    def get(self, kind: str, name: str) -> Any:
        """Return a component (a class, or a Metric, Report or Paper); ``dp`` and ``eo`` name metrics too.

        Raises:
            UnknownName: no component has the name; the message mentions plugins that could not be loaded.
            PluginError: the component was refused.
        """
        members = self._components[kind]
        if kind == "metrics":
            name = metric_called(name, {*members, *(refused for where, refused in self._refused if where == kind)})
        if (kind, name) in self._refused:
            refused = self._refused[kind, name]
            raise PluginError(f"plugin {refused} is broken: {refused.problem}")
        if name not in members:
            hint = f" ('fairbench list {kind}' shows all {len(members)})"
            if self.restricted:
                hint += "; FAIRBENCH_PLUGINS is set, so only the plugins that it names are loaded"
            if self.problems:
                count = len(self.problems)
                hint += f"; {count} plugin{'s' if count > 1 else ''} could not be loaded ('fairbench plugins' says why)"
            raise UnknownName(KINDS[kind].singular, name, members, hint)
        return members[name]

    def origin(self, kind: str, name: str) -> Plugin:
        """Return the plugin that supplies a component."""
        return self._origins[kind, self.get(kind, name).name]

    def versions(self, cell: Cell) -> dict[str, str]:
        """Return the version of each distribution, and of each local file's component, that affects the numbers."""
        parts = tuple(cell.components)
        if parts in self._versions:
            return dict(self._versions[parts])
        found = {BUILT_IN: __version__}
        for kind, name in parts:
            origin = self.origin(kind, name)
            key = component_label(kind, name) if origin.distribution == LOCAL else origin.distribution
            found[key] = origin.code_version
        self._versions[parts] = found
        return dict(found)

    def build(self, kind: str, choice: Choice) -> Any:
        """Return the component's class built with the choice's parameters.

        Raises:
            UnknownName: no such component or parameter.
            SuiteError: a value of the wrong type or out of range.
        """
        with output_on_stderr():
            return parameters.build(self.get(kind, choice.name), component_label(kind, choice.name), choice.params)

    def complete(self, kind: str, choice: Choice) -> Choice:
        """Return the choice with every parameter spelled out, defaults included, as plain JSON values."""
        return Choice(choice.name, parameters.values(self.build(kind, choice), component_label(kind, choice.name)))

    def shorten(self, kind: str, choice: Choice) -> Choice:
        """Return the choice with only those parameters that differ from their defaults."""
        params = self.complete(kind, choice).params
        try:
            defaults = self.complete(kind, Choice(choice.name)).params
        except FairbenchError:
            return Choice(choice.name, params)  # it has no default that could be left out
        return Choice(choice.name, {name: value for name, value in params.items() if value != defaults[name]})

    def lacks(self, kind: str, name: str) -> str:
        """Return why a component cannot be built, or a dataset described, without parameters; empty if it can.

        Raises:
            UnknownName: no component has the name.
        """
        component = self.get(kind, name)
        try:
            self.complete(kind, Choice(name))
            if kind == "datasets" and isinstance(component, type):
                self.dataset(Choice(name))
        except FairbenchError as error:
            return str(error)
        return ""

    def required(self, kind: str, name: str) -> list[str]:
        """Return the parameters of a component that have no default."""
        component = self.get(kind, name)
        known = parameters.parameters_of(component) if isinstance(component, type) else {}
        return [parameter for parameter, declared in known.items() if declared.required]

    def dataset(self, choice: Choice) -> DatasetSpec:
        """Return a dataset ready to load; its ``files`` and ``sensitive_features`` have been read and checked.

        Raises:
            UnknownName, SuiteError: as for ``build``.
            DataError: it cannot say what they are, e.g. because a file that a parameter names is missing.
            PluginError: one of them is not as required.
        """
        spec, where = self.build("datasets", choice), component_label("datasets", str(choice))
        with output_on_stderr():
            files = _read_attribute(spec, "files", where)
            names = _read_attribute(spec, "sensitive_features", where)
        try:
            _check_attributes(names)
            _check_files(files)
        except PluginError as error:
            raise PluginError(f"{where}: {error}") from error
        return typing.cast(DatasetSpec, spec)

    def method(self, choice: Choice, preparation: Preparation = EVERYWHERE) -> Method:
        """Return a method ready to fit, given the group of rows only where it declares that it uses it and it is known.

        Args:
            choice: of the method.
            preparation: says where the group is known.
        """
        return withholding(typing.cast(Method, self.build("methods", choice)), preparation)

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


def _is_declared(component: type, name: str) -> bool:
    """Return whether an attribute is the same for all instances of a class: not a field, property or the like."""
    return name not in parameters.parameters_of(component) and not hasattr(getattr(component, name, None), "__get__")


def _read_attribute(spec: Any, name: str, where: str) -> Any:
    """Return an attribute of a dataset instance, whatever the code of its property does.

    Raises:
        DataError: the attribute cannot be read.
    """
    try:
        return getattr(spec, name)
    except NotApplicable as error:
        raise DataError(f"{where} cannot say what its {name} are: {error}") from error
    except (FairbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise DataError(f"{where} cannot say what its {name} are: {type(error).__name__}: {error}") from error


def _check_files(files: Any) -> None:
    """Refuse ``files`` that are not a tuple of raw files.

    Raises:
        PluginError: they are not.
    """
    if not isinstance(files, (tuple, list)) or not all(isinstance(file, DataFile) for file in files):
        raise PluginError(f"files is {files!r}; it must be a tuple of DataFile, empty if no raw file is needed")


def _check_attributes(names: Any) -> None:
    """Refuse a dataset that does not say which columns are sensitive: the first is every run's default.

    Raises:
        PluginError: it does not.
    """
    if not isinstance(names, (tuple, list)) or not names or not all(isinstance(name, str) and name for name in names):
        raise PluginError(f"sensitive_features is {names!r}; it must name at least one column, e.g. ('sex',)")


def describe(component: Any) -> str:
    """Return the first line of a component's docstring, or a paper's title."""
    return component.title if isinstance(component, Paper) else docstring(component).split("\n")[0]


def docstring(component: Any) -> str:
    """Return a component's docstring; for a metric or a report, the docstring of its function."""
    target = getattr(component, "function", None) or getattr(component, "render", None) or component
    own = target.__doc__ != type(target).__doc__
    return (inspect.getdoc(target) or "").strip() if own else ""
