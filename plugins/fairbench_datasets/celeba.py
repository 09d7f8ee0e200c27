"""CelebA: faces of celebrities, called attractive or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import DataError, Dataset, hookimpl, parameter
from fairbench_datasets import _photographs

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
    sensitive_features = ("sex",)
    folder: str = parameter("", f"folder with {ATTRIBUTES}, {PARTITION} and {IMAGES}/")
    size: int = parameter(128, "side of the images", source="Wyllie, Shumailov & Papernot (2024), code", minimum=8)
    images: int = parameter(0, "the first so many of each part; 0 for all", minimum=0)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the tables and the photographs.

        Raises:
            NotApplicable: the folder is not there or incomplete, or Pillow is missing.
            DataError: a table or a photograph is damaged.
        """
        import pandas as pd

        folder = _photographs.require_folder(self.name, self.folder, (ATTRIBUTES, PARTITION, IMAGES), SOURCE)
        try:
            attributes = pd.read_csv(folder / ATTRIBUTES, sep=r"\s+", skiprows=1)[["Attractive", "Male"]]
            part = pd.read_csv(folder / PARTITION, sep=r"\s+", header=None, index_col=0)[1].reindex(attributes.index)
        except (KeyError, ValueError) as error:
            raise DataError(f"celeba: {ATTRIBUTES} or {PARTITION} is not the published table: {error}") from error
        if not part.isin([0, 1, 2]).all():
            raise DataError(f"celeba: {PARTITION} gives no part 0, 1 or 2 for {(~part.isin([0, 1, 2])).sum()} images")
        if self.images:
            chosen = part.groupby(part).cumcount() < self.images
            attributes, part = attributes[chosen], part[chosen]
        codes = part.to_numpy()
        return Dataset(
            name=self.name,
            X=_photographs.read_photographs(self.name, [folder / IMAGES / name for name in part.index], self.size),
            y=(attributes["Attractive"] == 1).to_numpy(),
            sensitive_features=pd.DataFrame({"sex": np.where(attributes["Male"] == 1, "male", "female")}),
            protected_group={"sex": "male"},
            notes=(
                "Attractive is what annotators thought of a photograph, not a fact about a person.",
                "Images stay in [0, 1] whatever the scaling.",
            ),
            image_shape=(3, self.size, self.size),
            partition=lambda seed: [np.flatnonzero(codes == code) for code in range(3)],
            overlap="unknown",  # every repeat has the published parts
        )


@hookimpl
def fairbench_datasets() -> list[type]:
    """Return the dataset."""
    return [CelebA]
