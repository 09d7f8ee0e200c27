"""The players' gradients, written out: torch's graph is built at most for the fairness loss of the logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.torch import Batch, Layers

from ._penalties import Penalty
from ._slopes import SLOPES, sigmoid_slope


def accuracy_slope(logit: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy and its gradient with respect to the logits (n, 1)."""
    return cross_entropy(logit, y), (logit.sigmoid() - y).div_(len(y))


def fairness_slope(penalty: Penalty, eta: float, logit: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the fairness loss without its weight, and the gradient of eta times it for the logits (n, 1)."""
    if penalty.name in SLOPES:
        with torch.no_grad():
            score = logit.sigmoid().reshape(-1)
            by_score = SLOPES[penalty.name](score, batch.group, penalty.reference, score.new_tensor(eta))
            return penalty.of_scores(score, batch), sigmoid_slope(by_score, score).reshape(-1, 1)
    leaf = logit.detach().requires_grad_()
    unfairness = penalty(leaf, batch)
    (slope,) = torch.autograd.grad(eta * unfairness, leaf)
    return unfairness.detach(), slope


class Pass:
    """A pass of rows through consecutive parts of a network, from which the gradients of any part can be computed."""

    def __init__(self, parts: Sequence[Layers], features: Tensor) -> None:
        """Run the rows through the parts and keep what each layer computes.

        Args:
            parts: of the network, looked up after the players took over its parameters; a part may be empty.
            features: (n, d).
        """
        self.parts = parts
        self.kept: list[list[Tensor]] = []
        for part in parts:
            self.kept.append(part.trace(features))
            features = self.kept[-1][-1]
        self.output = features

    def back(self, slope: Tensor, wanted: Sequence[bool], *, inputs: bool = False) -> tuple[list[list[Tensor]], Tensor]:
        """Return a loss's gradients for the parameters of each part, and its slope with respect to the features.

        Args:
            slope: of the loss with respect to the output.
            wanted: for each part, whether its gradients are wanted; the other parts get empty lists.
            inputs: whether the slope with respect to the features is wanted. If not, nothing is computed before the
                first part that is wanted, and the slope that is returned is meaningless.
        """
        gradients: list[list[Tensor]] = [[] for _ in self.parts]
        first = min(place for place, part in enumerate(self.parts) if wanted[place] and len(part))
        for place in range(len(self.parts) - 1, -1 if inputs else first - 1, -1):
            gradients[place], slope = self.parts[place].backward(
                self.kept[place], slope, weights=wanted[place], inputs=inputs or place > first
            )
        return gradients, slope
