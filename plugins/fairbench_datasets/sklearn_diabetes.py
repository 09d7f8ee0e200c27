"""Diabetes patients bundled with scikit-learn: a dataset that needs no download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import Dataset, DatasetSpec, hookimpl


@dataclass(frozen=True)
class SklearnDiabetes:
    """Progression of the disease above the median (y = 1, unfavourable) of 442 patients.

    The source gives a score of progression one year after the ten measurements; here it is cut at the median of all
    442 scores (140.5, which no patient has), so exactly half have y = 1. A fast progression is bad for the person,
    hence ``favorable_label`` 0. Sex is coded 1 and 2 and no source says which code stands for which sex, so the groups
    keep the codes as names, and the smaller group (code 2, 207 patients) is called protected by convention.

    References:
        Efron, Hastie, Johnstone and Tibshirani (2004), Least angle regression, Annals of Statistics 32(2).
    """

    name = "sklearn-diabetes"
    files = ()
    licence = "none stated"
    sensitive_features = ("sex",)

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Take the patients, in their own units, out of scikit-learn; no file is read."""
        import pandas as pd
        from sklearn.datasets import load_diabetes

        X, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
        sex = "sex " + X["sex"].astype(int).astype(str)
        return Dataset(
            name=self.name,
            X=X.drop(columns="sex").round(4),  # as in the source; releases differ in the last bit of 11 values
            y=(progression > progression.median()).to_numpy(),
            sensitive_features=pd.DataFrame({"sex": sex}),
            protected_group={"sex": "sex 2"},
            favorable_label=0,
            notes=(
                "The source does not say which sex the codes 1 and 2 stand for; code 2 is called protected only "
                "because it is the smaller group.",
                "With 442 patients a test part holds about 31 of the smaller group: for trying things out, not for "
                "claims.",
            ),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [SklearnDiabetes]
