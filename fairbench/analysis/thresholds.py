"""One threshold for everybody, moved over the scores of a test part: what the line of a common threshold is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from fairbench.analysis.counts import Counts
from fairbench.analysis.gaps import gap
from fairbench.analysis.lines import Vertex
from fairbench.analysis.stacked import Stack
from fairbench.data.rows import Floats, Integers, Predictions
from fairbench.running.truth import Truth

LEVELS = np.linspace(0, 1, 41)  # shares of the test part that the common threshold selects


@dataclass(frozen=True, eq=False)
class Sweep:
    """A test part at L thresholds: ``rows`` (G, 2), and how many of them are ``selected`` at each (L, G, 2)."""

    groups: tuple[str, ...]
    rows: Floats
    selected: Floats

    @classmethod
    def of(cls, truth: Truth, predictions: Predictions) -> Sweep:
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
        distinct = list(dict.fromkeys(wanted.tolist()))
        return cls(truth.group_names, taken[-1].reshape(groups, 2), taken[distinct].reshape(-1, groups, 2))

    def at(self, places: Integers) -> Floats:
        """Return what is selected at some of the thresholds."""
        return self.selected[places]


@dataclass(frozen=True, eq=False)
class Sweeps:
    """The same L thresholds in J repeats: ``selected`` (J, L, G, 2), and all J L counts where they are plain."""

    sweeps: Sequence[Sweep]
    selected: Floats
    stack: Optional[Stack]

    @classmethod
    def of(cls, sweeps: Sequence[Sweep]) -> Sweeps:
        """Return the sweeps of J repeats; where ties leave fewer thresholds in some, each has one for every level."""
        sizes = [len(sweep.selected) for sweep in sweeps]
        if len(set(sizes)) > 1:
            places = [np.array([round(at * (size - 1)) for at in LEVELS]) for size in sizes]
            selected = np.stack([sweep.at(here) for sweep, here in zip(sweeps, places)])
        else:
            selected = np.stack([sweep.selected for sweep in sweeps])
        stack, thresholds = None, selected.shape[1]
        if len({sweep.groups for sweep in sweeps}) == 1:
            rows = np.repeat(np.stack([sweep.rows for sweep in sweeps]), thresholds, axis=0)
            stack = Stack.where_plain(sweeps[0].groups, rows, selected.reshape(-1, *selected.shape[2:]))
        return cls(sweeps, selected, stack)

    def vertices(self, metric: str) -> list[Vertex]:
        """Return the gap (one of ``GAPS``) and the accuracy at each threshold where all repeats have the gap."""
        repeats, thresholds = self.selected.shape[:2]
        if self.stack is not None:
            values = self.stack.gaps(metric).value, self.stack.accuracy
            gaps, accuracy = (np.ascontiguousarray(one.reshape(repeats, thresholds).T) for one in values)
            return [Vertex(*pair) for pair in zip(gaps, accuracy)]
        found = []
        for place in range(thresholds):
            chosen = zip(self.sweeps, self.selected[:, place])
            counts = [Counts(sweep.groups, sweep.rows, selected) for sweep, selected in chosen]
            known = [value for value in (gap(here, metric).value for here in counts) if value is not None]
            if len(known) == repeats:
                found.append(Vertex(np.array(known), np.array([here.accuracy for here in counts])))
        return found
