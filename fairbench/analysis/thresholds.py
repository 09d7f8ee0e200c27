"""One threshold for everybody, moved over the scores of a test part: what the line of a common threshold is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from fairbench.analysis.counts import Counts
from fairbench.analysis.gaps import gap
from fairbench.analysis.stacked import Stack
from fairbench.data.rows import Predictions
from fairbench.running.truth import Truth

LEVELS = np.linspace(0, 1, 41)  # shares of the test part that the common threshold selects


def thresholds(truth: Truth, predictions: Predictions) -> list[Counts]:
    """Return the counts at one threshold for everybody, for each share of ``LEVELS``; equal scores stay together.

    Args:
        truth: the test part.
        predictions: with a score.
    """
    score, groups = np.asarray(predictions.y_score), len(truth.group_names)
    order = np.argsort(-score, kind="stable")
    cell = (truth.group * 2 + truth.y)[order]
    taken = np.zeros((len(cell) + 1, groups * 2))
    np.cumsum(cell[:, None] == np.arange(groups * 2), axis=0, out=taken[1:])
    last = np.append(np.flatnonzero(np.diff(score[order])) + 1, len(cell))  # rows up to the end of each score
    ends = np.concatenate([[0], last])
    wanted = ends[np.searchsorted(ends, np.round(LEVELS * len(cell)), side="left")]
    rows = taken[-1].reshape(groups, 2)
    return [Counts(truth.group_names, rows, taken[end].reshape(groups, 2)) for end in dict.fromkeys(wanted.tolist())]


def gaps_and_accuracies(swept: Sequence[Counts], metric: str) -> list[tuple[Optional[float], float]]:
    """Return the gap, one of ``GAPS``, and the accuracy at each of several thresholds: ``swept`` in one test part."""
    stack = Stack.of(swept)
    if stack is None:
        return [(gap(counts, metric).value, counts.accuracy) for counts in swept]
    return list(zip(stack.gaps(metric).value.tolist(), stack.accuracy.tolist()))
