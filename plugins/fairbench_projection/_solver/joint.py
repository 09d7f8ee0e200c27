"""Contrasts that share rows, as functions of their multipliers: by cells (fast), or with a weight for every row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fairbench_projection._solver.cells import Array, Box, Cells, check_scores
from fairbench_projection._solver.contrasts import Contrasts
from fairbench_projection._solver.root import ROUNDING, Contrast, find_root, solve_contrast, unreachable

SUM_BITS = 61


class Joint(Protocol):
    """K contrasts; the outputs are clip(score - sum_k nu_k c_k)."""

    def evaluate(self, nu: Array) -> tuple[Array, Array, Array]:
        """Return contrasts minus targets (K,), minus their derivative in nu (K, K), and the rounding in them (K,)."""
        ...

    def longest(self, step: Array) -> float:
        """Return the fraction of a step to try, at most 1: no shift needs to pass all scores and the box at once."""
        ...

    def coordinate(self, k: int, nu: Array, epsilon: float) -> float:
        """Return the multiplier of contrast k that is best given all others.

        Raises:
            Infeasible: the box does not let the contrast come within epsilon of its target.
        """
        ...


def as_contrast(cells: Cells, contrasts: Contrasts, k: int) -> Contrast:
    """Return one of the contrasts by itself."""
    terms = [(cell, float(weight)) for cell, weight in enumerate(contrasts.weight[k]) if weight and cells.count[cell]]
    return Contrast(terms, float(contrasts.offset[k]), contrasts.names[k])


class JointCells:
    """Contrasts whose weights are constant on cells."""

    def __init__(self, cells: Cells, contrasts: Contrasts, chosen: Sequence[int]) -> None:
        """Keep the chosen contrasts, on the cells that they weigh."""
        weight = contrasts.weight[chosen]
        self.used = [c for c in range(weight.shape[1]) if cells.count[c] and weight[:, c].any()]
        self.cells, self.weight, self.target = cells, weight[:, self.used], contrasts.offset[chosen]
        self.contrasts = [as_contrast(cells, contrasts, k) for k in chosen]
        self._rows = np.array([cells.count[cell] for cell in self.used])

    def evaluate(self, nu: Array) -> tuple[Array, Array, Array]:
        """See ``Joint``."""
        pairs = [self.cells.at(cell, shift) for cell, shift in zip(self.used, (nu @ self.weight).tolist())]
        total, free = np.array(pairs).T
        size = 2 * self._rows / self.cells.unit + ROUNDING * np.abs(total)
        rounding = np.abs(self.weight) @ size + ROUNDING * np.abs(self.target)
        return self.weight @ total - self.target, (self.weight * free) @ self.weight.T, rounding

    def longest(self, step: Array) -> float:
        """See ``Joint``."""
        return min(1.0, 4 * self.cells.size / max(float(np.abs(step @ self.weight).max()), 1e-300))

    def coordinate(self, k: int, nu: Array, epsilon: float) -> float:
        """See ``Joint``."""
        others = nu @ self.weight - nu[k] * self.weight[k]
        base = [0.0] * len(self.cells.count)
        for cell, shift in zip(self.used, others.tolist()):
            base[cell] = shift
        return solve_contrast(self.cells, self.contrasts[k], epsilon, base, float(nu[k]))[0]


class JointRows:
    """Contrasts with a weight for every row."""

    def __init__(self, score: Array, contrasts: Contrasts, box: Box) -> None:
        """Keep the rows."""
        self.score, self.weight, self.target = score, contrasts.weight, contrasts.offset
        self.names, self.box = contrasts.names, box
        self._farthest = max(map(abs, (*check_scores(score), *filter(math.isfinite, (box.lower, box.upper)))))
        self._rounding = 8 * ROUNDING * (np.abs(self.weight).sum(axis=1) * self._farthest + np.abs(self.target))

    def shift(self, nu: Array) -> Array:
        """Return what is subtracted from each row (n,)."""
        total = np.zeros(len(self.score))
        for multiplier, row in zip(nu.tolist(), self.weight):
            total += multiplier * row
        return total

    def evaluate(self, nu: Array) -> tuple[Array, Array, Array]:
        """See ``Joint``."""
        value, kept = self._value(nu)
        total = [ordered_sum(row * value) for row in self.weight]
        hessian = [[ordered_sum(np.where(kept, a * b, 0.0)) for a in self.weight] for b in self.weight]
        return np.array(total) - self.target, np.array(hessian), self._rounding

    def longest(self, step: Array) -> float:
        """See ``Joint``."""
        return min(1.0, 4 * self._farthest / max(float(np.abs(self.shift(step)).max()), 1e-300))

    def coordinate(self, k: int, nu: Array, epsilon: float) -> float:
        """See ``Joint``."""
        row, target, at = self.weight[k], float(self.target[k]), nu.copy()

        def evaluate(multiplier: float) -> tuple[float, float, float]:
            at[k] = multiplier
            value, kept = self._value(at)
            return ordered_sum(row * value) - target, ordered_sum(np.where(kept, row * row, 0.0)), self._rounding[k]

        def beyond(sign: float, size: float, tolerance: float) -> tuple[float, bool]:
            used = sign * row[row != 0]
            best = float(used @ np.where(used > 0, self.box.lower, self.box.upper)) - sign * target
            if best - epsilon > tolerance:
                raise unreachable(self.names[k], target, epsilon, best, self.box)
            at[k] = 0.0
            room = 2 * self._farthest + float(np.abs(self.shift(at)).max(initial=0.0))
            return max(2 * size, 1.001 * room / float(np.abs(used).min(initial=math.inf))), math.isfinite(best)

        return find_root(evaluate, epsilon, beyond, float(nu[k]))[0]

    def _value(self, nu: Array) -> tuple[Array, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Return the outputs (n,), and which of them the box leaves as they are."""
        shifted = self.score - self.shift(nu)
        value = self.box.clip(shifted)
        return value, value == shifted


def ordered_sum(terms: Array) -> float:
    """Return the sum of floats as if they were always added in one order: on a grid, in whole numbers."""
    size = float(np.abs(terms).max(initial=0.0))
    if size == 0.0:
        return 0.0
    unit = math.ldexp(1.0, SUM_BITS - len(terms).bit_length() - math.frexp(size)[1])
    return int(np.add.reduce((terms * unit).astype(np.int64))) / unit
