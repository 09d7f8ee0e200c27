"""Recording stand-ins for everything that a feedback loop trains, so that tests see who was trained on what."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fairbench.api import Inputs, Predictions, Samples, Schema, Split, derive_seed

REAL = (0.0, 90.0, 91.0)  # column 0 of real rows: the widest range, so that generators' marks are not clipped
SCHEMA = Schema(("mark", "number"), ("major", "minor"), protected=1)
N = 24


def seed(purpose: str) -> int:
    """Return the seed of a purpose, as a cell does."""
    return derive_seed(purpose, "test")


def real_split(n: int = N) -> Split:
    """Return real rows: column 0 says that they are real, column 1 is their number."""
    random = np.random.default_rng(0)

    def part(size: int) -> Samples:
        X = np.column_stack([np.resize(REAL, size), np.arange(size)])
        return Samples(X, random.integers(0, 2, size), SCHEMA, random.integers(0, 2, size))

    return Split(part(n), part(10), part(12))


@dataclass
class Journal:
    """What happened: marks of generators' rows, classifiers' rows, and who labelled how many rows of which marks."""

    generators: list[list[float]] = field(default_factory=list)
    classifiers: list[Samples] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    labelled: list[tuple[str, int, frozenset[float]]] = field(default_factory=list)


@dataclass
class FakeGenerator:
    """The k-th generator marks its samples with k (from 1)."""

    journal: Journal
    name = "fake"

    def fit(self, X, image_shape, *, seed):
        self.journal.generators.append(X[:, 0].tolist())
        return FakeSampler(float(len(self.journal.generators)))


@dataclass
class FakeSampler:
    """Rows of one mark, with numbers within the real range."""

    mark: float
    loss = 0.0

    def sample(self, n, *, seed):
        return np.column_stack([np.full(n, self.mark), np.random.default_rng(seed).uniform(0, N - 1, n)])


@dataclass
class FakeMethod:
    """Classifiers that note every use of theirs and label by parity, or as a constant from some generation on."""

    journal: Journal
    constant_from: int = 99
    name = "fake"

    def fit(self, train, validation, *, seed):
        number = len(self.journal.classifiers)
        self.journal.classifiers.append(train)
        self.journal.seeds.append(seed)
        return labeller(self.journal, f"C_{number}", constant=number >= self.constant_from)


def labeller(journal: Journal, name: str, constant: bool = False):
    """Return a predictor that notes who labels what."""

    def predict(inputs: Inputs) -> Predictions:
        journal.labelled.append((name, len(inputs), frozenset(inputs.X[:, 0].tolist())))
        y = np.zeros(len(inputs), int) if constant else inputs.X[:, 1].round().astype(int) % 2
        return Predictions(y)

    return predict


@dataclass
class FakeGroups:
    """A group annotator that goes by the number's half."""

    def fit(self, X, codes, n_classes, image_shape, *, seed):
        def chances(rows):
            high = (rows[:, 1] > N / 2).astype(float)
            return np.column_stack([1 - high, high])

        return chances


@dataclass
class FakeLabels:
    """A label annotator that labels by parity and notes it."""

    journal: Journal

    def fit(self, X, codes, n_classes, image_shape, *, seed):
        predict = labeller(self.journal, "A_L")

        def chances(rows):
            y = predict(Inputs(rows, np.zeros(len(rows), int), SCHEMA)).y_pred
            return np.column_stack([1 - y, y]).astype(float)

        return chances


def with_fakes(scenario: type, journal: Journal, **parameters):
    """Return a scenario whose generator and annotators are the fakes; A_L need not be right about anything."""

    class Faked(scenario):
        def build_generator(self):
            return FakeGenerator(journal)

        def build_annotators(self):
            return FakeLabels(journal), FakeGroups()

    return Faked(**{"annotator_floor": 0.0, "population": 7, "validation": "real", **parameters})
