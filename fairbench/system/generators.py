"""The global random generators, which every cell seeds: whoever asked for a run has drawn from them too."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give Python's, numpy's and torch's global generators the states back that they had before the block.

    Torch's are kept if it is loaded by then, those of its devices if they are in use.
    """
    torch: Any = sys.modules.get("torch")
    ours, numpys = random.getstate(), np.random.get_state(legacy=False)
    torchs = torch.get_rng_state() if torch else None
    devices = torch.cuda.get_rng_state_all() if torch and torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)
        if torchs is not None:
            torch.set_rng_state(torchs)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


def seed_generators(seed: int) -> None:
    """Seed them, so that even a method that uses them gives the same numbers in every run."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        torch: Any = sys.modules["torch"]
        if torch.cuda.is_available() or torch.backends.mps.is_available():
            torch.manual_seed(seed)
        else:  # the same, without looking for devices at length
            torch.default_generator.manual_seed(seed)


@contextmanager
def generators_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators for the block, and give them back the states that they had before."""
    with generators_kept():
        seed_generators(seed)
        yield
