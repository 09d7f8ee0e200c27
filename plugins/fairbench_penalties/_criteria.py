"""Which groups a criterion compares, and among which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairbench.api import NotApplicable, Samples, parameter
from fairbench.api.torch import Batch

DP, EO, EOPP = CRITERIA = ("demographic_parity", "equalized_odds", "equal_opportunity")


def criterion_parameter(source: str) -> Any:
    """Return the hyper-parameter that says what should be alike in all groups, with the paper that has all three."""
    return parameter(
        DP,
        "what should be alike in all groups: rates among all rows, among the rows of each label, or among those with "
        "the favourable label",
        source=source,
        choices=CRITERIA,
    )


def compared_labels(criterion: str, train: Samples) -> tuple[int, ...]:
    """Return the labels among whose rows a criterion compares groups; none for demographic parity, which takes all.

    Raises:
        NotApplicable: fewer than two groups have training rows there.
    """
    labels = {DP: (), EO: (0, 1), EOPP: (train.schema.favorable_label,)}[criterion]
    for label in labels or (None,):
        there = np.unique(train.group if label is None else train.group[train.y == label])
        if len(there) < 2:
            which = "training row" if label is None else f"training row with y = {label}"
            seen = f"only {train.group_names[there[0]]!r} has a {which}" if len(there) else f"there is no {which}"
            raise NotApplicable(f"{criterion.replace('_', ' ')} compares two groups or more, and {seen}")
    return labels


def sides(batch: Batch, labels: Sequence[int]) -> list[Tensor]:
    """Return masks (n,) of the rows among which groups are compared: one for each label, or all rows without any."""
    y = batch.y.reshape(-1)
    return [y == label for label in labels] or [torch.ones_like(y, dtype=torch.bool)]


def deviations(value: Tensor, batch: Batch, labels: Sequence[int]) -> Tensor:
    """Return how far each group's mean lies above that of all groups together, (S, G) for each of S ``sides``.

    A group without rows there has 0.

    Args:
        value: (n,), such as scores, decisions, or whether a decision is right.
        batch: the rows.
        labels: as given to ``sides``.
    """
    return torch.stack([_deviation(value, side, batch) for side in sides(batch, labels)])


def _deviation(value: Tensor, side: Tensor, batch: Batch) -> Tensor:
    counted, none = side.to(value.dtype), value.new_zeros(batch.n_groups)
    rows = none.index_add(0, batch.group, counted)
    total = none.index_add(0, batch.group, counted * value)
    mean, overall = total / rows.clamp(min=1), total.sum() / rows.sum().clamp(min=1)
    return torch.where(rows > 0, mean - overall, none)
