"""Photographs from a folder that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairbench.api import NotApplicable
from fairbench_datasets import _reading


def require_folder(dataset: str, folder: str, needed: Sequence[str], source: str) -> Path:
    """Return the folder that holds a dataset's photographs and tables.

    Args:
        dataset: its name.
        folder: as the user gave it; empty if none was given.
        needed: files and folders that must be in it.
        source: where to get the data, and under which terms.

    Raises:
        NotApplicable: there is no such folder, or something is missing in it.
    """
    advice = f"get the data from {source} and name the folder: {dataset}[folder=PATH]"
    if not folder:
        raise NotApplicable(f"{dataset} is not downloaded: {advice}")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise NotApplicable(f"{dataset}: the folder {folder} does not exist; {advice}")
    missing = [name for name in needed if not (path / name).exists()]
    if missing:
        raise NotApplicable(f"{dataset}: {folder} holds no {', '.join(missing)}; {advice}")
    return path


def read_photographs(dataset: str, paths: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """Return flattened images (n, 3 size size), each photograph squashed to a square.

    Raises:
        NotApplicable: Pillow is not installed.
        DataError: a photograph is missing or damaged.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise NotApplicable(f"{dataset} needs Pillow: pip install 'fairbench-harness[images]'") from error

    X = np.empty((len(paths), 3 * size * size), dtype=np.uint8)
    for row, path in enumerate(paths):
        with _reading.refusing(path, "a photograph"), Image.open(path) as opened:
            image = opened.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        X[row] = np.asarray(image).transpose(2, 0, 1).ravel()
    return X
