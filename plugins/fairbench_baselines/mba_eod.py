"""Manual baseline adjustment for equalized odds: repeat misclassified rows of the worse-served groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbench.api import (
    Fitted,
    Method,
    NotApplicable,
    Predictions,
    Samples,
    derive_seed,
    group_rates,
    hookimpl,
    parameter,
)
from fairbench.api.networks import Network
from fairbench.api.torch import predictor


def missing_rows(train: Samples, predictions: Predictions, *, seed: int) -> np.ndarray:
    """Return positions (m,) of misclassified rows that would equalise the groups' error rates if they were correct.

    A group with P rows of y = 1 and a true positive rate of t, where the best group has t*, needs (t* - t) P more true
    positives: that many (rounded) of its misclassified positives are drawn, without replacement. The same holds for its
    misclassified negatives and the smallest false positive rate.

    Args:
        train: (n,) rows.
        predictions: for the same rows.
        seed: for the draw.
    """
    rates = group_rates(train, predictions)
    random = np.random.default_rng(seed)
    drawn = [np.zeros(0, dtype=np.int64)]
    negatives = rates.n - rates.positives
    with np.errstate(invalid="ignore"):  # groups without such rows have rate NaN, and nothing to draw from
        short_of_positives = (np.nanmax(rates.true_positive) - rates.true_positive) * rates.positives
        short_of_negatives = (rates.false_positive - np.nanmin(rates.false_positive)) * negatives
    for label, short in ((1, short_of_positives), (0, short_of_negatives)):
        wrong = (train.y == label) & (predictions.y_pred != label)
        for group, count in enumerate(np.nan_to_num(short)):
            drawn.append(random.choice(np.flatnonzero(wrong & (train.group == group)), round(count), replace=False))
    return np.concatenate(drawn)


def equalized_odds_gap(samples: Samples, predictions: Predictions) -> float:
    """Return the larger of the greatest gaps in true and in false positive rate between groups that have rows.

    Raises:
        NotApplicable: a group has rows, but none of one label.
    """
    rates = group_rates(samples, predictions)
    gaps = []
    for label, rate in ((1, rates.true_positive), (0, rates.false_positive)):
        lacking = np.isnan(rate) & (rates.n > 0)
        if lacking.any():
            group = samples.group_names[int(lacking.argmax())]
            raise NotApplicable(
                f"equalized odds need both labels in every group; {group!r} has no row with y = {label}"
            )
        gaps.append(float(np.nanmax(rate) - np.nanmin(rate)))
    return max(gaps)


@dataclass(frozen=True)
class BalancedErrors(Network):
    """Retrain with more of the misclassified rows of groups whose true or false positive rate is worse.

    Round 0 is the plain network. After each round the training rows are predicted and misclassified ones are added (see
    ``missing_rows``) to the rows that the next round trains on; every round starts from the same initial weights. The
    round with the smallest equalized odds difference on validation is kept, the earliest if several tie. The paper says
    only that misclassified rows of each group are rebalanced to equalise the rates; how many and how often is decided
    here.

    References:
        Malik & Mopuri, FaAlGrad (TMLR), 5.2, "MBA for EOD"; the criterion is that of Hardt, Price and Srebro (2016).
    """

    name = "mba_eod"
    uses_group = ("training",)

    rounds: int = parameter(5, "times that rows are added and the network is retrained", source="own", minimum=0)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of the best round, its curves, and the validation gap of every round.

        Raises:
            NotApplicable: in the training or the validation part a group lacks rows of one label.
        """
        rows = np.arange(len(train))
        gaps: list[float] = []
        for number in range(self.rounds + 1):
            model, curves = self.train(train.select(rows), validation, seed=seed)
            candidate = predictor(model)
            seen = candidate(train.inputs)
            equalized_odds_gap(train, seen)  # refuses groups whose rates cannot be equalised
            gaps.append(equalized_odds_gap(validation, candidate(validation.inputs)))
            if gaps[-1] < min(gaps[:-1], default=np.inf):
                best, best_curves = candidate, curves
            rows = np.concatenate([rows, missing_rows(train, seen, seed=derive_seed("add rows", seed, number))])
        diagnostics = {**best_curves, "validation_equalized_odds_difference": gaps}
        return Fitted({"": best}, chosen="", diagnostics=diagnostics)


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [BalancedErrors]
