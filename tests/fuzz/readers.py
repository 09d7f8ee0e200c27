"""The readers of datasets: one raw file of a dataset is changed, the others are sound."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from engine import Reader, Target, Wrong
from fairbench_datasets import (
    _matlab,
    adult,
    bank,
    celeba,
    colored_mnist,
    communities,
    compas,
    credit_default,
    diabetes,
    dutch,
    german,
    law_school,
    ricci,
    student,
)
from fairbench_datasets.health import Health
from mutation import mutated

from fairbench.api import Dataset, NotApplicable
from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset

sys.path.append(str(Path(__file__).parents[1] / "plugins"))  # beside the tests of the same readers
from health_files import make_tables, write

ROWS = 40  # of the real files at their beginning, and as many of the rest, so that an input takes milliseconds
TABLES: Mapping[str, Any] = {
    "adult": adult.Adult,
    "bank": bank.Bank,
    "communities": communities.Communities,
    "compas": compas.Compas,
    "credit_default": credit_default.CreditDefault,
    "diabetes": diabetes.Diabetes,
    "dutch": dutch.Dutch,
    "german": german.German,
    "law_school": law_school.LawSchool,
    "ricci": ricci.Ricci,
    "student": student.Student,
}


def checked_dataset(dataset: Dataset) -> None:
    """Split a dataset for its first attribute; what a method would learn from must be finite."""
    if not set(np.unique(dataset.y)) <= {0, 1}:
        raise Wrong(f"labels {np.unique(dataset.y)[:5]}")
    try:
        split = split_dataset(dataset, group=dataset.sensitive_features.columns[0], seed=0, preparation=Preparation())
    except NotApplicable:
        return
    for part in (split.train, split.validation, split.test):
        if not np.isfinite(part.X).all():
            raise Wrong("features that are not finite")


def _reader(paths: Mapping[str, Path], load: Callable[[], object], change: Any = mutated) -> Reader:
    """Return the reader of files that lie there already."""
    seeds = {name: path.read_bytes() for name, path in paths.items()}

    def read(name: str, content: bytes) -> None:
        paths[name].write_bytes(content)
        try:
            found = load()
            if isinstance(found, Dataset):
                checked_dataset(found)
        finally:
            paths[name].write_bytes(seeds[name])

    load()
    return Reader(seeds, read, change)


def _table(spec: Any, folder: Path) -> Reader:
    """Return the reader of a published table, of which the first rows are taken, and some of the others."""
    files, source = {}, Path(os.environ["FAIRBENCH_DATA"])
    for file in spec.files:
        files[file.path] = folder / Path(file.path).name
        rows = (source / file.path).read_bytes().splitlines(keepends=True)
        files[file.path].write_bytes(b"".join([*rows[:ROWS], *rows[ROWS :: len(rows) // ROWS]]))
    return _reader({path.name: path for path in files.values()}, lambda: spec().load(files))


def _no_files() -> str:
    named = os.environ.get("FAIRBENCH_DATA")
    return "" if named else "FAIRBENCH_DATA is unset; it must name a folder with the raw files (adult/adult.data ...)"


def _health(folder: Path) -> Reader:
    files = write(make_tables(25), folder)  # this variant reads all five
    return _reader({path.name: path for path in files.values()}, lambda: Health(variant="fairbinn").load(files))


def _within_gzip(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    if random.random() < 0.3:
        return mutated(content, random, others)
    return gzip.compress(mutated(gzip.decompress(content), random), 1)


def _idx(folder: Path) -> Reader:
    path = folder / "labels.gz"
    digits = bytes(np.random.default_rng(0).integers(0, 10, 500).tolist())
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1]) + np.array([500], ">u4").tobytes() + digits))
    return _reader({path.name: path}, lambda: colored_mnist._idx(path, 1, 9), _within_gzip)


def _svhn(folder: Path) -> Reader:
    from fairbench_datasets import colored_svhn
    from scipy.io import savemat

    random, paths = np.random.default_rng(0), {}
    pixels = random.integers(0, 255, (32, 32, 3, 2), dtype=np.uint8)
    for name, compressed in (("plain.mat", False), ("compressed.mat", True)):
        paths[name] = folder / name
        savemat(paths[name], {"X": pixels, "y": np.array([[1], [10]], np.uint8)}, do_compression=compressed)
    assert set(_matlab.arrays(paths["plain.mat"].read_bytes())) == {"X", "y"}
    return _reader(paths, lambda: [colored_svhn._read(path)[0] for path in paths.values()])


def _faces(folder: Path) -> Reader:
    from PIL import Image

    rows = [f"{n:06d}.jpg  1 {1 if n % 2 else -1} {1 if n % 3 else -1}\n" for n in range(12)]
    (folder / celeba.ATTRIBUTES).write_text("12\n5_o_Clock_Shadow Attractive Male \n" + "".join(rows))
    (folder / celeba.PARTITION).write_text("".join(f"{n:06d}.jpg {n // 4}\n" for n in range(12)))
    (folder / celeba.IMAGES).mkdir(exist_ok=True)
    for n in range(12):
        Image.new("RGB", (4, 4), (20 * n, 0, 0)).save(folder / celeba.IMAGES / f"{n:06d}.jpg")
    names = (celeba.ATTRIBUTES, celeba.PARTITION, f"{celeba.IMAGES}/000003.jpg")
    paths = {name.replace("/", "_"): folder / name for name in names}
    return _reader(paths, lambda: celeba.CelebA(folder=str(folder), size=8).load({}))


def _no_pillow() -> str:
    try:
        import PIL  # noqa: F401
    except ImportError:
        return "Pillow is not installed"
    return ""


READERS = [
    *(Target(f"dataset-{name}", partial(_table, spec), _no_files) for name, spec in TABLES.items()),
    Target("dataset-health", _health),
    Target("dataset-mnist", _idx),
    Target("dataset-svhn", _svhn),
    Target("dataset-celeba", _faces, _no_pillow),
]
