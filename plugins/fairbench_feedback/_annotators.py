"""Plain classifiers that are trained once on real rows, and then frozen: they say which label or group a row has."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Protocol

import numpy as np
from numpy.typing import NDArray

from fairbench.api import NotApplicable, derive_seed, parameter

from ._memory import remembered

Rows = NDArray[Any]
Probabilities = Callable[[Rows], NDArray[np.float64]]
"""X (n, d) -> (n, C)."""


def _size(chances: Probabilities) -> int:
    """Return how much memory a fit is assumed to take: a megabyte, more than the weights of a network of usual size."""
    return 2**20


class Annotator(Protocol):
    """A frozen dataclass of hyper-parameters."""

    @property
    def name(self) -> str:
        """Its name in suites and on the command line; in the class, a plain ``name = "..."``."""
        ...

    def fit(self, X: Rows, codes: Rows, n_classes: int, image_shape: tuple[int, ...], *, seed: int) -> Probabilities:
        """Learn the codes (n,) of rows X (n, d)."""
        ...


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression (scikit-learn)."""

    name = "logistic"
    C: float = parameter(1.0, "inverse strength of the L2 penalty", minimum=0)
    steps: int = parameter(200, "largest number of steps of L-BFGS", minimum=1)

    @remembered(_size)
    def fit(self, X: Rows, codes: Rows, n_classes: int, image_shape: tuple[int, ...], *, seed: int) -> Probabilities:
        """Return the fitted probabilities; a code without rows has probability 0."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        seen = np.unique(codes)
        if len(seen) == 1:
            return lambda rows: np.tile(np.eye(n_classes)[seen[0]], (len(rows), 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # ``steps`` is a limit set by the user
            model = LogisticRegression(C=self.C, max_iter=self.steps).fit(X, codes)

        def probabilities(rows: Rows) -> NDArray[np.float64]:
            found = np.zeros((len(rows), n_classes))
            found[:, seen] = model.predict_proba(rows) if len(rows) else 0
            return found

        return probabilities


@dataclass(frozen=True)
class Dense:
    """A multi-layer perceptron, trained by Adam for a fixed number of epochs."""

    name = "mlp"
    hidden: tuple[int, ...] = parameter((64,), "width of each hidden layer")
    epochs: int = parameter(30, "passes over the rows", minimum=1)
    batch_size: int = parameter(128, "rows per step", minimum=1)
    lr: float = parameter(1e-3, "learning rate of Adam", minimum=0)

    @remembered(_size)
    def fit(self, X: Rows, codes: Rows, n_classes: int, image_shape: tuple[int, ...], *, seed: int) -> Probabilities:
        """Return the fitted probabilities."""
        import torch

        from . import _networks

        model = _networks.dense(X.shape[1], self.hidden, n_classes, seed=derive_seed("weights", seed))
        optimizer = torch.optim.Adam(model.parameters(), lr=self.lr)
        how = {"epochs": self.epochs, "batch_size": self.batch_size, "seed": derive_seed("order", seed)}
        _networks.train(model, X, codes, optimizer, **how)
        return lambda rows: _networks.probabilities(model, rows)


@dataclass(frozen=True)
class Convolutional:
    """The paper's small convolutional network, trained by plain gradient descent."""

    name = "cnn"
    epochs: int = parameter(30, "passes over the rows", minimum=1)
    batch_size: int = parameter(256, "rows per step", minimum=1)
    lr: float = parameter(0.1, "learning rate", minimum=0)

    @remembered(_size)
    def fit(self, X: Rows, codes: Rows, n_classes: int, image_shape: tuple[int, ...], *, seed: int) -> Probabilities:
        """Return the fitted probabilities.

        Raises:
            NotApplicable: the rows are those of a table, or images that are too small.
        """
        import torch

        from . import _networks

        if len(image_shape) != 3:
            raise NotApplicable("annotator cnn works on images, and these are rows of a table; choose mlp or logistic")
        channels, height, width = image_shape
        model = _networks.simple_cnn((channels, height, width), n_classes, seed=derive_seed("weights", seed))
        optimizer = torch.optim.SGD(model.parameters(), lr=self.lr)
        how = {"epochs": self.epochs, "batch_size": self.batch_size, "seed": derive_seed("order", seed)}
        _networks.train(model, X, codes, optimizer, **how)
        return lambda rows: _networks.probabilities(model, rows)


ANNOTATORS: Mapping[str, type[Annotator]] = {"logistic": Logistic, "mlp": Dense, "cnn": Convolutional}
