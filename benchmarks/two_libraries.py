"""How far two implementations of one algorithm diverge on the same splits: equalized odds, and reweighing.

    python benchmarks/two_libraries.py german compas adult

Equalized odds: AIF360's ``EqOddsPostprocessing`` (the method ``aif360_eq_odds``) and fairlearn's ``ThresholdOptimizer``
for the same logistic regression, both fitted to the validation part. AIF360 sees decisions only; fairlearn gets either
the decisions, which makes it the same problem, or the scores. Reweighing, which fairlearn does not have: AIF360's two
implementations, and fairlearn's demographic parity difference of the weighted labels, which must be 0.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np

from fairbench.data.files import DataSource
from fairbench.data.rows import Samples, Split
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import Workbench
from fairbench.running.suite import Suite, plan

GRID = 1000  # false positive rates that fairlearn tries
DECISIONS, SCORES = "predict", "predict_proba"


def by_fairlearn(split: Split, part: Samples, given: str) -> np.ndarray:
    """Return fairlearn's chance (n,) of y = 1 for the rows of a part, from decisions or from scores."""
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.linear_model import LogisticRegression

    held = split.validation
    optimizer = ThresholdOptimizer(
        estimator=LogisticRegression(max_iter=1000).fit(split.train.X.astype(np.float64), split.train.y),
        constraints="equalized_odds",
        objective="balanced_accuracy_score",  # what AIF360's linear program maximises under the constraint
        grid_size=GRID,
        flip=True,
        prefit=True,
        predict_method=given,
    ).fit(held.X.astype(np.float64), held.y, sensitive_features=held.group)
    return optimizer._pmf_predict(part.X.astype(np.float64), sensitive_features=part.group)[:, 1]


def by_aif360(split: Split, part: Samples) -> np.ndarray:
    """Return AIF360's chance (n,) of y = 1 for the rows of a part."""
    method = load_plugins()[0].get("methods", "aif360_eq_odds")()
    return method.fit(split.train, split.validation, seed=1)(part.inputs).decision


def rates(part: Samples, chance: np.ndarray) -> np.ndarray:
    """Return true positive rates (G,) and false positive rates (G,), as (2, G), of chances of being selected."""
    codes = range(len(part.group_names))
    return np.array([[chance[(part.group == code) & (part.y == y)].mean() for code in codes] for y in (1, 0)])


def weights(train: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (n,) of AIF360's ``Reweighing`` for datasets, and of the one in the style of scikit-learn."""
    import pandas as pd
    from aif360.algorithms.preprocessing import Reweighing
    from aif360.sklearn.preprocessing import Reweighing as InSklearnStyle
    from fairbench_aif360._rows import PRIVILEGED, UNPRIVILEGED, labelled

    table = pd.DataFrame(train.X, index=pd.Index(train.group, name="group"))
    _, other = InSklearnStyle("group").fit_transform(table, pd.Series(train.y, index=table.index))
    one = Reweighing(UNPRIVILEGED, PRIVILEGED).fit_transform(labelled(train, y=train.y)).instance_weights
    return one, np.asarray(other)


def weighted_difference(train: Samples, weight: np.ndarray) -> float:
    """Return fairlearn's demographic parity difference of the labels themselves, under weights (n,)."""
    from fairlearn.metrics import demographic_parity_difference

    return float(demographic_parity_difference(train.y, train.y, sensitive_features=train.group, sample_weight=weight))


def splits(dataset: str, repeats: int) -> Iterator[Split]:
    """Yield the splits that a run of the dataset has."""
    registry, _ = load_plugins()
    workbench = Workbench(registry, DataSource(offline=True))
    suite = Suite("two libraries", (dataset,), ("constant",), metrics=("accuracy",), repeats=repeats)
    for cell in plan(suite, registry):
        yield workbench.split(cell)


COLUMNS = {  # what a split is summed up by, and how splits are: by the largest value, or by the mean
    "largest difference of rates, from decisions": np.max,
    "largest difference of rates, from scores": np.max,
    "accuracy, AIF360": np.mean,
    "accuracy, fairlearn from decisions": np.mean,
    "accuracy, fairlearn from scores": np.mean,
    "equalized odds difference, AIF360": np.mean,
    "equalized odds difference, fairlearn from decisions": np.mean,
    "equalized odds difference, fairlearn from scores": np.mean,
    "largest difference of weights": np.max,
    "largest difference of weighted labels": np.max,
}


def row(split: Split) -> list[float]:
    """Return the numbers of one split, in the order of ``COLUMNS``: accuracy and odds on test, else on validation."""
    ways = (by_aif360, partial(by_fairlearn, given=DECISIONS), partial(by_fairlearn, given=SCORES))
    ours, decided, scored = (rates(split.validation, way(split, split.validation)) for way in ways)
    tested = [way(split, split.test) for way in ways]
    one, other = weights(split.train)
    return [
        float(np.abs(ours - decided).max()),
        float(np.abs(ours - scored).max()),
        *(float(np.where(split.test.y == 1, chance, 1 - chance).mean()) for chance in tested),
        *(float(np.ptp(rates(split.test, chance), axis=1).max()) for chance in tested),
        float(np.abs(one - other).max()),
        weighted_difference(split.train, one),
    ]


def main(datasets: list[str], repeats: int = 5) -> None:
    """Print a table with a column for each dataset."""
    found = [np.array([row(split) for split in splits(dataset, repeats)]) for dataset in datasets]
    print(f"| {repeats} repeats | {' | '.join(datasets)} |")
    print(f"|---|{'---|' * len(datasets)}")
    for place, (name, summary) in enumerate(COLUMNS.items()):
        print(f"| {name} | {' | '.join(f'{summary(rows[:, place]):.2g}' for rows in found)} |")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
