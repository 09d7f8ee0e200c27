"""The projection layer beside differentiable convex solvers, a plain sigmoid and a sort of the batch.

Mean prediction parity of two groups, epsilon 0.05, float32 scores in the box (0, 1), of which a few per cent are
clipped.

Peers are optional. ``pip install cvxpy cvxpylayers diffcp`` brings a layer that is built once for one batch's groups,
differentiated by diffcp, and CVXPY with Clarabel, forward only. The authors' package builds its problem anew for every
batch; it needs an environment of its own, because it cannot import newer peers: ``pip install --no-deps
fairness-training cvxpylayers==0.1.9 cvxpy==1.6.5 diffcp scs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import torch
from _timing import Row, Work, alternately
from fairbench_projection._solver.pair import COMPILED

from fairbench.api.projection import project_parity

SIZES = tuple(4**power for power in range(4, 11))  # 256 to 1,048,576 rows
LARGEST = {"package": 4096, "cvxpylayers": 4096, "clarabel": 65_536}  # more takes minutes, or memory in n^2
NEEDS = {
    "package": ("fairness_training", "cvxpylayers"),
    "cvxpylayers": ("cvxpylayers", "diffcp"),
    "clarabel": ("cvxpy",),
}
SHOWN = {
    "sigmoid": "a sigmoid, forward and backward",
    "sort": "torch.sort of the scores",
    "package": "the layer of the authors' package",
    "cvxpylayers": "cvxpylayers",
    "clarabel": "CVXPY with Clarabel, forward only",
}
EPSILON = 0.05


def differentiable_problem(group: np.ndarray):
    """Return the problem of a batch with these groups as CVXPY states it, its parameter and its variable."""
    import cvxpy

    row = np.where(group == 0, 1 / (group == 0).sum(), -1 / (group == 1).sum())
    y, z = cvxpy.Variable(len(group)), cvxpy.Parameter(len(group))
    gap = row @ y
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(y - z)), [y >= 0, y <= 1, gap <= EPSILON, gap >= -EPSILON])
    return problem, z, y


def cvxpy_layer(group: np.ndarray, score: torch.Tensor, gradient: torch.Tensor) -> Work:
    """Return forward and backward through a layer that is built once, which changing groups would not allow."""
    from cvxpylayers.torch import CvxpyLayer

    problem, z, y = differentiable_problem(group)
    layer = CvxpyLayer(problem, parameters=[z], variables=[y])
    leaf = score.detach().double().requires_grad_()
    return lambda: layer(leaf)[0].backward(gradient.double())


def clarabel(group: np.ndarray, score: torch.Tensor) -> Work:
    """Return the forward pass alone by CVXPY with Clarabel at its default tolerances."""
    problem, z, _ = differentiable_problem(group)

    def solve() -> None:
        z.value = score.detach().double().numpy()
        problem.solve(solver="CLARABEL")

    return solve


def package(group: np.ndarray, score: torch.Tensor, gradient: torch.Tensor) -> Work:
    """Return forward and backward through the layer of the authors' package, as its training calls it."""
    from fairness_training import FairModel

    class Given(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = torch.nn.Parameter(score.detach().reshape(-1, 1))

        def forward(self, inputs):
            return self.score

    model = FairModel(input_dim=1, prediction_bounds=(0.0, 1.0), fairness_tolerance=EPSILON, custom_network=Given())
    inputs = torch.tensor(group, dtype=torch.float32).reshape(-1, 1)
    return lambda: model(inputs).reshape(-1).backward(gradient)


def works(n: int, seed: int = 0) -> dict[str, Work]:
    """Return everything that is timed at a size, by name."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 2, n)
    values = random.normal(0.45 + 0.1 * group, 0.24, n)
    score = torch.tensor(values, dtype=torch.float32, requires_grad=True)
    gradient = torch.tensor(random.normal(size=n), dtype=torch.float32)
    codes, plain = torch.tensor(group), score.detach()

    def here() -> None:
        score.grad = None
        project_parity(score, codes, epsilon=EPSILON, lower=0.0, upper=1.0).backward(gradient)

    def sigmoid() -> None:
        score.grad = None
        score.sigmoid().backward(gradient)

    peers = {
        "package": lambda: package(group, score, gradient),
        "cvxpylayers": lambda: cvxpy_layer(group, score, gradient),
        "clarabel": lambda: clarabel(group, score),
    }
    made = {name: make() for name, make in peers.items() if n <= LARGEST[name] and not missing(name)}
    return {"here": here, "sigmoid": sigmoid, "sort": lambda: plain.sort(), **made}


def missing(peer: str) -> list[str]:
    """Return the modules that a peer needs and that are not installed."""
    return [module for module in NEEDS[peer] if find_spec(module) is None]


def measure(quick: bool) -> Iterator[Row]:
    """Time the projection and its peers at growing sizes of the batch."""
    how = "compiled" if COMPILED else "not compiled, because there was no compiler: the general search"
    for n in SIZES[: 2 if quick else None]:
        found = alternately(works(n), rounds=5, budget=3.0)
        here = found.pop("here")
        yield here.row("the projection, forward and backward", size=n, of="scores", note=how)
        for name, times in found.items():
            yield here.row(f"the projection of {n:,} scores", other=times, against=SHOWN[name])
    for peer in NEEDS:
        if lacking := missing(peer):
            yield Row(SHOWN[peer], None, "CPU ms", note=f"{' and '.join(lacking)} not installed")
