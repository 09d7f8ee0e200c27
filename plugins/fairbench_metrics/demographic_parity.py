"""Whether the groups are selected equally often."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, Undefined, group_rates, hookimpl
from fairbench_metrics._groups import gap, populated, smallest_share

REFERENCE = "Agarwal et al. (2018), section 2; fairlearn, method='between_groups'"


def demographic_parity_difference(samples: Samples, predictions: Predictions) -> float:
    """Return the largest gap in selection rate between two groups.

    Args:
        samples: ``group`` (n,), at least two groups with rows; ``y`` does not matter.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1], not per cent; 0 is parity.

    Raises:
        Undefined: fewer than two groups have rows (fairlearn: 0.0).

    References:
        Agarwal et al. (2018), section 2; equals fairlearn's with ``method="between_groups"``.
    """
    rates = group_rates(samples, predictions)
    return gap(rates.selection[populated(samples, rates)])


def demographic_parity_ratio(samples: Samples, predictions: Predictions) -> float:
    """Return the smallest selection rate of a group as a share of the largest.

    Args:
        samples: ``group`` (n,), at least two groups with rows; ``y`` does not matter.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1]; 1 is parity, and a value below 0.8 breaks the four-fifths rule.

    Raises:
        Undefined: fewer than two groups have rows (fairlearn: 1.0), or nobody is selected (0/0; fairlearn: NaN).

    References:
        Agarwal et al. (2018), section 2; equals fairlearn's with ``method="between_groups"``.
    """
    rates = group_rates(samples, predictions)
    present = populated(samples, rates)
    ratio = smallest_share(rates.selection[present])
    if ratio is None:
        raise Undefined(f"nobody is selected in {present.sum()} groups (0 of {len(samples)}), so the ratio is 0/0")
    return ratio


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the difference and the ratio."""
    return [
        Metric(
            "demographic_parity_difference",
            demographic_parity_difference,
            better="lower",
            reference=REFERENCE,
            label="DP diff.",
        ),
        Metric(
            "demographic_parity_ratio",
            demographic_parity_ratio,
            better="higher",
            reference=REFERENCE,
            label="DP ratio",
        ),
    ]
