"""The share of rows whose decision equals the label."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, group_rates, hookimpl
from fairbench_metrics._groups import pooled


def accuracy(samples: Samples, predictions: Predictions) -> float:
    """Return the share of rows whose decision equals the label, in expectation.

    Args:
        samples: ``y`` (n,) in {0, 1}, at least one row.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``; a row with y = 1 counts its decision, a row
            with y = 0 one minus it.

    Returns:
        A fraction in [0, 1], not per cent.

    Raises:
        Undefined: there are no rows.

    References:
        Equals scikit-learn's ``accuracy_score`` for decisions of 0 and 1.
    """
    rates = group_rates(samples, predictions)
    return pooled(rates.accuracy, rates.n)


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the metric."""
    return [
        Metric(
            "accuracy",
            accuracy,
            better="higher",
            reference="scikit-learn, accuracy_score",
            by_group=True,
            label="accuracy",
        )
    ]
