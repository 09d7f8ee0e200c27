"""The plain network with a term that raises the protected group's rate: Fair-MAML without the meta-learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Union

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Fitted, Method, NotApplicable, Options, Range, Samples, hookimpl, parameter
from fairbench.api.networks import Network
from fairbench.api.torch import Batch, Model, predictor


def shortfall(score: Tensor, counted: Tensor, favorable_label: int, *, over_batch: bool = False) -> Tensor:
    """Return 1 - the mean score of the favourable outcome over the counted rows; 0 where none is counted.

    Args:
        score: (n,) or (n, 1) scores of y = 1.
        counted: (n,) bool, e.g. the protected rows.
        favorable_label: 0 or 1.
        over_batch: divide the sum over the counted rows by n instead of by their number.
    """
    favourable = score.reshape(-1) if favorable_label == 1 else 1 - score.reshape(-1)
    count = counted.sum()
    mean = (favourable * counted).sum() / (len(counted) if over_batch else count.clamp(min=1))
    return (count > 0) * (1 - mean)


@dataclass(frozen=True)
class RegularisedMLP(Network):
    """Minimise cross-entropy + gamma R, where R = 1 - the mean score of the favourable outcome in the protected group.

    For ``equal_opportunity`` the mean is over protected rows with the favourable label. R draws the protected group's
    rate to 1 rather than to the others', so a large gamma overshoots parity. The epoch is chosen by the same sum on
    validation.

    References:
        Slack, Friedler and Givental (2020), Fairness warnings and Fair-MAML: learning fairly with minimal data, FAT*;
        the COMPAS experiment in their code is this method with ``mean_over=batch``.
    """

    name = "mlp_regularised"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "gamma": Range(0.0, 4.0, source="the ends of fair_maml's grid"),
    }

    gamma: float = parameter(0.5, "weight of the fairness term", source="as in fair_maml", minimum=0)
    criterion: str = parameter(
        "demographic_parity",
        "whose scores the term raises: all protected rows, or those with the favourable label",
        source="Slack et al. (2020)",
        choices=("demographic_parity", "equal_opportunity"),
    )
    mean_over: str = parameter(
        "counted",
        "divide the sum of scores by the number of rows in the sum, or by that of all rows in the batch",
        choices=("counted", "batch"),
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the epoch with the smallest validation objective.

        Raises:
            NotApplicable: no training row is protected.
        """
        if not train.protected.any():
            raise NotApplicable("no training row is in the protected group, whose rate the term would raise")
        label = train.schema.favorable_label

        def objective(model: Model, batch: Batch) -> Tensor:
            return self._objective(model(batch.X), batch.y, self._counted(batch, label), label)

        model, curves = self.minimise(objective, train, validation, seed=seed)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)

    def _counted(self, rows: Batch, label: int) -> Tensor:
        deserving = rows.y.reshape(-1) == label
        return rows.protected & deserving if self.criterion == "equal_opportunity" else rows.protected

    def _objective(self, logit: Tensor, y: Tensor, counted: Tensor, label: int) -> Tensor:
        over_batch = self.mean_over == "batch"
        return cross_entropy(logit, y) + self.gamma * shortfall(logit.sigmoid(), counted, label, over_batch=over_batch)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [RegularisedMLP]
