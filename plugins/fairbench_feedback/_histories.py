"""Records of a run as lines over generations, side by side where they may be compared: what both reports start from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fairbench.api import Cell, Choice, Record, Results, side_of_rates
from fairbench.api.analysis import Estimate, Measured, grouped, identity

REPARATION = "reparation"
WORDS = {
    "none": "no reparation",
    "classifier": "STAR for classifiers",
    "generator": "STAR for generators",
    "both": "STAR for both",
}
GROUP_ONLY = "group_only_classifier"


@dataclass(frozen=True)
class Line:
    """The repeats of one method under one variant of a scenario.

    Args:
        method: its name, with the parameters that tell it from its siblings.
        reparation: ``none``, ``classifier``, ``generator`` or ``both``; empty for a scenario that has none.
        variant: other parameters of the scenario that tell lines apart.
        records: one for each repeat.
    """

    method: str
    reparation: str
    variant: str
    records: tuple[Record, ...]

    @property
    def setting(self) -> str:
        """Return what distinguishes this line's scenario from the others'."""
        return ", ".join(filter(None, [WORDS.get(self.reparation, self.reparation), self.variant]))

    @property
    def label(self) -> str:
        """Return the method and the setting."""
        return ", ".join(filter(None, [self.method, self.setting]))

    @cached_property
    def steps(self) -> list[int]:
        """Return the generations, in order."""
        return sorted({value.step for record in self.records for value in record.values})

    def values(self, metric: str, step: int, group: str = "") -> list[float]:
        """Return the defined values of a metric at a generation, one for each repeat that has one."""
        found = (run.whole(metric, group, step=step) for run in self._runs)
        return [value for value in found if value is not None]

    def run(self, repeat: int, metric: str, group: str = "") -> list[float | None]:
        """Return one repeat's values, one for each generation."""
        return [self._runs[repeat].whole(metric, group, step=step) for step in self.steps]

    def mean(self, metric: str, step: int) -> float | None:
        """Return the mean over the repeats, None without a value."""
        return Estimate.of(self.values(metric, step)).mean

    def spread(self, metric: str, step: int) -> float:
        """Return the sample standard deviation over the repeats, 0 with fewer than two values."""
        return Estimate.of(self.values(metric, step)).sd or 0.0

    def collapsed(self, step: int) -> int:
        """Return how many repeats have a constant or a group-only classifier at a generation."""
        constant = sum(run.decides_alike(step) for run in self._runs)
        return constant + round(sum(self.values(GROUP_ONLY, step)))

    @property
    def groups(self) -> list[str]:
        """Return the groups, in the order of their names."""
        return sorted({group for run in self._runs for group in run.groups})

    def end_states(self) -> dict[str, int]:
        """Return how many repeats end in each state, in the order of the groups.

        ``(1,0)`` selects nearly all of the first group and nobody of the second; ``between`` stands for a repeat in
        which some group is not decided as one.
        """
        counts: dict[str, int] = {}
        for run in self._runs:
            sides = [_side(run, self.steps[-1], group) for group in self.groups]
            state = f"({','.join(map(str, sides))})" if sides and None not in sides else "between"
            counts[state] = counts.get(state, 0) + 1
        return counts

    @cached_property
    def _runs(self) -> list[Measured]:
        return [Measured(record) for record in self.records]


def _side(run: Measured, step: int, group: str) -> int | None:
    """Return 1 if nearly all of a group are selected, 0 if nearly nobody is, None in between or if unknown."""
    rates = [run.whole(metric, group, step=step) for metric in ("true_positive_rate", "false_positive_rate")]
    return side_of_rates([rate for rate in rates if rate is not None])


@dataclass(frozen=True)
class Strip:
    """Lines that may be compared: one dataset, attribute and scenario, and one method or one reparation."""

    cell: Cell
    lines: tuple[Line, ...]
    method: str = ""

    @property
    def title(self) -> str:
        """Return dataset, attribute and scenario, with what all lines share: the method, or else the setting."""
        place = f"{self.cell.place}, {self.cell.scenario.name}"
        shared = self.method or (self.lines[0].setting if len({line.setting for line in self.lines}) == 1 else "")
        return f"{place}, {shared}" if shared else place

    def name(self, line: Line) -> str:
        """Return what a line is called under the title."""
        if self.method:
            return line.setting or line.method
        return line.method if len({other.setting for other in self.lines}) == 1 else line.label

    @property
    def runs(self) -> str:
        """Return how many repeats each generation's values come from."""
        counts = sorted({len(line.records) for line in self.lines})
        if len(counts) > 1:
            return f"{counts[0]} to {counts[-1]} runs"
        return f"{counts[0]} run{'s' if counts[0] > 1 else ''}"


def strips(results: Results) -> list[Strip]:
    """Return the finished loops of a run, in the order of its plan; none if it holds no scenario with generations."""
    done = [record for record in results.records if record.values and "generations" in record.cell.scenario.params]
    found = []
    for records in grouped(done, _place):
        lines = _lines(records)
        methods = list(dict.fromkeys(line.method for line in lines))
        apart = len({(line.reparation, line.variant) for line in lines}) > 1
        for method in methods if apart and len(methods) > 1 else [""]:
            chosen = tuple(line for line in lines if method in ("", line.method))
            shared = method or (methods[0] if len(methods) == 1 else "")
            found.append(Strip(records[0].cell, chosen, shared))
    return found


def _place(cell: Cell) -> Hashable:
    return identity(cell.dataset), cell.group, cell.preparation, cell.scenario.name


def _lines(records: Sequence[Record]) -> list[Line]:
    by_name = grouped(records, lambda cell: cell.method.name)
    usual_of_method = {
        several[0].cell.method.name: _usual(r.cell.method.params for r in several) for several in by_name
    }
    usual = _usual(record.cell.scenario.params for record in records)
    lines = []
    for several in grouped(records, lambda cell: (identity(cell.method), identity(cell.scenario))):
        method, scenario = several[0].cell.method, several[0].cell.scenario
        of_method = _unusual(method.params, usual_of_method[method.name])
        of_scenario = {name: value for name, value in _unusual(scenario.params, usual).items() if name != REPARATION}
        lines.append(
            Line(
                str(Choice(method.name, of_method)),
                str(scenario.params.get(REPARATION, "")),
                str(Choice("", of_scenario))[1:-1],  # without a name the brackets stay
                tuple(several),
            )
        )
    return lines


def _usual(several: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the most frequent value of each parameter, the first if several are equally frequent."""
    variants = list(several)
    columns = {name: [params[name] for params in variants] for name in variants[0]}
    return {name: max(values, key=values.count) for name, values in columns.items()}


def _unusual(params: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that tell a line from its siblings."""
    return {name: value for name, value in params.items() if value != usual[name]}
