"""The seven hooks through which every component comes, built-in or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from fairbench.plugins.kinds import KINDS

if TYPE_CHECKING:
    from fairbench.plugins.components import DatasetSpec, Executor, Method, Metric, Paper, Report, Scenario

NAMESPACE = "fairbench"

HOOKS = tuple(f"{NAMESPACE}_{kind}" for kind in KINDS)

hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec
def fairbench_datasets() -> list[type[DatasetSpec]]:  # type: ignore[empty-body]
    """Return dataset classes."""


@hookspec
def fairbench_methods() -> list[type[Method]]:  # type: ignore[empty-body]
    """Return method classes."""


@hookspec
def fairbench_metrics() -> list[Metric]:  # type: ignore[empty-body]
    """Return metrics."""


@hookspec
def fairbench_scenarios() -> list[type[Scenario]]:  # type: ignore[empty-body]
    """Return scenario classes."""


@hookspec
def fairbench_reports() -> list[Report]:  # type: ignore[empty-body]
    """Return reports."""


@hookspec
def fairbench_executors() -> list[type[Executor]]:  # type: ignore[empty-body]
    """Return executor classes."""


@hookspec
def fairbench_papers() -> list[Paper]:  # type: ignore[empty-body]
    """Return papers that can be run again."""
