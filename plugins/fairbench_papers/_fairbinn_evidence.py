"""FairBiNN's claim about losses, tested on the finished cells of a sweep over eta and reported in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairbench.api import Evidence, Record, Undefined
from fairbench.api.analysis import Measured, series
from fairbench_papers._fairbinn_claim import (
    LEVEL,
    TARGETS,
    Comparison,
    Quantity,
    Run,
    at_equal_eta,
    at_equal_gap,
    chosen_front,
    hypervolume,
    mean_by_eta,
    verdict,
)

BASELINE, BILEVEL = "lagrangian_dp", {"fairbinn_coupled": "as released", "fairbinn": "as printed"}
WORST_GAP = 0.25  # of the area under a front
LOSSES: dict[str, Quantity] = {"training": lambda run: run.training_bce, "test": lambda run: run.test_bce}
SHOWN: dict[str, tuple[Quantity, str]] = {  # by weight, with how its numbers are written
    "training loss": (LOSSES["training"], ".4f"),
    "test loss": (LOSSES["test"], ".4f"),
    "fairness loss": (lambda run: run.training_penalty, ".2g"),
    "score gap": (lambda run: run.score_gap, ".3f"),
}
Rows = list[dict[str, str]]


def lower_loss(records: Sequence[Record]) -> Evidence:
    """Return whether FairBiNN's loss is lower than the Lagrangian baseline's, as printed and as released.

    Args:
        records: finished cells of one dataset: the constant prediction, the baseline and at least one of the two forms
            of FairBiNN, each with the same parameters except for eta.

    Raises:
        Undefined: one of these is missing, or a method was run in several variants.
    """
    runs = _series(records)
    constant = series((record for record in records if record.cell.method.name == "constant"), "accuracy")
    if not constant:
        raise Undefined("no constant prediction was run")
    floor = float(np.mean(list(constant.values())))
    verdicts, differences = _compare(runs)
    told = {
        loss: ", ".join(f"{verdicts[loss, name]} {form} ({name})" for name, form in BILEVEL.items() if name in runs)
        for loss in LOSSES
    }
    return Evidence(
        "; ".join(f"{loss} loss: {text}" for loss, text in told.items()),
        [*_reading(floor), _rates(records)],
        {
            "Means over repeats": _losses(runs),
            f"Cross-entropy minus that of {BASELINE}": differences,
            f"Differences from {BASELINE} at each eta": _by_eta(runs),
            "Fronts of accuracy and gap in decisions, and CPU time": _fronts(runs, floor),
        },
    )


def _reading(constant: float) -> list[str]:
    targets = ", ".join(f"{target:g}" for target in TARGETS)
    return [
        "Theorem 9 is about the minimised loss, without the fairness loss, on the training part. The loss on the test "
        "part is judged as well, since layers that hardly move overfit less. Neither includes the fairness loss, which "
        "is shown for the training part and without eta; the gap in mean score is that of the test part.",
        "Differences are taken within repeats: at equal eta (the mean over all weights) and, because the run with the "
        f"lower loss may simply be less fair, at equal gaps in mean score. These are {targets}, interpolated between a "
        "method's runs; a gap outside the range of either method's runs in a repeat is left out there.",
        '"Supported" requires a lower loss at equal eta and at equal gaps, "not supported" a higher one at either, by '
        f"one-sided sign tests over repeats at the {LEVEL:.0%} level, which fewer than five repeats cannot reach. "
        "Anything else is inconclusive. The repeats' splits overlap, which sign tests do not correct for. Nothing is "
        "concluded from the theorem itself.",
        f"The area under a front (hypervolume) counts accuracy above the constant prediction's {constant:.3f} and "
        f"gaps below {WORST_GAP:g}. The weights on a front are chosen on validation; their accuracy and gap are those "
        "of the test part. Runs that make the same decision for everybody are trivial: they are left out of fronts and "
        "of comparisons at equal gaps.",
        "CPU seconds per epoch are those of the whole cell (including preparation, validation after every epoch and "
        "metrics) divided by its number of epochs; the median over runs is shown.",
    ]


def _rates(records: Sequence[Record]) -> str:
    """Return what the methods have in common and what not: the learning rate of the fairness block."""
    found = {record.cell.method.name: record.cell.method.params for record in records}
    rates = {name: (found[name]["lr"], _block_rate(found[name])) for name in (*BILEVEL, BASELINE) if name in found}
    told = "; ".join(f"{name} {lr:g} and {block:g}" for name, (lr, block) in rates.items())
    same = (
        "Networks, initial weights, epochs and mini-batches are the same for all methods (the fairness block of the "
        "printed algorithm gets mini-batches from a second shuffle). Learning rates of accuracy layers and fairness "
        f"block: {told}."
    )
    if len({block for _, block in rates.values()}) == 1:
        return same
    return (
        f"{same} So the fairness block does not move at the same rate in all methods: {BASELINE} trains all layers "
        "with one optimiser. A method whose block hardly moves trains fewer weights and may fit the training part less "
        "closely for that reason alone. This confounds the comparison of training losses, which does not show what the "
        "bilevel scheme itself does."
    )


def _block_rate(params: Mapping[str, Any]) -> float:
    return float(params.get("fair_lr", params["lr"]))


def _series(records: Sequence[Record]) -> dict[str, list[Run]]:
    """Return the runs of each method by its name, the baseline's last."""
    found: dict[str, dict[tuple[float, int], Run]] = {name: {} for name in (*BILEVEL, BASELINE)}
    for record in records:
        name = record.cell.method.name
        if name in found and len(record.cell.method.params["eta"]) == 1:
            run = _run(record)
            if found[name].setdefault((run.eta, run.repeat), run) is not run:
                raise Undefined(f"{name} was run in several variants with eta = {run.eta:g}; it needs exactly one")
    series = {name: list(runs.values()) for name, runs in found.items() if runs}
    if BASELINE not in series or len(series) < 2:
        raise Undefined(f"{BASELINE} and {' or '.join(BILEVEL)} are needed, each with one eta per cell")
    return series


