"""The demographic parity losses' gradients in closed form: to the bit those of torch's graph, without its overhead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

import torch
from torch import Tensor

from fairbench.api.torch import group_means


def squared_slope(score: Tensor, group: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient (n,) of weight times ``squared_gap`` with respect to the scores (n,)."""
    mean, rows = group_means(score, group)
    if len(mean) == 2:
        by_higher = weight * (2 * (mean[1] - mean[0]))
        return _spread(torch.stack([-by_higher, by_higher]), rows, group)
    by_mean = weight / len(mean) * (2 * (mean - score.mean()))
    return _spread(by_mean, rows, group) - by_mean.sum() / len(score)


def absolute_slope(score: Tensor, group: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient (n,) of weight times ``parity_gap`` with respect to the scores (n,); ties share it."""
    mean, rows = group_means(score, group)
    highest, lowest = mean == mean.amax(), mean == mean.amin()
    return _spread(weight * highest / highest.sum() - weight * lowest / lowest.sum(), rows, group)


def legacy_slope(score: Tensor, in_reference: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient (n,) of weight times ``legacy_gap`` with respect to the scores (n,)."""
    twice = score.sigmoid()
    there = twice[in_reference]
    if not len(there):
        return torch.zeros_like(score)
    by_mean = weight / 2 * (2 * (there.mean() - twice.mean()))
    elsewhere = -by_mean / len(score)
    return sigmoid_slope(torch.where(in_reference, by_mean / len(there) + elsewhere, elsewhere), twice)


def sigmoid_slope(slope: Tensor, output: Tensor) -> Tensor:
    """Return the slope with respect to a sigmoid's input, from that with respect to its output."""
    before: Tensor = torch.ops.aten.sigmoid_backward.default(slope, output)
    return before


def _spread(by_mean: Tensor, rows: Tensor, group: Tensor) -> Tensor:
    """Return the slope with respect to the scores, from that with respect to the means of the groups that have rows."""
    if len(by_mean) < len(rows):
        by_mean = by_mean.new_zeros(len(rows)).masked_scatter(rows > 0, by_mean)
    return (by_mean / rows)[group]


SLOPES: Mapping[str, Callable[[Tensor, Tensor, int, Tensor], Tensor]] = {
    "dp_sq": lambda score, group, reference, weight: squared_slope(score, group, weight),
    "dp_abs": lambda score, group, reference, weight: absolute_slope(score, group, weight),
    "dp_legacy": lambda score, group, reference, weight: legacy_slope(score, group == reference, weight),
}
"""(score (n,), group (n,) codes, code of the group of ``dp_legacy``, weight, a scalar) -> slope (n,) for the scores."""
