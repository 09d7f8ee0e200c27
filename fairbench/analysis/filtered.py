"""A run with only some of its methods, datasets and metrics; reference lines are still drawn through all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Optional

from fairbench.analysis.values import measured_metrics, sections
from fairbench.cells import Cell, Choice
from fairbench.choices import metric_called, parse_choices, stands_for
from fairbench.errors import SuiteError, UnknownName
from fairbench.records import Record, Results

ALL = "all"
BY_DATASET = ("notes", "references", "base_rates")  # of ``Results.run``


def filtered(
    results: Results, *, methods: Optional[str] = None, datasets: Optional[str] = None, metrics: Optional[str] = None
) -> Results:
    """Return the results with only what is asked for; ``whole`` then holds those that were given.

    A verdict needs the baseline, the attainable line and the accuracy, so it is taken from ``whole``: it is the same
    whatever is left out.

    Args:
        results: of a run.
        methods: as ``fairbench run`` takes them, ``faalgrad[split=config1],threshold``: parameters that are left out
            can have any value. None or ``all`` for every method.
        datasets: likewise.
        metrics: their names, or ``dp`` and ``eo``.

    Raises:
        UnknownName: the run has no such method, dataset or metric.
        SuiteError: a list is malformed, no cell has the parameters, or nothing is left.
    """
    wanted = {
        "method": _chosen("method", methods, results, lambda cell: cell.method),
        "dataset": _chosen("dataset", datasets, results, lambda cell: cell.dataset),
    }
    names = _metrics(metrics, results)
    if names is None and not any(wanted.values()):
        return results
    records = [record for record in results.records if _matches(record.cell, wanted["method"], wanted["dataset"])]
    if not records:
        raise SuiteError(f"the run{_in(results)} has no cell of {methods} on {datasets}")
    if names is not None:
        records = [
            replace(record, values=tuple(value for value in record.values if value.metric in names))
            for record in records
        ]
    labels = {name: label for name, label in results.labels.items() if names is None or name in names}
    return replace(
        results, records=records, labels=labels, run=_run(results, records, wanted["dataset"]), whole=results
    )


def unfiltered(records: Sequence[Record], results: Results) -> Sequence[Record]:
    """Return all records of the sections that ``records`` belong to, those that a filter left out included."""
    if results.whole is None:
        return records
    keys = {record.cell.key for record in records}
    return [
        record
        for section in sections(results.whole.records)
        if any(record.cell.key in keys for record in section)
        for record in section
    ]


def _chosen(what: str, text: Optional[str], results: Results, of: Callable[[Cell], Choice]) -> list[Choice]:
    """Return the choices of a list, each of which stands for a cell; none if everything is meant."""
    choices = [] if text is None else parse_choices(text)
    if any(choice.name == ALL for choice in choices):
        return []
    there = {str(choice): choice for choice in (of(record.cell) for record in results.records)}
    for choice in choices:
        beside = [label for label, other in there.items() if other.name == choice.name]
        if not beside:
            names = {other.name for other in there.values()}
            raise UnknownName(what, choice.name, names, f"{_in(results)}; there {_listed(names)}")
        if not any(stands_for(choice, other) for other in there.values()):
            raise SuiteError(f"no {what} is {choice}{_in(results)}; there {_listed(beside)}")
    return choices


def _metrics(text: Optional[str], results: Results) -> Optional[set[str]]:
    """Return the metrics that a list names; None for all."""
    choices = [] if text is None else parse_choices(text)
    if not choices or any(choice.name == ALL for choice in choices):
        return None
    known = {
        *results.labels,
        *(name for within in (False, True) for name in measured_metrics(results.records, within=within)),
    }
    names = set()
    for choice in choices:
        if choice.params:
            raise SuiteError(f"metric {choice.name} takes no parameters, seen {choice}")
        name = metric_called(choice.name, known)
        if name not in known:
            raise UnknownName("metric", choice.name, known, f"{_in(results)}; there {_listed(known)}")
        names.add(name)
    return names


def _matches(cell: Cell, methods: Sequence[Choice], datasets: Sequence[Choice]) -> bool:
    return all(
        not choices or any(stands_for(choice, own) for choice in choices)
        for choices, own in ((methods, cell.method), (datasets, cell.dataset))
    )


def _run(results: Results, records: Iterable[Record], datasets: Sequence[Choice]) -> dict[str, Any]:
    """Return what produced the run, without what is about datasets that are left out."""
    hidden = {str(record.cell.dataset) for record in results.records}
    hidden -= {str(record.cell.dataset) for record in records}
    run = dict(results.run)
    for name in BY_DATASET:
        if name in run:
            run[name] = {dataset: about for dataset, about in run[name].items() if dataset not in hidden}
    if datasets and run.get("unavailable"):
        names = {choice.name for choice in datasets}
        run["unavailable"] = {
            dataset: why for dataset, why in run["unavailable"].items() if dataset.partition("[")[0] in names
        }
    return run


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    return f"{'is' if len(known) == 1 else 'are'} {', '.join(known)}" if known else "is none"


def _in(results: Results) -> str:
    return f" in {results.path}" if results.path else ""
