"""One-hot columns as a dense product, and as rows gathered from the weights: the first layer at Adult's size.

The columns are 6 numbers and 8 categories with 94 values, about as in Adult. A step is the first layer's forward pass
and its weights' gradient, the only two products that the columns take part in; the rest of an epoch is the same for
both. All 31,655 rows are passed once, in mini-batches of 256 or at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from _timing import Row, alternately

from fairbench.api.perceptron import FEW_UNITS, MANY_ROWS

ROWS, NUMBERS, CATEGORIES = 31655, 6, (8, 16, 7, 14, 6, 5, 2, 36)


def measure(quick: bool) -> Iterator[Row]:
    """Time both ways for few and many units, in small and large batches."""
    random = np.random.default_rng(0)
    starts = np.concatenate([[0], np.cumsum(CATEGORIES)[:-1]])
    codes = torch.from_numpy(np.stack([random.integers(0, n, ROWS) for n in CATEGORIES], axis=1) + starts)
    numbers = torch.from_numpy(random.normal(size=(ROWS, NUMBERS)).astype(np.float32))
    hot = torch.zeros(ROWS, sum(CATEGORIES)).scatter_(1, codes, 1.0)
    dense = torch.cat([numbers, hot], dim=1)
    for width in (8,) if quick else (8, 128):
        weight, table = torch.rand(width, dense.shape[1]), torch.rand(hot.shape[1], width)
        few = torch.rand(width, NUMBERS)
        slope = torch.rand(ROWS, width)
        for size in (256, ROWS):
            steps = [slice(start, start + size) for start in range(0, ROWS, size)]

            def multiply(steps=steps, weight=weight, slope=slope) -> None:
                for rows in steps:
                    if rows.stop - rows.start >= MANY_ROWS and len(weight) <= FEW_UNITS:
                        weight @ dense[rows].T  # with the rows as columns, as mlp's layers do where there are few units
                    else:
                        dense[rows] @ weight.T
                    slope[rows].T @ dense[rows]

            def gather(steps=steps, few=few, table=table, slope=slope, width=width) -> None:
                for rows in steps:
                    numbers[rows] @ few.T + torch.nn.functional.embedding_bag(codes[rows], table, mode="sum")
                    slope[rows].T @ numbers[rows]
                    spread = slope[rows].unsqueeze(1).expand(-1, len(CATEGORIES), -1).reshape(-1, width)
                    torch.zeros_like(table).index_add_(0, codes[rows].reshape(-1), spread)

            found = alternately({"dense": multiply, "gathered": gather}, rounds=2 if quick else 5)
            name = f"{width} units, {size:,} rows a step"
            yield found["dense"].row(name, other=found["gathered"], against="rows gathered from the weights")
