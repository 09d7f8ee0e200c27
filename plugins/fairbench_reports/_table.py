"""Results as neutral tables, which each report writes down in its own way."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from fairbench.api import Cell, Choice, Record, Results, Value, compares_groups, no_rows
from fairbench_reports._estimates import Estimate, clean, estimate, left_out

DECIMALS = 3
ALIKE = "‡"
FEW = 10  # rows of a group in a test part, below which a gap hangs on each of them
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
class Column:
    """A metric: its name, its heading, and which direction is better (``higher``, ``lower`` or ``neither``)."""

    metric: str
    heading: str
    better: str

    @property
    def arrow(self) -> str:
        """Return an arrow in the better direction, or nothing."""
        return {"higher": "↑", "lower": "↓"}.get(self.better, "")


@dataclass(frozen=True)
class Row:
    """A method in a section.

    Args:
        label: the method, with those of its parameters that tell it from its siblings.
        method: its name.
        parameters: all of them, as the command line reads them.
        repeats: "5", or "3/5" if some are missing.
        done: how many repeats are finished.
        alike: in how many of them it decides alike for everybody.
        estimates: one for each of the section's columns.
        groups: by name of the group, one for each of the section's columns by group.
    """

    label: str
    method: str
    parameters: str
    repeats: str
    done: int
    alike: int
    estimates: tuple[Estimate, ...]
    groups: Mapping[str, tuple[Estimate, ...]]

    @property
    def constant(self) -> bool:
        """Return whether it decides alike for everybody in more than half of its repeats."""
        return 2 * self.alike > self.done


@dataclass(frozen=True)
class Section:
    """What may be compared: the methods on one dataset and attribute, under one scenario and preparation.

    ``scenario`` shows those of its parameters that tell it from the run's others of that name, if there are any;
    ``supports`` holds by group how many rows it has in the test parts, one number for each split.
    """

    cell: Cell
    scenario: str
    last_steps: tuple[int, ...]
    columns: tuple[Column, ...]
    group_columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    supports: Mapping[str, tuple[int, ...]]

    @property
    def title(self) -> str:
        """Return the dataset and the attribute."""
        return clean(f"{self.cell.dataset} by {self.cell.group}")

    @property
    def setting(self) -> str:
        """Return the scenario and the preparation in words."""
        preparation = self.cell.preparation
        among = "among" if preparation.sensitive_as_feature else "not among"
        parts = [f"scenario {self.scenario}", FEATURES.get(preparation.scale, preparation.scale)]
        parts.append(f"sensitive attribute {among} the features")
        if preparation.stratify:
            parts.append("split stratified by label and group")
        if self.last_steps and self.last_steps != (0,):
            first, last = self.last_steps[0], self.last_steps[-1]
            parts.append(f"values at the last step ({first if first == last else f'{first} to {last}'})")
        return clean("; ".join(parts))

    def notes(self) -> list[str]:
        """Return the sentences under the main table."""
        estimates = (
            (row.label, column.heading, found)
            for row in self.rows
            for column, found in zip(self.columns, row.estimates)
        )
        return [*left_out(estimates), *self._sometimes_alike(), *self._small_groups()]

    def notes_on_groups(self) -> list[str]:
        """Return the sentences under the table by group."""
        estimates = (
            (row.label, f"{column.heading} of {clean(group)}", found)
            for row in self.rows
            for group, here in row.groups.items()
            for column, found in zip(self.group_columns, here)
        )
        return [*left_out(estimates), *self._small_groups()]

    def _sometimes_alike(self) -> list[str]:
        told = [f"{row.label} in {row.alike} of {row.done} repeats" for row in self.rows if 0 < row.alike < row.done]
        return [f"decides alike for everybody: {', '.join(told)}"] if told else []

    def _small_groups(self) -> list[str]:
        """Return a sentence for each group that some test part lacks, or that has few rows in one."""
        sentences = []
        for group, rows in self.supports.items():
            here = [count for count in rows if count]
            if len(here) < len(rows):
                sentences.append(f"{no_rows([clean(group)])} in {len(rows) - len(here)} of {len(rows)} repeats")
            if here and min(here) < FEW:
                sentences.append(
                    f"group {clean(group)!r} has only {span(here)} in a test part: gaps hang on each of them"
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

    One without a finished cell is left out; the foot says why it has none.
    """
    repeats = planned_repeats(results)
    telling = {name: names for name, (names, _) in _scenario_parameters(results).items()}
    return [
        _section(records, results, telling, repeats)
        for records in _grouped(results.records, _section_key)
        if any(record.status == "done" for record in records)
    ]


