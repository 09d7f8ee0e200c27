"""Compare fair layers in words, from a finished run.

    fairbench run benchmarks/pareto-fair-layers.toml --out runs/pareto-fair-layers
    python benchmarks/fair_layers.py runs/pareto-fair-layers
    fairbench report runs/pareto-fair-layers --format tradeoff > tradeoff.png    # the picture

It prints Markdown. For each dataset: a table of means over repeats, with accuracy above the coin (a blind mixture of
the plain network and a constant), and what the numbers say about each paper's claim. A difference counts as one if its
95% interval over repeats (Nadeau and Bengio's correction for overlapping splits) excludes 0; where no interval is
valid, none counts. Nothing is chosen on the test part: every configuration is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from fairbench.analysis.columns import series
from fairbench.analysis.intervals import NO_INTERVAL, Correction, corrected_t, overlap_correction
from fairbench.analysis.lines import ABOVE, AboveLine, against_coin, constant_accuracy
from fairbench.analysis.values import finished
from fairbench.cells import Choice
from fairbench.errors import StoreError
from fairbench.records import Record, Results
from fairbench.running.rundir import load_results

CONSTANT, BASELINE = "constant", "mlp"
LAGRANGIAN, BILEVEL = "lagrangian_dp", ("fairbinn", "fairbinn_coupled")
LAYER, POSTHOC = "parity_projection", "parity_projection_posthoc"
SWEEPS = {**dict.fromkeys((*BILEVEL, LAGRANGIAN), "eta"), LAYER: "epsilon", POSTHOC: "epsilon"}
ACCURACY, LOSS, SELECTED = "accuracy", "log_loss", "selection_rate"
DECISIONS, SCORES = "demographic_parity_difference", "mean_score_difference"
BATCH = "batch"  # the operating point that projects all test rows together
SLACK = 1e-9  # above epsilon: rounding
GRID = 21  # gaps at which two curves are compared


@dataclass(frozen=True)
class Configuration:
    """A method with its parameters, and its records, one for each repeat."""

    method: Choice
    records: Sequence[Record]

    @property
    def value(self) -> Optional[float]:
        """Return the parameter that its method sweeps over, if any."""
        found = self.method.params.get(SWEEPS.get(self.method.name, ""))
        return None if found is None else float(np.ravel(found)[0])

    @property
    def label(self) -> str:
        """Return the name that it has in tables."""
        name = self.method.name
        return f"{name}, {SWEEPS[name]} {self.value:g}" if name in SWEEPS else name

    def series(self, metric: str, point: Optional[str] = None) -> dict[int, float]:
        """Return a metric by repeat, of all groups of the dataset together, at an operating point or the chosen one."""
        return series(self.records, metric, point=point)

    def mean(self, metric: str) -> float:
        """Return a metric's mean over repeats; NaN without any."""
        values = list(self.series(metric).values())
        return float(np.mean(values)) if values else float("nan")

    def last(self, curve: str) -> float:
        """Return the mean over repeats of a diagnostic curve's last value; NaN without any."""
        values = [record.diagnostics[curve][-1] for record in self.records if record.diagnostics.get(curve)]
        return float(np.mean(values)) if values else float("nan")


@dataclass(frozen=True)
class Block:
    """A dataset's configurations, in the order of the plan, and the accuracy of the better constant by repeat."""

    title: str
    rows: Sequence[Configuration]
    constant: Mapping[int, float]

    @property
    def baseline(self) -> Configuration:
        """Return the plain network."""
        return self.sweep(BASELINE)[0]

    @property
    def correction(self) -> Correction:
        """Return what intervals assume about the overlap of the splits, which all configurations share."""
        return overlap_correction(record for row in self.rows for record in row.records)

    def sweep(self, name: str) -> list[Configuration]:
        """Return a method's configurations in increasing order of the parameter."""
        return sorted((row for row in self.rows if row.method.name == name), key=lambda row: row.value or 0.0)

    def above_coin(self, row: Configuration) -> Optional[AboveLine]:
        """Return how far a configuration lies above the coin at its own gap of decisions."""
        quantities = [one.series(metric) for one in (row, self.baseline) for metric in (ACCURACY, DECISIONS)]
        return against_coin(*quantities, self.constant, self.correction.ratio)


def read_blocks(results: Results) -> list[Block]:
    """Return the finished cells by dataset.

    Raises:
        SystemExit: a dataset lacks the constant or the plain network.
    """
    found: dict[str, dict[str, list[Record]]] = {}
    for record in finished(results.records):
        cell = record.cell
        if cell.scenario.name == "holdout":
            found.setdefault(f"{cell.dataset} by {cell.group}", {}).setdefault(str(cell.method), []).append(record)
    blocks = []
    for title, rows in found.items():
        here = [Configuration(records[0].cell.method, records) for records in rows.values()]
        missing = {CONSTANT, BASELINE} - {row.method.name for row in here}
        if missing:
            raise SystemExit(f"{title} was run without {' and '.join(sorted(missing))}, which the coin mixes")
        constant = next(row for row in here if row.method.name == CONSTANT)
        blocks.append(Block(title, here, constant_accuracy(constant.series(ACCURACY), constant.series(SELECTED))))
    return blocks


