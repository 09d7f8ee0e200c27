"""A report on both metrics: how much of a method's inequality lies between the groups."""

from __future__ import annotations

from fairbench.api import Report, Results, escape_markdown, hookimpl
from fairbench.api.analysis import Estimate, by_method, only, sections, series, telling_parameters

FAIRBENCH_API = 1
METRICS = ("generalized_entropy", "between_group_entropy")


def render(results: Results) -> str:
    """Return for each dataset the inequality of each method's benefits, and the share of it between groups.

    Means over the repeats in which both are defined; nothing if the run has not measured them.
    """
    lines: list[str] = []
    for section in sections(results.records):
        telling = telling_parameters(record.cell.method for record in section)
        rows = []
        for records in by_method(section):
            total, between = (series(records, metric) for metric in METRICS)
            both = [repeat for repeat in total if repeat in between]
            whole, part = (Estimate.of([found[repeat] for repeat in both]).mean for found in (total, between))
            if whole is not None and part is not None:
                share = f"{part / whole:.1%}" if whole else "-"
                method = records[0].cell.method
                label = escape_markdown(only(method, telling[method.name]))
                rows.append((whole, f"| {label} | {len(both)} | {whole:.4f} | {part:.4f} | {share} |"))
        if rows:
            cell = section[0].cell
            lines += [f"## {escape_markdown(f'{cell.dataset} by {cell.group}, {cell.scenario}')}", ""]
            lines += ["| method | repeats | entropy | between groups | share |", "| --- | ---: | ---: | ---: | ---: |"]
            lines += [*(row for _, row in sorted(rows)), ""]
    return "\n".join(lines)


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report; every run writes it into its directory, as report.inequality.md, if it has something."""
    return [Report("inequality", ".inequality.md", render)]
