"""A network that learns what does not help an adversary to guess the group from its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fairbench.api import Fitted, Method, Options, Range, Samples, derive_seed, hookimpl, parameter
from fairbench.api.networks import Network
from fairbench.api.torch import Batch, Perceptron, gradient, predictor, seeded, weighted_loss

from ._adversary import Adversarial, Opponent
from ._criteria import EO, compared_labels, criterion_parameter, sides

PAPER = "Zhang et al. (2018)"


class ScoreAdversary(nn.Module):
    """Guess the group from the score, and under equalized odds from the label too: logits (n, G).

    The score's logit is scaled by 1 + |c|, so that the adversary can sharpen it, and becomes s in [0, 1]. A linear
    layer then sees s, or s, s y and s (1 - y).

    References:
        Zhang et al. (2018), the experiment on Adult.
    """

    def __init__(self, groups: int, *, with_label: bool, seed: int) -> None:
        """Draw the initial weights."""
        super().__init__()
        self.with_label = with_label
        self.scale = nn.Parameter(torch.zeros(()))  # c
        with seeded(seed):
            self.guess = nn.Linear(3 if with_label else 1, groups)

    def forward(self, logit: Tensor, y: Tensor) -> Tensor:
        """Return the logits for the score's logits (n, 1) and labels (n, 1)."""
        s = ((1 + self.scale.abs()) * logit).sigmoid()
        seen = torch.cat([s, s * y, s * (1 - y)], dim=1) if self.with_label else s
        guessed: Tensor = self.guess(seen)
        return guessed


def against(task: Tensor, adversary: Tensor, alpha: float) -> Tensor:
    """Return the gradient to descend: g - its projection onto a - alpha * a; where a is 0, g.

    Args:
        task: g (p,), of the network's own loss.
        adversary: a (p,), of the adversary's loss by the same parameters.
        alpha: weight of going against the adversary.

    References:
        Zhang et al. (2018), eq. 1.
    """
    square = adversary @ adversary
    if not square > 0:
        return task
    return task - (task @ adversary / square + alpha) * adversary


@dataclass(frozen=True)
class AdversarialDebiasing(Adversarial):
    """Train the network against an adversary that guesses the group from its score.

    The network descends g - proj_a(g) - alpha a, where g is the gradient of its cross-entropy and a that of the
    adversary's: nothing in that direction helps the adversary to first order, and alpha a hurts it. The gradients are
    those of all weights as one vector; AdamW, which scales the step of each weight, follows them. For equalized odds
    the adversary also sees the label, and for equal opportunity it is asked about rows with the favourable label only.
    alpha and the learning rates stay the same, where the paper lets them grow and fall. The adversary's cross-entropy
    has as many classes as there are groups.

    References:
        Zhang, Lemoine and Mitchell (2018), Mitigating unwanted biases with adversarial learning, AIES.
    """

    name = "adversarial_debiasing"
    uses_group = ("training",)
    grid: ClassVar[Sequence[Mapping[str, Any]]] = tuple({"alpha": alpha} for alpha in (0.0, 0.1, 0.3, 1.0, 3.0))
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        **Network.ranges,
        "alpha": Range(0.1, 10.0, log=True, source="own: around the default"),
    }

    alpha: float = parameter(
        1.0,
        "weight of the step against the adversary; with 0 the network only avoids to help it",
        source="fairlearn's and the paper's first step",
        minimum=0,
    )
    criterion: str = criterion_parameter(PAPER)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the last epoch; it does not use the group.

        Raises:
            NotApplicable: fewer than two groups have rows to compare.
        """
        labels = compared_labels(self.criterion, train)
        adversary = ScoreAdversary(
            len(train.group_names), with_label=self.criterion == EO, seed=derive_seed("adversary", seed)
        )
        opponent = Opponent(adversary.parameters(), self.adversary_lr)

        def guess_loss(logit: Tensor, batch: Batch) -> Tensor:
            asked = torch.stack(sides(batch, labels)).any(dim=0)
            guess = adversary(logit[asked], batch.y[asked])
            return cross_entropy(guess, batch.group[asked]) if asked.any() else 0 * guess.sum()

        def learn(model: Perceptron, batch: Batch) -> Tensor:
            task = gradient(model, weighted_loss(batch))
            combined = against(task, gradient(model, lambda trained: guess_loss(trained(batch.X), batch)), self.alpha)
            start = 0
            for weight in model.parameters():
                weight.grad = combined[start : start + weight.numel()].view_as(weight)
                start += weight.numel()
            with torch.no_grad():
                logit = model(batch.X)
            opponent.step(guess_loss(logit, batch))
            return weighted_loss(batch)(lambda features: logit)

        model, curves = self.train(train, validation, seed=seed, learn=learn, diagnose=opponent.diagnose)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [AdversarialDebiasing]
