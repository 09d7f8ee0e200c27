"""How a fitted predictor says what it learned, so that it can be written to files without pickle and made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from numpy.typing import NDArray

from fairbench.data.rows import Inputs, Predictions

NETWORK, ESTIMATOR = "network", "estimator"
"""Forms that fairbench itself can make a predictor of: layers, and an estimator of scikit-learn."""


@dataclass(frozen=True)
class Exported:
    """What a predictor learned.

    Args:
        form: ``network`` or ``estimator``, or a name of the plugin's own; then the method's class needs a static
            function ``from_export``, Exported -> Predictor, which can also take over one of these two.
        about: what JSON can hold, e.g. a threshold.
        arrays: numbers by name; they are written as safetensors.
        estimator: a fitted estimator of scikit-learn, which is written with skops; else None.
    """

    form: str
    about: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    estimator: Any = None


@dataclass(frozen=True, eq=False)
class ExportablePredictor:
    """A predictor made of two functions.

    Args:
        predict: Inputs -> Predictions.
        exported: () -> Exported; it can raise ``CannotExport``.
    """

    predict: Callable[[Inputs], Predictions]
    exported: Callable[[], Exported]

    def __call__(self, inputs: Inputs) -> Predictions:
        """Return the predictions of these rows."""
        return self.predict(inputs)

    def export(self) -> Exported:
        """Return what the predictor learned."""
        return self.exported()