def shared_parameters(results: Results) -> list[str]:
    """Return a sentence for each scenario with parameters that all its sections share, which their titles leave out."""
    return [
        clean(f"every {name} here: {shared}") for name, (_, shared) in _scenario_parameters(results).items() if shared
    ]


def _scenario_parameters(results: Results) -> dict[str, tuple[set[str], str]]:
    """Return for each scenario the parameters that titles show, all of an only variant, and a text with the others."""
    variants = {str(record.cell.scenario): record.cell.scenario for record in results.records}
    telling = _telling_parameters(variants.values())
    found = {}
    for choice in variants.values():
        shown = telling[choice.name] or {*choice.params}
        others = {*choice.params} - shown
        found[choice.name] = (shown, _only(choice, others) if others else "")
    return found


def planned_repeats(results: Results) -> int:
    """Return how many repeats the suite asks for, or how many there are if it does not say."""
    suite = results.run.get("suite", {})
    asked = suite.get("repeats", 0) if isinstance(suite, Mapping) else 0
    return max(asked, len({record.cell.repeat for record in results.records}))


def _grouped(records: Iterable[Record], key: Callable[[Cell], Hashable]) -> Iterator[list[Record]]:
    groups: dict[Hashable, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record.cell), []).append(record)
    yield from groups.values()


