"""The tables' numbers as CSV, a line for each method and metric; an export of the run has every single value."""

from __future__ import annotations

import csv
import io

from fairbench.api import Report, Results, hookimpl
from fairbench_reports._entries import clean
from fairbench_reports._table import sections

FIELDS = (
    "scenario",
    "dataset",
    "sensitive",
    "scale",
    "sensitive_as_feature",
    "stratify",
    "method",
    "parameters",
    "repeats",
    "alike",
    "constant",
    "metric",
    "mean",
    "std",
    "n",
    "undefined",
    "reason",
    "partial",
    "lacking",
    "best",
)


def render(results: Results) -> str:
    """Return one line for each method and metric of each section, below a header line.

    ``mean`` and ``std`` are over ``n`` repeats and empty without them; ``undefined`` counts those without a value and
    ``reason`` says why. ``partial`` counts those whose value is over fewer groups than the dataset has, and ``lacking``
    says which they lack; the mean is over these only if there are no others. ``parameters`` are all of the method's, as
    the command line reads them; ``alike`` counts the repeats in which it decides alike for everybody, and ``constant``
    is true if these are more than half. A method without a finished cell has one line for each metric too, with ``n`` =
    0. Numbers are in full precision; ``best`` is decided on the three decimals of the other reports.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for section in sections(results):
        cell, preparation = section.cell, section.cell.preparation
        where = {
            "scenario": str(cell.scenario),
            "dataset": str(cell.dataset),
            "sensitive": cell.group,
            "scale": preparation.scale,
            "sensitive_as_feature": _truth(preparation.sensitive_as_feature),
            "stratify": _truth(preparation.stratify),
        }
        for row in section.rows:
            who = {
                "method": row.method,
                "parameters": row.parameters,
                "repeats": row.repeats,
                "alike": row.alike,
                "constant": _truth(row.constant),
            }
            for column, entry in zip(section.columns, row.entries):
                estimate = entry.estimate
                what = {
                    "metric": column.metric,
                    "mean": estimate.mean,
                    "std": estimate.sd,
                    "n": estimate.n,
                    "undefined": estimate.undefined,
                    "reason": clean(estimate.reason),
                    "partial": estimate.partial,
                    "lacking": clean(estimate.lacking),
                    "best": _truth(entry.best),
                }
                writer.writerow({**where, **who, **what})
    return text.getvalue()


def _truth(value: bool) -> str:
    return "true" if value else "false"


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("csv", ".csv", render)]
