"""How well the scores order the rows, whatever the threshold."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, Undefined, hookimpl


def roc_auc(samples: Samples, predictions: Predictions) -> float:
    """Return the area under the ROC curve: the chance that a row with y = 1 scores above one with y = 0.

    Ties count one half. It is the Mann-Whitney statistic of the scores, computed from their ranks.

    Args:
        samples: ``y`` (n,) in {0, 1}, with both labels.
        predictions: ``y_score`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1]; 0.5 for scores that say nothing.

    Raises:
        Undefined: the method gives no score, or all rows have the same label.

    References:
        Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating characteristic (ROC)
        curve"; equals scikit-learn's ``roc_auc_score``.
    """
    if predictions.y_score is None:
        raise Undefined("the method gives no score (y_score is None), only decisions")
    n, positives = len(samples), int(samples.y.sum())
    if positives in (0, n):
        raise Undefined(f"no row has y = {int(positives == 0)} (0 of {n}); both labels are needed")
    from scipy.stats import rankdata  # imported late: listing the metrics must stay fast

    rank_sum = float(rankdata(predictions.y_score)[samples.y == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (n - positives))


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the metric."""
    return [
        Metric(
            "roc_auc",
            roc_auc,
            better="higher",
            reference="Hanley and McNeil (1982); scikit-learn, roc_auc_score",
            label="ROC AUC",
        )
    ]
