"""Outputs of a solver as a part of torch's graph: forward through the solver, backward through its linear map."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairbench_projection._solver.backward import Pull, pull_back
from fairbench_projection._solver.cells import Array, Box, Codes, Solution
from fairbench_projection._solver.pair import Pair

Number = Union[float, Tensor]

FIRST = np.zeros(1, dtype=np.int64)

Solved = tuple[Tensor, Union[Pair, Solution], Optional[Codes]]
"""Outputs on the CPU, in the shape and type of the scores, what holds near them, and each row's cell if it has one."""

Solve = Callable[[Tensor], Solved]
"""Scores on the CPU -> their projection."""


def attach(score: Tensor, epsilon: Number, offset: Optional[Tensor], solve: Solve, box: Box) -> Tensor:
    """Return what ``solve`` finds for a tensor of scores, with gradients to it, to epsilon and to the offset.

    Args:
        score: (n,) or (n, 1), float32 or float64, on any device.
        epsilon: what the solver uses; a tensor that requires a gradient gets it.
        offset: likewise, (K,), or None.
        solve: the solver.
        box: where the outputs lie.
    """
    apply = cast(Callable[..., Tensor], _Project.apply)  # torch gives it no types
    return apply(score, epsilon, offset, solve, box)


def outputs(solution: Solution, box: Box, score: Tensor) -> Tensor:
    """Return a solver's values, clipped to the box, in the shape and type of the scores and in memory of their own."""
    if score.dtype == torch.float64:
        return _like(box.clip(solution.value), score)
    single = solution.value.astype(np.float32)
    if not box.endless:
        single.clip(*box.single, out=single)
    return _like(single, score)


def as_array(values: Any) -> np.ndarray[Any, Any]:
    """Return a tensor's values, or anything that NumPy understands, as an array; nothing is copied on the CPU."""
    return values.numpy(force=True) if isinstance(values, Tensor) else np.asarray(values)


class _Project(torch.autograd.Function):
    """Forward through a solver, backward through the linear map that the solution is nearby."""

    @staticmethod
    def forward(ctx: Any, score: Tensor, epsilon: Number, offset: Optional[Tensor], solve: Solve, box: Box) -> Tensor:
        value, ctx.solution, ctx.code = solve(score if score.is_cpu else score.cpu())
        ctx.box, ctx.given = box, (epsilon, offset)
        return value if score.is_cpu else value.to(score.device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], ...]:
        # once_differentiable refuses second derivatives; without a graph of the gradients nobody can ask for them
        return _pull_once(ctx, gradient) if torch.is_grad_enabled() else _pull(ctx, gradient)


def _pull(ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], ...]:
    """Return the gradients for the inputs of ``_Project``, given the one for its output."""
    solution, given = ctx.solution, gradient.cpu()
    _, by_epsilon, by_offset, *_ = ctx.needs_input_grad
    if isinstance(solution, Pair):
        by_score, by_target = solution.pull_back(given)
        if gradient.is_cpu and not (by_epsilon or by_offset):
            return by_score, None, None, None, None
        pull = Pull(np.zeros(0), np.full(1, by_target), FIRST, np.sign([solution.multiplier]))
        relaxed = pull
    else:
        rows = as_array(given).reshape(-1)
        pull = relaxed = pull_back(solution, ctx.code, ctx.box, rows)
        by_score = _like(pull.score, given)
        if by_epsilon and solution.relaxed:
            relaxed = pull_back(solution.relaxed, ctx.code, ctx.box, rows)
    return (
        by_score.to(gradient.device),
        _totals(relaxed.right * relaxed.slope, relaxed.active, ctx.given[0]) if by_epsilon else None,
        _totals(pull.right, pull.active, ctx.given[1]) if by_offset else None,
        None,
        None,
    )


_pull_once = once_differentiable(_pull)


def _totals(parts: Array, active: np.ndarray[Any, Any], like: Tensor) -> Tensor:
    """Return, for each element of a tensor, its active constraints' sum of parts; for a single one, that of all."""
    place = active if like.numel() > 1 else np.zeros_like(active)
    total = np.bincount(place, weights=parts, minlength=like.numel())
    return _like(total, like)


def _like(values: np.ndarray[Any, Any], tensor: Tensor) -> Tensor:
    """Return the values as a tensor of another's shape, type and device."""
    return torch.from_numpy(values).reshape(tensor.shape).to(tensor.device, tensor.dtype)
