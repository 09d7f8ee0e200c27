"""Heritage Health Prize: members of a health insurance, and whether their claims show other illnesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _health_tables as tables
from fairbench_datasets import _reading
from fairbench_datasets._health_values import BANDS, GROUPED

OBTAIN = (
    "the rules of the Heritage Health Prize forbid passing its files on, so they are never downloaded: accept the "
    "rules on the competition's data page at Kaggle (competition 'hhp'), get HHP_release3.zip there, and run "
    "'fairbench data add health' with that file or the folder it was unpacked to"
)
DOUBT = "from a public repository's pointer to the file; not confirmed against the competition's own"


def _file(name: str, sha256: str, size: int) -> DataFile:
    return DataFile(f"health/{name}", sha256, bytes=size, obtain=OBTAIN, doubt=DOUBT)


CLAIMS = _file("Claims.csv", "51532b48896e813fe4652ff465334fe7d1f28606e2a0b27910e9ef38b4be7955", 233600090)
DRUGS = _file("DrugCount.csv", "3580fbe0c673cd4132a342f0f2bd53c10faeba31578aa5010da6d9db9cd4719a", 22017922)
LABS = _file("LabCount.csv", "82bb68710e5cda2a2f2fb6145f4d31a0b9dc3ab75abf5553d073dd589c43df9c", 9692292)
MEMBERS = _file("Members.csv", "944335d594a686d7b389feffb06a8165894785196ac77d1b61d78a81b470ed63", 1938177)
TARGET = _file("Target.csv", "3b2d9802d28b64d0fffe620dcbcce9e6d29e953b50b3cd3ae030bd162957958c", 914288)

OVER_60 = BANDS[6:]
LABELS = {
    "charlson_zero": lambda index: index == 0,
    "charlson_program": lambda index: index != 1,
    "charlson_positive": lambda index: index > 0,
}
COUNTS = [f"{column}={value}" for column, values in GROUPED.items() for value in [*values, "?"]]
SHORT = [
    *("LabCount_total", "LabCount_months", "DrugCount_total", "DrugCount_months"),
    *("no_Claims", "no_Providers", "no_Vendors", "no_PCPs", "PayDelay_total", "PayDelay_max", "PayDelay_min"),
    *COUNTS,
]
LONG = [
    *("no_Claims", *tables.IDENTIFIERS.values(), *tables.DISTINCT.values()),
    *(f"PayDelay_{ending}" for ending in ("max", "min", "ave", "stdev")),
    *(f"LOS_{ending}" for ending in ("max", "min", "ave", "stdev", "TOT_UNKNOWN", "TOT_SUPRESSED", "TOT_KNOWN")),
    *(f"dsfs_{ending}" for ending in ("max", "min", "range", "ave", "stdev")),
    *COUNTS,
    *(f"{what}_{ending}" for what in ("DrugCount", "LabCount") for ending in ("max", "min", "ave", "months")),
]


@dataclass(frozen=True)
class Health:
    """Whether a member's claims of a year show a Charlson index of 0, no other illness (y = 1, favourable).

    There are two variants of the table. ``member_years``: a row for each member and year with claims, drugs or
    laboratory tests; 97 numbers, and age and sex with an unknown value of their own. ``fairbinn``: the members whose
    third year counts in the competition's test set, of known age and sex, with 123 numbers, an ordinal age and sex
    among them. (The derived table of that paper has two more columns, flags of unknown age and sex, which are 0 in all
    of these rows. Its averages are truncated to whole numbers, as SQL does; here they are not.)

    The groups are age (60 and over is protected; an unknown age counts as under 60), the age band, or sex. The label is
    made from claims of the same year, and everything else that the index comes from is left out of the features.

    No number that this loader gives on the real files has been compared with a published one. The files' digests come
    from one public repository's pointers to them (those of ``Members.csv`` and ``Target.csv`` agree with a second one)
    and were not confirmed against the competition's own files.

    References:
        Heritage Provider Network (2011), Heritage Health Prize.
        Brierley, Vogel and Axelrod (2011), Heritage Provider Network Health Prize, round 1 milestone prize: how we did
        it, appendix (the derived table).
        Ruoss, Balunovic, Fischer and Vechev (2020), Learning certified individually fair representations, NeurIPS
        (``member_years`` and its label).
        Yazdani-Jahromi et al. (2024), FairBiNN, NeurIPS (``fairbinn``, with ``charlson_positive`` and age bands).
    """

    name = "health"
    files = (CLAIMS, DRUGS, LABS, MEMBERS, TARGET)
    only_by_name = True  # nobody but the user can get the files
    licence = "the rules of the competition, which forbid passing the files on"
    sensitive_features = ("age", "age_band", "sex")
    variant: str = parameter("member_years", "which rows and features", choices=("member_years", "fairbinn"))
    label: str = parameter(
        "charlson_zero",
        "y = 1 if the year's highest Charlson index is 0; if it is not 1-2, which a widely copied program computes "
        "by mistake for the first; or, unfavourable, if it is above 0",
        choices=tuple(LABELS),
    )

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the tables, aggregate them by member and year, and choose rows, features and label."""
        import pandas as pd

        claims = tables.claims(files[CLAIMS.path])
        drugs = tables.monthly(files[DRUGS.path], "DrugCount", "DrugCount")
        labs = tables.monthly(files[LABS.path], "LabCount", "LabCount")
        members = tables.members(files[MEMBERS.path])
        if self.variant == "member_years":
            rows = claims.index.union(drugs.index).union(labs.index)
        else:
            target = _reading.read(files[TARGET.path], ["MemberID", "ClaimsTruncated"], quotes=True)
            rows = pd.Index(tables.keys(target, year=3))
        who = members.reindex(rows // 10).fillna("unknown").set_axis(rows)
        summed = pd.concat([part.reindex(rows) for part in (claims, drugs, labs)], axis=1)
        if self.variant == "member_years":
            X = summed[SHORT].fillna(0).assign(age=who["age"], sex=who["sex"])
        else:
            X = summed[LONG].fillna(0)
            X.insert(0, "ClaimsTruncated", tables.number(target, "ClaimsTruncated"))
            X["labNull"], X["drugNull"] = summed["LabCount_max"].isna(), summed["DrugCount_max"].isna()
            known = ((who["age"] != "unknown") & (who["sex"] != "unknown")).to_numpy()
            X, who, summed = X[known], who[known], summed[known]
            X = X.assign(age=who["age"].map(BANDS.index), sex=(who["sex"] == "F").astype(int))
        label = LABELS[self.label](summed["max_CharlsonIndex"].fillna(0).to_numpy())
        over_60 = who["age"].isin(OVER_60).to_numpy()
        return Dataset(
            name=self.name,
            X=X.reset_index(drop=True),
            y=label,
            sensitive_features=pd.DataFrame(
                {
                    "age": np.where(over_60, "60 and over", "under 60"),
                    "age_band": who["age"].to_numpy(),
                    "sex": who["sex"].to_numpy(),
                }
            ),
            protected_group={"age": "60 and over", "age_band": "80+", "sex": "F"},
            favorable_label=int(self.label != "charlson_positive"),
            sensitive_columns={"age": ("age",), "age_band": ("age",), "sex": ("sex",)},
            notes=self._notes(who["age"] == "unknown"),
        )

    def _notes(self, unknown: np.ndarray) -> tuple[str, ...]:
        notes = ["A year without claims has a Charlson index of 0: nothing was found because nobody looked."]
        if unknown.any():
            notes.append(f"The age of {unknown.sum():,} of {len(unknown):,} rows is unknown and counts as under 60.")
        if self.label == "charlson_program":
            notes.append("This label calls an index of 3 and above healthy, as the program it follows does by mistake.")
        return tuple(notes)


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Health]
