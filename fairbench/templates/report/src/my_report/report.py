"""Each method in one line, the fairest first."""

from __future__ import annotations

from fairbench.api import Report, Results, hookimpl
from fairbench.api.analysis import Estimate, by_method, only, sections, series, telling_parameters

FAIRBENCH_API = 1
ACCURACY, GAP = "accuracy", "demographic_parity_difference"


def my_report(results: Results) -> str:
    """Return for each dataset the methods, the fairest first: means over the repeats, as fractions."""
    lines = []
    for section in sections(results.records):
        cell = section[0].cell
        lines += ["", f"{cell.dataset} by {cell.group}, {cell.scenario}"]
        telling = telling_parameters(record.cell.method for record in section)
        measured = []
        for records in by_method(section):
            accuracy, gap = (Estimate.of(series(records, metric).values()).mean for metric in (ACCURACY, GAP))
            if accuracy is not None and gap is not None:  # else no repeat has a value
                method = records[0].cell.method
                measured.append((gap, accuracy, only(method, telling[method.name])))
        for gap, accuracy, label in sorted(measured):
            lines.append(f"  gap {gap:.3f}, accuracy {accuracy:.3f}: {label}")
    return "\n".join(lines[1:])


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report; with a suffix such as ".txt" it would also be written into every run directory."""
    return [Report("my_report", "", my_report)]
