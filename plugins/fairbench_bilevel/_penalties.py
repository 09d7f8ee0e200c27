"""How far apart the groups' scores are, as losses that can be differentiated.

Throughout, m_k is the mean score of group k and m that of all rows; a group without rows does not count, and where
fewer than two are left the value is 0 with gradient 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from torch import Tensor

from fairbench.api import NotApplicable, Samples
from fairbench.api.torch import Batch, gap_by_label, parity_gap, squared_gap


def legacy_gap(score: Tensor, in_reference: Tensor) -> Tensor:
    """Return what the released code of FairBiNN minimises for demographic parity, up to its factor eta.

    Its hinge terms reduce to (m_r - m)^2 / 2, where r is one group alone, however many there are, and the means are
    over the sigmoid of scores that are already sigmoids.

    Args:
        score: (n,) in [0, 1].
        in_reference: (n,) bool, the rows of group r. Without any the value is 0, where the released code has NaN.
    """
    twice = score.sigmoid()
    if not in_reference.any():
        return 0 * twice.sum()
    return (twice[in_reference].mean() - twice.mean()) ** 2 / 2


PENALTIES: Mapping[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "dp_sq": lambda score, y, group, reference: squared_gap(score, group),
    "dp_abs": lambda score, y, group, reference: parity_gap(score, group),
    "dp_legacy": lambda score, y, group, reference: legacy_gap(score, group == reference),
    "eo_sq": lambda score, y, group, reference: gap_by_label(squared_gap, score, y, group).mean(),
    "eo_max": lambda score, y, group, reference: gap_by_label(parity_gap, score, y, group).amax(),
}
"""(score (n,) in [0, 1], y (n,) in {0, 1}, group (n,) codes, code of the group that ``dp_legacy`` is about) -> >= 0."""


def needs_labels(penalty: str) -> bool:
    """Return whether the penalty compares rows of one label, as equalized odds do."""
    return penalty.startswith("eo_")


@dataclass(frozen=True)
class Penalty:
    """A loss of ``PENALTIES`` as a function of logits; ``reference`` is the code of the group of ``dp_legacy``."""

    name: str
    reference: int

    def __call__(self, logit: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a batch's logits (n, 1), without its weight eta: a scalar >= 0."""
        return self.of_scores(logit.sigmoid().reshape(-1), batch)

    def of_scores(self, score: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a batch's scores (n,)."""
        return PENALTIES[self.name](score, batch.y.reshape(-1), batch.group, self.reference)


def make_penalty(name: str, train: Samples) -> Penalty:
    """Return the loss of this name for these rows.

    Args:
        name: one of ``PENALTIES``.
        train: the training rows. The group that ``dp_legacy`` is about is the first one that is not protected: the
            released code's choice on Adult (men) and Heritage Health (the youngest).

    Raises:
        NotApplicable: that group has no training rows.
    """
    reference = int(train.schema.protected == 0)
    if name == "dp_legacy" and not (train.group == reference).any():
        raise NotApplicable(
            f"loss=dp_legacy is about the mean score of group {train.group_names[reference]!r}, which has no training "
            "row; dp_sq compares all groups that have"
        )
    return Penalty(name, reference)
