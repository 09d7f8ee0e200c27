"""What the post-processors share: scores of the base model, and the validation part as the library takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.api import Samples, Schema
from fairbench.api.base_models import OnBaseModel

from ._base import Scorer, fit_base
from ._rows import check_two_groups, favourable, labelled


def scored(
    method: OnBaseModel, train: Samples, validation: Samples, *, seed: int, who: str
) -> tuple[Scorer, NDArray[Any]]:
    """Return the base model's scores of any rows, and those of the validation part (m,).

    Raises:
        NotApplicable: there are not two groups, or one lacks validation rows with one of the labels.
    """
    check_two_groups(validation, "the validation part", who)
    score = fit_base(method, train, seed=seed)
    return score, score(validation.inputs)


def true_and_predicted(validation: Samples, score: NDArray[Any]) -> tuple[Any, Any]:
    """Return AIF360's datasets of the labels and of the base model's decisions and scores (m,)."""
    decided = (score >= 0.5).astype(np.int64)
    return labelled(validation, y=validation.y), labelled(validation, y=decided, score=score)


def favoured(schema: Schema, score: NDArray[Any]) -> NDArray[np.int64]:
    """Return whether the base model gives each row (n,) the favourable outcome, as 0 and 1."""
    return np.asarray(favourable(schema, (score >= 0.5).astype(np.int64)), dtype=np.int64)
