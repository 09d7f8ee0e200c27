"""Whether a classifier has stopped looking at anything but the group: such a one can have perfect parity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Metric, Predictions, Samples, Undefined, group_rates, hookimpl

NEARLY = 0.1  # of a rate's distance from 0 or 1


def _sides(samples: Samples, predictions: Predictions) -> NDArray[np.float64]:
    """Return for each group with rows 1 if nearly everyone is selected, 0 if nearly nobody is, NaN in between.

    A group's rate is the mean of its true and its false positive rate, its selection rate if both labels were equally
    frequent: so a rare label is not taken for a collapse. A label without rows is left out of the mean.

    Raises:
        Undefined: there are no rows.
    """
    rates = group_rates(samples, predictions)
    here = rates.n > 0
    if not here.any():
        raise Undefined("there are no rows")
    both = np.stack([rates.true_positive[here], rates.false_positive[here]])
    rate = np.nanmean(both, axis=0)
    return np.where(rate >= 1 - NEARLY, 1.0, np.where(rate <= NEARLY, 0.0, np.nan))


def constant_classifier(samples: Samples, predictions: Predictions) -> float:
    """Return 1 if nearly everybody is selected in every group, or nearly nobody, else 0.

    Demographic parity and equalized odds are then (nearly) perfect and mean nothing.

    Args:
        samples: ``y`` (n,) and ``group`` (n,), at least one row.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Raises:
        Undefined: there are no rows.

    References:
        The end states of Wyllie, Shumailov and Papernot (2024), FAccT; nearly means a rate of .9 or more, .1 or less.
    """
    sides = _sides(samples, predictions)
    return float((sides == 1).all() or (sides == 0).all())


def group_only_classifier(samples: Samples, predictions: Predictions) -> float:
    """Return 1 if nearly everybody is selected in some groups and nearly nobody in all the others, else 0.

    The classifier has become the group: demographic parity and equalized odds differences are then (nearly) 1.

    Args:
        samples: ``y`` (n,) and ``group`` (n,), at least one row.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Raises:
        Undefined: there are no rows.

    References:
        The end states of Wyllie, Shumailov and Papernot (2024), FAccT; nearly means a rate of .9 or more, .1 or less.
    """
    sides = _sides(samples, predictions)
    return float(not np.isnan(sides).any() and len(np.unique(sides)) == 2)


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return both ways to collapse; they say what other numbers are worth, so neither direction is better."""
    return [
        Metric("constant_classifier", constant_classifier, better="neither", label="constant"),
        Metric("group_only_classifier", group_only_classifier, better="neither", label="group only"),
    ]
