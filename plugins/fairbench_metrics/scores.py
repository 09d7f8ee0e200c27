"""What the scores say before they are cut: their cross-entropy, and whether the groups' means differ."""

from __future__ import annotations

import math

import numpy as np

from fairbench.api import Metric, Predictions, Samples, Undefined, group_rates, hookimpl
from fairbench_metrics._groups import gap, populated

EPSILON = float(np.finfo(np.float64).eps)


def _scores(predictions: Predictions) -> np.ndarray:
    if predictions.y_score is None:
        raise Undefined("the method gives no score (y_score is None), only decisions")
    return predictions.y_score


def log_loss(samples: Samples, predictions: Predictions) -> float:
    """Return the mean cross-entropy between labels and scores, in nats.

    Scores are kept away from 0 and 1 by the float64 epsilon, so that one confident mistake costs 36 and not infinity.

    Args:
        samples: ``y`` (n,) in {0, 1}, n > 0.
        predictions: ``y_score`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A number >= 0; the share of y = 1 as everyone's score gives the entropy of the labels.

    Raises:
        Undefined: the method gives no score, or there are no rows.

    References:
        Good (1952), Rational decisions; equals scikit-learn's ``log_loss``.
    """
    score = np.clip(_scores(predictions), EPSILON, 1 - EPSILON)
    if not len(samples):
        raise Undefined("there are no rows")
    return float(-np.log(np.where(samples.y == 1, score, 1 - score)).mean())


def mean_score_difference(samples: Samples, predictions: Predictions) -> float:
    """Return the largest gap in mean score between two groups: demographic parity of scores, not of decisions.

    Args:
        samples: ``group`` (n,), at least two groups with rows; ``y`` does not matter.
        predictions: ``y_score`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1]; 0 is parity of the means; decisions may still be far from parity.

    Raises:
        Undefined: the method gives no score, or fewer than two groups have rows.

    References:
        Yazdani-Jahromi et al. (2024), FairBiNN, NeurIPS: what its released code reports as demographic parity.
    """
    as_decision = Predictions(predictions.y_pred, decision=_scores(predictions))
    rates = group_rates(samples, as_decision)
    return gap(rates.selection[populated(samples, rates)])


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return both metrics."""
    return [
        Metric(
            "log_loss",
            log_loss,
            better="lower",
            range=(0.0, -math.log(EPSILON)),
            reference="Good (1952); scikit-learn, log_loss",
            label="log loss",
        ),
        Metric(
            "mean_score_difference",
            mean_score_difference,
            better="lower",
            reference="Yazdani-Jahromi et al. (2024), FairBiNN, released code",
            label="score diff.",
        ),
    ]
