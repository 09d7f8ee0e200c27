"""Small data for the bilevel methods; the tests beside import this by its name."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fairbench.api import Samples, Schema


def make_samples(n: int, *, seed: int, n_groups: int = 2, protected: int = 1) -> Samples:
    """Return n rows whose label follows the features and is rarer in later groups."""
    random = np.random.default_rng(seed)
    group = random.integers(0, n_groups, n)
    features = random.normal(size=(n, 4)) - (group / max(n_groups - 1, 1))[:, None] * [1.2, 0, 0.4, 0]
    y = (features @ [2.0, -1.0, 0.5, 0.0] + 0.7 * random.normal(size=n) > 0).astype(int)
    names = tuple(f"g{code}" for code in range(n_groups))
    return Samples(features.astype(np.float32), group, Schema(("a", "b", "c", "d"), names, protected), y)


def flat(tensors: list[Tensor]) -> Tensor:
    """Return a copy of tensors as one vector."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
