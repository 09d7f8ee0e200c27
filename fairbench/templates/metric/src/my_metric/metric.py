"""Whether being selected means the same in every group."""

from __future__ import annotations

import numpy as np

from fairbench.api import Metric, Predictions, Samples, Undefined, group_rates, hookimpl

FAIRBENCH_API = 1


def my_metric(samples: Samples, predictions: Predictions) -> float:
    """Return the largest gap in precision between two groups: predictive parity.

    Args:
        samples: ``y`` (n,) and ``group`` (n,).
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1]; 0 is parity.

    Raises:
        Undefined: nobody of a group is selected.

    References:
        Chouldechova (2017), Fair prediction with disparate impact, Big Data 5(2).
    """
    rates = group_rates(samples, predictions)
    selected = np.nan_to_num(rates.selection * rates.n)  # (G,) rows; a rate is NaN if there are none to count
    right = np.nan_to_num(rates.true_positive * rates.positives)  # (G,) of these, with y = 1
    for group, count in zip(samples.group_names, selected):
        if not count:
            raise Undefined(f"nobody of group {group!r} is selected, so it has no precision")
    precision = right / selected
    return float(precision.max() - precision.min())


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the metric."""
    return [Metric("my_metric", my_metric, better="lower", range=(0, 1), label="my_metric")]
