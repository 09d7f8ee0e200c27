"""The accuracy of the worst-served group, and the difference in accuracy between groups."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, group_rates, hookimpl
from fairbench_metrics._groups import gap, populated


def worst_group_accuracy(samples: Samples, predictions: Predictions) -> float:
    """Return the smallest accuracy of a group.

    Args:
        samples: ``y`` (n,) and ``group`` (n,), at least two groups with rows.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1].

    Raises:
        Undefined: fewer than two groups have rows.

    References:
        Sagawa et al. (2020), Distributionally robust neural networks; fairlearn, ``accuracy_score_group_min``.
    """
    rates = group_rates(samples, predictions)
    return float(rates.accuracy[populated(samples, rates)].min())


def accuracy_difference(samples: Samples, predictions: Predictions) -> float:
    """Return the largest gap in accuracy between two groups.

    Args:
        samples: ``y`` (n,) and ``group`` (n,), at least two groups with rows.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1], not per cent; 0 is parity.

    Raises:
        Undefined: fewer than two groups have rows.

    References:
        Equals fairlearn's ``accuracy_score_difference``.
    """
    rates = group_rates(samples, predictions)
    return gap(rates.accuracy[populated(samples, rates)])


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return both."""
    return [
        Metric(
            "worst_group_accuracy",
            worst_group_accuracy,
            better="higher",
            reference="fairlearn, accuracy_score_group_min",
            label="worst acc.",
        ),
        Metric(
            "accuracy_difference",
            accuracy_difference,
            better="lower",
            reference="fairlearn, accuracy_score_difference",
            label="acc. diff.",
        ),
    ]
