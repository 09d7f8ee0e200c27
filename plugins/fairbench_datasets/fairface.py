"""FairFace: photographs of faces, balanced by race as annotators saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairbench.api import DataError, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _photographs, _reading

TRAIN, VALIDATION = "fairface_label_train.csv", "fairface_label_val.csv"
SOURCE = "https://github.com/joojs/fairface (CC BY 4.0)"
HELD_OUT = 10_954  # first rows of the training table, which are the test part
YOUNG, OLDER = ("0-2", "3-9", "10-19", "20-29"), ("30-39", "40-49", "50-59", "60-69", "more than 70")
RACES = ("White", "Latino_Hispanic", "Indian", "East Asian", "Black", "Southeast Asian", "Middle Eastern")


@dataclass(frozen=True)
class FairFace:
    """Is a face labelled female (y = 1)? 97,698 photographs by race (seven) and age (under 30, or older).

    The parts are those that the paper prepares: the first 10,954 rows of the training table are the test part, the
    published validation table is the validation part. How the paper then uses them is not public: size and method are
    choices here. ``favorable_label`` follows from the coding alone. By convention Black is the protected race.

    References:
        Karkkainen and Joo (2021), FairFace, WACV; prepared after Wyllie, Shumailov and Papernot (2024), code.
    """

    name = "fairface"
    files = ()
    only_by_name = True
    licence = "CC BY 4.0"
    sensitive_features = ("race", "age")
    folder: str = parameter("", f"folder with {TRAIN}, {VALIDATION}, train/ and val/")
    size: int = parameter(64, "side of the images", minimum=8)
    images: int = parameter(0, "number of images to take from the start of each part; 0 for all", minimum=0)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the tables and the photographs.

        Raises:
            NotApplicable: the folder is missing or incomplete, or Pillow is missing.
            DataError: a table or a photograph is damaged.
        """
        import pandas as pd

        folder = _photographs.require_folder(self.name, self.folder, (TRAIN, VALIDATION, "train", "val"), SOURCE)
        train, validation = (_table(folder / name) for name in (TRAIN, VALIDATION))
        parts = [train[HELD_OUT:], validation, train[:HELD_OUT]]
        if not len(parts[0]):
            raise DataError(f"fairface: {TRAIN} has {len(train)} rows; more than {HELD_OUT:,} are needed")
        if self.images:
            parts = [part[: self.images] for part in parts]
        rows = pd.concat(parts, ignore_index=True)
        ends = np.cumsum([len(part) for part in parts])
        age = np.where(rows["age"].isin(YOUNG), "under 30", "30 and over")
        return Dataset(
            name=self.name,
            X=_photographs.read_photographs(self.name, [folder / name for name in rows["file"]], self.size),
            y=(rows["gender"] == "Female").to_numpy(),
            sensitive_features=pd.DataFrame({"race": rows["race"], "age": age}),
            protected_group={"race": "Black", "age": "30 and over"},
            notes=(
                "Gender, race and age are what annotators saw in a photograph, not what people say of themselves.",
                "Images stay in [0, 1] whatever the scaling.",
            ),
            image_shape=(3, self.size, self.size),
            partition=lambda seed: np.split(np.arange(ends[-1]), ends[:-1]),
            overlap="unknown",  # every repeat has the same parts
        )


def _table(path: Path) -> Any:
    """Return the rows of a label table.

    Raises:
        DataError: it is not the published one.
    """
    import pandas as pd

    table = _reading.read(path, ["file", "age", "gender", "race"], quotes=True)
    known = {"age": (*YOUNG, *OLDER), "gender": ("Male", "Female"), "race": RACES}
    columns = {name: table.words(name, words) for name, words in known.items()}
    return pd.DataFrame({"file": table.translated("file", str, "a name"), **columns})


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [FairFace]
