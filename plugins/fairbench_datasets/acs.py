"""American Community Survey: people in one state, and whether they earn well, work, or have public insurance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairbench.api import DataError, Dataset, DatasetSpec, NotApplicable, hookimpl, parameter
from fairbench_datasets import _reading

TASKS = {"income": "ACSIncome", "employment": "ACSEmployment", "public_coverage": "ACSPublicCoverage"}
STATES = """
    AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA
    RI SC SD TN TX UT VT VA WA WV WI WY PR
"""
NUMBERS = {"AGEP", "WKHP", "PINCP", "SCHL"}  # age, hours, income, and schooling in ordered steps; the rest are codes
DETAILED = ["OCCP", "POBP"]  # occupation, place of birth
RACES = {
    1: "White",
    2: "Black",
    3: "American Indian",
    4: "Alaska Native",
    5: "American Indian or Alaska Native, unspecified",
    6: "Asian",
    7: "Pacific Islander",
    8: "Other",
    9: "Two or more",
}
SEXES = {1: "Male", 2: "Female"}


@dataclass(frozen=True)
class ACS:
    """The successors of Adult: income above 50,000 dollars, a job, or public health insurance (y = 1, favourable).

    Rows, features and label are those of folktables' ACSIncome, ACSEmployment or ACSPublicCoverage; the package also
    downloads a state's file (``download=true``), which no digest is pinned for: the run records a digest of the data
    it read. Unanswered questions are a code of their own, 0. The groups are sex, race (white or not) or, as
    ``race_all``, race with all its values.

    References:
        Ding, Hardt, Miller and Schmidt (2021), Retiring Adult: new datasets for fair machine learning, NeurIPS.
    """

    name = "acs"
    files = ()
    only_by_name = True
    licence = "public domain, a work of the United States Census Bureau"
    sensitive_features = ("sex", "race", "race_all")
    task: str = parameter("income", "what is predicted", choices=tuple(TASKS))
    state: str = parameter("CA", "whose people, by its two letters", choices=tuple(STATES.split()))
    year: int = parameter(2018, "of the survey; later ones lack a column of the tasks", minimum=2014, maximum=2018)
    horizon: str = parameter("1-Year", "which survey", choices=("1-Year", "5-Year"))
    folder: str = parameter("", "folder for the survey's files, as folktables arranges them (YEAR/HORIZON/...)")
    download: bool = parameter(False, "let folktables download the state's file to the folder if it is not there")
    detailed_codes: bool = parameter(
        True, "keep occupation and place of birth, with income: hundreds of values, a column for each"
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Let folktables read, or download, the state's file and choose rows and columns.

        Raises:
            NotApplicable: folktables is missing, no folder is named, or the file is not there.
            DataError: the file is damaged or another version.
        """
        import pandas as pd

        table = self._survey()
        with _reading.refusing(self._place, "a survey as folktables expects it"):
            X, label, _ = getattr(_folktables(), TASKS[self.task]).df_to_pandas(table)
        if not len(X):
            raise DataError(f"{self._place}: no row is left after the filter of {TASKS[self.task]}")
        for name, known in (("RAC1P", RACES), ("SEX", SEXES)):
            strange = sorted(set(X[name]) - set(known))
            if strange:
                raise DataError(f"{self._place}: {name} is {strange[0]:g}, not one of {', '.join(map(str, known))}")
        race_all = X["RAC1P"].map(RACES)
        if not self.detailed_codes:
            X = X.drop(columns=[name for name in DETAILED if name in X])
        codes = [name for name in X if name not in NUMBERS]
        X = X.assign(**{name: X[name].astype(int).astype(str).astype("category") for name in codes})
        return Dataset(
            name=self.name,
            X=X,
            y=label.iloc[:, 0].to_numpy(),
            sensitive_features=pd.DataFrame(
                {
                    "sex": X["SEX"].astype(int).map(SEXES),
                    "race": np.where(race_all == "White", "White", "Non-White"),
                    "race_all": race_all,
                }
            ),
            protected_group={"sex": "Female", "race": "Non-White", "race_all": "Black"},
            sensitive_columns={"sex": ("SEX",), "race": ("RAC1P",), "race_all": ("RAC1P",)},
            notes=("Survey weights are not used: rates are those of the people asked, not of the state.",),
        )

    @property
    def _place(self) -> Path:
        return Path(self.folder).expanduser() / str(self.year) / self.horizon

    def _survey(self) -> Any:
        """Return the state's table as folktables reads it."""
        advice = "acs[folder=PATH,download=true] downloads it there"
        if not self.folder:
            raise NotApplicable(f"acs needs the folder of the survey's files; {advice}")
        if not (self.download or self._place.is_dir()):  # which folktables would create
            raise NotApplicable(f"acs: the folder {self._place} does not exist; {advice}")
        source = _folktables().ACSDataSource(
            survey_year=str(self.year),
            horizon=self.horizon,
            survey="person",
            root_dir=str(Path(self.folder).expanduser()),
        )
        try:
            with _reading.refusing(self._place, "a survey as folktables expects it"):
                return source.get_data(states=[self.state], download=self.download)
        except DataError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            tried = "could not be downloaded, see above" if self.download else f"is not there; {advice}"
            raise NotApplicable(f"acs: the file of {self.state} in {self._place} {tried}") from error


def _folktables() -> Any:
    try:
        import folktables
    except ModuleNotFoundError as error:
        raise NotApplicable("acs needs folktables: pip install 'fairbench-harness[acs]'") from error
    return folktables


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [ACS]