def describe(block: Block) -> Iterator[str]:
    """Yield the table of all configurations."""
    heads = ("method", "accuracy", "gap of decisions", "gap of mean scores", "log loss", "selected", "above the coin")
    yield "| " + " | ".join(heads) + " |"
    yield "|---" * len(heads) + "|"
    for row in block.rows:
        numbers = [row.mean(metric) for metric in (ACCURACY, DECISIONS, SCORES, LOSS, SELECTED)]
        shown = ["-" if np.isnan(number) else f"{number:.4f}" for number in numbers]
        yield f"| {row.label} | {' | '.join(shown)} | {_coin(block.above_coin(row))} |"


def _coin(found: Optional[AboveLine]) -> str:
    if found is None:
        return "-"
    spread = "" if found.low is None or found.high is None else f" [{found.low:+.4f}, {found.high:+.4f}]"
    return f"{found.value:+.4f}{spread}, {found.reading}"


def compared(mine: Mapping[int, float], theirs: Mapping[int, float], what: str, ratio: Optional[float]) -> str:
    """Return a mean difference over the repeats that both have, its interval, and in how many of them it is above 0.

    ``ratio`` is that of the splits, None where no interval is valid.
    """
    repeats = sorted(mine.keys() & theirs.keys())
    if len(repeats) < 2:
        return f"{what}: nothing to compare ({len(repeats)} repeat{'' if len(repeats) == 1 else 's'} in common)"
    differences = [mine[repeat] - theirs[repeat] for repeat in repeats]
    found = corrected_t(differences, ratio)
    spread, reading = "", NO_INTERVAL
    if found.low is not None and found.high is not None:
        spread = f" [{found.low:+.4f}, {found.high:+.4f}]"
        reading = "higher" if found.low > 0 else "lower" if found.high < 0 else "not told apart from 0"
    above = sum(difference > 0 for difference in differences)
    return f"{what}: {found.mean:+.4f}{spread}, above 0 in {above} of {len(repeats)} repeats: {reading}"


def at_equal_gaps(
    mine: Sequence[Configuration], theirs: Sequence[Configuration], metric: str
) -> tuple[dict[int, float], dict[int, float]]:
    """Return by repeat what two methods reach on average over the gaps of decisions that both span.

    Each is interpolated between its configurations in order of their gaps; a repeat without a common span is left out.
    """
    curves = [_by_repeat(rows, metric) for rows in (mine, theirs)]
    reached: tuple[dict[int, float], dict[int, float]] = ({}, {})
    for repeat in sorted(curves[0].keys() & curves[1].keys()):
        here = [curve[repeat] for curve in curves]
        low, high = max(curve[0].min() for curve in here), min(curve[0].max() for curve in here)
        if low < high:
            gaps = np.linspace(low, high, GRID)
            for side, curve in zip(reached, here):
                side[repeat] = float(np.interp(gaps, *curve).mean())
    return reached


def _by_repeat(rows: Sequence[Configuration], metric: str) -> dict[int, np.ndarray]:
    """Return for each repeat that all rows have the gaps and values (2, n), by increasing gap."""
    gaps, values = ([row.series(name) for row in rows] for name in (DECISIONS, metric))
    repeats = set.intersection(*(set(gap) & set(value) for gap, value in zip(gaps, values))) if rows else set()
    return {
        repeat: np.array(sorted((gap[repeat], value[repeat]) for gap, value in zip(gaps, values))).T
        for repeat in repeats
    }


def bilevel_claim(block: Block) -> Iterator[str]:
    """Yield what the run says about FairBiNN against its Lagrangian baseline."""
    yield "**FairBiNN** is claimed to be at least as good as the Lagrangian baseline."
    theirs = block.sweep(LAGRANGIAN)
    for name in BILEVEL:
        mine = block.sweep(name)
        if not mine or not theirs:
            continue
        for metric, words in ((ACCURACY, "accuracy"), (LOSS, "log loss")):
            both = at_equal_gaps(mine, theirs, metric)
            what = f"{words} minus that of {LAGRANGIAN} at equal gaps of decisions"
            yield f"- {name}, {compared(*both, what, block.correction.ratio)}"
        gaps = [row.mean(DECISIONS) for row in mine]
        plain = block.baseline.mean(DECISIONS)
        yield (
            f"- {name}: its mean gaps of decisions run from {min(gaps):.4f} to {max(gaps):.4f} over eta; the plain "
            f"network's is {plain:.4f}"
        )


