"""A plugin whose hook lacks a letter."""

from fairbench.api import hookimpl


@hookimpl
def fairbench_metric():
    return []
