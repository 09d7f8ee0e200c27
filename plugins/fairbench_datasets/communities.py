"""Communities and crime: towns in the United States, and whether violent crime is high for their state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import Archive, DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _reading
from fairbench_datasets._communities_columns import IDENTIFIERS, OUTCOMES, PREDICTORS

CRIMES = DataFile(
    path="communities/CommViolPredUnnormalizedData.txt",
    sha256="383a9530b2802b4457986095b13af8f02a802a2504feaef45783f9c129e003f1",
    urls=("https://archive.ics.uci.edu/ml/machine-learning-databases/00211/CommViolPredUnnormalizedData.txt",),
    archive=Archive(
        "https://archive.ics.uci.edu/static/public/211/communities+and+crime+unnormalized.zip",
        "CommViolPredUnnormalizedData.txt",
        "93861647eec5c2093629f73f3cf8f28b728cd5f9d34abad6b3d4072ea928eaf1",
    ),
    bytes=1555749,
)
CRIME_RATE = "ViolentCrimesPerPop"
RACE_SHARES = ["racepctblack", "racePctWhite", "racePctAsian", "racePctHisp"]
STATES = """
    AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK OR
    PA RI SC SD TN TX UT VA VT WA WI WV WY
"""
POLICE = PREDICTORS[PREDICTORS.index("LemasSwornFT") :]
KNOWN_EVERYWHERE = {"LandArea", "PopDens", "PctUsePubTrans", "LemasPctOfficDrugUn"}  # among those columns
COMPLETE = [name for name in PREDICTORS if name in KNOWN_EVERYWHERE or (name not in POLICE and name != "OtherPerCap")]
PROTECTED, UNPROTECTED = "Black in top two", "Black not in top two"


@dataclass(frozen=True)
class Communities:
    """Violent crime above the median (y = 1, unfavourable) of 1,994 communities.

    A community is protected if black people are its largest or second largest group by the four race shares (a tie
    counts for them). The unnormalised file is needed for that: in the normalised one every column is scaled separately,
    so shares cannot be compared. Communities without a violent crime rate are left out, and so are the identifiers, all
    counts and rates of crime, and the 23 predictors with missing values (22 on the police).

    References:
        Redmond (2009), Communities and Crime Unnormalized, UCI Machine Learning Repository.
        Slack, Friedler and Givental (2020), Fairness warnings and fair-MAML: learning fairly with minimal data, FAT*.
    """

    name = "communities"
    files = (CRIMES,)
    licence = "CC BY 4.0"
    sensitive_features = ("race",)
    label: str = parameter(
        "state_median",
        "high crime is above the median of the community's state, or above that of all communities",
        source="Slack et al. (2020)",
        choices=("state_median", "overall_median"),
    )
    race_shares: bool = parameter(False, "keep the four race shares, which determine the group, as features")

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the file, whose columns have no names, and derive label and group.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        wanted = ["state", *COMPLETE, CRIME_RATE]
        table = _reading.read(files[CRIMES.path], wanted, names=[*IDENTIFIERS, *PREDICTORS, *OUTCOMES])
        numbers = {name: table.real(name, 0, 100 if "pct" in name.lower() else 1e10) for name in COMPLETE}
        numbers[CRIME_RATE] = table.real(CRIME_RATE, 0, 1e10, missing="?")
        rows = pd.DataFrame({"state": table.words("state", STATES.split()), **numbers})
        rows = rows[rows[CRIME_RATE].notna()].reset_index(drop=True)
        crime = rows[CRIME_RATE]
        by_state = self.label == "state_median"
        median = crime.groupby(rows["state"]).transform("median") if by_state else crime.median()
        rank = rows[RACE_SHARES].rank(axis=1, method="min", ascending=False)["racepctblack"]
        features = rows[COMPLETE]
        notes = [
            "Michigan and Illinois are absent: the file holds no violent crime rate for them.",
            "Rows are communities, not people: a gap here is one between places.",
        ]
        if self.race_shares:
            notes.append("The race shares are among the features, and they determine the group.")
        else:
            features = features.drop(columns=RACE_SHARES)
        return Dataset(
            name=self.name,
            X=features,
            y=(crime > median).to_numpy(),
            sensitive_features=pd.DataFrame({"race": rank.le(2).map({True: PROTECTED, False: UNPROTECTED})}),
            protected_group={"race": PROTECTED},
            favorable_label=0,
            notes=tuple(notes),
            keys=rows[["state"]],
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Communities]
