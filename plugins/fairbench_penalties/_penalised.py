"""Training with a penalty that is added to the cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, ClassVar

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Fitted, Samples, parameter
from fairbench.api.networks import Network
from fairbench.api.torch import Batch, Model, predictor

Penalty = Callable[[Tensor, Batch], Tensor]
"""(scores (n,) in [0, 1], the rows) -> a scalar >= 0."""


def weights(*values: float) -> Sequence[Mapping[str, Any]]:
    """Return a grid that tries these weights."""
    return tuple({"weight": value} for value in values)


@dataclass(frozen=True)
class Penalised(Network):
    """Minimise cross-entropy + weight * penalty, in mini-batches; early stopping watches the same sum on validation."""

    name: ClassVar[str]

    weight: float = parameter(
        1.0, "weight of the penalty beside the cross-entropy; 0 is the plain network", source="own", minimum=0
    )

    def penalty(self, train: Samples) -> Penalty:
        """Return the penalty.

        Raises:
            NotApplicable: it has no meaning for these rows.
        """
        raise NotImplementedError

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the epoch with the smallest validation objective; it does not use the group.

        Raises:
            NotApplicable: the penalty has no meaning for these rows.
        """
        penalty = self.penalty(train)

        def objective(model: Model, batch: Batch) -> Tensor:
            logit = model(batch.X)
            return cross_entropy(logit, batch.y) + self.weight * penalty(logit.sigmoid().reshape(-1), batch)

        model, curves = self.minimise(objective, train, validation, seed=seed)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)
