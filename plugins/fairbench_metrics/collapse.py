"""Whether a classifier ignores everything, or everything except the group: the former has near-perfect parity."""

from __future__ import annotations

import numpy as np

from fairbench.api import NEARLY, Metric, Predictions, Samples, Undefined, common_chance, decides_alike, hookimpl


def constant_classifier(samples: Samples, predictions: Predictions) -> float:
    """Return 1 if everybody is decided alike, by the rule that marks rows of tables, else 0.

    Demographic parity and equalized odds are then (nearly) perfect and mean nothing.

    Args:
        samples: ``y`` (n,), at least one row.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Raises:
        Undefined: there are no rows.

    References:
        One of the end states of Wyllie, Shumailov and Papernot (2024), FAccT; the rule is ``decides_alike``.
    """
    _check_rows(samples)
    return float(decides_alike(samples.y, predictions))


def group_only_classifier(samples: Samples, predictions: Predictions) -> float:
    """Return 1 if everybody within a group is decided alike, but not everybody of all groups, else 0.

    The classifier then decides by the group alone: demographic parity and equalized odds differences are large, close
    to 1 where it selects nearly all of some groups and nearly nobody in the others.

    Args:
        samples: ``y`` (n,) and ``group`` (n,), at least one row; a group without rows is left out.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Raises:
        Undefined: there are no rows.

    References:
        One of the end states of Wyllie, Shumailov and Papernot (2024), FAccT; the rule is ``decides_alike``.
    """
    _check_rows(samples)
    members = [samples.group == code for code in np.unique(samples.group)]
    chances = [common_chance(samples.y[rows], predictions.select(rows)) for rows in members]
    known = [chance for chance in chances if chance is not None]
    apart = len(known) == len(chances) and max(known) - min(known) > NEARLY
    return float(apart and not decides_alike(samples.y, predictions))


def _check_rows(samples: Samples) -> None:
    if not len(samples):
        raise Undefined("there are no rows")


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return both ways to collapse; they say what other numbers are worth, so neither direction is better."""
    return [
        Metric("constant_classifier", constant_classifier, better="neither", label="constant"),
        Metric("group_only_classifier", group_only_classifier, better="neither", label="group only"),
    ]
