"""A network whose last hidden layer keeps the group from an adversary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Fitted, Method, NotApplicable, Options, Range, Samples, derive_seed, hookimpl, parameter
from fairbench.api.networks import Network, descend
from fairbench.api.torch import Batch, Model, Perceptron, mlp, predictor

from ._adversary import Adversarial, Opponent
from ._criteria import EO, compared_labels, criterion_parameter, sides

PAPER = "Madras et al. (2018)"


def adversary_objective(guess: Tensor, member: Tensor, asked: Sequence[Tensor]) -> Tensor:
    """Return what the adversary maximises: for each side 1 - the mean error in the one group - that in the other.

    Groups weigh alike, however many rows they have: a constant guess has 0, and a perfect one 1 for each side. A group
    without rows on a side is left out there.

    Args:
        guess: (n,) chances of the group in [0, 1].
        member: (n,) bool, whether the row is of that group.
        asked: masks (n,) of the rows of each side: all of them for demographic parity, those of each label for
            equalized odds.

    References:
        Madras et al. (2018), section 4, the objectives for demographic parity and equalized odds.
    """
    error = (guess - member.to(guess.dtype)).abs()
    cells = [side & group for side in asked for group in (member, ~member)]
    return torch.stack([0.5 - error[cell].mean() for cell in cells if cell.any()] or [0 * guess.sum()]).sum()


@dataclass(frozen=True)
class LAFTR(Adversarial):
    """Train the hidden layers so that an adversary cannot tell the group from the last one's output.

    They and the last layer minimise cross-entropy + gamma * the adversary's objective, which the adversary maximises: 1
    - its mean absolute error in the one group - that in the other, for equalized odds within each label, for equal
    opportunity within the favourable one. If no adversary can gain anything, no classifier of the representation has
    a gap. The paper's decoder, which rebuilds the features, is left out (beta = 0).

    References:
        Madras, Creager, Pitassi and Zemel (2018), Learning adversarially fair and transferable representations, ICML.
    """

    name = "laftr"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple({"gamma": gamma} for gamma in (0.0, 0.3, 1.0, 3.0, 10.0))
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "gamma": Range(0.1, 10.0, log=True, source="own: around the default"),
    }

    gamma: float = parameter(
        1.0, "weight of the adversary's objective; 0 is the plain network, with all epochs", source="own", minimum=0
    )
    criterion: str = criterion_parameter(PAPER)
    adversary_hidden: tuple[int, ...] = parameter((32,), "width of each hidden layer of the adversary", source="own")

    def __post_init__(self) -> None:
        """Check that there is a representation.

        Raises:
            NotApplicable: the network has no hidden layer.
        """
        if not self.hidden:
            raise NotApplicable("laftr: hidden is (); the adversary sees the last hidden layer, so give at least one")

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the last epoch; it does not use the group.

        Raises:
            NotApplicable: the training rows are of more than two groups, or one group lacks rows to compare.
        """
        labels = compared_labels(self.criterion, train)
        codes = np.unique(train.group)
        if len(codes) > 2:
            raise NotApplicable(
                f"laftr's adversary tells two groups apart, and training rows are of {len(codes)}; "
                "adversarial_debiasing takes any number"
            )
        with_label, code = self.criterion == EO, int(codes[1])
        adversary = mlp(self.hidden[-1] + with_label, self.adversary_hidden, seed=derive_seed("adversary", seed))
        opponent = Opponent(adversary.parameters(), self.adversary_lr)

        def gained(representation: Tensor, batch: Batch) -> Tensor:
            seen = torch.cat([representation, batch.y], dim=1) if with_label else representation
            guess = adversary(seen).sigmoid().reshape(-1)
            return adversary_objective(guess, batch.group == code, sides(batch, labels))

        def learn(model: Perceptron, batch: Batch) -> Tensor:
            encoder, classifier = model[:-1], model[-1]

            def objective(_: Model, batch: Batch) -> Tensor:
                representation = encoder(batch.X)
                loss = cross_entropy(classifier(representation), batch.y)
                return loss + self.gamma * gained(representation, batch)

            loss = descend(objective)(model, batch)
            with torch.no_grad():
                representation = encoder(batch.X)
            opponent.step(-gained(representation, batch))
            return loss

        model, curves = self.train(train, validation, seed=seed, learn=learn, diagnose=opponent.diagnose)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [LAFTR]
