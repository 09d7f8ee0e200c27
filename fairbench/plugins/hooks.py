"""The seven hooks that supply every component, built-in or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from fairbench.plugins.kinds import KINDS

if TYPE_CHECKING:
    from fairbench.plugins.components import DatasetSpec, Method, Metric, Paper, Report, Scenario
    from fairbench.plugins.executing import Executor

NAMESPACE = "fairbench"

HOOKS = tuple(f"{NAMESPACE}_{kind}" for kind in KINDS)

hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)
"""Marks a function of a plugin as an implementation of a hook, such as ``fairbench_methods``."""


@hookspec
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return dataset classes: frozen dataclasses that follow ``DatasetSpec``; called once when the plugin is loaded."""


@hookspec
def fairbench_methods() -> list[type[Method]]:
    """Return method classes: frozen dataclasses that follow ``Method``; called once when the plugin is loaded."""


@hookspec
def fairbench_metrics() -> list[Metric]:
    """Return metrics: instances of ``Metric``, which say what is better; called once when the plugin is loaded."""


@hookspec
def fairbench_scenarios() -> list[type[Scenario]]:
    """Return scenario classes: frozen dataclasses that follow ``Scenario``; called once when the plugin is loaded."""


@hookspec
def fairbench_reports() -> list[Report]:
    """Return reports: instances of ``Report``, which render results; called once when the plugin is loaded."""


@hookspec
def fairbench_executors() -> list[type[Executor]]:
    """Return executor classes: frozen dataclasses that follow ``Executor``; called once when the plugin is loaded."""


@hookspec
def fairbench_papers() -> list[Paper]:
    """Return papers that can be rerun: instances of ``Paper``; called once when the plugin is loaded."""
