"""Results as neutral tables, which each report formats in its own way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fairbench.api import Cell, Record, Results, compares_groups, no_rows
from fairbench.api.analysis import (
    FEW_ROWS,
    Columns,
    Measured,
    alike_count,
    by_method,
    finished,
    measured_metrics,
    only,
    planned_repeats,
    shown_parameters,
    supports,
    telling_parameters,
)
from fairbench.api.analysis import sections as comparable
from fairbench_reports._entries import Entry, clean, left_out

DECIMALS = 3
ALIKE = "‡"
ORDER = (
    "n",
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "log_loss",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "mean_score_difference",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "equal_opportunity_difference",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
)
FEATURES = {"standard": "features standardised", "none": "features as they are"}


@dataclass(frozen=True)
class MetricColumn:
    """A metric: its name, its heading, and which direction is better (``higher``, ``lower`` or ``neither``)."""

    metric: str
    heading: str
    better: str

    @property
    def arrow(self) -> str:
        """Return an arrow in the better direction, or nothing."""
        return {"higher": "↑", "lower": "↓"}.get(self.better, "")


@dataclass(frozen=True)
class MethodRow:
    """A method in a section.

    Args:
        label: the method, with those of its parameters that distinguish it from its siblings.
        method: its name.
        parameters: all of them, as the command line reads them.
        repeats: "5", or "3/5" if some are missing.
        alike: in how many of them it makes the same decision for everybody.
        records: its finished repeats.
        entries: one for each of the section's columns.
        by_group: returns ``groups``, which few reports show.
    """

    label: str
    method: str
    parameters: str
    repeats: str
    records: Sequence[Record]
    alike: int
    entries: tuple[Entry, ...]
    by_group: Callable[[], Mapping[str, tuple[Entry, ...]]]

    @cached_property
    def groups(self) -> Mapping[str, tuple[Entry, ...]]:
        """Return by name of the group an entry for each of the section's columns by group."""
        return self.by_group()

    @property
    def constant(self) -> bool:
        """Return whether it makes the same decision for everybody in more than half of its repeats."""
        return 2 * self.alike > len(self.records)


@dataclass(frozen=True)
class Section:
    """What may be compared: the methods on one dataset and attribute, under one scenario and preparation.

    ``scenario`` shows those of its parameters that ``shown_parameters`` names; the foot has the others;
    ``supports`` holds by group how many rows it has in the test parts, one number for each split.
    """

    cell: Cell
    scenario: str
    last_steps: tuple[int, ...]
    columns: tuple[MetricColumn, ...]
    group_columns: tuple[MetricColumn, ...]
    rows: tuple[MethodRow, ...]
    supports: Mapping[str, tuple[int, ...]]

    @property
    def key(self) -> str:
        """Return the key of the section's first cell, which no other section has."""
        return self.cell.key

    @property
    def title(self) -> str:
        """Return the dataset and the attribute."""
        return clean(f"{self.cell.dataset} by {self.cell.group}")

    @property
    def setting(self) -> str:
        """Return the scenario and the preparation in words."""
        return clean("; ".join([f"scenario {self.scenario}", *self.prepared]))

    @property
    def prepared(self) -> list[str]:
        """Return the preparation in words, and which step the values are of if there are several."""
        preparation = self.cell.preparation
        among = "among" if preparation.sensitive_as_feature else "not among"
        parts = [FEATURES.get(preparation.scale, preparation.scale), f"sensitive attribute {among} the features"]
        if preparation.stratify:
            parts.append("split stratified by label and group")
        parts += preparation.assumptions
        if self.last_steps and self.last_steps != (0,):
            first, last = self.last_steps[0], self.last_steps[-1]
            parts.append(f"values at the last step ({first if first == last else f'{first} to {last}'})")
        return parts

    def notes(self) -> list[str]:
        """Return the sentences under the main table."""
        estimates = (
            (row.label, column.heading, entry.estimate)
            for row in self.rows
            for column, entry in zip(self.columns, row.entries)
        )
        return [*left_out(estimates), *self._sometimes_alike(), *self._small_groups()]

    def notes_on_groups(self) -> list[str]:
        """Return the sentences under the table by group."""
        estimates = (
            (row.label, f"{column.heading} of {clean(group)}", entry.estimate)
            for row in self.rows
            for group, here in row.groups.items()
            for column, entry in zip(self.group_columns, here)
        )
        return [*left_out(estimates), *self._small_groups()]

    def _sometimes_alike(self) -> list[str]:
        told = [
            f"{row.label} in {row.alike} of {len(row.records)} repeats"
            for row in self.rows
            if 0 < row.alike < len(row.records)
        ]
        return [f"makes the same decision for everybody: {', '.join(told)}"] if told else []

    def _small_groups(self) -> list[str]:
        """Return a sentence for each group that some test part lacks, or that has few rows in one."""
        sentences = []
        for group, rows in self.supports.items():
            here = [count for count in rows if count]
            if len(here) < len(rows):
                sentences.append(f"{no_rows([clean(group)])} in {len(rows) - len(here)} of {len(rows)} repeats")
            if here and min(here) < FEW_ROWS:
                sentences.append(
                    f"group {clean(group)!r} has only {span(here)} in a test part: gaps depend on each of them"
                )
        return sentences


def span(counts: Sequence[int]) -> str:
    """Return "1 row", "3 rows" or "1 to 3 rows"."""
    low, high = min(counts), max(counts)
    return f"{low} row{'' if low == 1 else 's'}" if low == high else f"{low} to {high} rows"


def number(value: float | None, decimals: int = DECIMALS) -> str:
    """Return a number with fixed decimals and without a negative zero, or a dash where there is none."""
    return "-" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}"


