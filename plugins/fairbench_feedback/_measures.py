"""What a generation is measured by, besides the metrics: compositions of labels and groups, and a few rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Predictions, Samples, Schema, group_rates

from ._star import strata


def stratum_names(group_names: Sequence[str]) -> list[str]:
    """Return ``y=0,female`` and so on, in the order of the strata."""
    return [f"y={label},{group}" for label in (0, 1) for group in group_names]


def shares(y: NDArray[np.integer], group: NDArray[np.integer], n_groups: int) -> NDArray[np.float64]:
    """Return the share (K,) of each stratum among rows with labels (n,) and group codes (n,)."""
    counts = np.bincount(strata(y, group, n_groups), minlength=2 * n_groups)
    return np.asarray(counts / max(len(y), 1))


def divergence(p: Sequence[float], ideal: Sequence[float]) -> float:
    """Return the Kullback-Leibler divergence of shares (K,) from the ideal (K,), in nats; 0 ln 0 is 0.

    It is infinite where a stratum has rows but an ideal share of 0.
    """
    return sum(share * math.log(share / wanted) if wanted else math.inf for share, wanted in zip(p, ideal) if share > 0)


def composition(
    prefix: str, y: NDArray[np.integer], group: NDArray[np.integer], schema: Schema, ideal: Sequence[float]
) -> dict[str, float]:
    """Return ``<prefix>_kl`` and, for each stratum, ``<prefix>_share[y=0,female]``."""
    found = shares(y, group, len(schema.group_names))
    named = zip(stratum_names(schema.group_names), found.tolist())
    return {f"{prefix}_kl": divergence(found.tolist(), ideal), **{f"{prefix}_share[{name}]": p for name, p in named}}


def rates(prefix: str, samples: Samples, predictions: Predictions) -> dict[str, float]:
    """Return accuracy, its minimum and gap over groups, and the gaps of parity and of odds; NaN if undefined."""
    by_group = group_rates(samples, predictions)
    here = by_group.n > 0
    return {
        f"{prefix}_accuracy": float((by_group.accuracy[here] * by_group.n[here]).sum() / by_group.n.sum()),
        f"{prefix}_worst_group_accuracy": float(by_group.accuracy[here].min()),
        f"{prefix}_accuracy_difference": _gap(by_group.accuracy[here]),
        f"{prefix}_demographic_parity_difference": _gap(by_group.selection[here]),
        f"{prefix}_equalized_odds_difference": max(
            _gap(by_group.true_positive[here]), _gap(by_group.false_positive[here])
        ),
    }


def decorrelated(samples: Samples, predictions: Predictions) -> dict[str, float]:
    """Return accuracy and demographic parity difference as they would be if label and group were independent.

    Every stratum is weighted to P(label) / number of groups, as in a test set whose groups were drawn by a fair coin:
    deciding by the group alone then does nothing for a model's accuracy. NaN where a stratum has no row.
    """
    by_group = group_rates(samples, predictions)
    here = by_group.n > 0
    positive, selected = by_group.true_positive[here], by_group.false_positive[here]
    share = float(samples.y.mean())
    correct = share * positive + (1 - share) * (1 - selected)
    return {
        "decorrelated_accuracy": float(correct.mean()),
        "decorrelated_demographic_parity_difference": _gap(share * positive + (1 - share) * selected),
    }


def confidence(probabilities: NDArray[np.float64], group_names: Sequence[str]) -> dict[str, float]:
    """Return for each group the mean lead of its probability, over the rows where it leads by one half or more.

    Args:
        probabilities: (n, G) of the groups.
        group_names: (G,).
    """
    found = {}
    for code, name in enumerate(group_names):
        others = np.delete(probabilities, code, axis=1).max(axis=1)
        lead = probabilities[:, code] - others
        sure = lead >= 0.5
        found[f"annotator_confidence[{name}]"] = float(lead[sure].mean()) if sure.any() else math.nan
    return found


def _gap(rate: NDArray[np.floating]) -> float:
    return float(rate.max() - rate.min())  # NaN where a rate is
