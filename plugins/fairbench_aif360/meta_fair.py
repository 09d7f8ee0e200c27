"""A meta-algorithm for classification under a ratio of rates, from a Gaussian fitted to all columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fairbench.api import (
    Inputs,
    Method,
    NotApplicable,
    Predictions,
    Predictor,
    Range,
    Samples,
    hookimpl,
    needs,
    parameter,
    tables_only,
)

from ._library import at_work
from ._rows import GROUP, check_two_groups, favourable, labelled

needs("aif360")

CRITERIA = {"false_discovery": "fdr", "statistical_rate": "sr"}
DEPENDENT = 1e-4  # the share of the first column's length from which a column counts as a combination of the others


@dataclass(frozen=True)
class MetaFairClassifier:
    """Fit a Gaussian to features, label and group, and classify by it so that a ratio of the groups' rates is high.

    AIF360's ``MetaFairClassifier`` divides densities. They are 0 on linearly dependent columns such as all categories
    of a feature, where the library fails; so it gets a largest set of independent columns, and the group only once, as
    the group. New rows whose density is 0 get the unfavourable outcome, as by the library. Scores are the library's
    discriminants, cut off to [0, 1]. The library optimises on 20 rows that it draws from the Gaussian.

    References:
        Celis, Huang, Keswani and Vishnoi (2019), Classification with fairness constraints: a meta-algorithm with
        provable guarantees, FAT*.
    """

    name = "aif360_meta_fair"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Range]] = {
        "tau": Range(0.1, 1.0, source="own"),
    }

    criterion: str = parameter(
        "false_discovery",
        "the rates whose ratio is bounded: false discovery rates or selection rates",
        source="AIF360's default",
        choices=tuple(CRITERIA),
    )
    tau: float = parameter(0.8, "the smallest ratio allowed", source="AIF360's default", minimum=1e-3, maximum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor, which does not use the group.

        Raises:
            NotApplicable: the rows are images, there are not two groups, one lacks training rows with a label, or the
                Gaussian has no density where the library looks.
        """
        tables_only(train.schema, f"method {self.name}")
        check_two_groups(train, "the training part", self.name)
        columns = independent(train.X)
        with at_work(seed):
            from aif360.algorithms.inprocessing import MetaFairClassifier as Library

            library = Library(self.tau, GROUP, CRITERIA[self.criterion], seed)
            try:
                library.fit(_dataset(train, columns, train.y))
            except TypeError as error:  # of its optimum, which is None
                raise NotApplicable(f"{self.name}: no parameters have a finite objective on these columns") from error

        def predict(inputs: Inputs) -> Predictions:
            nobody = Inputs(inputs.X, np.zeros(len(inputs), np.int64), inputs.schema)  # the group is asked for only
            with at_work(seed):
                made = library.predict(_dataset(nobody, columns))
            label = favourable(inputs.schema, made.labels.reshape(-1))
            score = np.nan_to_num(made.scores.reshape(-1).astype(np.float64), nan=0.0).clip(0, 1)
            return Predictions(label, favourable(inputs.schema, score))

        return predict


def independent(X: NDArray[Any]) -> NDArray[np.intp]:
    """Return the positions (r,), rising, of columns of X (n, d) that with a constant span what all of them span."""
    from scipy.linalg import qr

    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    _, triangle, order = qr(centred, mode="economic", pivoting=True)
    length = np.abs(np.diag(triangle))
    return np.sort(order[: len(length)][length > DEPENDENT * length[0]])


def _dataset(rows: Any, columns: NDArray[np.intp], y: Any = None) -> Any:
    """Return AIF360's dataset with these features alone; the library adds the group by itself."""
    X = rows.X[:, columns].astype(np.float64)
    dataset = labelled(rows, X, y)
    dataset.features = X
    return dataset


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [MetaFairClassifier]
