"""A pass of a baseline's network over its mini-batches: the written-out gradient against torch's graph.

``python benchmarks/speed/minibatch.py`` prints milliseconds of a pass (median of many, one thread, the two in turn) and
the ratio, for the shapes of Adult and COMPAS. Both ways end with the same bits.
"""

from __future__ import annotations

import statistics
import time
from typing import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api.torch import Batch, minibatches, mlp

SHAPES = {
    "as adult": (31655, 104, 256),
    "as compas": (4320, 7, 256),
    "as german": (700, 60, 64),
}  # rows, features, batch
HIDDEN = 64
PASSES = 30


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
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    order = torch.Generator().manual_seed(0)

    def run() -> None:
        for features, labels in minibatches(rows, size, order):
            if written_out:
                model.backpropagate(features, labels)
            else:
                loss = cross_entropy(model(features), labels)
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()

    return run, model


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"{'':12}{'graph':>10}{'written out':>13}{'ratio':>8}")
    for name, (rows, features, size) in SHAPES.items():
        data = batch(rows, features)
        ways = [one_pass(data, size, written_out) for written_out in (False, True)]
        times: list[list[float]] = [[], []]
        for _ in range(PASSES):
            for taken, (run, _) in zip(times, ways):
                started = time.perf_counter()
                run()
                taken.append(1000 * (time.perf_counter() - started))
        graph, written = map(statistics.median, times)
        same = all(torch.equal(*pair) for pair in zip(*(model.parameters() for _, model in ways)))
        print(f"{name:12}{graph:10.2f}{written:13.2f}{graph / written:8.2f}{'' if same else '  the weights differ'}")


if __name__ == "__main__":
    main()
