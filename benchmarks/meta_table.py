"""Results of the meta-learners, printed and drawn from a finished run.

    fairbench reproduce faalgrad:table5 --out runs/table5      # one budget for all, chosen on validation
    python benchmarks/meta_table.py runs/table5
    fairbench run benchmarks/meta-tasks.toml --out runs/tasks  # or meta-tasks-country.toml: defaults over other tasks
    python benchmarks/meta_table.py runs/tasks

For each dataset there is one row per method, with means over repeats: the operating point chosen most often and how
often, with the choice of validation (where methods are tuned) and the mode of prediction; what the tasks are formed by,
their number T and the mean number of rows that weights adapt to; accuracy; the ratios of demographic parity and
equalized odds with y = 1 as the favoured outcome, and with y = 0, since a ratio depends on which outcome is called
favourable; the selection rate of each group; and in how many repeats everybody is decided alike. If several
configurations were tried, the picture ``configurations.png`` in the run directory shows every test point; hollow ones
were not chosen.

Below are the numbers that Malik & Mopuri quote for these methods. They are not comparable: they come from other data,
splits, labels, tasks and definitions of the ratios (see ``fairbench reproduce faalgrad:table5``). What is measured here
is training over tasks within one dataset, neither transfer to new tasks nor learning online.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from fairbench.analysis.drawing import SETTINGS, STYLES, require_matplotlib
from fairbench.analysis.values import Measured, alike_count, chosen_points, finished
from fairbench.errors import StoreError
from fairbench.papers.published import read_published
from fairbench.plugins.loading import load_plugins
from fairbench.records import Record, Results
from fairbench.running.rundir import load_results

HEADS = (
    "method",
    "operating point",
    "tasks by",
    "T",
    "support rows",
    "accuracy",
    "DP ratio",
    "EO ratio",
    "DP ratio, y = 0",
    "EO ratio, y = 0",
    "selected",
)

Rates = Mapping[str, Sequence[float]]


def rates_of(record: Record, point: str) -> Rates:
    """Return selection, true positive and false positive rate by group at an operating point, NaN where undefined."""
    measured = Measured(record)
    names = ("selection_rate", "true_positive_rate", "false_positive_rate")
    found = {name: [measured.whole(name, group, point=point) for group in measured.groups] for name in names}
    return {name: [np.nan if rate is None else rate for rate in rates] for name, rates in found.items()}


def ratio(rates: Sequence[float]) -> float:
    """Return the smallest rate as a share of the largest, NaN if the largest is 0 or a rate is undefined."""
    return min(rates) / max(rates) if max(rates) > 0 and not np.isnan(rates).any() else float("nan")


def ratios(rates: Rates, favoured: int) -> tuple[float, float]:
    """Return the ratios of demographic parity and of equalized odds with y = 1 or y = 0 as the favoured outcome."""
    towards = {name: [rate if favoured else 1 - rate for rate in values] for name, values in rates.items()}
    odds = [ratio(towards[name]) for name in ("true_positive_rate", "false_positive_rate")]
    return ratio(towards["selection_rate"]), min(odds) if not np.isnan(odds).any() else float("nan")


def accuracy_of(record: Record, point: str) -> float:
    """Return the accuracy over all rows at an operating point, NaN if it was not measured."""
    found = Measured(record).whole("accuracy", point=point)
    return np.nan if found is None else found


def by_row(results: Results) -> dict[str, dict[str, list[Record]]]:
    """Return the finished records by dataset and method; those of tuned methods alone if there are any."""
    done = finished(results.records)
    tuned = list(filter(is_tuned, done))
    found: dict[str, dict[str, list[Record]]] = {}
    for (dataset, label), record in labelled(tuned or done):
        found.setdefault(dataset, {}).setdefault(label, []).append(record)
    return found


def is_tuned(record: Record) -> bool:
    """Return whether validation chose among configurations."""
    return record.cell.scenario.name == "tuned" or bool(record.cell.scenario.params.get("tuned"))


def labelled(records: Sequence[Record]) -> Iterator[tuple[tuple[str, str], Record]]:
    """Yield dataset and method, with the parameters in which its rows on that dataset differ, of each record."""
    values: dict[tuple[str, str, str], set[str]] = {}
    for cell in (record.cell for record in records):
        for name, value in cell.method.params.items():
            values.setdefault((str(cell.dataset), cell.method.name, name), set()).add(str(value))
    for record in records:
        dataset, method = str(record.cell.dataset), record.cell.method
        varied = [f"{k}={v}" for k, v in method.params.items() if len(values[dataset, method.name, k]) > 1]
        yield (dataset, method.name + (f"[{','.join(varied)}]" if varied else "")), record


def mean(values: Sequence[float]) -> str:
    """Return the mean of the defined values, and how many there are if some are missing."""
    defined = [value for value in values if not np.isnan(value)]
    missing = "" if len(defined) == len(values) else f" [{len(defined)}/{len(values)}]"
    return f"{np.mean(defined):.3f}{missing}" if defined else "-"


def row(method: str, records: Sequence[Record]) -> str:
    """Return a method's row of the table."""
    chosen, times = chosen_points(records)[0]
    tasks = {len(record.diagnostics["task_sizes"]) for record in records if "task_sizes" in record.diagnostics}
    supports = [np.mean(sizes) for record in records if (sizes := record.diagnostics.get("support_sizes"))]
    rates = [rates_of(record, record.chosen) for record in records]
    towards = {favoured: np.array([ratios(rate, favoured) for rate in rates]) for favoured in (1, 0)}
    groups = np.mean([rate["selection_rate"] for rate in rates], axis=0)
    alike = alike_count(records)
    cells = [
        method,
        f"{chosen or 'as it is'} ({times}/{len(records)})",
        str(records[0].cell.method.params.get("tasks", "-")),
        "-".join(str(count) for count in sorted({min(tasks), max(tasks)})) if tasks else "-",
        f"{np.mean(supports):.0f}" if supports else "-",
        mean([accuracy_of(record, record.chosen) for record in records]),
        *(mean(towards[favoured][:, column]) for favoured in (1, 0) for column in (0, 1)),
        " / ".join(f"{share:.2f}" for share in groups) + (f" ({alike}/{len(records)} alike)" if alike else ""),
    ]
    return f"| {' | '.join(cells)} |"


