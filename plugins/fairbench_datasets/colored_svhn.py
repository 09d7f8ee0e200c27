"""House numbers in red or green."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import DataError, DataFile, Dataset, DatasetSpec, derive_seed, hookimpl, parameter
from fairbench_datasets import _coloured, _matlab, _reading

FOLDER = "http://ufldl.stanford.edu/housenumbers"
TRAIN = DataFile(
    "svhn/train_32x32.mat",
    "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    (f"{FOLDER}/train_32x32.mat",),
    bytes=182040794,
)
TEST = DataFile(
    "svhn/test_32x32.mat",
    "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    (f"{FOLDER}/test_32x32.mat",),
    bytes=64275384,
)
TRAINING, TRAIN_FILE = 52_327, 73_257
LUMINANCE = (0.299, 0.587, 0.114)
CHUNK = 4096  # images converted at once


@dataclass(frozen=True)
class ColoredSVHN:
    """Is the digit of a house number below 5 (y = 1, favourable)? 99,289 photographs, their brightness red or green.

    The classes are the reverse of coloured MNIST's, as in the paper's code. Green goes with y = 1, red is the protected
    group; in the test file the colour is drawn by a fair coin. Each repeat splits the training file anew, 52,327 images
    for training and 20,930 for validation; the test file, 26,032 images, stays the same.

    References:
        Netzer, Wang, Coates, Bissacco, Wu and Ng (2011), Reading digits in natural images; coloured after Wyllie,
        Shumailov and Papernot (2024), Fairness feedback loops, FAccT.
    """

    name = "colored_svhn"
    files = (TRAIN, TEST)
    only_by_name = True
    licence = "for non-commercial use only"
    sensitive_features = ("colour",)
    threshold: int = _coloured.threshold_parameter()
    flip: float = _coloured.flip_parameter()
    green_if_1: float = _coloured.green_parameter(1)
    green_if_0: float = _coloured.green_parameter(0)
    test_colours: str = parameter(
        "balanced", "in the test file: correlated as in training, or half and half", choices=("correlated", "balanced")
    )
    size: int = parameter(64, "side of the images; 64 enlarges the 32 x 32 originals", choices=(32, 64))
    data_seed: int = parameter(0, "seed of flips and colours", minimum=0)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the two files, take the brightness and colour it.

        Raises:
            DataError: a file is damaged.
        """
        import pandas as pd

        tables = [_read(files[file.path]) for file in (TRAIN, TEST)]
        if len(tables[0][1]) != TRAIN_FILE:
            raise DataError(f"{files[TRAIN.path]}: {len(tables[0][1]):,} images; there must be {TRAIN_FILE:,}")
        digit = np.concatenate([digits for _, digits in tables]) % 10  # 10 stands for 0
        grey = np.concatenate([_brightness(images, self.size) for images, _ in tables])
        random = np.random.default_rng(self.data_seed)
        y = _coloured.noisy_labels(digit < self.threshold, self.flip, random)
        chance = np.where(y == 1, self.green_if_1, self.green_if_0)
        if self.test_colours == "balanced":
            chance[TRAIN_FILE:] = 0.5
        colour = _coloured.draw_colours(chance, random)
        return Dataset(
            name=self.name,
            X=_coloured.coloured(grey, colour),
            y=y,
            sensitive_features=pd.DataFrame({"colour": colour}),
            protected_group={"colour": _coloured.RED},
            notes=(_coloured.NOTE,),
            image_shape=(3, self.size, self.size),
            partition=lambda seed: partition(seed, len(y)),
            overlap="unknown",  # one test part for all repeats
        )


def partition(seed: int, n: int) -> list[NDArray[np.intp]]:
    """Return the rows of a split: the training file's in random order, and the test file's."""
    order = np.random.default_rng(derive_seed("partition", seed)).permutation(TRAIN_FILE)
    return [np.sort(order[:TRAINING]), np.sort(order[TRAINING:]), np.arange(TRAIN_FILE, n)]


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images (32, 32, 3, n) and digits (n,), 1 to 10, of one file."""
    with _reading.refusing(path, "a MATLAB file with images X and digits y"):
        table = _matlab.arrays(path.read_bytes())
        images, digits = table["X"], table["y"].ravel()
        if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(digits)) or not len(digits):
            raise ValueError(f"X is {images.dtype} of shape {images.shape} for {len(digits)} digits")
        if not np.isin(digits, range(1, 11)).all():
            raise ValueError(f"y holds {digits[~np.isin(digits, range(1, 11))][0]!r}; digits are coded 1 to 10")
        return images.astype(np.uint8, copy=False), digits.astype(np.int64)


def _brightness(X: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Return luminance images (n, size, size) of RGB images (32, 32, 3, n), enlarged linearly if need be."""
    from scipy.ndimage import zoom

    grey = np.empty((X.shape[3], size, size), dtype=np.uint8)
    for start in range(0, len(grey), CHUNK):
        part = np.tensordot(X[..., start : start + CHUNK].astype(np.float32), LUMINANCE, axes=(2, 0)).transpose(2, 0, 1)
        if size != part.shape[1]:
            part = zoom(part, (1, size / part.shape[1], size / part.shape[2]), order=1)
        grey[start : start + CHUNK] = part.round().clip(0, 255)
    return grey


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [ColoredSVHN]
