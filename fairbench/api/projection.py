"""The nearest scores that satisfy a fairness constraint, as differentiable functions and a module for torch.

    minimise |y - score|^2  subject to  lower <= y_i <= upper  and  |c_k . y - d_k| <= epsilon_k

- ``project_parity``: all group means within epsilon of each other, for any number of groups
- ``project``: any ``Contrasts``: two attributes, equalized odds, mean residuals, your own rows and offsets
- ``Projection``: a layer that builds them from a batch's groups and labels, and counts what could not be constrained
- ``solve_parity``, ``solve_contrasts``, ``solve_penalised``: the same on NumPy arrays, with multipliers and shifts

Values and gradients are exact up to the rounding of float64 (or of float32, for such scores): there is no solver
tolerance, and no bound is violated. Scores that must move by many times the size of the box are limited by their own
rounding: next to 1e14 there are no hundredths. n rows take O(n) memory and far less time than sorting them. The
computation is done in float64 on the CPU, whatever the tensors' type and device, and the outputs are bit for bit
independent of the order of the rows.

The constraints apply to means of scores, in the space of the scores, and not to rates of decisions: parity of logits
does not bound the gap of mean probabilities. An output depends on the whole batch that it is in.

References:
    Troxell, Roemer and Montufar (2026), Differentiable Optimization Layers for Guaranteed Fairness in Deep Learning.
    Amos and Kolter (2017), OptNet: Differentiable Optimization as a Layer in Neural Networks (the backward pass).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from fairbench_projection._solver.attach import Number, Solved, as_array, attach, outputs
from fairbench_projection._solver.cells import Box, Codes, Infeasible, Solution, check_epsilon, check_scores
from fairbench_projection._solver.contrasts import Contrasts, check_labels
from fairbench_projection._solver.general import solve_contrasts
from fairbench_projection._solver.pair import solve_pair
from fairbench_projection._solver.parity import Past, solve_parity
from fairbench_projection._solver.penalty import solve_penalised
from torch import Tensor, nn

__all__ = [
    "CONSTRAINTS",
    "Box",
    "Contrasts",
    "Infeasible",
    "Past",
    "Projection",
    "Solution",
    "check_scores",
    "project",
    "project_parity",
    "solve_contrasts",
    "solve_parity",
    "solve_penalised",
]

CONSTRAINTS = ("mean_prediction", "mean_residual", "equalized_odds")
"""The quantities that ``Projection`` can equalise between groups: its argument ``constraint``."""


def project_parity(
    score: Tensor, group: Any, *, epsilon: Number = 0.05, lower: float = -math.inf, upper: float = math.inf
) -> Tensor:
    """Return the nearest scores in the box whose group means (of any number of groups) lie within epsilon.

    A group without rows does not count; with fewer than two groups the scores are only clipped.

    Args:
        score: (n,) or (n, 1), float32 or float64, finite.
        group: (n,) whole-number codes, 0 or more, as a tensor or an array.
        epsilon: largest mean minus smallest, >= 0; a tensor that requires a gradient gets it.
        lower: bound of every output; may be -inf.
        upper: bound of every output; may be inf.

    Returns:
        Outputs in the shape and type of score, with gradients to score and epsilon. Rows at a bound get none.

    Raises:
        ValueError: a score is NaN or infinite, epsilon is negative, lower is not below upper, or the shapes disagree.
    """
    return _project_parity(score, group, epsilon, _box(float(lower), float(upper)))


def project(
    score: Tensor,
    contrasts: Contrasts,
    *,
    epsilon: Number = 0.05,
    offset: Optional[Tensor] = None,
    lower: float = -math.inf,
    upper: float = math.inf,
) -> Tensor:
    """Return the nearest scores in the box whose contrasts lie within epsilon of their offsets.

    Args:
        score: (n,) or (n, 1), float32 or float64, finite.
        contrasts: K constraints on the n outputs, e.g. ``Contrasts.equalized_odds(group, y)``.
        epsilon: >= 0, one for all or (K,); a tensor that requires a gradient gets it.
        offset: (K,) to be used instead of the contrasts' own; it gets a gradient if it requires one.
        lower: bound of every output; may be -inf.
        upper: bound of every output; may be inf.

    Returns:
        Outputs in the shape and type of score, with gradients to score, epsilon and offset (none to the weights).

    Raises:
        Infeasible: the box does not allow a contrast, or several at once; the message says which.
        ValueError: a score is NaN or infinite, epsilon is negative, lower is not below upper, or the shapes disagree.
    """
    _check_tensor(score)
    box, count = _box(float(lower), float(upper)), len(contrasts.offset)
    if score.numel() != contrasts.rows:
        raise ValueError(f"there are {score.numel()} scores, but the contrasts are about {contrasts.rows} rows")

    tolerances = _tolerances(epsilon, count)

    def solve(values: Tensor) -> Solved:
        wanted = contrasts if offset is None else contrasts.at(as_array(offset))
        found = _as_pair(values, wanted, tolerances, box)
        if found is not None:
            return found
        solution = solve_contrasts(as_array(values).reshape(-1), wanted, np.array(tolerances), box)
        return outputs(solution, box, values), solution, contrasts.code

    return attach(score, epsilon, offset, solve, box)


class Projection(nn.Module):
    """A layer that projects a batch's scores onto a fairness constraint.

    ``counts`` says how often it was called (``batches``), how many batches had rows of only one group and were
    therefore only clipped (``one_group``), how many contrasts were left out because a group had no rows with a label
    (``dropped``), and how many batches could not satisfy their constraints and were only clipped (``infeasible``).

    Args:
        constraint: ``mean_prediction`` (any number of groups), ``mean_residual`` or ``equalized_odds``.
        epsilon: >= 0; an ``nn.Parameter`` is learned.
        lower: bound of every output; may be -inf.
        upper: bound of every output; may be inf.
        strict: raise an error if a batch cannot be constrained, instead of clipping and counting it.
    """

    def __init__(
        self,
        constraint: str = "mean_prediction",
        *,
        epsilon: Number = 0.05,
        lower: float = -math.inf,
        upper: float = math.inf,
        strict: bool = False,
    ) -> None:
        """Check the settings."""
        super().__init__()
        if constraint not in CONSTRAINTS:
            raise ValueError(f"constraint is {constraint!r}; it must be one of {', '.join(CONSTRAINTS)}")
        _tolerances(epsilon, 1)
        self.constraint, self.epsilon, self.strict = constraint, epsilon, strict
        self.box = Box(lower, upper)
        self.counts = {"batches": 0, "one_group": 0, "dropped": 0, "infeasible": 0}

    def forward(self, score: Tensor, group: Any, y: Any = None) -> Tensor:
        """Return the projected scores, in the shape and type of score.

        Args:
            score: (n,) or (n, 1), float32 or float64, finite.
            group: (n,) codes of any number of groups; or (n, 2) codes 0 and 1 of two attributes, each constrained
                separately.
            y: (n,) labels, for ``mean_residual`` and ``equalized_odds``. The outputs then depend on the labels: use
                this for training and audits, never for prediction.

        Raises:
            Infeasible: ``strict``, and the constraints contradict the box or each other.
            ValueError: ``strict``, and only one group has rows; or an argument is not as above.
        """
        if self.constraint != "mean_prediction" and y is None:
            raise ValueError(f"{self.constraint} is about labels; call the layer with y, or use mean_prediction")
        _check_tensor(score)
        self.counts["batches"] += 1
        try:
            return self._project(score, as_array(group), None if y is None else as_array(y))
        except Infeasible:
            if self.strict:
                raise
            self.counts["infeasible"] += 1
            return self._clip(score)

    def extra_repr(self) -> str:
        """Return the settings."""
        (epsilon,) = _tolerances(self.epsilon, 1)
        return f"{self.constraint}, epsilon={epsilon:g}, box=[{self.box.lower:g}, {self.box.upper:g}]"

    def _project(self, score: Tensor, group: Codes, y: Any) -> Tensor:
        lower, upper = self.box.lower, self.box.upper
        if group.ndim == 1 or group.shape[1:] == (1,):
            code = _codes(group, score)
            group = code.numpy()
            if self.constraint == "mean_prediction":
                if not len(group) or group[group.argmin()] == group[group.argmax()]:
                    return self._alone(score, group)
                return _project_parity(score, code, self.epsilon, self.box)
            if self.constraint == "equalized_odds" and group.max(initial=0) > 1:
                return self._within_classes(score, group, check_labels(y, len(group)) > 0.5)
        if self.constraint == "mean_prediction":
            contrasts = Contrasts.mean_prediction(group)
        elif self.constraint == "mean_residual":
            contrasts = Contrasts.mean_residual(group, y)
        else:
            contrasts = Contrasts.equalized_odds(group, y)
        self.counts["dropped"] += len(contrasts.dropped)
        if not len(contrasts.offset):
            return self._alone(score, group)
        return project(score, contrasts, epsilon=self.epsilon, lower=lower, upper=upper)

    def _within_classes(self, score: Tensor, group: Codes, positive: np.ndarray[Any, Any]) -> Tensor:
        """Return equalized odds for three groups and more: parity within each class."""
        seen = len(np.unique(group))
        if seen < 2:
            return self._alone(score, group)
        flat = score.reshape(-1)
        check_scores(as_array(flat))
        parts, order = [], []
        for rows in (np.flatnonzero(positive), np.flatnonzero(~positive)):
            index = torch.from_numpy(rows).to(score.device)
            self.counts["dropped"] += seen - len(np.unique(group[rows]))
            parts.append(
                project_parity(
                    flat[index], group[rows], epsilon=self.epsilon, lower=self.box.lower, upper=self.box.upper
                )
            )
            order.append(index)
        return torch.cat(parts)[torch.cat(order).argsort()].reshape(score.shape)

    def _alone(self, score: Tensor, group: Codes) -> Tensor:
        """Return the scores within the box, and count a batch in which nothing can be compared."""
        if group.min(initial=0) < 0:
            raise ValueError(f"group codes begin at {group.min()}; they must be whole numbers, 0 or more")
        if self.strict:
            raise ValueError(
                f"a batch of {len(group)} rows has nothing to compare: its group codes are "
                f"{np.unique(group, axis=0).tolist()}; use stratified batches, or strict=False to clip and count"
            )
        self.counts["one_group"] += 1
        return self._clip(score)

    def _clip(self, score: Tensor) -> Tensor:
        """Return the scores within the box, as a projection without constraints gives them."""
        return _project_parity(score, np.zeros(score.numel(), dtype=np.int64), 0.0, self.box)


def _project_parity(score: Tensor, group: Any, epsilon: Number, box: Box) -> Tensor:
    """See ``project_parity``; two groups have a way of their own, unless it gives up."""
    _check_tensor(score)
    code = _codes(group, score)
    (tolerance,) = _tolerances(epsilon, 1)

    def solve(values: Tensor) -> Solved:
        found = solve_pair(values, code, tolerance, box)
        if found is not None:
            return (*found, None)
        cells, n_groups = _cells(code.numpy())
        solution = solve_parity(as_array(values).reshape(-1), cells, n_groups, tolerance, box)
        return outputs(solution, box, values), solution, cells

    return attach(score, epsilon, None, solve, box)


def _cells(code: Codes) -> tuple[Codes, int]:
    """Return a copy of the codes, as the caller may change his before the backward pass, and the number of groups.

    Sparse codes are renumbered.
    """
    n_groups = int(code.max(initial=0)) + 1
    if n_groups <= max(len(code), 1) or code.min() < 0:
        return code.copy(), n_groups
    names, cells = np.unique(code, return_inverse=True)
    return cells, len(names)


def _as_pair(values: Tensor, contrasts: Contrasts, tolerances: Sequence[float], box: Box) -> Optional[Solved]:
    """Return the projection if the contrasts are one that compares two cells, and if ``solve_pair`` finds it."""
    if contrasts.code is None or contrasts.weight.shape != (1, 2):
        return None
    (one, two), (target,) = contrasts.weight[0].tolist(), contrasts.offset.tolist()
    found = solve_pair(values, _codes(contrasts.code, values), tolerances[0], box, (one, two), target)
    return None if found is None else (*found, None)


def _check_tensor(score: Any) -> None:
    if not isinstance(score, Tensor):
        raise TypeError(
            f"score is a {type(score).__name__}; the projection takes tensors (solve_parity and solve_contrasts take "
            "NumPy arrays)"
        )
    if score.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"score is {score.dtype}; the projection takes float32 and float64")
    if score.ndim != 1 and score.shape[1:] != (1,):
        raise ValueError(f"score has shape {tuple(score.shape)}; it must be (n,) or (n, 1)")


def _codes(group: Any, score: Tensor) -> Tensor:
    """Return each row's code (n,) as contiguous int64 on the CPU."""
    if not isinstance(group, Tensor) or group.dtype != torch.int64:
        array = as_array(group)
        if array.size and array.dtype.kind not in "iub":
            raise ValueError(f"group holds {array.dtype}; it must hold whole-number codes")
        group = torch.from_numpy(np.require(array, np.int64, ["C", "W"]))
    code: Tensor = group.reshape(-1) if group.ndim == 2 and group.shape[1] == 1 else group
    if code.ndim != 1 or len(code) != score.numel():
        raise ValueError(
            f"group has shape {tuple(code.shape)} but there are {score.numel()} scores; every row needs one code"
        )
    return code.cpu().contiguous()


def _tolerances(epsilon: Number, count: int) -> list[float]:
    """Return one epsilon for each contrast after checking them."""
    if isinstance(epsilon, float) and 0 <= epsilon < math.inf:
        return [epsilon] * count
    given = [epsilon] if isinstance(epsilon, (int, float)) else torch.as_tensor(epsilon).double().reshape(-1).tolist()
    if len(given) not in (1, count):
        raise ValueError(f"there are {len(given)} epsilons but {count} contrasts; give one for all, or one for each")
    check_epsilon(given)
    return given * count if len(given) == 1 else given


_box = functools.lru_cache(maxsize=64)(Box)  # a layer asks for the same one in every batch
