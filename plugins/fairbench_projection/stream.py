"""The scenario in which rows arrive in batches, and earlier decisions cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from fairbench.api import (
    Fitted,
    Inputs,
    Method,
    NotApplicable,
    Outcome,
    Predictions,
    Predictor,
    Samples,
    Scenario,
    Split,
    hookimpl,
    parameter,
)

from ._streaming import CORRECTIONS, PACKAGE, Settings, make_correction, mean_gap

SLACK = 1e-9  # above epsilon: what a running mean may lose to rounding
AT_BOUND = 2e-6  # from 0 or 1: a method may keep its scores a millionth away from them, so that a loss stays finite


@dataclass(frozen=True)
class Stream:
    """Fit once, then predict the test part batch by batch, and watch the groups' mean scores as they accumulate.

    Rows come in a seeded order that every method shares. Each batch is predicted by itself: a predictor that has a
    method ``stream()`` is asked for a fresh one that remembers its batches. If that corrects scores itself, its
    attributes ``before`` (the latest batch's scores (n,) before that) and ``infeasible`` (batches that it could not
    correct) are read, so that what it does is counted too. A correction may stand between the predictor and what is
    given out; corrected scores are cut at 0.5.

    Recorded for the chosen operating point, besides the metrics of all outputs together: ``stream_average_gap`` (the
    batches' gaps in mean score, averaged over rows; a batch of one group has gap 0), ``stream_pooled_gap`` (the gap of
    all outputs), ``stream_largest_pooled_gap`` and ``stream_steps_above`` (of the pooled gap after each batch: its
    maximum, and how often it exceeded epsilon), ``stream_largest_batch_gap``, ``stream_distortion`` (mean squared
    change of a score), ``stream_clipped_share`` (of rows that were moved to 0 or 1), and how many batches there were,
    had one group, or could not be corrected; of ``primal_dual`` also ``stream_largest_price``, of a batch's gap. The
    curves ``pooled_gap``, ``average_gap`` (both of all rows so far) and ``batch_gap`` have a value for each batch. The
    report ``streams`` sets them side by side.
    """

    name = "stream"
    takes_unknown_group = True

    batch_size: int = parameter(16, "rows in a batch", minimum=1)
    uneven: bool = parameter(False, "draw each batch's size from 1 to batch_size instead")
    batches: int = parameter(
        0, "number of batches of rows drawn with replacement; 0 for every test row once", minimum=0
    )
    correction: str = parameter(
        "none",
        "how scores are corrected: each batch by itself, by the published primal-dual price, by a slowly learned "
        "shift, by the pool of all outputs so far, or by shift and pool",
        choices=CORRECTIONS,
    )
    epsilon: float = parameter(0.05, "largest gap in mean score", source=f"{PACKAGE}, default", minimum=0)
    eta: float = parameter(
        0.5, "first step size of primal_dual, dual and dual_pool", source=f"{PACKAGE}, default", minimum=0
    )

    @property
    def uses_group(self) -> tuple[str, ...]:
        """Where the scenario itself uses the group: a correction needs it."""
        return () if self.correction == "none" else ("prediction",)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield the one outcome, its samples in the order of the stream.

        Raises:
            NotApplicable: the method gives no scores to correct, or the correction is for two groups only.
        """
        fitted = Fitted.of(method.fit(split.train, split.validation, seed=seed("fit")))
        rows = self.draw(len(split.test), np.random.default_rng(seed("stream")))
        streamed = split.test.select(np.concatenate(rows))
        watches = {name: self._watch(predictor, streamed, rows) for name, predictor in fitted.points.items()}
        watch = watches[fitted.chosen]
        yield Outcome(
            streamed,
            {name: watch.predictions for name, watch in watches.items()},
            fitted.chosen,
            diagnostics={**fitted.diagnostics, **watch.curves},
            values=watch.values(self.epsilon),
        )

    def draw(self, n: int, random: np.random.Generator) -> list[np.ndarray]:
        """Return the positions of each batch's rows among n."""
        sizes: list[int] = []
        while len(sizes) < self.batches or (not self.batches and sum(sizes) < n):
            sizes.append(int(random.integers(1, self.batch_size + 1)) if self.uneven else self.batch_size)
        order = random.integers(0, n, sum(sizes)) if self.batches else random.permutation(n)
        return [part for part in np.split(order, np.cumsum(sizes)[:-1]) if len(part)]

    def _watch(self, predictor: Predictor, streamed: Samples, rows: Sequence[np.ndarray]) -> Watch:
        begin = getattr(predictor, "stream", None)
        predict = begin() if begin else predictor
        settings = Settings(len(streamed.group_names), self.epsilon)
        try:
            correction = make_correction(self.correction, settings, self.eta)
        except ValueError as error:
            raise NotApplicable(str(error)) from error
        watch, end = Watch(settings.n_groups), 0
        for part in rows:
            here = slice(end, end := end + len(part))
            inputs = Inputs(streamed.X[here], streamed.group[here], streamed.schema)
            made = predict(inputs)
            score = made.decision if made.y_score is None else made.y_score
            before = getattr(predict, "before", score) if begin else score
            if self.correction == "none":
                watch.see(made, before, score, inputs.group)
                continue
            if made.y_score is None:
                raise NotApplicable(f"correction {self.correction} acts on scores; this method gives decisions only")
            value = correction.correct(score, inputs.group)
            watch.see(Predictions.from_score(value), before, value, inputs.group)
        watch.infeasible = correction.infeasible + getattr(predict, "infeasible", 0)
        watch.largest_price = getattr(correction, "largest", None)
        return watch


