"""Penalties on the gap in mean score: of demographic parity, equalized odds and equal opportunity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

from torch import Tensor

from fairbench.api import Method, Options, Range, Samples, hookimpl
from fairbench.api.networks import Network
from fairbench.api.torch import Batch, gap_by_label, parity_gap

from ._criteria import DP, EO, EOPP, compared_labels
from ._penalised import Penalised, Penalty, weights


@dataclass(frozen=True)
class GapPenalty(Penalised):
    """Penalise the largest gap between two groups in a rate, with scores in the place of decisions."""

    criterion: ClassVar[str]
    grid: ClassVar[Sequence[Mapping[str, Any]]] = weights(0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "weight": Range(0.1, 10.0, log=True, source="own: around the default"),
    }

    def penalty(self, train: Samples) -> Penalty:
        """Return the gap: among all rows, or the largest of those among the rows of one label.

        Raises:
            NotApplicable: fewer than two groups have rows to compare.
        """
        labels = compared_labels(self.criterion, train)

        def gap(score: Tensor, batch: Batch) -> Tensor:
            if not labels:
                return parity_gap(score, batch.group)
            return gap_by_label(parity_gap, score, batch.y.reshape(-1), batch.group, labels).amax()

        return gap


@dataclass(frozen=True)
class DemographicParityPenalty(GapPenalty):
    """Minimise cross-entropy + weight * the largest gap in mean score between two groups.

    A group without a row in a mini-batch is not compared there. Scores agree, not decisions: a small gap in mean score
    can go with a large one in selection rate.

    References:
        Chuang and Mroueh (2021), Fair mixup: fairness via interpolation, ICLR, where it is the gap regulariser that
        mixup is compared with; the ``DiffDP`` of Han et al. (2024), FFB: a fair fairness benchmark for in-processing
        group fairness methods, ICLR. Both are about two groups.
    """

    name = "penalty_dp"
    uses_group = ("training",)
    criterion = DP


@dataclass(frozen=True)
class EqualizedOddsPenalty(GapPenalty):
    """Minimise cross-entropy + weight * the larger of two gaps in mean score: among y = 0 and among y = 1.

    The larger is the equalized odds difference with scores in the place of decisions; the papers add the two. A group
    without a row of a label in a mini-batch is not compared there.

    References:
        Chuang and Mroueh (2021), Fair mixup: fairness via interpolation, ICLR; the ``DiffEOdd`` of Han et al. (2024),
        FFB: a fair fairness benchmark for in-processing group fairness methods, ICLR.
    """

    name = "penalty_eo"
    uses_group = ("training",)
    criterion = EO


@dataclass(frozen=True)
class EqualOpportunityPenalty(GapPenalty):
    """Minimise cross-entropy + weight * the largest gap in mean score among the rows with the favourable label.

    A group without such a row in a mini-batch is not compared there.

    References:
        The ``DiffEOpp`` of Han et al. (2024), FFB: a fair fairness benchmark for in-processing group fairness methods,
        ICLR; the criterion is that of Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning,
        NeurIPS.
    """

    name = "penalty_eopp"
    uses_group = ("training",)
    criterion = EOPP


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the three."""
    return [DemographicParityPenalty, EqualizedOddsPenalty, EqualOpportunityPenalty]
