"""A penalty on the dependence of scores and groups, measured by kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fairbench.api import Method, Options, Range, Samples, hookimpl, parameter
from fairbench.api.networks import Network
from fairbench.api.torch import Batch

from ._criteria import DP, compared_labels
from ._penalised import Penalised, Penalty, weights

BLOCK = 1024
"""Rows whose kernel matrix is made at a time."""


def hsic(score: Tensor, group: Tensor, bandwidth: float) -> Tensor:
    """Return the Hilbert-Schmidt independence criterion of scores and groups, tr(K H L H) / (n - 1)^2.

    K is the Gaussian kernel of the scores, L is 1 for two rows of one group and 0 for others, and H = I - 1/n subtracts
    means. It is 0 for one row.

    Args:
        score: (n,).
        group: (n,) int64 codes.
        bandwidth: sigma in K_ij = exp(-(s_i - s_j)^2 / (2 sigma^2)).

    Returns:
        A scalar >= 0.

    References:
        Gretton, Bousquet, Smola and Schölkopf (2005), Measuring statistical dependence with Hilbert-Schmidt norms,
        ALT, the empirical criterion.
    """
    kernel = torch.exp(-((score[:, None] - score) ** 2) / (2 * bandwidth**2))  # (n, n)
    member = one_hot(group).to(score.dtype)  # (n, G), and L = member member^T
    centred = member - member.mean(dim=0)
    return (centred * (kernel @ centred)).sum() / max(len(score) - 1, 1) ** 2


@dataclass(frozen=True)
class HSIC(Penalised):
    """Minimise cross-entropy + weight * HSIC(score, group), which is 0 just where scores and groups are independent.

    Independence is more than equal means: the groups' whole distributions of scores shall agree, so that no threshold
    tells them apart. The criterion is small (two equal groups whose mean scores differ by 0.2 have 0.02 at most), hence
    the large weight. More than 1,024 rows are taken in blocks of so many, and the blocks' values averaged by rows.

    References:
        Gretton et al. (2005), Measuring statistical dependence with Hilbert-Schmidt norms, ALT, for the criterion;
        Pérez-Suay et al. (2017), Fair kernel learning, ECML PKDD, for the penalty.
    """

    name = "hsic"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = weights(0.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "weight": Range(3.0, 300.0, log=True, source="own: around the default"),
    }

    weight: float = parameter(
        30.0, "weight of the penalty beside the cross-entropy; 0 is the plain network", source="own", minimum=0
    )
    bandwidth: float = parameter(
        0.5, "standard deviation of the Gaussian kernel of scores, which lie in [0, 1]", source="own", minimum=1e-3
    )

    def penalty(self, train: Samples) -> Penalty:
        """Return the criterion.

        Raises:
            NotApplicable: all training rows are of one group.
        """
        compared_labels(DP, train)

        def dependence(score: Tensor, batch: Batch) -> Tensor:
            blocks = zip(torch.split(score, BLOCK), torch.split(batch.group, BLOCK))
            values = [len(part) * hsic(part, group, self.bandwidth) for part, group in blocks]
            return torch.stack(values).sum() / len(score)

        return dependence


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [HSIC]
