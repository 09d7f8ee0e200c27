"""A plugin whose hook asks for what there is not."""

from fairbench.api import hookimpl


@hookimpl
def fairbench_metrics(colour):
    return []
