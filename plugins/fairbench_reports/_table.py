"""Results as neutral tables, which each report writes down in its own way."""

from __future__ import annotations

import json
import statistics
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from fairbench.api import Cell, Choice, Record, Results, Value

DECIMALS = 3
UNDEFINED, CONSTANT = "†", "‡"
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
NOT_MEASURED = "not measured; 'fairbench rescore' adds a metric to a finished run"


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
class Estimate:
    """A metric over repeats: mean and sample standard deviation of the ``n`` values that are defined.

    ``mean`` is None without a value, ``std`` with fewer than two; ``reason`` is why the first undefined one has none.
    """

    mean: float | None
    std: float | None
    n: int
    undefined: int
    reason: str = ""
    best: bool = False

    @property
    def mark(self) -> str:
        """Return the sign of a mean from which repeats are missing."""
        return UNDEFINED if self.undefined else ""


@dataclass(frozen=True)
class Row:
    """A method in a section; ``label`` shows those of its parameters that tell it from its siblings.

    ``repeats`` is "5", or "3/5" if some are missing; ``constant`` says that it decides alike for everybody;
    ``estimates`` go with the section's columns; ``groups`` holds by name those that go with its ``group_columns``.
    """

    label: str
    method: str
    parameters: str
    repeats: str
    constant: bool
    estimates: tuple[Estimate, ...]
    groups: Mapping[str, tuple[Estimate, ...]]


@dataclass(frozen=True)
class Section:
    """What may be compared: the methods on one dataset and attribute, under one scenario and preparation.

    ``scenario`` shows those of its parameters that tell it from the run's others of that name, if there are any.
    """

    cell: Cell
    scenario: str
    last_steps: tuple[int, ...]
    columns: tuple[Column, ...]
    group_columns: tuple[Column, ...]
    rows: tuple[Row, ...]

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

    def undefined(self) -> list[str]:
        """Return a sentence for each reason why values of the main table are missing."""
        return undefined_notes(
            (row, column.heading, estimate)
            for row in self.rows
            for column, estimate in zip(self.columns, row.estimates)
        )

    def undefined_in_groups(self) -> list[str]:
        """Return a sentence for each reason why values of the table by group are missing."""
        return undefined_notes(
            (row, f"{column.heading} of {clean(group)}", estimate)
            for row in self.rows
            for group, estimates in row.groups.items()
            for column, estimate in zip(self.group_columns, estimates)
        )


def clean(text: str) -> str:
    """Return the text on one line, without characters that steer a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def number(value: float | None, decimals: int = DECIMALS) -> str:
    """Return a number with fixed decimals and without a negative zero, or a dash where there is none."""
    return "-" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}"


def sections(results: Results) -> list[Section]:
    """Return a section for each (dataset, attribute, scenario, preparation), in the order of the plan."""
    repeats = planned_repeats(results)
    telling = {name: names for name, (names, _) in _scenario_parameters(results).items()}
    return [_section(records, results, telling, repeats) for records in _grouped(results.records, _section_key)]


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


def undefined_notes(estimates: Iterable[tuple[Row, str, Estimate]]) -> list[str]:
    """Return a sentence for each reason and how often it holds, with the methods and the metrics that share it."""
    methods: dict[tuple[str, str, str], list[str]] = {}
    for row, heading, estimate in estimates:
        if estimate.undefined:
            share = f"{estimate.undefined} of {estimate.n + estimate.undefined} repeats"
            methods.setdefault((heading, share, estimate.reason), []).append(row.label)
    headings: dict[tuple[str, str, str], list[str]] = {}
    for (heading, share, reason), labels in methods.items():
        headings.setdefault((share, ", ".join(labels), reason), []).append(heading)
    return [
        f"{', '.join(several)} undefined in {share} ({labels}): {reason}"
        for (share, labels, reason), several in headings.items()
    ]


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
    columns = [column for column in _columns(overall, results) if column.better != "neither"]
    group_columns = _columns(by_group, results)
    groups = list(dict.fromkeys(value.group for record in records for value in record.values if value.group))
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
    return Section(records[0].cell, shown, tuple(steps), tuple(columns), tuple(group_columns), tuple(marked))


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
    done = [_chosen_values(record) for record in records if record.status == "done"]
    selected = [values.get(("", "selection_rate")) for values in done]
    return Row(
        label=clean(_only(method, telling)),
        method=method.name,
        parameters=str(method)[len(method.name) + 1 : -1],  # what str() shows within the brackets
        repeats=str(repeats) if len(done) == repeats else f"{len(done)}/{repeats}",
        constant=bool(selected) and all(value is not None and value.value in (0.0, 1.0) for value in selected),
        estimates=tuple(_estimate([values.get(("", column.metric)) for values in done]) for column in columns),
        groups={
            group: tuple(_estimate([values.get((group, column.metric)) for values in done]) for column in group_columns)
            for group in groups
            if any(group == name for values in done for name, _ in values)
        },
    )


def _last_step(record: Record) -> int:
    return max(value.step for value in record.values)


def _chosen_values(record: Record) -> dict[tuple[str, str], Value]:
    """Return the values of the chosen operating point at the last step, by (group, metric)."""
    if not record.values:
        return {}
    last = _last_step(record)
    here = (value for value in record.values if value.step == last and value.point == record.chosen)
    return {(value.group, value.metric): value for value in here}


def _estimate(values: Sequence[Value | None]) -> Estimate:
    defined = [value.value for value in values if value is not None and value.value is not None]
    missing = [value.reason if value else NOT_MEASURED for value in values if value is None or value.value is None]
    return Estimate(
        mean=statistics.fmean(defined) if defined else None,
        std=statistics.stdev(defined) if len(defined) > 1 else None,
        n=len(defined),
        undefined=len(missing),
        reason=clean(missing[0]) + (" (and the like)" if len(set(missing)) > 1 else "") if missing else "",
    )


def _mark_best(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark each column's best mean as it is shown, ties included, if there are two to compare.

    Who says the same of everybody does not compete for gaps and ratios between groups: perfect there, and empty.
    """
    marked = [list(row.estimates) for row in rows]
    for index, column in enumerate(columns):
        means_of_rows = [row.estimates[index].mean for row in rows]
        trivial = [row.constant and column.metric.endswith(("_difference", "_ratio")) for row in rows]
        shown = [None if mean is None or out else round(mean, DECIMALS) for mean, out in zip(means_of_rows, trivial)]
        means = [mean for mean in shown if mean is not None]
        if len(means) < 2 or not column.arrow:
            continue
        best = max(means) if column.better == "higher" else min(means)
        for row, mean in zip(marked, shown):
            row[index] = replace(row[index], best=mean == best)
    return [replace(row, estimates=tuple(estimates)) for row, estimates in zip(rows, marked)]
