"""The attainable line: how accurate the best model's scores can be made under a tolerance for a fairness gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.api import (
    Fitted,
    Inputs,
    Method,
    NotApplicable,
    Predictions,
    Predictor,
    Samples,
    derive_seed,
    hookimpl,
    parameter,
    tables_only,
)
from fairbench_baselines._constraints import CONSTRAINTS, LEAST_ROWS, ScoredRows, supports
from fairbench_baselines._hulls import HALF, Decision
from fairbench_baselines._scores import Candidates, Model, Scored

CROSS_FITTED, VALIDATION = "cross-fitted", "validation"


@dataclass(frozen=True)
class Attainable:
    """Post-process the better of two models optimally, group by group, at every tolerance for a fairness gap.

    Scores of logistic regression and of gradient boosting, both with the group as an input, are compared by log loss.
    The upper hull of each group's ROC curve bounds what thresholds on the better scores, and mixtures of them, can
    reach. On the hulls, the most accurate decisions are found whose gap stays within each tolerance:

    - ``dp<=0.05``: selection rates (demographic parity), likewise ``dp<=0`` and so on;
    - ``eopp<=0.05``: true positive rates (equal opportunity);
    - ``eo<=0.05``: true and false positive rates (equalized odds);
    - ``unconstrained``, which stands for the method: the better model, with a threshold of one half for everybody.

    Decisions need the group and may be left to chance: ``decision`` is a probability. For methods that do not use the
    group they are a bound, not a promise. The test part is never used.

    *Optimism*: on new rows accuracy tends to be lower, and gaps wider, than on the rows that the thresholds were chosen
    on. The diagnostics give the latter, to be compared with what is measured: ``claimed_accuracy_dp`` and
    ``claimed_gap_dp`` (also ``_eopp`` and ``_eo``) have an entry for each entry of the diagnostic ``tolerance``;
    ``claimed_accuracy_unconstrained`` has one. ``log_loss_logistic`` and ``log_loss_boosting`` say which model is
    better. Rows with equal features are taken for different people, as in the split itself.

    A group with fewer than ten rows to choose thresholds on is decided at one half and is not constrained; nor is, by
    ``eopp``, a group without rows with y = 1, and by ``eo`` one without rows of either label. The diagnostic
    ``left_out_of_dp: 'name'`` (``_eopp``, ``_eo``) gives how many of its rows have y = 0 and y = 1. A constraint that
    is left with fewer than two groups has no points.

    With ``deterministic`` there are also points such as ``dp<=0.05 deterministic``, with one threshold for each group
    (for ``eo`` chosen from at most 600 in all) and claims such as ``claimed_gap_dp_deterministic``. A tolerance below
    the step that one row makes in a rate has no such point: hardly anything but constants would be left.

    References:
        Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning, NeurIPS: optimal post-processing
        of scores, here at any tolerance, for any number of groups.
    """

    name = "attainable"
    uses_group = ("training", "prediction")
    is_reference = True

    fitting: str = parameter(
        CROSS_FITTED,
        "choose model and thresholds on out-of-fold scores of train and validation, or on validation alone",
        source="own: validation alone is too small (german: a gap of 11% at tolerance 0)",
        choices=(CROSS_FITTED, VALIDATION),
    )
    tolerances: tuple[float, ...] = parameter(
        (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3), "the largest gap allowed at each point", minimum=0, maximum=1
    )
    deterministic: bool = parameter(False, "also give points, named '... deterministic', that leave nothing to chance")
    folds: int = parameter(5, "folds of the cross-fitting", minimum=2)
    C: float = parameter(0.1, "logistic regression: inverse strength of the penalty", source="own", minimum=1e-12)
    rounds: int = parameter(100, "boosting: number of trees", source="scikit-learn's default", minimum=1)
    leaves: Optional[int] = parameter(
        None, "boosting: leaves of a tree; none means 8, and 31 from 20,000 rows on", source="own", minimum=2
    )
    lr: Optional[float] = parameter(
        None, "boosting: learning rate; none means 0.05, and 0.1 from 20,000 rows on", source="own", minimum=1e-12
    )

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return a predictor for each constraint and tolerance, and one for the model as it is.

        Raises:
            NotApplicable: the rows are images, the training part has one label, a label has too few rows for
                cross-fitting, or fewer than two groups have rows enough.
        """
        tables_only(train.schema, "method attainable")
        if len(np.unique(train.y)) < 2:
            raise NotApplicable(
                f"a score model needs both labels; all {len(train)} training rows have y = {train.y[0]}"
            )
        cross_fitted = self.fitting == CROSS_FITTED
        parts = (train, validation) if cross_fitted else (validation,)
        where = "train and validation have" if cross_fitted else "the validation part has"
        rows = np.sum([supports(part.group, part.y, len(part.group_names)) for part in parts], axis=0)
        labels = rows.sum(axis=0)
        if cross_fitted and labels.min() < 2:
            raise NotApplicable(
                f"cross-fitting needs two rows of each label; {where} {labels.min()} with y = {labels.argmin()}"
            )
        if len(CONSTRAINTS[0].compared(rows)) < 2:
            seen = ", ".join(f"{count} of {name!r}" for name, count in zip(train.group_names, rows.sum(axis=1)))
            raise NotApplicable(
                f"gaps are between two or more groups with at least {LEAST_ROWS} rows each; {where} {seen}"
            )
        candidates = Candidates(self.C, self.rounds, self.leaves, self.lr)
        inner = derive_seed("score models", seed)
        if cross_fitted:
            scored = candidates.cross_fitted((train, validation), self.folds, inner)
        else:
            scored = candidates.validated(train, validation, inner)
        return self._points(scored, train.group_names, derive_seed("toss", seed))

    def _points(self, scored: Scored, names: Sequence[str], toss: int) -> Fitted:
        """Return the operating points that the scored rows lead to, with what they do to these rows."""
        tolerances = {f"{tolerance:g}": tolerance for tolerance in sorted(self.tolerances)}
        rows = ScoredRows(scored.group, scored.y, scored.score, len(names))
        points = {"unconstrained": _predictor(scored.model, [HALF] * len(names), toss)}
        diagnostics: dict[str, list[float]] = {
            "tolerance": list(tolerances.values()),
            "claimed_accuracy_unconstrained": [float(rows.plain.sum() / len(rows.y))],
            **{f"log_loss_{name}": [loss] for name, loss in scored.log_loss.items()},
        }
        ways = {"": rows.solve, "deterministic": rows.solve_certain} if self.deterministic else {"": rows.solve}
        for constraint in CONSTRAINTS:
            compared = constraint.compared(rows.supports)
            for code in sorted(set(range(len(names))).difference(compared)):
                diagnostics[f"left_out_of_{constraint.name}: {names[code]!r}"] = rows.supports[code].tolist()
            for way, solve in ways.items() if len(compared) > 1 else ():
                found = {name: solve(constraint, tolerance) for name, tolerance in tolerances.items()}
                for name, made in found.items():
                    if made is not None:
                        point = f"{constraint.name}<={name} {way}".strip()
                        points[point] = _predictor(scored.model, made.decisions, toss)
                curve = f"{constraint.name}_{way}".strip("_")
                claims = [(made.accuracy, made.gap) if made else (np.nan, np.nan) for made in found.values()]
                diagnostics[f"claimed_accuracy_{curve}"] = [accuracy for accuracy, _ in claims]
                diagnostics[f"claimed_gap_{curve}"] = [gap for _, gap in claims]
        return Fitted(points, chosen="unconstrained", diagnostics=diagnostics)


def _predictor(model: Model, decisions: Sequence[Decision], toss: int) -> Predictor:
    """Return the predictor that decides each group's rows by its own decision on the model's scores."""

    def predict(inputs: Inputs) -> Predictions:
        score = model(inputs)
        chance = np.empty(len(inputs))
        for code, decide in enumerate(decisions):
            own = inputs.group == code
            chance[own] = decide(score[own])
        return Predictions.from_decision(chance, seed=toss, y_score=score)

    return predict


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [Attainable]
