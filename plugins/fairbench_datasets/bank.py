"""Bank marketing: clients of a Portuguese bank who were phoned, and whether they then opened a term deposit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import Archive, DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _reading

CLIENTS = DataFile(
    path="bank/bank-full.csv",
    sha256="d1513ec63b385506f7cfce9f2c5caa9fe99e7ba4e8c3fa264b3aaf0f849ed32d",
    archive=Archive(
        "https://archive.ics.uci.edu/ml/machine-learning-databases/00222/bank.zip",
        "bank-full.csv",
        "99d7e8eb12401ed278b793984423915411ea8df099e1795f9fefe254f513fe5e",
    ),
    bytes=4610348,
)
YES_OR_NO = "no yes"
WORDS = {
    "job": "admin. blue-collar entrepreneur housemaid management retired self-employed services student technician "
    "unemployed unknown",
    "marital": "divorced married single",
    "education": "primary secondary tertiary unknown",
    "default": YES_OR_NO,
    "housing": YES_OR_NO,
    "loan": YES_OR_NO,
    "contact": "cellular telephone unknown",
    "month": "jan feb mar apr may jun jul aug sep oct nov dec",
    "poutcome": "failure other success unknown",
    "y": YES_OR_NO,
}
NUMBERS = {
    "age": (1, 120),
    "balance": (-1_000_000, 1_000_000),
    "day": (1, 31),
    "duration": (0, 86_400),
    "campaign": (1, 1000),
    "pdays": (-1, 10_000),
    "previous": (0, 1000),
}
COLUMNS = [
    *("age", "job", "marital", "education", "default", "balance", "housing", "loan", "contact", "day", "month"),
    *("duration", "campaign", "pdays", "previous", "poutcome", "y"),
]
OUTSIDE, BETWEEN = "under 25 or over 60", "25 to 60"


@dataclass(frozen=True)
class Bank:
    """A term deposit opened after a call (y = 1, favourable) by 45,211 clients, 2008 to 2010.

    The groups are age (under 25 or over 60 is protected) or marital status (not married is protected; ``divorced``
    includes the widowed). ``unknown`` is a value of its own, and ``pdays`` is -1 for clients who were not phoned in an
    earlier campaign. This is the table of 16 predictors; the later one with economic indicators is another.

    References:
        Moro, Laureano and Cortez (2011), Using data mining for bank direct marketing, ESM.
    """

    name = "bank"
    files = (CLIENTS,)
    licence = "CC BY 4.0"
    sensitive_features = ("age", "marital")
    duration: bool = parameter(
        False, "keep the length of the call, known only after it, as a feature: it gives the label away"
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table as it is.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        table = _reading.read(files[CLIENTS.path], COLUMNS, separator=";", quotes=True)
        columns = {name: table.words(name, words.split()) for name, words in WORDS.items()}
        columns.update({name: table.whole(name, *limits) for name, limits in NUMBERS.items()})
        rows = pd.DataFrame(columns)[COLUMNS]
        notes = ["Whether a deposit is good for a client is a matter of view; y = 1 is good for the bank."]
        if self.duration:
            notes.append("The length of the call is a feature: it is known only afterwards and gives the label away.")
        return Dataset(
            name=self.name,
            X=rows.drop(columns=["y"] if self.duration else ["y", "duration"]),
            y=(rows["y"] == "yes").to_numpy(),
            sensitive_features=pd.DataFrame(
                {
                    "age": np.where(rows["age"].between(25, 60), BETWEEN, OUTSIDE),
                    "marital": np.where(rows["marital"] == "married", "married", "not married"),
                }
            ),
            protected_group={"age": OUTSIDE, "marital": "not married"},
            sensitive_columns={"age": ("age",), "marital": ("marital",)},
            notes=tuple(notes),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Bank]
