"""What an epoch of each trained method costs, beside one of the plain network and beside its matrix products alone.

``plain`` is the ratio to an epoch of the plain network with the same layers on the same rows, mini-batches of 256 for
methods that take them, all rows at once for FaAlGrad. ``minimum`` is the ratio to the time of the matrix products that
the algorithm cannot do without, run by themselves on the same machine: those of each forward and backward pass, of the
derivative through each inner step, of the validation loss, and for FaAlGrad of the query gradient in its cosine. It
leaves out everything else: gathering rows, activations, losses, the optimiser. FaAlGrad's derivatives are written out;
a row ``torch's graph`` has them through that, and a row ``higher`` has the inner loop through the library of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Optional
from unittest import mock

import fairbench_meta.faalgrad
import numpy as np
import torch
from _timing import Row, Times, Work, alternately
from fairbench_baselines.mba_dp import BalancedGroups, balance_sides
from fairbench_baselines.mlp import MLP
from fairbench_baselines.mlp_regularised import RegularisedMLP
from fairbench_bilevel.fairbinn import FairBiNN
from fairbench_bilevel.lagrangian_dp import LagrangianDP
from fairbench_meta._course import Course
from fairbench_meta.faalgrad import FaAlGrad
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_meta.pdfm import PrimalDualFairMeta

from fairbench.api import Samples, Schema
from fairbench.api.torch import unroll

SHAPES = {"compas": (4320, 926, 7, (8,)), "adult": (31655, 6783, 100, (8, 8))}
BATCH, TASKS = 256, 8
WIDE = 64  # the units of the plain network in the Table 1 suite
AIMED = ("faalgrad[inner_steps=1]", "faalgrad[inner_steps=10]")
Widths = Sequence[int]


def samples(rows: int, features: int, seed: int) -> Samples:
    """Return normal features, two groups of a third and two thirds, and labels that depend on both."""
    random = np.random.default_rng(seed)
    X, group = random.normal(size=(rows, features)).astype(np.float32), (random.random(rows) < 1 / 3).astype(int)
    y = (X[:, 0] + group + random.normal(size=rows) > 0.5).astype(int)
    return Samples(X, group, Schema(tuple(f"x{column}" for column in range(features)), ("other", "protected"), 1), y)


class Products:
    """Matrix products to be timed by themselves; each is counted, and run as often as the algorithm needs it."""

    def __init__(self, widths: Widths) -> None:
        """Start with none, for layers of these widths, inputs first."""
        self.widths, self.pairs, self.buffers = widths, [], {}

    def layers(self, rows: int, times: float, first: Sequence[int], other: Sequence[int], tasks: int = 1) -> Products:
        """Add products of forward, weight-gradient and input-gradient shape, for the first layer and for the others."""
        for place, (n_in, n_out) in enumerate(zip(self.widths, self.widths[1:])):
            kinds = ((n_out, n_in, rows), (n_out, rows, n_in), (n_in, n_out, rows))
            for (m, k, n), count in zip(kinds, other if place else first):
                if count:
                    self.pairs.append((self.buffer(tasks, m, k), self.buffer(tasks, k, n), count * times))
        return self

    def forward(self, rows: int, times: float = 1, tasks: int = 1) -> Products:
        """Add forward passes."""
        return self.layers(rows, times, (1, 0, 0), (1, 0, 0), tasks)

    def gradient(self, rows: int, times: float = 1, tasks: int = 1) -> Products:
        """Add forward and backward passes."""
        return self.layers(rows, times, (1, 1, 0), (1, 1, 1), tasks)

    def inner_steps(self, rows: int, times: float, tasks: int = 1) -> Products:
        """Add inner steps through which the derivative is taken.

        A step has Z = W A and the gradients by W and A; the derivatives of these three products are two more of each.
        """
        return self.layers(rows, times, (2, 2, 0), (3, 3, 3), tasks)

    def buffer(self, *shape: int) -> torch.Tensor:
        """Return a matrix, the same one for the same shape."""
        return self.buffers.setdefault(shape, torch.rand(*shape).squeeze(0))

    def seconds(self, rounds: int) -> float:
        """Return the CPU time of all products once, each in its fastest round, with its data in the cache."""
        total = 0.0
        for left, right, count in self.pairs:
            product = partial(torch.matmul, left, right, out=left @ right)
            total += count * alternately({"": product}, rounds)[""].best
        return total


def smallest(run: Work, rounds: int) -> float:
    """Return the CPU time of a call in the fastest of some rounds."""
    return alternately({"": run}, rounds, burst=0)[""].best


def epoch(method, train: Samples, validation: Samples, rounds: int) -> float:
    """Return what an epoch adds to a fit: the difference between fits of 2 and of 8 epochs."""
    fits = [replace(method, epochs=epochs) for epochs in (2, 8)]
    short, long = (smallest(lambda fit=fit: fit.fit(train, validation, seed=0), rounds) for fit in fits)
    return (long - short) / 6


def outer_step(method, train: Samples, rounds: int) -> tuple[float, Products]:
    """Return the time of an outer step of a meta-learner on eight tasks, and its products."""
    course = Course(method, train, seed=0)
    support, query = course.draw(range(TASKS))
    rule = course.rule
    steps = rule.steps * rule.rounds
    products = Products((train.X.shape[1], *method.hidden, 1))
    if rule.first_order:
        products.gradient(support.X.shape[1], steps, TASKS)
    else:
        products.inner_steps(support.X.shape[1], steps, TASKS)
    products.gradient(query.X.shape[1], 1, TASKS)
    return smallest(lambda: [course.learn(range(TASKS)) for _ in range(10)], rounds) / 10, products


class Cost(NamedTuple):
    """Seconds of an epoch of a method, or of an outer step; of the plain network's; and the products by themselves."""

    name: str
    seconds: float
    plain: Optional[float]
    products: Optional[Products]


