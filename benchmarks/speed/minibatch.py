"""A pass of a network over its mini-batches, as ``Network.train`` makes it, against torch's graph and AdamW."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import torch
from _timing import Row, alternately
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.optimisers import FusedAdamW
from fairbench.api.torch import Batch, Layers, minibatches, mlp

SHAPES = {
    "as adult": (31655, 104, 256),
    "as compas": (4320, 7, 256),
    "as german": (700, 60, 64),
}  # rows, features, batch
HIDDEN = 64


def batch(rows: int, features: int) -> Batch:
    """Return random rows; values do not matter for time."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, features, generator=generator)
    y = (torch.rand(rows, 1, generator=generator) < 0.25).float()
    nobody = torch.zeros(rows, dtype=torch.int64)
    return Batch(X, y, nobody, nobody.bool(), n_groups=1)


def one_pass(rows: Batch, size: int, written_out: bool) -> tuple[Callable[[], None], torch.nn.Module]:
    """Return what trains for one epoch, and the network that it trains."""
    model = mlp(rows.n_features, (HIDDEN,), seed=0)
    order = torch.Generator().manual_seed(0)
    layers, direct = Layers(model), FusedAdamW(model.parameters(), lr=1e-3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)

    def run() -> None:
        for features, labels in minibatches(rows, size, order):
            direct.follow(layers.gradients(features, labels)[0])

    def in_graph() -> None:
        for features, labels in minibatches(rows, size, order):
            loss = cross_entropy(model(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run if written_out else in_graph, model


def measure(quick: bool) -> Iterator[Row]:
    """Time passes over the rows of three shapes, in both ways, which end with the same bits."""
    for name, (rows, features, size) in list(SHAPES.items())[-1 if quick else 0 :]:
        data = batch(rows, features)
        ways = {way: one_pass(data, size, way == "written out") for way in ("graph", "written out")}
        found = alternately({way: run for way, (run, _) in ways.items()}, rounds=20, burst=0, budget=4.0)
        same = all(torch.equal(*pair) for pair in zip(*(model.parameters() for _, model in ways.values())))
        assert same, "the weights differ"
        yield found["written out"].row(f"a pass {name}", other=found["graph"], against="torch's graph")
