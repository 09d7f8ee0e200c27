"""A metric plugin with a misspelt hook, which must harm nothing else."""

from fairbench.api import hookimpl


@hookimpl
def fairbench_metric():
    """Offer nothing."""
    return []