def _run(record: Record) -> Run:
    measured, curves = Measured(record), record.diagnostics
    bce, penalty = curves["final_training_bce"][0], curves["final_training_penalty"][0]
    loss = measured.whole("log_loss")
    if loss is None or bce is None or penalty is None:
        raise Undefined(f"a loss of {record.cell.method} is not finite")
    return Run(
        eta=record.cell.method.params["eta"][0],
        repeat=record.cell.repeat,
        training_bce=bce,
        training_penalty=penalty,
        test_bce=loss,
        score_gap=_number(measured, "mean_score_difference"),
        gap=_number(measured, "demographic_parity_difference"),
        accuracy=_number(measured, "accuracy"),
        trivial=measured.decides_alike(),
        validation=(curves["validation_accuracy"][-1], curves["validation_gap"][-1]),
        epoch_seconds=record.cpu_seconds / len(curves["training_bce"]),
    )


def _number(measured: Measured, metric: str) -> float:
    """Return a metric over all rows and all groups at the operating point that stands for the method."""
    value = measured.whole(metric)
    if value is None:
        cell = measured.record.cell
        raise Undefined(f"repeat {cell.repeat + 1} of {cell.method} has no {metric} over all groups")
    return value


def _losses(series: Mapping[str, Sequence[Run]]) -> Rows:
    """Return a row for each method and weight."""
    rows = []
    for label, runs in series.items():
        for eta in sorted({run.eta for run in runs}):
            here = [run for run in runs if run.eta == eta]
            told = {name: f"{mean_by_eta(here, quantity)[eta]:{form}}" for name, (quantity, form) in SHOWN.items()}
            trivial = f"{sum(run.trivial for run in here)} of {len(here)}"
            rows.append({"method": label, "eta": f"{eta:g}", **told, "trivial": trivial})
    return rows


def _compare(series: Mapping[str, Sequence[Run]]) -> tuple[dict[tuple[str, str], str], Rows]:
    """Return the verdict for each loss and bilevel method, and a row for each."""
    verdicts, rows = {}, []
    for label in (label for label in BILEVEL if label in series):
        for name, loss in LOSSES.items():
            equal = [compared(series[label], series[BASELINE], loss) for compared in (at_equal_eta, at_equal_gap)]
            verdicts[name, label] = verdict(*equal)
            told = dict(zip(("at equal eta", "at equal score gap"), map(_told, equal)))
            rows.append({"method": label, "loss": name, **told, "verdict": verdicts[name, label]})
    return verdicts, rows


def _by_eta(series: Mapping[str, Sequence[Run]]) -> Rows:
    """Return a row for each bilevel method and weight: differences at that weight alone."""
    rows = []
    for label in (label for label in BILEVEL if label in series):
        for eta in sorted({run.eta for run in series[label]}):
            here = [run for run in series[label] if run.eta == eta]
            told = {
                name: _told(at_equal_eta(here, series[BASELINE], quantity), f"+{form}")
                for name, (quantity, form) in SHOWN.items()
            }
            rows.append({"method": label, "eta": f"{eta:g}", **told})
    return rows


def _told(comparison: Comparison, form: str = "+.4f") -> str:
    if not comparison.differences:
        return "none in common"
    repeats = len(comparison.differences)
    lower = sum(difference < 0 for difference in comparison.differences)
    chance = min(comparison.chance("less"), comparison.chance("greater"))
    return f"{comparison.mean:{form}} (lower in {lower} of {repeats}, p = {chance:.3f})"


def _fronts(series: Mapping[str, Sequence[Run]], constant: float) -> Rows:
    """Return a row for each method; ``constant`` is the accuracy that the areas begin at."""
    rows = []
    for label, runs in series.items():
        points = chosen_front(runs)
        seconds = float(np.median([run.epoch_seconds for run in runs]))
        area = f"{hypervolume(points, constant, WORST_GAP):.4f}"
        rows.append(
            {
                "method": label,
                "area": area,
                "points on the front": str(len(points)),
                "CPU seconds per epoch": f"{seconds:.3f}",
            }
        )
    return rows
