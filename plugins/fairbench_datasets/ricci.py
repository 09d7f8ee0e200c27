"""Ricci: firefighters of New Haven in the promotion exams of 2003, and whether they passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _reading

REPOSITORY = "https://raw.githubusercontent.com/algofairness/fairness-comparison"
EXAMS = DataFile(
    path="ricci/ricci.csv",
    sha256="f6f7eb66c88f5ec047c81cd0d1bf68536988c38b9212715c33109f1f08592b29",
    urls=(
        f"{REPOSITORY}/master/fairness/data/raw/ricci.csv",
        f"{REPOSITORY}/80b34d25bb9b0387691c6cb8651f0e40edd262c8/fairness/data/raw/ricci.csv",
    ),
    bytes=3320,
)
RACES = {"B": "Black", "H": "Hispanic", "W": "White"}
PASSED = 70


@dataclass(frozen=True)
class Ricci:
    """A promotion exam passed (y = 1, favourable: at least 70 points together) by 118 firefighters.

    The groups are race (black and Hispanic people together are protected) or, as ``race_all``, race with all its
    values. The label is a function of two features, 0.6 ``Written`` + 0.4 ``Oral`` >= 70, so the task is to find that
    line; with ``combine`` the sum itself is a feature.

    References:
        Ricci v. DeStefano, 557 U.S. 557 (2009).
        Miao (2010), Did the results of promotion exams have a disparate impact on minorities? Using statistical
        evidence in Ricci v. DeStefano, Journal of Statistics Education 18(3).
    """

    name = "ricci"
    files = (EXAMS,)
    licence = "none stated for the data, which are from a public court record"
    sensitive_features = ("race", "race_all")
    combine: bool = parameter(False, "keep the total of points, which is the label before it was cut, as a feature")

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table as it is.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        table = _reading.read(files[EXAMS.path], ["Position", "Oral", "Written", "Race", "Combine"])
        race = table.translated("Race", RACES.__getitem__, f"one of {', '.join(map(repr, RACES))}")
        points = {name: table.real(name, 0, 100) for name in ("Oral", "Written", "Combine")}
        rows = pd.DataFrame({"Position": table.words("Position", ("Captain", "Lieutenant")), **points, "Race": race})
        return Dataset(
            name=self.name,
            X=rows if self.combine else rows.drop(columns="Combine"),
            y=(rows["Combine"] >= PASSED).to_numpy(),
            sensitive_features=pd.DataFrame(
                {"race": np.where(rows["Race"] == "White", "White", "Non-White"), "race_all": rows["Race"]}
            ),
            protected_group={"race": "Non-White", "race_all": "Black"},
            sensitive_columns={"race": ("Race",), "race_all": ("Race",)},
            notes=(
                "The label is a function of two features (0.6 Written + 0.4 Oral, at least 70): a perfect classifier "
                "exists, and its gap between races is that of the exam.",
                "With 118 rows a test part has 18: for trying things out, not for claims.",
            ),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Ricci]
