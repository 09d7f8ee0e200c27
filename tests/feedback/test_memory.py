"""Fits that lineages have in common are made once, and nothing else depends on it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from fairbench_baselines.logistic import Logistic
from fairbench_baselines.tree import Tree
from fairbench_datasets.gauss_loop import GaussLoop
from fairbench_feedback._annotators import Dense
from fairbench_feedback._gaussian_mixture import GaussianMixture
from fairbench_feedback.loops import SeqGenNonSeqClass, SeqGenSeqClass

from fairbench.api import derive_seed
from fairbench.cells import Preparation
from fairbench.data.preparation import split_dataset

QUICK = {"generations": 3, "generator": "gaussian_mixture[components=3]", "annotator": "logistic", "population": 200}
X = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)


def test_a_fit_is_made_once_for_the_same_rows_parameters_and_seed(memory):
    mixture = GaussianMixture(components=2)
    first = mixture.fit(X, (), seed=1)
    assert GaussianMixture(components=2).fit(X.copy(), (), seed=1) is first
    others = [mixture.fit(X, (), seed=2), mixture.fit(X[::-1], (), seed=1), mixture.fit(X[:-1], (), seed=1)]
    others += [mixture.fit(X.astype(np.float64), (), seed=1), GaussianMixture(components=3).fit(X, (), seed=1)]
    assert first not in others
    assert len(memory._fits) == 6
    codes = np.arange(100) % 2
    annotator = Dense(epochs=1).fit(X, codes, 2, (), seed=1)
    assert Dense(epochs=1).fit(X, codes, 2, (), seed=1) is annotator
    assert Dense(epochs=1).fit(X, 1 - codes, 2, (), seed=1) is not annotator


def test_the_oldest_fits_are_forgotten_beyond_the_limit(memory, monkeypatch):
    mixture = GaussianMixture(components=2)
    fits = [mixture.fit(X, (), seed=seed) for seed in range(3)]
    monkeypatch.setattr(memory, "LIMIT", 2 * fits[0].nbytes)
    assert mixture.fit(X, (), seed=1) is fits[1]  # the first is forgotten now, and of the others this one comes last
    assert mixture.fit(X, (), seed=0) is not fits[0]
    assert mixture.fit(X, (), seed=1) is fits[1]
    assert mixture.fit(X, (), seed=2) is not fits[2]


def test_what_is_too_large_is_not_kept(memory, monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 10)
    assert GaussianMixture(components=2).fit(X, (), seed=0).nbytes > 10
    assert not memory._fits


@dataclass
class Counted:
    """scikit-learn's mixture, counted."""

    original: type
    fits: list = field(default_factory=list)

    def __call__(self, *arguments, **named):
        self.fits.append(named)
        return self.original(*arguments, **named)


@pytest.fixture
def fits(monkeypatch):
    """Return the list of fits of mixtures that are really made."""
    import sklearn.mixture

    counted = Counted(sklearn.mixture.GaussianMixture)
    monkeypatch.setattr(sklearn.mixture, "GaussianMixture", counted)
    return counted.fits


def run(scenario, method):
    """Return what a loop on a small table comes to, by generation."""
    spec = GaussLoop(train=200, validation=60, test=100)
    split = split_dataset(spec.load({}), group="group", seed=0, preparation=Preparation())
    outcomes = scenario.run(split, method, lambda purpose: derive_seed(purpose, "test"))
    return [(outcome.predictions[""].y_pred.tobytes(), repr(outcome.values)) for outcome in outcomes]


def test_lineages_without_reparation_of_generators_share_them(memory, fits, monkeypatch):
    loops = [
        (SeqGenSeqClass(**QUICK), Logistic()),
        (SeqGenSeqClass(**QUICK), Tree()),
        (SeqGenSeqClass(**QUICK, reparation="classifier"), Logistic()),
        (SeqGenNonSeqClass(**QUICK), Tree()),
    ]
    shared = [run(*loop) for loop in loops]
    assert len(fits) == 3  # G_0, G_1 and G_2
    run(SeqGenSeqClass(**QUICK, reparation="generator"), Logistic())
    assert len(fits) == 5  # G_0 is the same, and the others are trained on curated rows
    monkeypatch.setattr(memory, "LIMIT", 0)
    assert [run(*loop) for loop in loops] == shared
