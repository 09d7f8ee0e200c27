"""The models that pre- and post-processing methods and reductions are built on, as a parameter names them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from fairbench.errors import NotApplicable
from fairbench.plugins.components import parameter
from fairbench.plugins.parameters import build_choice

__all__ = ["BASE_MODELS", "MLP", "BaseModel", "Boosting", "Logistic", "OnBaseModel", "limits_accepted"]


class BaseModel(Protocol):
    """A frozen dataclass of hyper-parameters that makes a classifier in the style of scikit-learn."""

    def estimator(self, *, seed: int) -> Any:
        """Return a new classifier that takes all its randomness from ``seed``."""
        ...


@dataclass(frozen=True)
class Logistic:
    """L2-penalised logistic regression.

    Args:
        C: inverse strength of the penalty.
        steps: largest number of steps of L-BFGS.
    """

    C: float = parameter(1.0, "inverse strength of the penalty", source="scikit-learn's default", minimum=1e-12)
    steps: int = parameter(1000, "largest number of steps of L-BFGS", minimum=1)

    def estimator(self, *, seed: int) -> Any:
        """Return scikit-learn's ``LogisticRegression``; nothing is random, and ``seed`` is not used."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=self.C, max_iter=self.steps)


@dataclass(frozen=True)
class MLP:
    """A multi-layer perceptron that is trained until its training loss stops falling.

    Args:
        hidden: width of each hidden layer.
        lr: learning rate of Adam.
        epochs: the largest number of epochs.
        weight_decay: strength of the L2 penalty.
    """

    hidden: tuple[int, ...] = parameter((64,), "width of each hidden layer", source="as in mlp", minimum=1)
    lr: float = parameter(1e-3, "learning rate of Adam", source="scikit-learn's default", minimum=1e-12)
    epochs: int = parameter(100, "the largest number of epochs", source="as in mlp", minimum=1)
    weight_decay: float = parameter(1e-4, "strength of the L2 penalty", source="scikit-learn's default", minimum=0)

    def estimator(self, *, seed: int) -> Any:
        """Return scikit-learn's ``MLPClassifier``, which takes initial weights and order of rows from ``seed``."""
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(
            self.hidden,
            learning_rate_init=self.lr,
            max_iter=self.epochs,
            alpha=self.weight_decay,
            random_state=seed,
        )


@dataclass(frozen=True)
class Boosting:
    """Gradient boosting on histograms, all rounds of it.

    Args:
        lr: learning rate, by which each tree is shrunk.
        rounds: number of trees.
        leaves: largest number of leaves of a tree.
        leaf: smallest number of rows in a leaf.
        l2: strength of the L2 penalty on the leaves' values.
    """

    lr: float = parameter(0.1, "learning rate, by which each tree is shrunk", source="scikit-learn's", minimum=1e-12)
    rounds: int = parameter(100, "number of trees", source="scikit-learn's default", minimum=1)
    leaves: int = parameter(31, "largest number of leaves of a tree", source="scikit-learn's default", minimum=2)
    leaf: int = parameter(20, "smallest number of rows in a leaf", source="scikit-learn's default", minimum=1)
    l2: float = parameter(0.0, "strength of the L2 penalty on leaves", source="scikit-learn's default", minimum=0)

    def estimator(self, *, seed: int) -> Any:
        """Return scikit-learn's ``HistGradientBoostingClassifier``, which draws the rows for its bins by ``seed``."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            learning_rate=self.lr,
            max_iter=self.rounds,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.leaf,
            l2_regularization=self.l2,
            early_stopping=False,  # which scikit-learn would turn on from 10,000 rows
            random_state=seed,
        )


BASE_MODELS: Mapping[str, type[BaseModel]] = {"logistic": Logistic, "mlp": MLP, "boosting": Boosting}
"""The models by name."""


@dataclass(frozen=True)
class OnBaseModel:
    """The parameter that names the base model; methods that are built on one inherit from this class.

    Args:
        base: one of ``BASE_MODELS``, with or without parameters, e.g. ``boosting[rounds=50]``.
    """

    base: str = parameter(
        "logistic", f"base model: {', '.join(BASE_MODELS)}, with parameters in brackets", source="own"
    )

    def __post_init__(self) -> None:
        """Refuse a base model that cannot be built in any run.

        Raises:
            UnknownName: there is no such model, or it has no such parameter.
            SuiteError: a value is of the wrong type or out of range.
        """
        self._model()

    def estimator(self, *, seed: int, weighted: bool = False) -> Any:
        """Return a new classifier of the base model.

        Args:
            seed: of everything random in it.
            weighted: whether its ``fit`` will be given weights of rows.

        Raises:
            NotApplicable: this version of scikit-learn cannot fit the model to weighted rows.
        """
        made = self._model().estimator(seed=seed)
        if weighted:
            _need_weights(made)
        return made

    def _model(self) -> BaseModel:
        model: BaseModel = build_choice(self.base, BASE_MODELS, "base model")
        return model


def _need_weights(estimator: Any) -> None:
    import sklearn
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(estimator, "sample_weight"):
        raise NotApplicable(
            f"{type(estimator).__name__} of scikit-learn {sklearn.__version__} takes no weights of rows, which this "
            "method needs; choose another base model, or scikit-learn 1.7 or newer"
        )


@contextmanager
def limits_accepted() -> Iterator[None]:
    """Fit without warnings that a model has reached its largest number of steps or epochs: the user has set it."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
