"""Accuracy as if both labels were equally common."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, Undefined, group_rates, hookimpl
from fairbench_metrics._groups import pooled


def balanced_accuracy(samples: Samples, predictions: Predictions) -> float:
    """Return the mean of the true positive rate and the true negative rate over all rows.

    Args:
        samples: ``y`` (n,) in {0, 1}, with both labels.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1]; 0.5 for a constant decision.

    Raises:
        Undefined: all rows have the same label (scikit-learn: the one recall there is, with a warning).

    References:
        Brodersen et al. (2010), "The balanced accuracy and its posterior distribution"; equals scikit-learn's
        ``balanced_accuracy_score`` for decisions of 0 and 1.
    """
    rates = group_rates(samples, predictions)
    n, positives = rates.n.sum(), rates.positives.sum()
    if positives in (0, n):
        raise Undefined(f"no row has y = {int(positives == 0)} (0 of {n:.0f}); both labels are needed")
    true_positive = pooled(rates.true_positive, rates.positives)
    false_positive = pooled(rates.false_positive, rates.n - rates.positives)
    return (true_positive + 1 - false_positive) / 2


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the metric."""
    return [
        Metric(
            "balanced_accuracy",
            balanced_accuracy,
            better="higher",
            reference="Brodersen et al. (2010); scikit-learn, balanced_accuracy_score",
            label="bal. acc.",
        )
    ]