def costs(shape: str, rounds: int) -> Iterator[Cost]:
    """Yield the cost of each method."""
    n, n_validation, d, hidden = SHAPES[shape]
    train, validation = samples(n, d, 0), samples(n_validation, d, 1)
    widths, n_support = (d, *hidden, 1), int(train.protected.sum())
    full = {"hidden": hidden, "patience": 99}

    def batches(rows: int) -> Products:
        return Products(widths).gradient(BATCH, rows / BATCH).forward(n_validation)

    everything = Products(widths).gradient(n).forward(n_validation)
    plain = {size: epoch(MLP(batch_size=size, **full), train, validation, rounds) for size in (BATCH, 0)}
    yield Cost("mlp", plain[BATCH], plain[BATCH], batches(n))
    yield Cost("mlp[batch_size=0]", plain[0], plain[0], everything)
    wide = epoch(MLP(hidden=(WIDE,), batch_size=BATCH, patience=99), train, validation, rounds)
    least = Products((d, WIDE, 1)).gradient(BATCH, n / BATCH).forward(n_validation)
    yield Cost(f"mlp[hidden={WIDE}]", wide, plain[BATCH], least)
    for name, cls in (("mlp_regularised", RegularisedMLP), ("mba_dp", BalancedGroups)):
        rows = len(balance_sides(train, seed=0)) if cls is BalancedGroups else n
        yield Cost(name, epoch(cls(**full), train, validation, rounds), plain[BATCH], batches(rows))
    for name, cls in (("fairbinn", FairBiNN), ("lagrangian_dp", LagrangianDP)):
        method = cls(hidden=hidden, fair_layers=(hidden[-1], hidden[-1]), batch_size=BATCH)
        yield Cost(name, epoch(method, train, validation, rounds), plain[BATCH], None)
    for steps in (1, 10):
        method = FaAlGrad(inner_steps=steps, inner_lr=1e-3, outer_lr=1e-3, **full)
        products = Products(widths).inner_steps(n_support, steps).gradient(n - n_support, 2).forward(n_validation)
        name = f"faalgrad[inner_steps={steps}]"
        yield Cost(name, epoch(method, train, validation, rounds), plain[0], products)
        with mock.patch.object(fairbench_meta.faalgrad, "written_out", return_value=None):
            yield Cost(f"{name}, torch's graph", epoch(method, train, validation, rounds), plain[0], products)
            through = partial(unroll, inner_loop="higher")
            with mock.patch.object(fairbench_meta.faalgrad, "unroll", through):
                yield Cost(f"{name}, higher", epoch(method, train, validation, rounds), plain[0], products)
    for cls in (FairMAML, MaskedFTML, FFML, PrimalDualFairMeta):
        seconds, products = outer_step(cls(hidden=hidden, task_count=TASKS), train, rounds)
        yield Cost(f"{cls.name}, an outer step", seconds, None, products)


def measure(quick: bool) -> Iterator[Row]:
    """Time an epoch of each method on each shape."""
    rounds = 1 if quick else 2
    for shape in ("compas",) if quick else SHAPES:
        for name, seconds, plain, products in costs(shape, rounds):
            least = None if products is None else products.seconds(rounds)
            times = None if plain is None else f"plain {seconds / plain:.2f}"
            note = ", ".join(filter(None, [times, None if least is None else f"minimum {seconds / least:.1f}"]))
            other = None if plain is None else Times(plain, plain)
            against = "" if plain is None else "the plain network"
            yield Times(seconds, seconds).row(f"{name}, as {shape}", other=other, against=against, note=note)
            if shape == "adult" and name in AIMED and least is not None:
                yield Row(f"{name}, as {shape}, over its products", seconds / least, "x", aim=1.5)
