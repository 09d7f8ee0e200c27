"""Adam and AdamW without the bookkeeping of torch's optimisers.

In each step that costs more than a small network's sums, and the first optimiser that a process creates costs it a
second, because torch then imports its compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # torch's defaults


class _Moments:
    """Parameters with the moments of their gradients; those without a gradient stay as they are in a step."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        """Begin with moments of 0, after no step."""
        self._states = [
            (parameter, torch.zeros_like(parameter.detach()), torch.zeros_like(parameter.detach()), torch.zeros(()))
            for parameter in parameters
        ]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter, *_ in self._states:
            parameter.grad = None

    def _moving(self) -> Iterator[tuple[nn.Parameter, Tensor, Tensor, Tensor, Tensor]]:
        """Yield each parameter to move: gradient, first and second moment, and steps so far, to which 1 is added."""
        for parameter, first, second, steps in self._states:
            if parameter.grad is not None:
                yield parameter, parameter.grad, first, second, steps.add_(1)


class Adam(_Moments):
    """Adam as ``torch.optim.Adam`` computes it on a CPU, bit for bit.

    References:
        Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        """Keep the parameters, which ``step`` moves along their ``.grad``."""
        super().__init__(parameters)
        self._lr = lr

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters once."""
        for parameter, gradient, first, second, steps in self._moving():
            count = steps.item()
            first.lerp_(gradient, 1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            spread = (second.sqrt() / (1 - BETA2**count) ** 0.5).add_(EPSILON)
            parameter.addcdiv_(first, spread, value=-(self._lr / (1 - BETA1**count)))


class FusedAdamW(_Moments):
    """Adam with decoupled weight decay, as ``torch.optim.AdamW(..., fused=True)`` computes it, bit for bit.

    It calls torch's kernel directly: 20 microseconds for a network of two layers instead of 80.

    References:
        Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0) -> None:
        """Keep the parameters, which ``step`` moves along their ``.grad``; all are of one type."""
        super().__init__(parameters)
        self._lr, self._weight_decay = lr, weight_decay

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters once."""
        moving = list(self._moving())
        if not moving:
            return
        parameters, gradients, first, second, steps = (list(column) for column in zip(*moving))
        torch._fused_adamw_(
            parameters,
            gradients,
            first,
            second,
            [],
            steps,
            lr=self._lr,
            beta1=BETA1,
            beta2=BETA2,
            weight_decay=self._weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
            grad_scale=None,
            found_inf=None,
        )
