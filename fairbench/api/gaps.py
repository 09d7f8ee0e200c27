"""How far apart the groups' scores are, as functions that can be differentiated.

A code without rows does not count as a group; where fewer than two groups are left, a gap is 0 with gradient 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import torch
from torch import Tensor

Gap = Callable[[Tensor, Tensor], Tensor]
"""(score (n,), group (n,) int64 codes) -> a scalar >= 0."""


def group_means(score: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean score of the groups that have rows, in the order of their codes, and each code's rows (G,).

    Args:
        score: (n,), n > 0.
        group: (n,) int64 codes.
    """
    rows = torch.bincount(group)
    total = torch.zeros(len(rows), dtype=score.dtype, device=score.device).index_add(0, group, score)
    return (total / rows)[rows > 0], rows


def parity_gap(score: Tensor, group: Tensor) -> Tensor:
    """Return the largest gap in mean score between two groups: a differentiable demographic parity difference.

    Args:
        score: (n,) or (n, 1), e.g. chances of selection in [0, 1].
        group: (n,) int64 codes; a code without rows does not count, and a single group has gap 0.

    Returns:
        A scalar >= 0.
    """
    mean, _ = group_means(score.reshape(-1), group)
    return mean.amax() - mean.amin()


def squared_gap(score: Tensor, group: Tensor) -> Tensor:
    """Return the squared gap in mean score of two groups; for more, the mean over groups of (m_k - m)^2.

    Here m_k is the mean score of group k, and m that of all rows.

    Args:
        score: (n,).
        group: (n,) int64 codes.
    """
    mean, _ = group_means(score, group)
    if len(mean) == 2:
        return (mean[1] - mean[0]) ** 2
    return ((mean - score.mean()) ** 2).mean()


def gap_by_label(gap: Gap, score: Tensor, y: Tensor, group: Tensor, labels: Sequence[int] = (0, 1)) -> Tensor:
    """Return the gap among the rows of each label, in the order of the labels; 0 for a label without rows.

    Args:
        gap: such as ``parity_gap``.
        score: (n,).
        y: (n,) in {0, 1}.
        group: (n,) int64 codes.
        labels: one label or both.
    """
    sides = [y == label for label in labels]
    return torch.stack([gap(score[side], group[side]) if side.any() else 0 * score.sum() for side in sides])
