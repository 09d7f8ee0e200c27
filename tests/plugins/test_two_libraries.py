"""The same algorithm in two libraries, on the same splits: how far they diverge, and why."""

from __future__ import annotations

import numpy as np
import pytest
from aif360_helpers import two_group_split

from fairbench.plugins.loading import load_plugins

pytest.importorskip("aif360")
pytest.importorskip("fairlearn")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, when a test calls them directly
GRID = 1000  # fairlearn tries that many false positive rates
SEEDS = range(4)


def base_model(split):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(split.train.X.astype(np.float64), split.train.y)


def by_fairlearn(split, predict_method):
    """Return fairlearn's chances of y = 1 for the validation rows that it is fitted to."""
    from fairlearn.postprocessing import ThresholdOptimizer

    part = split.validation
    rows, group = part.X.astype(np.float64), part.group
    optimizer = ThresholdOptimizer(
        estimator=base_model(split),
        constraints="equalized_odds",
        objective="balanced_accuracy_score",
        grid_size=GRID,
        flip=True,
        prefit=True,
        predict_method=predict_method,
    ).fit(rows, part.y, sensitive_features=group)
    return optimizer._pmf_predict(rows, sensitive_features=group)[:, 1]


def by_aif360(split):
    method = load_plugins()[0].get("methods", "aif360_eq_odds")()
    return method.fit(split.train, split.validation, seed=1)(split.validation.inputs).decision


def rates(part, decision):
    """Return true and false positive rates (2, 2), by group, of chances of being selected."""
    own = [[decision[(part.group == code) & (part.y == label)].mean() for code in (0, 1)] for label in (1, 0)]
    return np.array(own)


def balanced(found):
    return float((found[0] + 1 - found[1]).mean() / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_equalized_odds_of_decisions_is_the_same_in_both(seed, record_property):
    split = two_group_split(rows=1200, seed=seed)
    theirs, ours = (rates(split.validation, made) for made in (by_fairlearn(split, "predict"), by_aif360(split)))
    divergence = float(np.abs(theirs - ours).max())
    record_property("divergence", divergence)
    for found in (theirs, ours):
        assert np.abs(found[:, 0] - found[:, 1]).max() < 1e-6  # both are exact on the rows that they are fitted to
    assert balanced(ours) >= balanced(theirs) - 1e-9  # the linear program has no grid
    assert divergence <= 2 / GRID, f"rates diverge by {divergence:.4f}"


@pytest.mark.parametrize("seed", SEEDS)
def test_with_scores_fairlearn_reaches_at_least_what_decisions_allow(seed, record_property):
    split = two_group_split(rows=1200, seed=seed)
    theirs, ours = (rates(split.validation, made) for made in (by_fairlearn(split, "predict_proba"), by_aif360(split)))
    record_property("gained balanced accuracy", balanced(theirs) - balanced(ours))
    assert balanced(theirs) >= balanced(ours) - 1 / GRID
    assert np.abs(theirs[:, 0] - theirs[:, 1]).max() < 1e-6


def weights(train):
    from fairbench_aif360._library import at_work
    from fairbench_aif360._rows import PRIVILEGED, UNPRIVILEGED, labelled

    with at_work():
        from aif360.algorithms.preprocessing import Reweighing

        return Reweighing(UNPRIVILEGED, PRIVILEGED).fit_transform(labelled(train, y=train.y)).instance_weights


@pytest.mark.parametrize("seed", SEEDS)
def test_reweighed_labels_are_even_by_fairlearn(seed):
    from fairlearn.metrics import demographic_parity_difference as difference

    train = two_group_split(rows=1200, seed=seed).train
    given = {"sensitive_features": train.group}
    assert difference(train.y, train.y, **given) > 0.05
    assert difference(train.y, train.y, sample_weight=weights(train), **given) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_reweighing_is_the_same_in_the_two_implementations_of_aif360(seed):
    import pandas as pd
    from aif360.sklearn.preprocessing import Reweighing

    train = two_group_split(rows=1200, seed=seed).train
    table = pd.DataFrame(train.X, index=pd.Index(train.group, name="sex"))
    _, theirs = Reweighing("sex").fit_transform(table, pd.Series(train.y, index=table.index))
    assert weights(train) == pytest.approx(theirs, rel=1e-12)
