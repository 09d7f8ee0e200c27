"""The checks that every component must pass, built-in or not; public, so that other people's plugins can run them.

``CHECKS`` maps each kind to functions that take a component and raise ``Nonconforming``. ``fairbench check PLUGIN``
runs them; a plugin's own tests can too::

    from fairbench.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS["methods"])
    def test_my_method_conforms(check):
        check(MyMethod)

``example_split`` and ``example_images`` make the small tables and images that the checks fit methods to.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple

from fairbench.data.examples import example_images, example_split
from fairbench.errors import UnknownName
from fairbench.plugins.kinds import KINDS
from fairbench.plugins.registry import LOCAL, Registry
from fairbench.system.isolation import process_state_kept
from fairbench.system.library_settings import load_libraries
from fairbench.testing.audit.verdict import CLEAR, FOUND, UNTRIED, audit, shortened
from fairbench.testing.components import (
    dataset_files_are_pinned,
    embedded_dataset_loads_alike,
    executor_maps_every_item,
    function_has_a_docstring,
    metric_is_a_pure_function,
    paper_can_be_read,
    parameters_survive_json,
    report_renders_anything,
    scenario_goes_on_where_it_stopped,
    scenario_yields_outcomes,
)
from fairbench.testing.group_use import method_takes_rows_of_unknown_group, method_uses_the_group_as_declared
from fairbench.testing.methods import (
    method_leaves_things_as_found,
    method_predicts_each_row_alone,
    method_repeats_itself,
    method_takes_a_validation_part_without_a_group,
    method_takes_three_groups,
)
from fairbench.testing.rules import Nonconforming, require
from fairbench.texts import error_line

__all__ = [
    "CHECKS",
    "Checked",
    "Nonconforming",
    "check_plugin",
    "example_images",
    "example_split",
    "paper_can_be_read",
    "require",
]

CHECKS: Mapping[str, Sequence[Callable[[Any], Any]]] = {
    "datasets": (parameters_survive_json, dataset_files_are_pinned, embedded_dataset_loads_alike),
    "methods": (
        parameters_survive_json,
        method_repeats_itself,
        method_leaves_things_as_found,
        method_predicts_each_row_alone,
        method_takes_three_groups,
        method_takes_a_validation_part_without_a_group,
        method_uses_the_group_as_declared,
        method_takes_rows_of_unknown_group,
    ),
    "metrics": (metric_is_a_pure_function, function_has_a_docstring),
    "scenarios": (parameters_survive_json, scenario_yields_outcomes, scenario_goes_on_where_it_stopped),
    "reports": (report_renders_anything, function_has_a_docstring),
    "executors": (parameters_survive_json, executor_maps_every_item),
    "papers": (paper_can_be_read,),
}


class Checked(NamedTuple):
    """The result of one check of one component: ``passed``, ``failed`` or ``not run``, with what was wrong or why."""

    component: str
    check: str
    result: str
    detail: str


def check_plugin(registry: Registry, name: str) -> list[Checked]:
    """Run every check on the components of a plugin, given by its module, its package or its file.

    Raises:
        UnknownName: there is no plugin of this name.
    """
    plugins = [plugin for plugin in registry.plugins if plugin.name == name or plugin.name.startswith(f"{name}.")]
    if not plugins:
        hint = " ('fairbench plugins' shows all; a package must be installed first)"
        origins = [registry.origin(kind, name).name for kind in KINDS if name in registry.names(kind)]
        if origins:
            hint = f"; components of this name are in {' and '.join(origins)}"
        raise UnknownName("plugin", name, [plugin.name for plugin in registry.plugins], hint)
    findings = [Checked(plugin.name, "loads", "failed", plugin.problem) for plugin in plugins if plugin.problem]
    for plugin in plugins:
        for kind in KINDS:
            for component in plugin.components.get(kind, ()):
                required = registry.required(kind, component)
                if required:  # nobody here knows a value
                    why = f"it cannot be built without {' and '.join(required)}; check it with values in its own tests"
                    findings.append(Checked(component, "all", "not run", why))
                    continue
                for check in CHECKS[kind]:
                    findings.append(_checked(component, check, registry.get(kind, component)))
    named = [method for plugin in plugins for method in plugin.components.get("methods", ())]
    methods = [method for method in named if not registry.required("methods", method)]
    if methods:
        files = list(dict.fromkeys(plugin.name for plugin in registry.plugins if plugin.distribution == LOCAL))
        results = {CLEAR: "passed", FOUND: "failed", UNTRIED: "passed"}
        for method, tried, result, detail in shortened(audit(",".join(methods), files)):
            findings.append(Checked(method, f"audit: {tried}", results[result], detail))
    return findings


def _checked(name: str, check: Callable[[Any], Any], component: Any) -> Checked:
    """Run a check, and restore the process afterwards."""
    load_libraries()
    try:
        with process_state_kept():
            note = check(component)
    except Nonconforming as error:
        return Checked(name, check.__name__, "failed", str(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # a component may raise SystemExit, too
        return Checked(name, check.__name__, "failed", error_line(traceback.format_exc()))
    return Checked(name, check.__name__, "passed", note or "")
