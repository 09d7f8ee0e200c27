"""Dutch census of 2001: working people, and whether their occupation is one of high prestige."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import DataFile, Dataset, DatasetSpec, hookimpl
from fairbench_datasets import _reading

REPOSITORY = "https://raw.githubusercontent.com/tailequy/fairness_dataset"
CENSUS = DataFile(
    path="dutch/dutch_census_2001.arff",
    sha256="0e7e3f32668919c239db820f625815e1ea834c71402cdea595e03ef08c8616ef",
    urls=(
        f"{REPOSITORY}/main/Dutch_census/dutch_census_2001.arff",
        f"{REPOSITORY}/abb5a18b822ba56a221c5311082e192e85000b95/Dutch_census/dutch_census_2001.arff",
    ),
    bytes=2199278,
)
CODES = {
    "sex": "1 2",
    "age": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
    "household_position": "1110 1121 1122 1131 1132 1140 1210 1220",
    "household_size": "111 112 113 114 125 126",
    "prev_residence_place": "1 2 9",
    "citizenship": "1 2 3",
    "country_birth": "1 2 3",
    "edu_level": "0 1 2 3 4 5 9",
    "economic_status": "111 112 120 210 221 222 223 224",
    "cur_eco_activity": "111 122 124 131 132 133 134 135 136 137 138 139 200",
    "Marital_status": "1 2 3 4",
    "occupation": "2_1 5_4_9",
}
SEXES = {"1": "Male", "2": "Female"}


@dataclass(frozen=True)
class Dutch:
    """A high-level occupation (y = 1, favourable; code 2_1, against 5_4_9) of 60,420 people.

    Every column is a code of the census; no middle occupation is in the file. The group is sex.

    References:
        Statistics Netherlands (2001), Dutch virtual census.
        Le Quy, Roy, Iosifidis, Zhang and Ntoutsi (2022), A survey on datasets for fairness-aware machine learning,
        WIREs Data Mining and Knowledge Discovery 12(3) (this table).
    """

    name = "dutch"
    files = (CENSUS,)
    licence = "none stated"
    sensitive_features = ("sex",)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the codes after the file's declarations.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        table = _reading.read(files[CENSUS.path], list(CODES), names=list(CODES), after=["@data"])
        rows = pd.DataFrame({name: table.words(name, codes.split()) for name, codes in CODES.items()})
        rows["sex"] = rows["sex"].map(SEXES)
        return Dataset(
            name=self.name,
            X=rows.drop(columns="occupation"),
            y=(rows["occupation"] == "2_1").to_numpy(),
            sensitive_features=rows[["sex"]],
            protected_group={"sex": "Female"},
            sensitive_columns={"sex": ("sex",)},
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Dutch]
