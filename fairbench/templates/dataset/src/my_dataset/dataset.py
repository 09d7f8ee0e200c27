"""Loans to 600 people who do not exist: a table that lies in this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import Dataset, DatasetSpec, hookimpl

FAIRBENCH_API = 1


@dataclass(frozen=True)
class MyDataset:
    """Whether 600 invented borrowers have repaid their loan (y = 1, favourable)."""

    name = "my_dataset"
    licence = "CC0 1.0"
    files = ()  # what fairbench must download and verify first; the table comes with this package
    sensitive_features = ("sex",)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table."""
        import pandas as pd  # here, so that other commands start fast

        table = pd.read_csv(Path(__file__).with_name("loans.csv"))
        return Dataset(
            name=self.name,
            X=table.drop(columns=["repaid", "sex"]),
            y=(table["repaid"] == "yes").to_numpy(),
            sensitive_features=table[["sex"]],
            protected_group={"sex": "female"},
            notes=("Nobody in this table exists.",),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [MyDataset]
