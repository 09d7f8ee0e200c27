"""Law school: students of the LSAC's national study of the 1990s, and whether they passed the bar exam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import DataFile, Dataset, DatasetSpec, hookimpl
from fairbench_datasets import _reading

REPOSITORY = "https://raw.githubusercontent.com/damtharvey/law-school-dataset"
STUDENTS = DataFile(
    path="law_school/law_dataset.csv",
    sha256="76244ae957d224a9cc49464196f53ad621585705418ad3c3cda27a7699471a16",
    urls=(
        f"{REPOSITORY}/main/law_dataset.csv",
        f"{REPOSITORY}/ad0c41fb7dde56733786fcc12735789f41b7a83a/law_dataset.csv",
    ),
    bytes=993161,
)
LIMITS = {
    "decile1b": (1, 10),
    "decile3": (1, 10),
    "lsat": (0, 50),
    "ugpa": (0, 4),
    "zfygpa": (-10, 10),
    "zgpa": (-10, 10),
    "fulltime": (1, 2),
    "fam_inc": (1, 5),
    "tier": (1, 6),
}
COLUMNS = [
    *("decile1b", "decile3", "lsat", "ugpa", "zfygpa", "zgpa", "fulltime", "fam_inc", "male", "racetxt", "tier"),
    "pass_bar",
]


@dataclass(frozen=True)
class LawSchool:
    """A bar exam passed (y = 1, favourable) by 18,692 law students.

    The groups are race (the file knows only white and non-white) or sex. Features are all other columns as they are:
    grades and deciles in law school (``zfygpa``, ``zgpa``, ``decile1b``, ``decile3``), the admission test, the
    undergraduate grade, full or part time (1, 2), the family's income (1 to 5) and the tier of the school (1 to 6).

    References:
        Wightman (1998), LSAC National Longitudinal Bar Passage Study.
        Le Quy, Roy, Iosifidis, Zhang and Ntoutsi (2022), A survey on datasets for fairness-aware machine learning,
        WIREs Data Mining and Knowledge Discovery 12(3) (this table).
    """

    name = "law_school"
    files = (STUDENTS,)
    licence = "none stated"
    sensitive_features = ("race", "sex")

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table as it is.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        table = _reading.read(files[STUDENTS.path], COLUMNS)
        numbers = {name: table.real(name, *limits) for name, limits in LIMITS.items()}
        male = (table.words("male", ("0.00", "1.00")) == "1.00").astype(int)
        codes = {name: table.whole(name, 0, 1) for name in ("racetxt", "pass_bar")}
        rows = pd.DataFrame({**numbers, "male": male, **codes})[COLUMNS]
        return Dataset(
            name=self.name,
            X=rows.drop(columns="pass_bar"),
            y=rows["pass_bar"].to_numpy(),
            sensitive_features=pd.DataFrame(
                {
                    "race": np.where(rows["racetxt"] == 1, "White", "Non-White"),
                    "sex": np.where(rows["male"] == 1, "Male", "Female"),
                }
            ),
            protected_group={"race": "Non-White", "sex": "Female"},
            sensitive_columns={"race": ("racetxt",), "sex": ("male",)},
            notes=(
                "Grades and deciles in law school are among the features: they are known after admission, so this "
                "predicts the exam and not whom to admit.",
                "Another version of this study, with 20,798 rows, is common; its numbers cannot be compared with "
                "these.",
            ),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [LawSchool]
