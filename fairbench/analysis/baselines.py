"""Which method of a section the others are compared with: one rule for lines, harm and every other comparison."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from fairbench.analysis.columns import series
from fairbench.analysis.filtered import unfiltered
from fairbench.analysis.values import by_method, finished, only, telling_parameters
from fairbench.choices import parse_choices, stands_for
from fairbench.records import Record, Results

USUAL = "mlp"
NAMED, UNNAMED = "named by the suite", "none is named; the usual baseline"


@dataclass(frozen=True)
class Baseline:
    """The method that others are compared with, as it ran in one section.

    Args:
        records: its finished repeats; empty if no method can be the baseline.
        why: why this one, or why there is none; continues a sentence, e.g. "named by the suite".
        label: its name, with those parameters that tell it from the section's other variants; for sentences.
    """

    records: tuple[Record, ...]
    why: str
    label: str = ""

    @property
    def name(self) -> str:
        """Return the method's name; empty if there is no baseline."""
        return self.records[0].cell.method.name if self.records else ""

    @cached_property
    def keys(self) -> frozenset[str]:
        """Return the keys of its cells."""
        return frozenset(record.cell.key for record in self.records)

    def ran(self, records: Sequence[Record]) -> bool:
        """Return whether these ``records``, of one method, are its own."""
        return not self.keys.isdisjoint(record.cell.key for record in records)

    @property
    def expected(self) -> bool:
        """Return whether it is the method that the suite names or, if it names none, the usual one."""
        return self.why in (NAMED, UNNAMED)


def baseline_of(records: Sequence[Record], results: Results) -> Baseline:
    """Return the baseline of a section: the suite's, else ``mlp``, else the most accurate method.

    A method takes part if it has a finished repeat; reference methods never do, unless the suite names one. Of several
    variants of a method, the first in the plan is taken.

    Args:
        records: one section, see ``sections``.
        results: the run that it belongs to, for the suite's ``baseline`` and the names of reference methods.

    Raises:
        SuiteError: the suite's ``baseline`` is not a choice such as ``mlp[epochs=5]``.
    """
    ran = [done for done in map(finished, by_method(unfiltered(records, results))) if done]
    telling = telling_parameters([done[0].cell.method for done in ran])

    def chosen_as(done: Sequence[Record], why: str) -> Baseline:
        method = done[0].cell.method
        return Baseline(tuple(done), why, only(method, telling[method.name]))

    references = results.run.get("reference_methods", ())
    others = [done for done in ran if done[0].cell.method.name not in references]
    suite = results.run.get("suite", {})
    named = str(suite.get("baseline") or "")
    if named:
        choices = parse_choices(named)
        chosen = next(
            (done for done in ran if any(stands_for(choice, done[0].cell.method) for choice in choices)), None
        )
        if chosen:
            return chosen_as(chosen, NAMED)
    instead = f"the suite's baseline {named} has no finished repeat here; instead " if named else ""
    usual = next((done for done in others if done[0].cell.method.name == USUAL), None)
    if usual:
        return chosen_as(usual, f"{instead}the usual baseline" if instead else UNNAMED)
    accuracy = {place: series(done, "accuracy") for place, done in enumerate(others)}
    means = {place: statistics.fmean(found.values()) for place, found in accuracy.items() if found}
    if not means:
        return Baseline((), "no method but reference methods has a finished repeat with an accuracy")
    best = max(means, key=lambda place: means[place])
    return chosen_as(others[best], f"{instead or 'none is named, and mlp did not run; '}the most accurate method")


def names_of(texts: Iterable[str]) -> set[str]:
    """Return the names among choices as users write them, such as the ``texts`` of a suite's methods."""
    return {choice.name for text in texts for choice in parse_choices(text)}
