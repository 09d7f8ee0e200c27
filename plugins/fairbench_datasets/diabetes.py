"""Diabetes 130: stays of diabetic patients in hospitals of the United States, and whether they soon come back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Archive, DataFile, Dataset, DatasetSpec, counted, derive_seed, hookimpl, parameter
from fairbench_datasets import _diabetes_columns as columns
from fairbench_datasets import _reading
from fairbench_datasets._diabetes_columns import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

STAYS = DataFile(
    path="diabetes/diabetic_data.csv",
    sha256="0689e7ec031237dc63031b938805c48377748761a3b26acab621567afa24df97",
    archive=Archive(
        "https://archive.ics.uci.edu/static/public/296/diabetes+130-us+hospitals+for+years+1999-2008.zip",
        "diabetic_data.csv",
        "f82ac129da2ddd2299391ff6fbae3a6a58b3edcf59ac9d7bd480c00fe453112a",
    ),
    bytes=19159383,
)
PATIENT = "patient_nbr"
DEATH_OR_HOSPICE = ("11", "13", "14", "19", "20", "21")  # of discharge_disposition_id
WHITE, OTHERS = "Caucasian", "not Caucasian"


@dataclass(frozen=True)
class Diabetes:
    """Readmission within 30 days (y = 1, unfavourable) after 99,493 stays of patients whose race is recorded.

    The groups are race (Caucasian or not), race with all its values (``race_all``), or sex (the few rows without one
    are with the men). All stays of a patient are in the same part of a split. Diagnoses are grouped into kinds of
    disease as in the paper (Strack et al., table 2), everything else as ``other``; an unknown payer, specialty or
    diagnosis is a value of its own. Identifiers and weight, which is missing in 97% of the rows, are left out. ``None``
    in the two laboratory results means that they were not measured.

    References:
        Strack, DeShazo, Gennings, Olmo, Ventura, Cios and Clore (2014), Impact of HbA1c measurement on hospital
        readmission rates: analysis of 70,000 clinical database patient records, BioMed Research International.
    """

    name = "diabetes"
    files = (STAYS,)
    licence = "CC BY 4.0"
    sensitive_features = ("race", "race_all", "sex")
    stays: str = parameter("all", "all stays, or the first of each patient in the file", choices=("all", "first"))
    missing_race: str = parameter(
        "drop",
        "drop: leave out the rows without a race; category: keep them, 'unknown' is then a race that is not Caucasian",
        choices=("drop", "category"),
    )
    drop_deaths: bool = parameter(
        False, "leave out stays that ended in death or in a hospice, after which nobody is readmitted"
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the stays and choose rows.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        rows = self._chosen(_rows(files[STAYS.path]))
        dead = rows["discharge_disposition_id"].isin(DEATH_OR_HOSPICE)
        unknown = rows["gender"] == "Unknown/Invalid"
        others = "Male or unknown" if unknown.any() else "Male"
        notes = []
        if dead.any():
            notes.append(f"{dead.sum():,} stays ended in death or in a hospice: their y = 0 is no good outcome.")
        if unknown.any():
            notes.append(f"The sex is unknown in {counted(unknown.sum(), 'row')}, which the group '{others}' includes.")
        _, patient = np.unique(rows[PATIENT], return_inverse=True)
        several = len(rows) > patient.max() + 1
        return Dataset(
            name=self.name,
            X=rows[columns.FEATURES].astype(dict.fromkeys(columns.CODES, "category")),
            y=(rows["readmitted"] == "<30").to_numpy(),
            sensitive_features=pd.DataFrame(
                {
                    "race": np.where(rows["race"] == WHITE, WHITE, OTHERS),
                    "race_all": rows["race"],
                    "sex": np.where(rows["gender"] == "Female", "Female", others),
                }
            ),
            protected_group={"race": OTHERS, "race_all": "AfricanAmerican", "sex": "Female"},
            favorable_label=0,
            sensitive_columns={"race": ("race",), "race_all": ("race",), "sex": ("gender",)},
            notes=tuple(notes),
            partition=(lambda seed: by_patient(patient, seed)) if several else None,
            overlap="pool",
        )

    def _chosen(self, rows: pd.DataFrame) -> pd.DataFrame:
        if self.stays == "first":
            rows = rows[~rows[PATIENT].duplicated()]
        if self.missing_race == "drop":
            rows = rows[rows["race"] != UNKNOWN]
        if self.drop_deaths:
            rows = rows[~rows["discharge_disposition_id"].isin(DEATH_OR_HOSPICE)]
        return rows.reset_index(drop=True)


def by_patient(patient: NDArray[np.intp], seed: int) -> list[NDArray[np.intp]]:
    """Return the rows of train, validation and test, about 70%, 15% and 15%, with each patient in one of them.

    Args:
        patient: (n,) codes from 0.
        seed: of the split.
    """
    n, stays = len(patient), np.bincount(patient)
    held = math.ceil(0.3 * n)
    ends = [n - held, n - math.ceil(held / 2)]
    order = np.random.default_rng(derive_seed("patients", seed)).permutation(len(stays))
    part = np.empty(len(stays), dtype=np.intp)
    part[order] = np.searchsorted(ends, np.cumsum(stays[order]))
    return [np.flatnonzero(part[patient] == number) for number in range(3)]


def _rows(path: Path) -> pd.DataFrame:
    """Return the wanted columns of all rows."""
    import pandas as pd

    table = _reading.read(path, [PATIENT, *columns.FEATURES, "readmitted"], quotes=True)
    race = {"?": UNKNOWN, **{race: race for race in columns.RACES}}
    found = {
        PATIENT: table.whole(PATIENT, 1, 10**9),
        "race": table.translated("race", race.__getitem__, f"one of {', '.join(map(repr, race))}"),
        **{name: table.words(name, words) for name, words in columns.WORDS.items()},
        **{name: table.whole(name, *limits) for name, limits in columns.NUMBERS.items()},
        **{name: table.words(name, map(str, range(1, last + 1))) for name, last in columns.CODES.items()},
        **{name: table.translated(name, columns.name, "a name, or '?'") for name in columns.NAMES},
        **{
            name: table.translated(name, columns.diagnosis, "a code of ICD-9 such as 250.01, or '?'")
            for name in columns.DIAGNOSES
        },
    }
    return pd.DataFrame(found)


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Diabetes]
