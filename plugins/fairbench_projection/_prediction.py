"""Predictors around a trained network: row by row, a batch at once, or as a stream."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Callable, ClassVar, Optional

import numpy as np
import torch
from torch import nn

from fairbench.api import Inputs, NotApplicable, Predictions, Samples
from fairbench.api.torch import one_thread

from ._rule import Rule
from ._streaming import Correction

Logits = Callable[[Inputs], np.ndarray]
Change = Callable[[np.ndarray, np.ndarray, Inputs], np.ndarray]
"""Scores (n,) in the rule's space, chances of y = 1 (n,) and the inputs -> outputs (n,) in the rule's space."""


def frozen_logits(model: nn.Module) -> Logits:
    """Return the function from inputs to logits (n,) of a model as it stands now, in float64 and on one thread."""
    kept = copy.deepcopy(model).double().eval().requires_grad_(False)

    def logits(inputs: Inputs) -> np.ndarray:
        with one_thread(), torch.no_grad():
            found: np.ndarray = np.array(kept(torch.tensor(inputs.X, dtype=torch.float64)).reshape(-1).numpy())
        return found

    return logits


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logit)), exact and without warnings for large logits of either sign."""
    small = np.exp(-np.abs(logit))
    chance: np.ndarray = np.where(logit >= 0, 1, small) / (1 + small)
    return chance


@dataclass(frozen=True, eq=False)
class Scorer:
    """A trained network, and the space in which its scores are constrained."""

    logits: Logits
    rule: Rule

    def __call__(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (n,) in the rule's space, and chances of y = 1 (n,)."""
        logit = self.logits(inputs)
        chance = sigmoid(logit)
        return (chance if self.rule.space == "probability" else logit), chance

    def decided(self, value: np.ndarray) -> Predictions:
        """Return the predictions for outputs (n,) in the rule's space, which select from one half up."""
        return Predictions.from_score(value if self.rule.space == "probability" else sigmoid(value))


class Frozen:
    """Shifts that were found once on rows with known groups; then every row is predicted by itself.

    On new rows the gap is epsilon plus what sampling adds to it. Rows of a group that had no rows then are not shifted,
    and a warning counts them; if ``strict``, they are refused.
    """

    def __init__(self, scorer: Scorer, part: Samples, *, strict: bool) -> None:
        """Find the shifts on a part of the data.

        Raises:
            Infeasible: the constraint contradicts the box.
        """
        self.scorer, self.strict = scorer, strict
        self.found_on, chance = scorer(part.inputs)
        self.value, self.shift = scorer.rule.project(self.found_on, part.group, chance, part.y)
        self.known = np.bincount(part.group, minlength=len(part.group_names)) > 0

    def __call__(self, inputs: Inputs) -> Predictions:
        """Return the predictions.

        Raises:
            NotApplicable: ``strict``, and a row is of an unknown group.
        """
        return self.stream()(inputs)

    def stream(self) -> Traced:
        """Return the same, with the scores before the shifts."""
        return Traced(self.scorer, self._shifted)

    def _shifted(self, score: np.ndarray, chance: np.ndarray, inputs: Inputs) -> np.ndarray:
        unknown = ~self.known[inputs.group]
        if unknown.any():
            names = ", ".join(repr(inputs.group_names[code]) for code in np.unique(inputs.group[unknown]))
            words = f"groups without rows to find a shift on ({names}) have {unknown.sum()} of {len(inputs)} rows"
            if self.strict:
                raise NotApplicable(words)
            warnings.warn(f"{words}; their scores are not shifted", stacklevel=2)
        by_label = self.shift[inputs.group]
        shift = by_label[:, 0] + (by_label[:, 1] - by_label[:, 0]) * chance
        return self.scorer.rule.box.clip(score - shift)


@dataclass(frozen=True, eq=False)
class WholeBatch:
    """All rows that come together are projected together: the gap is epsilon, and a row depends on the others."""

    whole_batch: ClassVar[bool] = True

    scorer: Scorer

    def __call__(self, inputs: Inputs) -> Predictions:
        """Return the predictions."""
        return self.stream()(inputs)

    def stream(self) -> Traced:
        """Return the same, with the scores before the projection."""
        return Traced(self.scorer, self._projected)

    def _projected(self, score: np.ndarray, chance: np.ndarray, inputs: Inputs) -> np.ndarray:
        return self.scorer.rule.project(score, inputs.group, chance, None).value


@dataclass(frozen=True, eq=False)
class Streamed:
    """Batches that come one after another: ``stream()`` gives a predictor that remembers them.

    Called by itself it is the first batch of a stream.
    """

    whole_batch: ClassVar[bool] = True

    scorer: Scorer
    begin: Callable[[], Correction]

    def __call__(self, inputs: Inputs) -> Predictions:
        """Return the predictions for a first batch."""
        return self.stream()(inputs)

    def stream(self) -> Traced:
        """Return a predictor that has seen nothing yet."""
        return running(self.scorer, self.begin())


def running(scorer: Scorer, correction: Correction) -> Traced:
    """Return a predictor that corrects one batch after the other."""
    return Traced(scorer, lambda score, chance, inputs: correction.correct(score, inputs.group), correction)


class Traced:
    """A predictor for one stream that records what it changed.

    ``before`` has the latest batch's chances of y = 1 (n,) as the network gave them, ``infeasible`` counts batches for
    which the correction was impossible; ``correction.state()``, if there is one, is what it remembers, as plain data.
    """

    def __init__(self, scorer: Scorer, change: Change, correction: Optional[Correction] = None) -> None:
        """Begin with nothing seen."""
        self.scorer, self.correction = scorer, correction
        self.before = np.zeros(0)
        self._change = change

    @property
    def infeasible(self) -> int:
        """Return the correction's count."""
        return self.correction.infeasible if self.correction else 0

    def __call__(self, inputs: Inputs) -> Predictions:
        """Return the predictions for the next batch."""
        score, self.before = self.scorer(inputs)
        return self.scorer.decided(self._change(score, self.before, inputs))
