"""Whether the groups are selected equally often among rows with the same label."""

from __future__ import annotations

from fairbench.api import Metric, Predictions, Samples, Undefined, group_rates, hookimpl
from fairbench_metrics._groups import gap, having, partly, smallest_share

REFERENCE = "Hardt et al. (2016), definition 2.1; fairlearn, agg='worst_case'"


def equalized_odds_difference(samples: Samples, predictions: Predictions) -> float:
    """Return the larger of the gaps between groups in true positive rate and in false positive rate.

    Args:
        samples: ``y`` (n,) and ``group`` (n,); at least two groups with each label.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1], not per cent; 0 is parity. ``Partial`` if a group lacks a label: then that group is left
        out of that rate's gap (fairlearn takes its rate as 0).

    Raises:
        Undefined: fewer than two groups have rows with each label.

    References:
        Hardt et al. (2016), definition 2.1; equals fairlearn's with ``agg="worst_case"`` and AIF360's
        ``equalized_odds_difference`` for two groups.
    """
    rates = group_rates(samples, predictions)
    (with_1, with_0), lacking = having(samples, rates, (1, 0))
    return partly(max(gap(rates.true_positive[with_1]), gap(rates.false_positive[with_0])), lacking)


def equalized_odds_ratio(samples: Samples, predictions: Predictions) -> float:
    """Return the smaller of the ratios, smallest over largest group, of true and of false positive rates.

    Where one of the two is 0/0 (nobody with that label is selected in any group) there is no value, though the other is
    defined: a worst case cannot be taken over something unknown. fairlearn then lets the order of a comparison with NaN
    decide: NaN if the true positive rates are all 0, the true positive ratio if the false positive rates are.

    Args:
        samples: ``y`` (n,) and ``group`` (n,); at least two groups with each label.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1]; 1 is parity. ``Partial`` if a group lacks a label: then that group is left out of that
        rate's ratio (fairlearn takes its rate as 0).

    Raises:
        Undefined: fewer than two groups have rows with each label, or one of the two ratios is 0/0.

    References:
        Hardt et al. (2016), definition 2.1; equals fairlearn's with ``agg="worst_case"``.
    """
    rates = group_rates(samples, predictions)
    (with_1, with_0), lacking = having(samples, rates, (1, 0))
    positives = rates.positives.sum()
    ratios = (
        (1, positives, smallest_share(rates.true_positive[with_1])),
        (0, rates.n.sum() - positives, smallest_share(rates.false_positive[with_0])),
    )
    zero = [f"nobody with y = {label} is selected (0 of {rows:.0f})" for label, rows, ratio in ratios if ratio is None]
    if zero:
        which = "both ratios are" if len(zero) == 2 else "one of the two ratios is"
        raise Undefined(f"{' and '.join(zero)}, so {which} 0/0")
    return partly(min(ratio for _, _, ratio in ratios if ratio is not None), lacking)


def equal_opportunity_difference(samples: Samples, predictions: Predictions) -> float:
    """Return the largest gap in true positive rate between two groups.

    Args:
        samples: ``y`` (n,) and ``group`` (n,); at least two groups with a row where y = 1.
        predictions: ``decision`` (n,) in [0, 1], aligned with ``samples``.

    Returns:
        A fraction in [0, 1], not per cent; 0 is parity. AIF360's metric of this name is signed. ``Partial`` if a
        group has no row with y = 1: then it is left out (fairlearn takes its rate as 0).

    Raises:
        Undefined: fewer than two groups have rows with y = 1.

    References:
        Hardt et al. (2016), definition 2.2; equals fairlearn's with ``method="between_groups"``.
    """
    rates = group_rates(samples, predictions)
    (with_1,), lacking = having(samples, rates, (1,))
    return partly(gap(rates.true_positive[with_1]), lacking)


@hookimpl
def fairbench_metrics() -> list[Metric]:
    """Return the two views of equalized odds, and equal opportunity."""
    return [
        Metric(
            "equalized_odds_difference",
            equalized_odds_difference,
            better="lower",
            reference=REFERENCE,
            label="EO diff.",
        ),
        Metric(
            "equalized_odds_ratio",
            equalized_odds_ratio,
            better="higher",
            reference=REFERENCE,
            label="EO ratio",
        ),
        Metric(
            "equal_opportunity_difference",
            equal_opportunity_difference,
            better="lower",
            reference="Hardt et al. (2016), definition 2.2; fairlearn, method='between_groups'",
            label="EOpp diff.",
        ),
    ]
