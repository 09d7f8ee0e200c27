"""How unequally a classifier's benefits are spread, over people and between groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Metric, Predictions, Samples, Undefined, hookimpl

FAIRBENCH_API = 1
REFERENCE = "Speicher et al. (2018), KDD, equation 2 with alpha = 2"


def benefits(samples: Samples, predictions: Predictions) -> NDArray[np.floating[Any]]:
    """Return each row's benefit (n,): 1 if it is decided rightly, 2 if too well, 0 if too badly; in expectation."""
    better = predictions.decision - samples.y
    return 1 + (better if samples.schema.favorable_label == 1 else -better)


def entropy(benefit: NDArray[np.floating[Any]]) -> float:
    """Return the generalized entropy of benefits (n,), half the squared coefficient of variation.

    Raises:
        Undefined: there are no rows, or nobody has any benefit.
    """
    if not benefit.sum() > 0:
        raise Undefined(f"the benefits of all {len(benefit)} rows are 0, so their spread has no scale")
    return float(np.mean((benefit / benefit.mean()) ** 2) - 1) / 2


def generalized_entropy(samples: Samples, predictions: Predictions) -> float:
    """Return the inequality of the benefits of all people.

    Args:
        samples: ``y`` (n,) and the favourable label.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        At least 0; 0 if everybody has the same benefit.

    Raises:
        Undefined: nobody has any benefit.

    References:
        Speicher et al. (2018), KDD, equation 2; equals AIF360's ``generalized_entropy_index`` for sure decisions.
    """
    return max(entropy(benefits(samples, predictions)), 0.0)


def between_group_entropy(samples: Samples, predictions: Predictions) -> float:
    """Return the part of ``generalized_entropy`` that is left if everybody had the mean benefit of their group.

    Args:
        samples: ``y`` (n,), ``group`` (n,) and the favourable label.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        At least 0, and at most ``generalized_entropy``.

    Raises:
        Undefined: nobody has any benefit.

    References:
        Speicher et al. (2018), KDD, proposition 1; equals AIF360's ``between_group_generalized_entropy_index`` for
        sure decisions.
    """
    benefit = benefits(samples, predictions)
    groups = len(samples.group_names)
    rows = np.bincount(samples.group, minlength=groups)
    mean = np.bincount(samples.group, weights=benefit, minlength=groups) / np.maximum(rows, 1)
    return max(entropy(mean[samples.group]), 0.0)


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return both."""
    ends = (0.0, math.inf)
    return [
        Metric("generalized_entropy", generalized_entropy, "lower", ends, REFERENCE, by_group=True, label="entropy"),
        Metric("between_group_entropy", between_group_entropy, "lower", ends, REFERENCE, label="between groups"),
    ]
