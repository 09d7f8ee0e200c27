"""Random projection problems of every kind, each with its constraints written out row by row for the oracles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from fairbench.api.projection import Contrasts, project, project_parity

KINDS = (
    "range of 2 groups",
    "range of 3 groups",
    "range of 5 groups",
    "mean prediction",
    "mean prediction, 2 attributes",
    "equalized odds",
    "equalized odds, 2 attributes",
    "mean residual",
    "mean residual, 2 attributes",
    "rows of one's own",
)


@dataclass(frozen=True, eq=False)
class Instance:
    """minimise |y - score|^2 with |rows @ y - target| <= epsilon and lower <= y <= upper; ``project`` claims to."""

    score: torch.Tensor
    rows: np.ndarray
    target: np.ndarray
    epsilon: np.ndarray
    lower: float
    upper: float
    project: Callable[..., torch.Tensor]
    group: np.ndarray

    def excess(self, value: np.ndarray) -> float:
        """Return by how much the worst constraint is broken."""
        return float((np.abs(self.rows @ value - self.target) - self.epsilon).max(initial=-np.inf))


def means(group: np.ndarray, code: int, among: np.ndarray) -> np.ndarray:
    """Return the row of weights whose product with y is the mean of a group's y among some rows."""
    chosen = (group == code) & among
    return chosen / chosen.sum()


def make(kind: str, seed: int, n: int = 24, dtype: torch.dtype = torch.float64) -> Instance:
    """Return a problem; the seed also decides the box, how much of it is clipped, and epsilon (0 among others)."""
    random = np.random.default_rng([KINDS.index(kind), seed])
    lower, upper = [(0.0, 1.0), (0.0, 1.0), (-np.inf, np.inf), (0.0, np.inf), (-3.0, 3.0)][seed % 5]
    group = np.stack([np.arange(n) % 2, np.arange(n) // 2 % 2], axis=1)[random.permutation(n)]
    y = random.permutation(np.arange(n) // 4 % 2)
    spread = [0.25, 2.0, 0.6][seed % 3]  # within the box, mostly outside, partly outside
    score = random.normal(0.5, spread, n) + random.normal(0, spread) * group[:, 0]
    epsilon = [0.0, 0.02, random.uniform(0, 0.3)][seed % 7 % 3]
    every = np.ones(n, dtype=bool)
    box = {"lower": lower, "upper": upper}
    if kind.startswith("range"):
        groups = int(kind.split()[2])
        code = random.permutation(np.arange(n) % groups)
        score = score + 0.3 * code
        rows = [means(code, a, every) - means(code, b, every) for a, b in combinations(range(groups), 2)]
        rows, target = np.array(rows), np.zeros(len(rows))

        def solve(score, epsilon=epsilon):
            return project_parity(score, code, epsilon=epsilon, **box)

        return Instance(
            torch.tensor(score, dtype=dtype), rows, target, np.full(len(rows), epsilon), lower, upper, solve, code
        )
    attributes = group if kind.endswith("2 attributes") else group[:, :1]
    if kind.startswith("mean prediction"):
        contrasts = Contrasts.mean_prediction(attributes)
        rows = [means(a, 0, every) - means(a, 1, every) for a in attributes.T]
        target = np.zeros(len(rows))
    elif kind.startswith("equalized odds"):
        contrasts = Contrasts.equalized_odds(attributes, y)
        rows = [means(a, 0, y == label) - means(a, 1, y == label) for a in attributes.T for label in (0, 1)]
        target = np.zeros(len(rows))
    elif kind.startswith("mean residual"):
        contrasts = Contrasts.mean_residual(attributes, y)
        rows = [means(a, code, every) for a in attributes.T for code in (0, 1)]
        target = np.array(rows) @ y
    else:
        rows = random.normal(size=(3, n)) / n
        inner = np.clip(random.normal(0.5, 0.2, n), 0, 1)  # within every box, so that the constraints can be met
        target = rows @ inner
        contrasts = Contrasts.affine(rows, target)
    rows = np.array(rows)

    def solve(score, epsilon=epsilon, offset=None):
        return project(score, contrasts, epsilon=epsilon, offset=offset, **box)

    return Instance(
        torch.tensor(score, dtype=dtype), rows, target, np.full(len(rows), epsilon), lower, upper, solve, attributes
    )