def _plain(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _section_key(cell: Cell) -> Hashable:
    scenario, dataset = cell.scenario, cell.dataset
    return scenario.name, _plain(scenario.params), dataset.name, _plain(dataset.params), cell.group, cell.preparation


def _method_key(cell: Cell) -> Hashable:
    return cell.method.name, _plain(cell.method.params)


def _only(choice: Choice, names: set[str]) -> str:
    """Return the choice with these of its parameters."""
    return str(replace(choice, params={name: value for name, value in choice.params.items() if name in names}))


def _section(records: Sequence[Record], results: Results, tell: Mapping[str, set[str]], repeats: int) -> Section:
    overall = {value.metric for record in records for value in record.values if not value.group}
    by_group = {value.metric for record in records for value in record.values if value.group}
    named = _named(results) | (set(results.run.get("labels", {})) - by_group)
    columns = [column for column in _columns(overall, results) if column.better != "neither" or column.metric in named]
    group_columns = _columns(by_group, results)
    supports = _supports(records)
    groups = list(dict.fromkeys([*supports, *(value.group for record in records for value in record.values)]))
    groups = [group for group in groups if group]
    methods = list(_grouped(records, _method_key))
    telling = _telling_parameters([records[0].cell.method for records in methods])
    rows = [
        _row(records, columns, group_columns, groups, telling[records[0].cell.method.name], repeats)
        for records in methods
    ]
    steps = sorted({_last_step(record) for record in records if record.values})
    marked = _mark_best(rows, columns)
    scenario = records[0].cell.scenario
    shown = _only(scenario, tell[scenario.name])
    return Section(records[0].cell, shown, tuple(steps), tuple(columns), tuple(group_columns), tuple(marked), supports)


def _named(results: Results) -> set[str]:
    """Return the metrics that the suite asks for by name."""
    suite = results.run.get("suite", {})
    return {name.strip() for text in suite.get("metrics", ()) for name in str(text).split(",")}


def _supports(records: Sequence[Record]) -> dict[str, tuple[int, ...]]:
    """Return for each group its rows in the test part of every repeat, which all methods share."""
    by_repeat = {record.cell.repeat: record.supports for record in records if record.supports}
    found: dict[str, list[int]] = {}
    for repeat in sorted(by_repeat):
        for group, rows in by_repeat[repeat]:
            found.setdefault(group, []).append(rows)
    return {group: tuple(rows) for group, rows in found.items()}


def _columns(metrics: Iterable[str], results: Results) -> list[Column]:
    ordered = sorted(metrics, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return [Column(name, *map(clean, results.labels.get(name, (name, "unknown")))) for name in ordered]


def _telling_parameters(choices: Iterable[Choice]) -> dict[str, set[str]]:
    """Return for each name, of methods or of scenarios, the parameters in which its variants differ."""
    variants: dict[str, list[Mapping[str, Any]]] = {}
    for choice in choices:
        variants.setdefault(choice.name, []).append(choice.params)
    absent = object()
    return {
        choice: {
            name
            for name in {name for params in several for name in params}
            if any(params.get(name, absent) != several[0].get(name, absent) for params in several)
        }
        for choice, several in variants.items()
    }


def _row(
    records: Sequence[Record],
    columns: Sequence[Column],
    group_columns: Sequence[Column],
    groups: Sequence[str],
    telling: set[str],
    repeats: int,
) -> Row:
    method = records[0].cell.method
    finished = [record for record in records if record.status == "done"]
    done = [_chosen_values(record) for record in finished]
    return Row(
        label=clean(_only(method, telling)),
        method=method.name,
        parameters=str(method)[len(method.name) + 1 : -1],  # what str() shows within the brackets
        repeats=str(repeats) if len(done) == repeats else f"{len(done)}/{repeats}",
        done=len(done),
        alike=sum(record.decides_alike for record in finished),
        estimates=tuple(estimate([values.get(("", column.metric)) for values in done]) for column in columns),
        groups={
            group: tuple(
                estimate([_of_group(values, group, column.metric) for values in done]) for column in group_columns
            )
            for group in (groups if done else ())
        },
    )


def _of_group(values: Mapping[tuple[str, str], Value], group: str, metric: str) -> Value | None:
    """Return a value within a group; where other groups have values and this has none, it has no rows there."""
    if any(name for name, _ in values) and not any(name == group for name, _ in values):
        return Value(0, "", group, metric, None, no_rows([group]))
    return values.get((group, metric))


def _last_step(record: Record) -> int:
    return max(value.step for value in record.values)


def _chosen_values(record: Record) -> dict[tuple[str, str], Value]:
    """Return the values of the chosen operating point at the last step, by (group, metric)."""
    if not record.values:
        return {}
    last = _last_step(record)
    here = (value for value in record.values if value.step == last and value.point == record.chosen)
    return {(value.group, value.metric): value for value in here}


def _mark_best(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark each column's best mean as it is shown, ties included, if there are two to compare.

    Who decides alike for everybody does not compete for gaps and ratios between groups: perfect there, and empty. Nor
    does a mean over fewer groups than the dataset has.
    """
    marked = [list(row.estimates) for row in rows]
    for index, column in enumerate(columns):
        out = [row.estimates[index].fewer or (row.constant and compares_groups(column.metric)) for row in rows]
        means_of_rows = [None if left else row.estimates[index].mean for row, left in zip(rows, out)]
        shown = [None if mean is None else round(mean, DECIMALS) for mean in means_of_rows]
        means = [mean for mean in shown if mean is not None]
        if len(means) < 2 or not column.arrow:
            continue
        best = max(means) if column.better == "higher" else min(means)
        for row, mean in zip(marked, shown):
            row[index] = replace(row[index], best=mean == best)
    return [replace(row, estimates=tuple(estimates)) for row, estimates in zip(rows, marked)]
