"""What the numbers of a paper's tables measure, and the look-up of the names in its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from fairbench.cells import Choice
from fairbench.errors import PaperError
from fairbench.papers.checked import Node, named
from fairbench.plugins.registry import Registry

KINDS = METRIC, VALUE, DIAGNOSTIC, CPU_SECONDS_PER, NUMBER_OF, MEAN_OF = (
    "metric",
    "value",
    "diagnostic",
    "cpu_seconds_per",
    "number_of",
    "mean_of",
)


@dataclass(frozen=True)
class Column:
    """What is measured; two columns are equal if they measure the same.

    Args:
        metric: name of the metric, of the curve, or of the scenario's value.
        group: of a metric, the group within which it is taken; empty for all rows.
        heading: for tables.
        kind: ``metric``; ``value``, a number that the scenario measures itself; or of a curve that the method records
            ``diagnostic``, its last value; ``number_of`` and ``mean_of``, how many values it has and their mean;
            ``cpu_seconds_per``, the cell's CPU seconds by their number.
        step: of metrics and values, the scenario's step (a generation); None for its last.
        judged: whether a measured number far from the published one is worth a verdict; times on two machines are not.
    """

    metric: str
    group: str = ""
    heading: str = field(default="", compare=False)
    kind: str = METRIC
    step: Optional[int] = None
    judged: bool = field(default=True, compare=False)

    @property
    def quantity(self) -> str:
        """Return in words what is measured: the metric's name, or what is computed from which curve."""
        of_a_curve = {
            DIAGNOSTIC: "last",
            CPU_SECONDS_PER: "CPU seconds per",
            NUMBER_OF: "number of",
            MEAN_OF: "mean of",
        }
        return f"{of_a_curve[self.kind]} {self.metric}" if self.kind in of_a_curve else self.metric


ACCURACY = Column("accuracy")


def at_steps(column: Column, steps: Sequence[int]) -> list[Column]:
    """Return the ``column`` at each of the ``steps``, or at the last one if none is named."""
    return [replace(column, step=step, heading=f"{column.heading}, step {step}") for step in steps] or [column]


@dataclass(frozen=True)
class Names:
    """Looks names up where there is a registry; a method that may be missing (``optional``) passes."""

    registry: Optional[Registry]
    optional: tuple[str, ...]

    def method(self, node: Node, choice: Choice) -> Choice:
        """Return the choice, if there is such a method with such parameters."""
        registry = self.registry
        if registry is not None and not (choice.name in self.optional and not has_method(registry, choice.name)):
            named(lambda: registry.complete("methods", choice), node.where)
        return choice

    def dataset(self, node: Node, choice: Choice) -> Choice:
        """Return the choice as it is planned."""
        registry = self.registry
        return choice if registry is None else named(lambda: registry.shorten("datasets", choice), node.where)

    def scenario(self, node: Node, key: str = "scenario") -> Optional[Choice]:
        """Return the scenario that a row names, with the parameters that it gives; None if it names none."""
        if key not in node.table:
            return None
        choice, registry = node.choice(key), self.registry
        if registry is not None:
            named(lambda: registry.complete("scenarios", choice), node.where)
        return choice

    def column(self, node: Node, column: Column) -> Column:
        """Return the column with its heading and the metric's own name, if it can be measured."""
        registry = self.registry
        if registry is None or column.kind != METRIC:
            return column if column.heading else replace(column, heading=column.quantity)
        metric = named(lambda: registry.metric(column.metric), node.where)
        if column.group and not metric.by_group:
            raise PaperError(f"{node.where}: {column.metric} is not measured by group; leave group out")
        label = metric.label or metric.name
        heading = column.heading or " of ".join(filter(None, [label, column.group]))
        return replace(column, metric=metric.name, heading=heading)  # what was typed may be an alias, such as dp

    def check_range(self, node: Node, column: Column, value: float) -> None:
        """Refuse a number outside the metric's range."""
        if self.registry is None or column.kind != METRIC:
            return
        low, high = self.registry.metric(column.metric).range
        if not low <= value <= high:
            raise PaperError(
                f"{node.where}: {value:g} is not a value of {column.metric}, which runs from {low:g} to {high:g}; "
                "give fractions, not per cent"
            )


def has_method(registry: Registry, name: str) -> bool:
    """Return whether a method of the name can be used."""
    return name in registry.names("methods")


def read_columns(top: Node, registry: Optional[Registry]) -> dict[str, Column]:
    """Return the columns of ``[columns]`` by their short names."""
    node, columns = top.child("columns"), {}
    names = Names(registry, ())
    for name, value in node.table.items():
        given = Node({"metric": value} if isinstance(value, str) else node.get(name, dict), f"{node.where}.{name}")
        given.only([*KINDS, "group", "heading", "judged"])
        kinds = [kind for kind in KINDS if kind in given.table]
        if len(kinds) != 1:
            raise PaperError(
                f"{given.where} gives {' and '.join(kinds) or 'nothing to measure'}; "
                f"give one of {', '.join(KINDS[:-1])} and {KINDS[-1]}"
            )
        if "group" in given.table and kinds != [METRIC]:
            raise PaperError(f"{given.where}: a {kinds[0]} is not measured by group; leave group out")
        texts = (given.get(kinds[0], str), given.get("group", str, ""), given.get("heading", str, ""))
        columns[name] = names.column(given, Column(*texts, kind=kinds[0], judged=given.get("judged", bool, True)))
    return columns