def layer_claim(block: Block) -> Iterator[str]:
    """Yield what the run says about the fairness layer: what it holds, what it costs, what it does not hold."""
    yield (
        "**The fairness layer** is claimed to hold the gap of mean scores within epsilon at little distortion. The "
        "table shows how often it did on the test part, with all rows projected together and with the frozen shifts; "
        "how often the gap of decisions was within epsilon; the mean squared change of a training score by the frozen "
        "shifts, and the share of rows that they clip; and batches of one group and infeasible ones in the last epoch."
    )
    yield ""
    heads = ("method", "together (largest gap)", "frozen (largest gap)", "decisions (mean gap)", "change", "clipped")
    yield "| " + " | ".join((*heads, "one group", "infeasible")) + " |"
    yield "|---" * (len(heads) + 2) + "|"
    for name in (LAYER, POSTHOC):
        for row in block.sweep(name):
            yield f"| {row.label} | " + " | ".join(_held(row)) + " |"
    yield ""
    for mine in block.sweep(LAYER):
        for theirs in (row for row in block.sweep(POSTHOC) if row.value == mine.value):
            for metric, words in ((LOSS, "log loss"), (ACCURACY, "accuracy")):
                what = f"{words} of training through the layer minus projecting afterwards"
                both = (mine.series(metric), theirs.series(metric))
                yield f"- epsilon {mine.value:g}, {compared(*both, what, block.correction.ratio)}"


def _held(row: Configuration) -> Iterator[str]:
    """Yield which gaps a configuration held within epsilon, and what its layer did."""
    epsilon = row.value or 0.0
    for point in (BATCH, None):
        gaps = list(row.series(SCORES, point).values())
        held = sum(gap <= epsilon + SLACK for gap in gaps)
        yield f"{held} of {len(gaps)} ({max(gaps):.4f})" if gaps else "-"
    gaps = list(row.series(DECISIONS).values())
    yield f"{sum(gap <= epsilon + SLACK for gap in gaps)} of {len(gaps)} ({np.mean(gaps):.4f})" if gaps else "-"
    yield f"{row.last('frozen_distortion'):.5f}"
    yield f"{row.last('frozen_clipped_share'):.4f}"
    for counted in ("one_group_batches", "infeasible_batches"):
        yield f"{row.last(counted):g}"


def coin_summary(block: Block) -> str:
    """Return how many configurations of the swept methods lie above and below the coin."""
    found = [block.above_coin(row) for name in SWEEPS for row in block.sweep(name)]
    readings = [coin.reading for coin in found if coin is not None]
    counts = ", ".join(f"{readings.count(reading)} {reading}" for reading in dict.fromkeys(readings))
    reason = block.correction.reason
    return f"Of {len(readings)} configurations: {counts}." + (f" There is {NO_INTERVAL}: {reason}." if reason else "")


def in_short(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield for each swept method how many of its configurations lie above the coin, as a table."""
    yield "| configurations above the coin | " + " | ".join(block.title for block in blocks) + " |"
    yield "|---" * (1 + len(blocks)) + "|"
    for name in SWEEPS:
        counts = []
        for block in blocks:
            found = [block.above_coin(row) for row in block.sweep(name)]
            above = sum(coin is not None and coin.reading == ABOVE for coin in found)
            counts.append(f"{above} of {len(found)}")
        yield f"| {name} | {' | '.join(counts)} |"


def report(blocks: Sequence[Block]) -> str:
    """Return all tables and sentences as Markdown."""
    parts = ["## In short", "\n".join(in_short(blocks))]
    for block in blocks:
        constant, base = float(np.mean(list(block.constant.values()))), block.baseline
        parts += [
            f"## {block.title}",
            f"Means over {len(base.records)} repeats. The better constant has accuracy {constant:.4f}, the plain "
            f"network {base.mean(ACCURACY):.4f} with a gap of decisions of {base.mean(DECISIONS):.4f}.",
            "\n".join(describe(block)),
            coin_summary(block),
            "\n".join(bilevel_claim(block)),
            "\n".join(layer_claim(block)),
        ]
    return "\n\n".join(parts)


def main() -> None:
    """Print the comparison for the given run directory."""
    parser = argparse.ArgumentParser(
        description="Say what a run of benchmarks/pareto-fair-layers.toml shows about the papers' claims."
    )
    parser.add_argument("run", type=Path, help="the directory of a finished run")
    path = parser.parse_args().run
    try:
        results = load_results(path)
    except StoreError as error:
        parser.exit(2, f"{error}\n")
    print(report(read_blocks(results)))


if __name__ == "__main__":
    main()
