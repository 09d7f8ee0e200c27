"""A plugin whose hook returns one component bare."""

from fairbench.api import hookimpl


@hookimpl
def fairbench_methods():
    return "constant"
