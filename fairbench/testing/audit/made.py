"""Data made for an audit: labels are coin tosses, and they are in the files, as in real datasets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairbench import seeding
from fairbench.cells import Preparation
from fairbench.data.checksums import sha256
from fairbench.data.preparation import split_dataset
from fairbench.data.rows import Dataset, Split

ROWS = 400  # the test part has 60 of them
SHAPE = (3, 16, 16)  # of an image
REPEATS = 2
GROUP = "group"

_PLUGIN = '''\
from dataclasses import dataclass

from fairbench.api import DataFile, hookimpl
from fairbench.testing.audit.made import read_rows


@dataclass(frozen=True)
class Rows:
    """Rows of a file."""

    name = {name!r}
    files = (DataFile({file!r}, sha256={digest!r}, obtain="it is generated for an audit"),)
    sensitive_features = ({group!r},)

    def load(self, files):
        return read_rows(self.name, files[{file!r}])


@hookimpl
def fairbench_datasets():
    return [Rows]
'''


def read_rows(name: str, path: Path) -> Dataset:
    """Return the dataset in a file: images if its columns are pixels, else a table."""
    table = pd.read_csv(path)
    y, group, age = (table.pop(column) for column in ("label", GROUP, "age"))
    images = table.shape[1] == np.prod(SHAPE)
    return Dataset(
        name=name,
        X=table.to_numpy(np.uint8) if images else table,
        y=y.to_numpy(),
        sensitive_features=pd.DataFrame({GROUP: group.astype(str)}),
        protected_group={GROUP: "b"},
        image_shape=SHAPE if images else (),
        keys=pd.DataFrame({"age": age}),
    )


@dataclass(frozen=True)
class Made:
    """The data of one of the two processes, in a folder of its own.

    Args:
        name: of the dataset.
        folder: holds ``data`` (with the file), ``work`` (where the process runs), ``cache``, ``tmp`` and the plugin.
        dataset: what the file holds.
    """

    name: str
    folder: Path
    dataset: Dataset

    @property
    def plugin(self) -> Path:
        """Return the file of the plugin that brings the dataset."""
        return self.folder / f"{self.name}.py"

    def split(self, repeat: int) -> Split:
        """Return the split of a repeat, as the process sees it."""
        seed = seeding.derive_seed("split", self.name, GROUP, repeat)
        return split_dataset(self.dataset, group=GROUP, seed=seed, preparation=Preparation())


def make_pair(folder: Path, decoys: Sequence[str], *, images: bool = False) -> tuple[Made, Made]:
    """Return the data of the two processes: the same, except for the labels of the rows that the last repeat tests.

    Args:
        folder: where to make them.
        decoys: names of files that real datasets have, beside the one that the data are read from.
        images: make images instead of a table.
    """
    random, name = np.random.default_rng(), f"rows_{secrets.token_hex(4)}"
    table = _table(random, images)
    first = _write(folder / "one", name, table, decoys)
    rows = first.split(REPEATS - 1).test.rows
    assert rows is not None  # noqa: S101 - a test part has them
    labels = table["label"].to_numpy().copy()
    labels[rows] = random.integers(0, 2, len(rows))
    return first, _write(folder / "two", name, table.assign(label=labels), decoys)


def _table(random: np.random.Generator, images: bool) -> pd.DataFrame:
    columns: dict[str, Any] = {
        GROUP: random.choice(["a", "b"], ROWS),
        "label": random.integers(0, 2, ROWS),
        "age": random.choice([30, 40, 50, 60], ROWS),
    }
    if images:
        pixels = random.integers(0, 256, (ROWS, int(np.prod(SHAPE))), dtype=np.uint8)
        return pd.DataFrame(pixels).add_prefix("p").assign(**columns)
    names = [f"v{secrets.token_hex(3)}" for _ in range(7)]
    numbers: dict[str, Any] = {column: random.normal(size=ROWS).round(6) for column in names[:3]}
    words: dict[str, Any] = {column: random.choice(list("pqrst"), ROWS) for column in names[3:]}  # tell rows apart
    return pd.DataFrame({**numbers, **words, **columns})


def _write(folder: Path, name: str, table: pd.DataFrame, decoys: Sequence[str]) -> Made:
    for part in ("data", "work", "cache", "tmp"):
        (folder / part).mkdir(parents=True)
    path = folder / "data" / f"{name}.csv"
    table.to_csv(path, index=False)
    for decoy in decoys:
        place = folder / "data" / decoy
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"")
    source = _PLUGIN.format(name=name, file=path.name, digest=sha256(path), group=GROUP)
    made = Made(name, folder, read_rows(name, path))
    made.plugin.write_text(source, encoding="utf-8")
    return made