def sections(results: Results) -> list[Section]:
    """Return a section for each (dataset, attribute, scenario, preparation), in the order of the plan.

    One without a finished cell is left out; the foot says why it has none. They are made once for all reports.
    """
    return results.once("sections of fairbench_reports", lambda: _sections(results))


def _sections(results: Results) -> list[Section]:
    repeats = planned_repeats(results)
    telling = {name: names for name, (names, _) in _scenario_parameters(results).items()}
    return [
        _section(records, results, telling, repeats) for records in comparable(results.records) if finished(records)
    ]


def shared_parameters(results: Results) -> list[str]:
    """Return a sentence for each scenario with parameters that all its sections share, which their titles leave out."""
    return [
        clean(f"every {name} here: {shared}") for name, (_, shared) in _scenario_parameters(results).items() if shared
    ]


def _scenario_parameters(results: Results) -> dict[str, tuple[set[str], str]]:
    """Return for each scenario the parameters that titles show, and a text with the rest."""
    return results.once("scenarios of fairbench_reports", lambda: _parameters_apart(results))


def _parameters_apart(results: Results) -> dict[str, tuple[set[str], str]]:
    variants = {str(record.cell.scenario): record.cell.scenario for record in results.records}
    shown = shown_parameters(variants.values())
    found = {}
    for choice in variants.values():
        others = {*choice.params} - shown[choice.name]
        found[choice.name] = (shown[choice.name], only(choice, others) if others else "")
    return found


def _section(records: Sequence[Record], results: Results, tell: Mapping[str, set[str]], repeats: int) -> Section:
    overall, by_group = (measured_metrics(records, within=within) for within in (False, True))
    named = _named(results) | (set(results.run.get("labels", {})) - by_group)
    columns = [column for column in _columns(overall, results) if column.better != "neither" or column.metric in named]
    group_columns = _columns(by_group, results)
    rows_of_groups = supports(records)
    groups = list(dict.fromkeys([*rows_of_groups, *(group for record in records for group in Measured(record).groups)]))
    methods = by_method(records)
    telling = telling_parameters([records[0].cell.method for records in methods])
    rows = [
        _row(records, columns, group_columns, groups, telling[records[0].cell.method.name], repeats)
        for records in methods
    ]
    steps = sorted({Measured(record).last_step for record in records if record.values})
    marked = _mark_best(rows, columns, results.run.get("reference_methods", ()))
    scenario = records[0].cell.scenario
    shown = only(scenario, tell[scenario.name])
    anew = next((record.rule for record in records if record.rule), "")
    if anew:
        shown += f", points chosen by {anew!r} instead"
    return Section(
        records[0].cell, shown, tuple(steps), tuple(columns), tuple(group_columns), tuple(marked), rows_of_groups
    )


def _named(results: Results) -> set[str]:
    """Return the metrics that the suite asks for by name."""
    suite = results.run.get("suite", {})
    return {name.strip() for text in suite.get("metrics", ()) for name in str(text).split(",")}


def _columns(metrics: Iterable[str], results: Results) -> list[MetricColumn]:
    order = tuple(results.run.get("order", ORDER))
    ordered = sorted(metrics, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [MetricColumn(name, *map(clean, results.labels.get(name, (name, "unknown")))) for name in ordered]


def _row(
    records: Sequence[Record],
    columns: Sequence[MetricColumn],
    group_columns: Sequence[MetricColumn],
    groups: Sequence[str],
    telling: set[str],
    repeats: int,
) -> MethodRow:
    method = records[0].cell.method
    done = Columns(finished(records))
    return MethodRow(
        label=clean(only(method, telling)),
        method=method.name,
        parameters=str(method)[len(method.name) + 1 : -1],  # what str() shows within the brackets
        repeats=str(repeats) if len(done) == repeats else f"{len(done)}/{repeats}",
        records=done,
        alike=alike_count(done),
        entries=_entries(done, columns),
        by_group=lambda: _by_group(done, group_columns, groups if done else ()),
    )


def _entries(repeats: Columns, columns: Sequence[MetricColumn], group: str = "") -> tuple[Entry, ...]:
    return tuple(Entry(repeats.estimate(column.metric, group)) for column in columns)


def _by_group(repeats: Columns, columns: Sequence[MetricColumn], groups: Sequence[str]) -> dict[str, tuple[Entry, ...]]:
    return {group: _entries(repeats, columns, group) for group in groups}


def _mark_best(
    rows: Sequence[MethodRow], columns: Sequence[MetricColumn], references: Collection[str]
) -> list[MethodRow]:
    """Mark each column's best mean as it is shown, ties included, if there are two to compare.

    A method that makes the same decision for everybody does not compete for gaps and ratios between groups, where it is
    perfect but meaningless. Nor do a mean over fewer groups than the dataset has, and methods that exist only for
    comparison (``references``).
    """
    marked = [list(row.entries) for row in rows]
    for index, column in enumerate(columns):
        out = [
            row.method in references
            or row.entries[index].estimate.fewer
            or (row.constant and compares_groups(column.metric))
            for row in rows
        ]
        means_of_rows = [None if left else row.entries[index].estimate.mean for row, left in zip(rows, out)]
        shown = [None if mean is None else round(mean, DECIMALS) for mean in means_of_rows]
        means = [mean for mean in shown if mean is not None]
        if len(means) < 2 or not column.arrow:
            continue
        best = max(means) if column.better == "higher" else min(means)
        for row, mean in zip(marked, shown):
            row[index] = replace(row[index], best=mean == best)
    return [replace(row, entries=tuple(entries)) for row, entries in zip(rows, marked)]
