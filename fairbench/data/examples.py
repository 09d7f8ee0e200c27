"""Small generated splits, a table and images, to which the checks of ``fairbench.testing`` and tests fit methods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairbench.data.rows import Samples, Schema, Split


def example_split(groups: int = 2, rows: int = 240, seed: int = 0) -> Split:
    """Return a small split whose labels depend on the features and whose groups differ in base rate."""
    generator = np.random.default_rng(seed)
    group = generator.integers(0, groups, rows)
    X = generator.normal(size=(rows, 5)).astype(np.float32)
    X[:, 0] += 0.8 * group
    y = (X[:, 0] + X[:, 1] + generator.normal(size=rows) > 0.5).astype(np.int64)
    schema = Schema(tuple(f"x{column}" for column in range(5)), tuple(f"group {code}" for code in range(groups)), 0)
    samples = Samples(X, group, schema, y)
    order, first, second = np.arange(rows), int(0.7 * rows), int(0.85 * rows)
    return Split(*(samples.select(part) for part in (order[:first], order[first:second], order[second:])))


def example_images(groups: int = 2, rows: int = 240, seed: int = 0) -> Split:
    """Return a small split of 3 x 16 x 16 images whose labels depend on their brightness and groups on their colour."""
    table, shape = example_split(groups, rows, seed), (3, 16, 16)
    generator = np.random.default_rng(seed)
    schema = replace(
        table.train.schema, feature_names=tuple(f"pixel {place}" for place in range(768)), image_shape=shape
    )

    def images(part: Samples) -> Samples:
        X = generator.random((len(part), *shape), dtype=np.float32) / 2
        X += part.y[:, None, None, None] / 4
        X[np.arange(len(part)), part.group % 3] += 0.25
        return Samples(X.reshape(len(part), -1), part.group, schema, part.y)

    return Split(*(images(part) for part in (table.train, table.validation, table.test)))
