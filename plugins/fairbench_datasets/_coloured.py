"""Grey images whose colour, red or green, is the group and is related to the label: what the coloured datasets share.

Wyllie, Shumailov and Papernot (2024), Fairness feedback loops, FAccT; the steps and numbers are those of its code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import parameter

GREEN, RED = "green", "red"
NOTE = "Images stay in [0, 1] whatever the scaling; the colour, which is the group, is part of the image."


def threshold_parameter() -> Any:
    """Return the parameter that says where the digits are split into two classes."""
    return parameter(5, "the smallest digit of the upper class", minimum=1, maximum=9)


def flip_parameter() -> Any:
    """Return the parameter for label noise."""
    return parameter(0.05, "chance that a label is flipped, before the colour is drawn", minimum=0, maximum=1)


def green_parameter(label: int) -> Any:
    """Return the parameter for the chance of a colour given a label."""
    chance, which = ((0.7, "favourable"), (0.3, "unfavourable"))[1 - label]
    return parameter(chance, f"chance that an image with the {which} label is green", minimum=0, maximum=1)


def noisy_labels(y: NDArray[Any], flip: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Return labels (n,) in {0, 1}, each flipped with the given chance."""
    return np.where(random.random(len(y)) < flip, 1 - y, y).astype(np.int64)


def draw_colours(chance: NDArray[Any], random: np.random.Generator) -> NDArray[np.str_]:
    """Return ``green`` with the given chances (n,), else ``red``."""
    return np.where(random.random(len(chance)) < chance, GREEN, RED)


def coloured(grey: NDArray[Any], colour: NDArray[np.str_]) -> NDArray[Any]:
    """Return flattened images (n, 3 h w): grey levels (n, h, w) in the channel of their colour, zero in the others."""
    n, height, width = grey.shape
    X = np.zeros((n, 3, height, width), dtype=grey.dtype)
    channel = np.where(colour == RED, 0, 1)
    X[np.arange(n), channel] = grey
    return X.reshape(n, -1)
