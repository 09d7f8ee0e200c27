"""A metric of which nobody can say whether more is better."""

from fairbench.api import Metric, hookimpl


@hookimpl
def fairbench_metrics():
    return [Metric("sideways", lambda samples, predictions: 0.0, better="left")]
