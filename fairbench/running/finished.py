"""What a run directory holds when a session has ended, and how the session ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

from fairbench.records import DONE, FAILED, FAILURES, SKIPPED, Results

NOT_RUN, NOT_MEASURED = "not run", "not measured"


@dataclass(frozen=True)
class Finished:
    """What a run directory holds when a session has ended.

    Args:
        results: of the whole directory, earlier sessions included.
        path: the directory.
        interrupt: what stopped the session early, e.g. a ``KeyboardInterrupt``; None if nothing did.
        stopped: in words, why the session stopped itself: its budget is used up, or a cell failed; else empty.
        unmeasured: how many cells stay as an earlier session finished them, since they failed with more metrics.
    """

    results: Results
    path: Path
    interrupt: Optional[BaseException] = None
    stopped: str = ""
    unmeasured: int = 0

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Return how many cells are done, skipped and failed; and, if there are any, how many ended otherwise.

        Those are ``timed out``, ``out of memory``, ``crashed``, ``not measured`` and ``not run``.
        """
        counted = Counter(record.status for record in self.results.records)
        counted[DONE] -= self.unmeasured
        counted[NOT_MEASURED] = self.unmeasured
        counted[NOT_RUN] = max(0, self.results.planned - len(self.results.records))
        always = (DONE, SKIPPED, FAILED)
        return {
            status: counted[status]
            for status in (*always, *FAILURES[1:], NOT_MEASURED, NOT_RUN)
            if status in always or counted[status]
        }

    @property
    def failures(self) -> int:
        """Return how many cells failed, in whatever way."""
        return sum(self.counts.get(status, 0) for status in FAILURES)

    @property
    def complete(self) -> bool:
        """Return whether the session came to its end, every cell is done or skipped, and one at least is done."""
        counts = self.counts
        ended = not self.interrupt and not self.failures and not self.unmeasured
        return ended and NOT_RUN not in counts and counts[DONE] > 0