class Watch:
    """What was given out so far, and how the groups' means stood after each batch."""

    def __init__(self, n_groups: int) -> None:
        """Begin with nothing seen."""
        self._made: list[Predictions] = []
        self._total, self._count = np.zeros(n_groups), np.zeros(n_groups)
        self._moved = self._clipped = 0.0
        self._rows: list[int] = []
        self.pooled_gap: list[float] = []
        self.batch_gap: list[float] = []
        self.one_group = self.infeasible = 0
        self.largest_price: Optional[float] = None

    def see(self, made: Predictions, score: np.ndarray, value: np.ndarray, group: np.ndarray) -> None:
        """Take in a batch: its predictions, its scores before any correction and after it, its groups."""
        self._made.append(made)
        self._rows.append(len(group))
        self._total += np.bincount(group, weights=value, minlength=len(self._total))
        self._count += np.bincount(group, minlength=len(self._count))
        self._moved += float(((value - score) ** 2).sum())
        at_bound = (value <= AT_BOUND) | (value >= 1 - AT_BOUND)
        self._clipped += int((at_bound & (value != score)).sum())
        seen = self._count > 0
        means = self._total[seen] / self._count[seen]
        self.pooled_gap.append(float(means.max() - means.min()))
        self.batch_gap.append(mean_gap(value, group, len(self._count)))
        self.one_group += bool((group == group[0]).all())

    @property
    def predictions(self) -> Predictions:
        """Return all predictions, in the order of the stream."""
        scores = [made.y_score for made in self._made]
        known = [score for score in scores if score is not None]
        y_score: Optional[np.ndarray] = np.concatenate(known) if len(known) == len(scores) else None
        y_pred, decision = (
            np.concatenate([getattr(made, name) for made in self._made]) for name in ("y_pred", "decision")
        )
        return Predictions(y_pred, y_score, decision)

    @property
    def curves(self) -> dict[str, list[float]]:
        """Return what was recorded of each batch."""
        average = np.cumsum(np.multiply(self._rows, self.batch_gap)) / np.cumsum(self._rows)
        return {"pooled_gap": self.pooled_gap, "average_gap": average.tolist(), "batch_gap": self.batch_gap}

    def values(self, epsilon: float) -> dict[str, float]:
        """Return the scenario's own numbers."""
        n = sum(self._rows)
        return {
            "stream_average_gap": self.curves["average_gap"][-1],
            "stream_pooled_gap": self.pooled_gap[-1],
            "stream_largest_pooled_gap": max(self.pooled_gap),
            "stream_steps_above": float(sum(gap > epsilon + SLACK for gap in self.pooled_gap)),
            "stream_largest_batch_gap": max(self.batch_gap),
            "stream_distortion": self._moved / n,
            "stream_clipped_share": self._clipped / n,
            "stream_batches": float(len(self._rows)),
            "stream_one_group_batches": float(self.one_group),
            "stream_infeasible_batches": float(self.infeasible),
            **({} if self.largest_price is None else {"stream_largest_price": self.largest_price}),
        }


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Return the scenario."""
    return [Stream]
