"""CelebA: faces of celebrities, called attractive or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairbench.api import DataError, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _photographs, _reading

if TYPE_CHECKING:
    import pandas as pd

ATTRIBUTES, PARTITION, IMAGES = "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"
SOURCE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (for research, not commercial)"


@dataclass(frozen=True)
class CelebA:
    """Did annotators call a face attractive (y = 1, favourable)? 202,599 photographs in the published parts.

    Men are the protected group, being fewer and less often called attractive. Photographs are squashed to a square; the
    paper's random mirroring is left out. At 128 x 128 the 162,770 training images take 32 GB as numbers: take a smaller
    ``size`` or fewer ``images``.

    References:
        Liu, Luo, Wang and Tang (2015), Deep learning face attributes in the wild, ICCV.
    """

    name = "celeba"
    files = ()
    only_by_name = True
    licence = "for non-commercial research only"
    sensitive_features = ("sex",)
    folder: str = parameter("", f"folder with {ATTRIBUTES}, {PARTITION} and {IMAGES}/")
    size: int = parameter(128, "side of the images", source="Wyllie, Shumailov & Papernot (2024), code", minimum=8)
    images: int = parameter(0, "number of images to take from the start of each part; 0 for all", minimum=0)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the tables and the photographs.

        Raises:
            NotApplicable: the folder is missing or incomplete, or Pillow is missing.
            DataError: a table or a photograph is damaged.
        """
        import pandas as pd

        folder = _photographs.require_folder(self.name, self.folder, (ATTRIBUTES, PARTITION, IMAGES), SOURCE)
        names, attributes = _attributes(folder / ATTRIBUTES)
        part_of = _parts(folder / PARTITION)
        without = [name for name in names if name not in part_of]
        if without:
            raise DataError(f"{folder / PARTITION}: images without a part: {len(without)}, the first is {without[0]!r}")
        part = pd.Series([part_of[name] for name in names], index=names)
        if self.images:
            chosen = part.groupby(part).cumcount() < self.images
            attributes, part = attributes[chosen.to_numpy()], part[chosen]
        codes = part.to_numpy()
        return Dataset(
            name=self.name,
            X=_photographs.read_photographs(self.name, [folder / IMAGES / name for name in part.index], self.size),
            y=(attributes["Attractive"] == "1").to_numpy(),
            sensitive_features=pd.DataFrame({"sex": np.where(attributes["Male"] == "1", "male", "female")}),
            protected_group={"sex": "male"},
            notes=(
                "Attractive is what annotators thought of a photograph, not a fact about a person.",
                "Images stay in [0, 1] whatever the scaling.",
            ),
            image_shape=(3, self.size, self.size),
            partition=lambda seed: [np.flatnonzero(codes == code) for code in range(3)],
            overlap="unknown",  # every repeat has the published parts
        )


def _attributes(path: Path) -> tuple[list[str], pd.DataFrame]:
    """Return the names of the images and their attributes, 1 or -1; the first line counts them."""
    import pandas as pd

    with _reading.refusing(path, "the published table"):
        lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[1].split() if len(lines) > 1 else []
    if not {"Attractive", "Male"} <= set(header):
        raise DataError(f"{path}, line 2: no columns Attractive and Male; not the published table")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}, line 2: two columns are named {twice[0]!r}; damaged")
    rows = []
    for number, line in enumerate(lines[2:], start=3):
        fields = line.split()
        if len(fields) != len(header) + 1 or not set(fields[1:]) <= {"1", "-1"}:
            raise DataError(f"{path}, line {number}: not an image and {len(header)} values of 1 or -1; damaged")
        rows.append(fields)
    if lines[0].split() != [str(len(rows))]:
        raise DataError(f"{path}, line 1: {lines[0][:40]!r} is not the number of the {len(rows)} images that follow")
    return [row[0] for row in rows], pd.DataFrame([row[1:] for row in rows], columns=header)


def _parts(path: Path) -> dict[str, int]:
    """Return the part of each image: 0 training, 1 validation, 2 test."""
    table = _reading.read(path, ["image", "part"], names=["image", "part"], separator=" ", blanks=True)
    parts = dict(zip(table.translated("image", str, "a name"), table.whole("part", 0, 2)))
    if len(parts) < len(table.lines):
        raise DataError(f"{path}: images listed twice: {len(table.lines) - len(parts)}; the table is damaged")
    return parts


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [CelebA]
