"""Which of 800 invented applicants were hired, with two sensitive attributes and missing values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import DataError, Dataset, DatasetSpec, hookimpl, parameter

FAIRBENCH_API = 1
TABLE = Path(__file__).with_name("applicants.csv")
SHA256 = "4fd2b51d38aefae41d099a3c5398bb753d8d0bebc677873ffde65cf407f5da5b"
OLDER = 45  # years, from which an applicant belongs to the older group


@dataclass(frozen=True)
class Hiring:
    """Which of 800 invented applicants were hired (y = 1, favourable), by sex and by age in two groups."""

    name = "hiring"
    licence = "CC0 1.0"
    files = ()
    sensitive_features = ("sex", "age_group")  # the first is the default of every run
    missing: str = parameter(
        "impute", "What happens to applicants without a test result.", choices=("impute", "drop"), source="this package"
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table.

        Raises:
            DataError: it is not the table that this package was published with.
        """
        import pandas as pd

        seen = hashlib.sha256(TABLE.read_bytes()).hexdigest()
        if seen != SHA256:
            raise DataError(f"{TABLE}: sha256 is {seen}, expected {SHA256}; install the package again")
        table = pd.read_csv(TABLE)
        if self.missing == "drop":
            table = table.dropna().reset_index(drop=True)
        older = table["age"] >= OLDER
        return Dataset(
            name=self.name,
            X=table.drop(columns=["sex", "hired"]),
            y=table["hired"].to_numpy(),
            sensitive_features=pd.DataFrame(
                {"sex": table["sex"], "age_group": older.map({True: "45 and older", False: "younger"})}
            ),
            protected_group={"sex": "female", "age_group": "45 and older"},
            sensitive_columns={"age_group": ("age",)},  # no feature where age_group is the attribute
            missing_values=self.missing == "impute",
            notes=("Nobody in this table exists.",),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Hiring]
