"""Runs of a field made by hand: what a few methods decide on parts of twenty rows."""

from __future__ import annotations

import numpy as np
from fairbench_reports._field import fields
from fairbench_reports._findings import findings
from stored_runs import people, stored_run

from fairbench.api import Predictions
from fairbench.records import Results

RULE = "max accuracy subject to dp <= 0.05"
SWEEP = f"sweep[trials=4,rule={RULE}]"


def parts():
    """Return three test parts: ten rows in each of two groups, four and six of them with y = 1; a constant has .5."""
    return [people([0.4, 0.6], [10, 10], seed=repeat) for repeat in range(3)]


def deciding(refused: int = 0, given: int = 0):
    """Return decisions that are right but for some of y = 1 in the second group, and of y = 0 in the first."""

    def decide(repeat, samples):
        made = samples.y.copy()
        made[np.flatnonzero((samples.group == 1) & (samples.y == 1))[:refused]] = 0
        made[np.flatnonzero((samples.group == 0) & (samples.y == 0))[:given]] = 1
        return Predictions(made)

    return decide


METHODS = {
    "mlp": deciding(),  # accuracy 1 at a gap of .2: the coin rises from .5 by 2.5 for each unit of the gap
    "tree": deciding(refused=1),  # .95 at .1, where the coin is .75
    "threshold": deciding(refused=1, given=1),  # .9 at 0, where the coin is .5
    "boosting": lambda repeat, samples: Predictions(np.zeros_like(samples.y)),  # .5 at 0
    "logistic": lambda repeat, samples: None,  # fails
    "constant": lambda repeat, samples: Predictions(np.ones_like(samples.y)),
}
HERE = {method: "holdout" if method == "mlp" else SWEEP for method in METHODS}


def told(found: Results) -> str:
    """Return the findings under the only rule."""
    (under,) = fields(found)
    return " ".join(findings(under))


def run_of(folder, methods, datasets=("german",), repeats=3):
    """Return a run of ``mlp`` in ``holdout`` and of other ``methods`` in ``sweep``, on the same parts."""
    places = {method: "holdout" if method in ("mlp", "attainable") else SWEEP for method in methods}
    folder.mkdir(exist_ok=True)
    return stored_run(folder, methods, {name: parts()[:repeats] for name in datasets}, scenario=places)


def two_datasets(folder) -> Results:
    """Return a run of these methods on two datasets."""
    tests = {"german": parts(), "ricci": parts()}
    return stored_run(folder, METHODS, tests, scenario=HERE, references=("constant",))
