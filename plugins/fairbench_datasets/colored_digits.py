"""Coloured digits from scikit-learn's bundle: feedback loops on images without a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Dataset, DatasetSpec, derive_seed, hookimpl, parameter
from fairbench_datasets import _coloured

COPIES = 4
IMAGES, TRAIN, VALIDATION = 1797, 1200, 97


@dataclass(frozen=True)
class ColoredDigits:
    """1,797 handwritten digits of 8 x 8 pixels, four copies of each: is the digit 5 or more (y = 1, favourable)?

    Each copy but the first is rolled by up to a pixel in both directions, and each draws its own label flip and colour:
    green goes with y = 1, red is the protected group. All copies of a digit are in the same part: a split has those of
    1,200 digits for training, 97 for validation and 500 for the test.

    References:
        Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI; the test file, as scikit-learn has
        it. Coloured after Wyllie, Shumailov and Papernot (2024), Fairness feedback loops, FAccT.
    """

    name = "colored_digits"
    files = ()
    licence = "CC BY 4.0"
    sensitive_features = ("colour",)
    threshold: int = _coloured.threshold_parameter()
    flip: float = _coloured.flip_parameter()
    green_if_1: float = _coloured.green_parameter(1)
    green_if_0: float = _coloured.green_parameter(0)
    data_seed: int = parameter(0, "seed of rolls, flips and colours", minimum=0)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Take the digits out of scikit-learn; no file is read."""
        import pandas as pd
        from sklearn.datasets import load_digits

        images, digit = load_digits(return_X_y=True)
        grey = (images / 16).astype(np.float32).reshape(-1, 8, 8)
        random = np.random.default_rng(self.data_seed)
        copies = [grey]
        for _ in range(COPIES - 1):
            shifts = random.integers(-1, 2, (len(grey), 2))
            copies.append(np.stack([np.roll(image, shift, (0, 1)) for image, shift in zip(grey, shifts)]))
        y = _coloured.noisy_labels(np.tile(digit >= self.threshold, COPIES), self.flip, random)
        colour = _coloured.draw_colours(np.where(y == 1, self.green_if_1, self.green_if_0), random)
        return Dataset(
            name=self.name,
            X=_coloured.coloured(np.concatenate(copies), colour),
            y=y,
            sensitive_features=pd.DataFrame({"colour": colour}),
            protected_group={"colour": _coloured.RED},
            notes=(_coloured.NOTE,),
            image_shape=(3, 8, 8),
            partition=partition,
            overlap="pool",
        )


def partition(seed: int) -> list[NDArray[np.intp]]:
    """Return the rows of a split: every digit with all its copies, which are ``IMAGES`` rows apart."""
    order = np.random.default_rng(derive_seed("partition", seed)).permutation(IMAGES)
    copies = IMAGES * np.arange(COPIES)
    parts = np.split(order, [TRAIN, TRAIN + VALIDATION])
    return [np.sort((part[:, None] + copies).ravel()) for part in parts]


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [ColoredDigits]
