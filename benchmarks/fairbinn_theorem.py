"""Does FairBiNN reach a lower loss than its Lagrangian baseline? Printed from a finished run.

    fairbench run benchmarks/fairbinn-pareto.toml --out runs/fairbinn-pareto
    python benchmarks/fairbinn_theorem.py runs/fairbinn-pareto

The paper's theorem 9 says that the bilevel scheme's primary loss may be at most the Lagrangian one's. The tables show
what was measured: means over repeats for every weight eta, then differences within repeats at equal eta and at equal
gaps in mean score, each with a verdict. "Supported" takes a lower loss at both (sign tests over repeats), and five
repeats at least; nothing is concluded from the theorem itself. It is about the loss that is minimised, on the training
part; that of the test part is shown beside it, since layers that hardly move overfit less.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from fairbench_bilevel._claim import (
    Comparison,
    Run,
    at_equal_eta,
    at_equal_gap,
    chosen_front,
    hypervolume,
    mean_by_eta,
    verdict,
)

from fairbench.cells import DONE, Choice, Record
from fairbench.results import Results
from fairbench.rundir import load_results

BASELINE, BILEVEL = "lagrangian_dp", ("fairbinn_coupled", "fairbinn")
WORST_GAP = 0.25  # of the area under a front
LOSSES = {"training": lambda run: run.training_bce, "test": lambda run: run.test_bce}


def runs_by_method(results: Results) -> dict[str, dict[str, list[Run]]]:
    """Return the runs by dataset and method; other parameters than eta are part of a method's label.

    Raises:
        SystemExit: the run holds no fit of the baseline.
    """
    found: dict[str, dict[str, tuple[Choice, list[Run]]]] = {}
    for record in results.records:
        method = record.cell.method
        if record.status == DONE and method.name in (BASELINE, *BILEVEL) and len(method.params["eta"]) == 1:
            rest = Choice(method.name, {name: value for name, value in method.params.items() if name != "eta"})
            series = found.setdefault(str(record.cell.dataset), {})
            series.setdefault(str(rest), (rest, []))[1].append(_run(record))
    labelled = {dataset: _labelled(list(series.values())) for dataset, series in found.items()}
    if not any(BASELINE in series for series in labelled.values()):
        raise SystemExit(f"the run needs one series of {BASELINE}; run benchmarks/fairbinn-pareto.toml")
    return labelled


def _labelled(series: Sequence[tuple[Choice, list[Run]]]) -> dict[str, list[Run]]:
    """Name a method's only series after it, and each of several after what sets them apart too."""
    labels = {}
    for choice, runs in series:
        others = [other.params for other, _ in series if other.name == choice.name]
        apart = {name for params in others for name, value in params.items() if value != choice.params[name]}
        labels[str(Choice(choice.name, {name: choice.params[name] for name in apart}))] = runs
    return labels


def _run(record: Record) -> Run:
    values = {value.metric: value.value for value in record.values if not value.group and value.point == record.chosen}
    curves = record.diagnostics
    return Run(
        eta=record.cell.method.params["eta"][0],
        repeat=record.cell.repeat,
        training_bce=curves["final_training_bce"][0],
        test_bce=values["log_loss"],
        score_gap=values["mean_score_difference"],
        gap=values["demographic_parity_difference"],
        accuracy=values["accuracy"],
        positive_rate=values["selection_rate"],
        validation=(curves["validation_accuracy"][-1], curves["validation_gap"][-1]),
        epoch_seconds=record.seconds / len(curves["training_bce"]),
    )


def describe(series: Mapping[str, Sequence[Run]]) -> str:
    """Return a table of means over repeats, a row for each method and weight."""
    lines = [
        "| method | eta | accuracy | score gap | decision gap | BCE training | BCE test | trivial |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label, runs in series.items():
        columns = [
            mean_by_eta(runs, quantity)
            for quantity in (
                lambda run: run.accuracy,
                lambda run: run.score_gap,
                lambda run: run.gap,
                LOSSES["training"],
                LOSSES["test"],
            )
        ]
        for eta in columns[0]:
            cells = " | ".join(f"{column[eta]:.3f}" for column in columns)
            here = [run for run in runs if run.eta == eta]
            lines.append(f"| {label} | {eta:g} | {cells} | {sum(run.trivial for run in here)} of {len(here)} |")
    return "\n".join(lines)


def compare(series: Mapping[str, Sequence[Run]], constant: float) -> str:
    """Return a table of every bilevel series against the baseline, with the areas under the fronts.

    Args:
        series: the runs by label, the baseline's among them.
        constant: accuracy of the constant prediction, the areas' floor.
    """
    lines = [
        "| bilevel method | loss | difference at equal eta | at equal score gap | verdict |",
        "|---|---|---|---|---|",
    ]
    for label in (label for label in series if label != BASELINE):
        for name, quantity in LOSSES.items():
            equal = [compared(series[label], series[BASELINE], quantity) for compared in (at_equal_eta, at_equal_gap)]
            shown = " | ".join(map(_shown, equal))
            lines.append(f"| {label} | {name} | {shown} | {verdict(*equal)} |")
    lines += ["", "| method | area under the front | points | seconds per epoch |", "|---|---|---|---|"]
    for label, runs in series.items():
        points = chosen_front(runs)
        seconds = float(np.median([run.epoch_seconds for run in runs]))
        area = hypervolume(points, constant, WORST_GAP)
        lines.append(f"| {label} | {area:.4f} | {len(points)} | {seconds:.3f} |")
    return "\n".join(lines)


def _shown(comparison: Comparison) -> str:
    if not comparison.differences:
        return "none in common"
    repeats = len(comparison.differences)
    lower = sum(difference < 0 for difference in comparison.differences)
    chance = min(comparison.chance("less"), comparison.chance("greater"))
    return f"{comparison.mean:+.4f} (lower in {lower} of {repeats}, p = {chance:.3f})"


def constant_accuracy(results: Results, dataset: str) -> float:
    """Return the mean accuracy of the constant prediction on a dataset of the run.

    Raises:
        SystemExit: the run does not hold it.
    """
    seen = [
        value.value
        for record in results.records
        if record.cell.method.name == "constant" and str(record.cell.dataset) == dataset
        for value in record.values
        if value.metric == "accuracy" and not value.group
    ]
    if not seen:
        raise SystemExit(f"the run holds no constant prediction on {dataset}; add 'constant' to its methods")
    return float(np.mean(seen))


def report(results: Results) -> str:
    """Return all tables as Markdown."""
    parts = []
    for dataset, series in runs_by_method(results).items():
        constant = constant_accuracy(results, dataset)
        parts += [f"## {dataset}", f"Accuracy of the constant prediction: {constant:.3f}.", describe(series)]
        if BASELINE in series:
            parts.append(compare(series, constant))
    return "\n\n".join(parts)


def main() -> None:
    """Print the tables of the run directory that is named."""
    parser = argparse.ArgumentParser(description="FairBiNN against its Lagrangian baseline, from a finished run.")
    parser.add_argument("run", type=Path, help="run directory, e.g. of benchmarks/fairbinn-pareto.toml")
    print(report(load_results(parser.parse_args().run)))


if __name__ == "__main__":
    main()
