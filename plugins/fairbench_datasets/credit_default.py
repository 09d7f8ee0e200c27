"""Credit default: holders of credit cards in Taiwan in 2005, and whether they miss the next payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import DataFile, Dataset, DatasetSpec, hookimpl
from fairbench_datasets import _reading

CLIENTS = DataFile(
    path="credit_default/default_of_credit_card_clients.csv",
    sha256="5571adc7f0ce9747839d50cd4b7342b8e1c14de878849b533d02d46fa310fb0a",
    urls=(
        "https://raw.githubusercontent.com/sbyousuf/credit-card-default-prediction/"
        "f8f1f38aeba3fbbec61e01a9c4edd8de3263bbde/default%20of%20credit%20card%20clients.csv",
    ),
    bytes=2897301,
    doubt="of an export of the published workbook as CSV, with both of its lines of names",
)
FIRST_LINE = [*(f"X{number}" for number in range(24)), "Y"]  # names are in the second one
LABEL = "default payment next month"
CODES = {
    "SEX": {"1": "Male", "2": "Female"},
    "EDUCATION": {code: code for code in "0123456"},
    "MARRIAGE": {code: code for code in "0123"},
}
STATES = ["PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"]  # there is no PAY_1
NUMBERS = {
    "LIMIT_BAL": (0, 10_000_000),
    "AGE": (18, 120),
    **dict.fromkeys(STATES, (-2, 9)),
    **{f"BILL_AMT{month}": (-10_000_000, 10_000_000) for month in range(1, 7)},
    **{f"PAY_AMT{month}": (0, 10_000_000) for month in range(1, 7)},
    LABEL: (0, 1),
}
FEATURES = ["LIMIT_BAL", *CODES, "AGE", *STATES]
FEATURES += [f"{what}_AMT{month}" for what in ("BILL", "PAY") for month in range(1, 7)]


@dataclass(frozen=True)
class CreditDefault:
    """A default on the next payment (y = 1, unfavourable) of 30,000 holders of credit cards.

    The group is sex. Education and marriage are codes, of which some are not documented (education 0, 5 and 6,
    marriage 0); they are kept as values of their own. The publisher's file is a workbook; this is an export of it with
    the same values.

    References:
        Yeh and Lien (2009), The comparisons of data mining techniques for the predictive accuracy of probability of
        default of credit card clients, Expert Systems with Applications 36(2).
    """

    name = "credit_default"
    files = (CLIENTS,)
    licence = "CC BY 4.0"
    sensitive_features = ("sex",)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table without its identifier.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        table = _reading.read(files[CLIENTS.path], [*FEATURES, LABEL], after=FIRST_LINE)
        columns = {
            name: table.translated(name, codes.__getitem__, f"one of {', '.join(map(repr, codes))}")
            for name, codes in CODES.items()
        }
        columns.update({name: table.whole(name, *limits) for name, limits in NUMBERS.items()})
        rows = pd.DataFrame(columns)
        return Dataset(
            name=self.name,
            X=rows[FEATURES],
            y=rows[LABEL].to_numpy(),
            sensitive_features=pd.DataFrame({"sex": rows["SEX"]}),
            protected_group={"sex": "Female"},
            favorable_label=0,
            sensitive_columns={"sex": ("SEX",)},
            notes=(
                "Women default less often here: protected is the group that convention protects, not the one that "
                "fares worse.",
            ),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [CreditDefault]
