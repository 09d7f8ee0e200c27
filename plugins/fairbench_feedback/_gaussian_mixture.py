"""A mixture of Gaussians with full covariances, for tables and, after a projection, for small images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import derive_seed, parameter

from ._memory import remembered

Rows = NDArray[Any]


@dataclass(frozen=True, eq=False)
class FittedMixture:
    """Weights (k,), means (k, r), Cholesky factors (k, r, r), and the projection back: X = Z axes + centre."""

    weights: Rows
    means: Rows
    factors: Rows
    axes: Rows | None
    centre: Rows | None
    loss: float

    @property
    def nbytes(self) -> int:
        """Return the size of the arrays."""
        arrays = (self.weights, self.means, self.factors, self.axes, self.centre)
        return sum(array.nbytes for array in arrays if array is not None)

    def sample(self, n: int, *, seed: int) -> Rows:
        """Return n rows (n, d)."""
        random = np.random.default_rng(seed)
        component = random.choice(len(self.weights), size=n, p=self.weights)
        noise = random.standard_normal((n, self.means.shape[1]))
        rows = self.means[component]
        for code, factor in enumerate(self.factors):
            members = component == code
            rows[members] += noise[members] @ factor.T
        return rows if self.axes is None else rows @ self.axes + self.centre


@dataclass(frozen=True)
class GaussianMixture:
    """Fit a Gaussian mixture by expectation maximisation (scikit-learn)."""

    name = "gaussian_mixture"
    components: int = parameter(10, "number of Gaussians, at most one for each row", minimum=1)
    reduce: int = parameter(0, "leading principal components to fit instead of the rows; 0 for the rows", minimum=0)
    rows: int = parameter(0, "number of rows, drawn at random, to fit; 0 for all", minimum=0)
    steps: int = parameter(100, "largest number of steps", minimum=1)
    regularisation: float = parameter(1e-3, "added to the covariances' diagonal", minimum=0)

    @remembered(lambda mixture: int(mixture.nbytes))
    def fit(self, X: Rows, image_shape: tuple[int, ...], *, seed: int) -> FittedMixture:
        """Return the mixture; its loss is the negative mean log-likelihood of the rows fitted, in nats."""
        from sklearn.decomposition import PCA
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Mixture

        if self.rows and self.rows < len(X):
            X = X[np.random.default_rng(derive_seed("rows", seed)).choice(len(X), size=self.rows, replace=False)]
        Z, projection = X.astype(np.float64), None
        if self.reduce and self.reduce < min(Z.shape):
            projection = PCA(self.reduce, random_state=seed).fit(Z)
            Z = projection.transform(Z)
        mixture = Mixture(
            min(self.components, len(Z)), max_iter=self.steps, reg_covar=self.regularisation, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # ``steps`` is a limit set by the user
            mixture.fit(Z)
        return FittedMixture(
            weights=mixture.weights_ / mixture.weights_.sum(),
            means=mixture.means_,
            factors=np.linalg.cholesky(mixture.covariances_),
            axes=None if projection is None else projection.components_,
            centre=None if projection is None else projection.mean_,
            loss=-float(mixture.lower_bound_),
        )
