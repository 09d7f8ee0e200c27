"""The projection layer compared with differentiable convex solvers, a plain sigmoid and a sort of the batch.

    python benchmarks/speed/projection.py            # 256 to 1,048,576 rows: minutes
    python benchmarks/speed/projection.py --to 1024  # a quick look

It prints CPU milliseconds of this process (so that other processes matter less) on one thread, and ratios: mean
prediction parity of two groups, float32 scores in the box (0, 1) of which a few per cent are clipped, epsilon 0.05.
Times are the best of several bursts, and so are the ratios; for the projection here the median burst is given too.

Peers are optional; those that are missing are named and left out. ``pip install cvxpy cvxpylayers diffcp`` brings a
layer that is built once for one batch's groups, differentiated by diffcp, and CVXPY with Clarabel, forward only. The
authors' package builds its problem anew for every batch; it needs an environment of its own, because it cannot import
newer peers: ``pip install --no-deps fairness-training cvxpylayers==0.1.9 cvxpy==1.6.5 diffcp scs``.
"""

from __future__ import annotations

import argparse
import gc
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from fairbench_projection._solver.pair import COMPILED
from threadpoolctl import threadpool_limits

from fairbench.api.projection import project_parity

SIZES = tuple(4**power for power in range(4, 11))  # 256 to 1,048,576 rows
LARGEST = {"package": 4096, "cvxpylayers": 4096, "clarabel": 65_536}  # more takes minutes, or memory in n^2
NEEDS = {
    "package": ("fairness_training", "cvxpylayers"),
    "cvxpylayers": ("cvxpylayers", "diffcp"),
    "clarabel": ("cvxpy",),
}
EPSILON = 0.05

Work = Callable[[], object]


def milliseconds(work: Work, repeats: int = 9, budget: float = 4.0) -> tuple[float, float]:
    """Return the best and the median time of a call, over this many bursts or, if it is slow, for a few seconds."""
    work()
    bursts, began = [], time.perf_counter()
    calls = 1
    for _ in range(repeats):
        gc.collect()
        started = time.process_time()
        for _ in range(calls):
            work()
        bursts.append((time.process_time() - started) / calls)
        calls = max(1, min(500, int(0.05 / min(bursts))))
        if time.perf_counter() - began > budget:
            break
    return 1000 * min(bursts), 1000 * median(bursts)


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


def row(n: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return the best and the median milliseconds of everything at a size."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 2, n)
    values = random.normal(0.45 + 0.1 * group, 0.24, n)
    score = torch.tensor(values, dtype=torch.float32, requires_grad=True)
    gradient, codes, plain = (
        torch.tensor(random.normal(size=n), dtype=torch.float32),
        torch.tensor(group),
        score.detach(),
    )

    def here() -> None:
        score.grad = None
        project_parity(score, codes, epsilon=EPSILON, lower=0.0, upper=1.0).backward(gradient)

    def sigmoid() -> None:
        score.grad = None
        score.sigmoid().backward(gradient)

    found = {"here": milliseconds(here), "sigmoid": milliseconds(sigmoid), "sort": milliseconds(lambda: plain.sort())}
    peers = {
        "package": lambda: package(group, score, gradient),
        "cvxpylayers": lambda: cvxpy_layer(group, score, gradient),
        "clarabel": lambda: clarabel(group, score),
    }
    for name, make in peers.items():
        if n <= LARGEST[name] and not missing(name):
            found[name] = milliseconds(make(), repeats=4)
    return found


def missing(peer: str) -> list[str]:
    """Return the modules that a peer needs and that are not installed."""
    return [module for module in NEEDS[peer] if find_spec(module) is None]


def main() -> None:
    """Print the table: milliseconds, and in brackets how many times as long it takes as here."""
    parser = argparse.ArgumentParser(description="Time the projection against its peers.")
    parser.add_argument("--to", type=int, default=SIZES[-1], metavar="ROWS", help="the largest batch")
    largest = parser.parse_args().to
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    threadpool_limits(1)
    names = ("sigmoid", "sort", *reversed(NEEDS))
    print(f"{'rows':>9} {'here':>9} {'(median)':>9}" + "".join(f"{name:>23}" for name in names))
    for n in (size for size in SIZES if size <= largest):
        found = row(n)
        best, middle = found["here"]
        cells = [
            f"{found[name][0]:>12.3f} (x{found[name][0] / best:>7.3g})" if name in found else f"{'-':>23}"
            for name in names
        ]
        print(f"{n:>9,} {best:>9.3f} {middle:>9.3f}" + "".join(cells), flush=True)
    print(f"here: {'compiled' if COMPILED else 'not compiled, because there was no compiler: the general search'}")
    print("milliseconds; clarabel: forward only; sort: torch.sort of the scores; the others: forward and backward")
    for peer in NEEDS:
        if lacking := missing(peer):
            print(f"{peer} is left out: {' and '.join(lacking)} not installed")
    used = [name for name in ("torch", "numpy", "cvxpy", "clarabel", "cvxpylayers", "diffcp") if find_spec(name)]
    print("with " + ", ".join(f"{name} {version(name)}" for name in used))


if __name__ == "__main__":
    main()