def lines(results: Results) -> Iterator[str]:
    """Yield the tables, then what was published."""
    for dataset, rows in by_row(results).items():
        yield f"## {dataset}\n"
        yield f"| {' | '.join(HEADS)} |"
        yield "|---" * len(HEADS) + "|"
        yield from (row(method, records) for method, records in rows.items())
        yield ""
    yield "## Published, not comparable\n"
    table = read_published(load_plugins()[0].paper("faalgrad")).tables["table5"]
    for line in table.rows:
        numbers = [
            f"{column.metric} {number.reason if number.mean is None else number.mean}"
            for column, number in zip(table.columns, line.numbers)
        ]
        yield f"- {line.dataset}, {line.label}: {', '.join(numbers)}"


def draw(results: Results, path: Path) -> None:
    """Draw every configuration's demographic parity ratio and accuracy on the test part, a panel for each dataset."""
    matplotlib = require_matplotlib()
    from matplotlib.figure import Figure

    found = by_row(results)
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(4.6 * len(found), 4.6), layout="constrained")
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for axes, (dataset, rows) in zip(panels, found.items()):
            several = (name for name, records in rows.items() if len(Measured(records[0]).points) > 1)
            for number, method in enumerate(several):
                _scatter(axes, method, rows[method], *STYLES[number % len(STYLES)])
            axes.set_title(dataset, loc="left")
            axes.set_xlabel("demographic parity ratio (fraction; 1 is parity)")
            axes.set_ylabel("accuracy (fraction)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        figure.suptitle("Test points of every configuration; hollow: not selected on validation", fontsize=11)
        figure.savefig(path / "configurations.png", dpi=150)


def _scatter(axes: object, method: str, records: Sequence[Record], colour: str, marker: str) -> None:
    for selected in (False, True):
        dots = [
            (ratios(rates_of(record, point), 1)[0], accuracy_of(record, point))
            for record in records
            for point in Measured(record).points
            if (point == record.chosen) == selected
        ]
        fill: Optional[str] = colour if selected else "none"
        label = method if selected else None
        axes.scatter(*zip(*dots), s=22, marker=marker, edgecolors=colour, facecolors=fill, linewidths=0.8, label=label)


def main() -> None:
    """Print and draw the results in the given run directory."""
    parser = argparse.ArgumentParser(description="The table and the picture of a run of meta-learners.")
    parser.add_argument("run", type=Path, help="the directory of a finished run")
    path = parser.parse_args().run
    try:
        results = load_results(path)
    except StoreError as error:
        parser.exit(2, f"{error}\n")
    print("\n".join(lines(results)))
    if any(map(is_tuned, results.records)):
        draw(results, path)


if __name__ == "__main__":
    main()
