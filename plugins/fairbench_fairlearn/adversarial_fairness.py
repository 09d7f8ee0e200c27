"""A network against an adversary that guesses the group from its output: fairlearn's AdversarialFairnessClassifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Method, Predictor, Range, Samples, fit_estimator, hookimpl, needs, parameter

from ._parts import DEFAULT, fairlearn_called, need_groups

needs("fairlearn")
needs("torch")

EXAMPLE = "the example in fairlearn's user guide"
ZHANG = "Zhang, Lemoine & Mitchell (2018), Mitigating unwanted biases with adversarial learning, AIES"


class AdversarialNetwork:
    """fairlearn's classifier, with its network's output as scores, which it does not offer itself."""

    def __init__(self, model: Any) -> None:
        """Take the ``model``, not fitted."""
        self.model = model

    def fit(self, X: NDArray[Any], y: NDArray[Any], *, sensitive_features: NDArray[Any]) -> AdversarialNetwork:
        """Train both networks."""
        self.model.fit(X, y, sensitive_features=sensitive_features)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the labels (n,)."""
        labels: NDArray[Any] = self.model.predict(X)
        return labels

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the chances (n, 2) of both labels."""
        chance = np.asarray(self.model.backendEngine_.evaluate(X), dtype=np.float64)  # (n, 1)
        return np.hstack([1 - chance, chance])


@dataclass(frozen=True)
class AdversarialFairness:
    """Train a network to predict the label while an adversary fails to tell the group from its output.

    The group is used in training only. Up to version 0.15 fairlearn rounds torch's seed down to 0: initial weights and
    order of rows are the same in every repeat, and repeats differ by their splits alone.

    References:
        Zhang, Lemoine & Mitchell (2018), Mitigating unwanted biases with adversarial learning, AIES; fairlearn's
        ``adversarial.AdversarialFairnessClassifier`` with torch.
    """

    name = "fairlearn_adversarial"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Range]] = {
        "alpha": Range(0.01, 10.0, log=True, source="own, around fairlearn's default"),
        "lr": Range(1e-4, 1e-2, log=True, source="own, around fairlearn's default"),
    }

    hidden: tuple[int, ...] = parameter((50,), "width of each hidden layer", source=EXAMPLE, minimum=1)
    adversary: tuple[int, ...] = parameter((3,), "the same of the adversary", source=EXAMPLE, minimum=1)
    activation: str = parameter(
        "leaky_relu",
        "activation function after each hidden layer",
        source=EXAMPLE,
        choices=("relu", "leaky_relu", "sigmoid"),
    )
    constraint: str = parameter(
        "demographic_parity",
        "what groups are to share; for equalized_odds the adversary also sees the label",
        source=DEFAULT,
        choices=("demographic_parity", "equalized_odds"),
    )
    alpha: float = parameter(1.0, "weight of the adversary's loss", source=f"{DEFAULT}; {ZHANG}, eq. 1", minimum=0)
    lr: float = parameter(1e-3, "learning rate of Adam, of both networks", source=DEFAULT, minimum=1e-12)
    epochs: int = parameter(20, "number of epochs", source="own; fairlearn's default is 1", minimum=1)
    batch_size: int = parameter(256, "rows per step", source=EXAMPLE, minimum=1)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor of the last epoch; nothing is chosen on validation.

        Raises:
            NotApplicable: the training part has one label or one group.
        """
        import torch  # noqa: F401 - before the state of its generator is kept
        from fairlearn import adversarial

        need_groups(train, self.name)
        model = adversarial.AdversarialFairnessClassifier(
            backend="torch",
            predictor_model=self._layers(self.hidden),
            adversary_model=self._layers(self.adversary),
            constraints=self.constraint,
            alpha=self.alpha,
            learning_rate=self.lr,
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle=True,
            random_state=seed,
        )
        with fairlearn_called():
            return fit_estimator(AdversarialNetwork(model), train, seed=seed)

    def _layers(self, widths: tuple[int, ...]) -> list[Any]:
        return [layer for width in widths for layer in (width, self.activation)]


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [AdversarialFairness]
