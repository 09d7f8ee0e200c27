"""Counts and rates of all rows and of each group, on which the other metrics are based; neither direction is better."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, group_rates, hookimpl
from fairbench_metrics._groups import pooled


def n(samples: Samples, predictions: Predictions) -> float:
    """Return the number of rows.

    Args:
        samples: any, none included.
        predictions: aligned with ``samples``; not read.

    Returns:
        A count, 0 or more.
    """
    return float(len(samples))


def selection_rate(samples: Samples, predictions: Predictions) -> float:
    """Return the share of rows that are selected, in expectation.

    Args:
        samples: at least one row; ``y`` does not matter.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1].

    Raises:
        Undefined: there are no rows.

    References:
        Equals fairlearn's ``selection_rate`` for decisions of 0 and 1.
    """
    rates = group_rates(samples, predictions)
    return pooled(rates.selection, rates.n)


def true_positive_rate(samples: Samples, predictions: Predictions) -> float:
    """Return the share of the rows with y = 1 that are selected, in expectation.

    Args:
        samples: ``y`` (n,) in {0, 1}, at least one of them 1.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1].

    Raises:
        Undefined: no row has y = 1 (fairlearn: 0.0).

    References:
        Equals fairlearn's ``true_positive_rate`` for decisions of 0 and 1.
    """
    rates = group_rates(samples, predictions)
    return pooled(rates.true_positive, rates.positives, f"no row has y = 1 (0 of {len(samples)})")


def false_positive_rate(samples: Samples, predictions: Predictions) -> float:
    """Return the share of the rows with y = 0 that are selected, in expectation.

    Args:
        samples: ``y`` (n,) in {0, 1}, at least one of them 0.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1].

    Raises:
        Undefined: no row has y = 0 (fairlearn: 0.0).

    References:
        Equals fairlearn's ``false_positive_rate`` for decisions of 0 and 1.
    """
    rates = group_rates(samples, predictions)
    return pooled(rates.false_positive, rates.n - rates.positives, f"no row has y = 0 (0 of {len(samples)})")


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the count and the three rates."""
    count = Metric("n", n, better="neither", range=(0.0, float("inf")), by_group=True, label="n")
    rates = ((selection_rate, "sel. rate"), (true_positive_rate, "TPR"), (false_positive_rate, "FPR"))
    return [count] + [
        Metric(
            function.__name__,
            function,
            better="neither",
            reference=f"fairlearn, {function.__name__}",
            by_group=True,
            label=label,
        )
        for function, label in rates
    ]
