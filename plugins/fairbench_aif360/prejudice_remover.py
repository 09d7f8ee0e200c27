"""Logistic regression with a penalty on what its decisions tell about the group."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fairbench.api import (
    Inputs,
    Method,
    Predictions,
    Predictor,
    Range,
    Samples,
    hookimpl,
    needs,
    parameter,
    tables_only,
)

from ._library import at_work
from ._rows import check_two_groups, favourable

needs("aif360")

CODE = "algorithms/inprocessing/kamfadm-2012ecmlpkdd/fadm/lr/pr.py"


@lru_cache(maxsize=1)
def estimator() -> Any:
    """Return the class that AIF360 trains, from the library's own file.

    AIF360's ``PrejudiceRemover`` runs this code as a script with whatever ``python`` is first on the path. If that
    Python lacks a library, the script's error is printed and ignored, and ``fit`` returns as if it had trained.
    """
    package = importlib.util.find_spec("aif360")
    folder = Path((package and package.origin) or "").parent
    spec = importlib.util.spec_from_file_location("fairbench_aif360_prejudice_remover", folder / CODE)
    if spec is None or spec.loader is None:
        raise ImportError(f"AIF360 has no file {CODE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LRwPRType4


@dataclass(frozen=True)
class PrejudiceRemover:
    """Train a logistic regression for each group, with a penalty on the mutual information of decision and group.

    The estimator is AIF360's own (``LRwPRType4``), started from the groups' separate regressions as in AIF360; it is
    trained in this process, by at most 100 steps of conjugate gradients.

    References:
        Kamishima, Akaho, Asoh and Sakuma (2012), Fairness-aware classifier with prejudice remover regularizer, ECML
        PKDD.
    """

    name = "aif360_prejudice_remover"
    uses_group = ("training", "prediction")
    ranges: ClassVar[Mapping[str, Range]] = {
        "eta": Range(0.1, 100.0, log=True, source="own, around AIF360's default"),
    }

    eta: float = parameter(1.0, "weight of the prejudice penalty", source="AIF360's default", minimum=0)
    C: float = parameter(1.0, "weight of the L2 penalty", source="AIF360's script", minimum=1e-12)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Predictor:
        """Return the predictor, which uses the group; nothing is random.

        Raises:
            NotApplicable: the rows are images, there are not two groups, or one lacks training rows with a label.
            ArithmeticError: training ended without finite weights.
        """
        tables_only(train.schema, f"method {self.name}")
        check_two_groups(train, "the training part", self.name)
        with at_work(seed):
            model = estimator()(eta=self.eta, C=self.C)
            model.fit(_columns(train.inputs), favourable(train.schema, train.y), 1, itype=3)
        if not (np.isfinite(model.coef_).all() and np.isfinite(model.f_loss_)):
            raise ArithmeticError(f"{self.name}: training ended at a loss of {model.f_loss_}; lower eta")

        def predict(inputs: Inputs) -> Predictions:
            with at_work(seed):
                chance = model.predict_proba(_columns(inputs))  # (n, 2)
            labels = (chance[:, 1] > chance[:, 0]).astype(np.int64)
            return Predictions(favourable(inputs.schema, labels), favourable(inputs.schema, chance[:, 1]))

        return predict


def _columns(inputs: Inputs) -> NDArray[np.float64]:
    """Return the features and, as the estimator wants it, the group in the last column: 1 but for the protected one."""
    return np.column_stack([inputs.X, ~inputs.protected]).astype(np.float64)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [PrejudiceRemover]
