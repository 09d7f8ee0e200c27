"""A penalty on the mutual information of decision and group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import torch
from torch import Tensor

from fairbench.api import Method, Options, Range, Samples, hookimpl, parameter
from fairbench.api.networks import Network
from fairbench.api.torch import Batch, group_means

from ._criteria import DP, compared_labels
from ._penalised import Penalised, Penalty, weights

PAPER = "Kamishima et al. (2012)"


def prejudice_index(score: Tensor, group: Tensor) -> Tensor:
    """Return the mutual information, in nats, of the group and a decision that is 1 with the chance of the score.

    Args:
        score: (n,) chances in [0, 1].
        group: (n,) int64 codes.

    Returns:
        A scalar >= 0 (up to rounding), at most the entropy of a coin, ln 2.

    References:
        Kamishima et al. (2012), where P(y | group) is estimated by the group's mean score, and P(y) by that of all
        rows.
    """
    mean, rows = group_means(score, group)
    share = rows[rows > 0].to(score.dtype) / len(score)
    smallest = torch.finfo(score.dtype).eps  # a score of exactly 0 or 1 would make the logarithm's slope infinite
    within = torch.stack([mean, 1 - mean]).clamp(min=smallest)  # (2, G): P(y | group)
    overall = (share * within).sum(dim=1, keepdim=True)
    return (share * within * (within / overall).log()).sum()


@dataclass(frozen=True)
class PrejudiceRemover(Penalised):
    """Minimise cross-entropy + weight * the mutual information of decision and group, the prejudice index.

    Both terms are means over the rows where the paper has sums, so that the weight is its eta. The paper's model is a
    logistic regression with weights of its own for each group, which needs the group to predict; here it is a network
    that does not see the group (``hidden=()`` makes it a logistic regression), and ``weight_decay`` is the L2 term.

    References:
        Kamishima, Akaho, Asoh and Sakuma (2012), Fairness-aware classifier with prejudice remover regularizer,
        ECML PKDD.
    """

    name = "prejudice_remover"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = weights(0.0, 1.0, 3.0, 10.0, 30.0)
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "weight": Range(1.0, 100.0, log=True, source="own: around the default"),
    }

    weight: float = parameter(
        10.0,
        "weight of the penalty (eta) beside the cross-entropy; 0 is the plain network",
        source=f"own, of the size of {PAPER}: on compas 3 changes little",
        minimum=0,
    )

    def penalty(self, train: Samples) -> Penalty:
        """Return the prejudice index.

        Raises:
            NotApplicable: all training rows are of one group.
        """
        compared_labels(DP, train)

        def index(score: Tensor, batch: Batch) -> Tensor:
            return prejudice_index(score, batch.group)

        return index


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [PrejudiceRemover]
