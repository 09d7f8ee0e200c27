"""What corrections do to a stream of scores, printed from a finished run.

    fairbench run benchmarks/stream.toml --out runs/stream
    python benchmarks/stream_table.py runs/stream

For each batch size and correction, means over repeats: the average of the batches' own gaps after 100, 1,000 and all
batches (what the published primal-dual algorithm holds to epsilon), the gap of all scores given out at the end, the
largest one after any batch, the share of batches after which it was above epsilon, the mean squared change of a score,
the gap of decisions, and the largest price of the primal-dual algorithm. ``offline`` is the least change that brings
all scores together within epsilon, in hindsight.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fairbench.api.projection import Box, solve_parity
from fairbench.cells import DONE, Choice, Record
from fairbench.results import Results
from fairbench.rundir import load_results
from fairbench.store import FILE_NAME, Store

AFTER = (100, 1000)  # batches
COLUMNS = ("largest", "above", "change", "decisions", "price")


def sizes(scenario: Choice) -> str:
    """Return how many rows a batch has."""
    size = scenario.params["batch_size"]
    return f"1..{size}" if scenario.params["uneven"] else str(size)


def numbers(record: Record) -> list[float]:
    """Return a record's row of the table."""
    values = {value.metric: value.value for value in record.values if not value.group and value.point == record.chosen}
    average = record.diagnostics["average_gap"]
    return [
        *(average[min(batches, len(average)) - 1] for batches in AFTER),
        average[-1],
        values["stream_pooled_gap"],
        values["stream_largest_pooled_gap"],
        values["stream_steps_above"] / values["stream_batches"],
        values["stream_distortion"],
        values["demographic_parity_difference"],
        values.get("stream_largest_price", np.nan),
    ]


def offline(record: Record, store: Store) -> float:
    """Return the least mean squared change that brings an uncorrected stream's scores within epsilon."""
    ((truth, made),) = store.predictions(record.cell.key).values()
    epsilon = record.cell.scenario.params["epsilon"]
    value = solve_parity(made.y_score, truth.group, len(truth.group_names), epsilon, Box(0.0, 1.0)).value
    return float(((value - made.y_score) ** 2).mean())


def lines(results: Results, store: Store) -> Iterator[str]:
    """Yield the table's lines, a block for each dataset and method."""
    done = [r for r in results.records if r.status == DONE and r.cell.scenario.name == "stream"]
    blocks: dict[tuple[str, str], dict[tuple[str, str], list[Record]]] = {}
    for record in done:
        cell = record.cell
        row = (sizes(cell.scenario), cell.scenario.params["correction"])
        blocks.setdefault((str(cell.dataset), str(cell.method)), {}).setdefault(row, []).append(record)
    heads = [f"avg {batches}" for batches in AFTER] + ["avg", "pooled", *COLUMNS]
    for (dataset, method), rows in blocks.items():
        yield f"{dataset}, {method}, {max(map(len, rows.values()))} repeats"
        yield f"{'rows':>6} {'correction':<12}" + "".join(f"{head:>10}" for head in heads)
        for (size, correction), records in rows.items():
            means = np.mean([numbers(record) for record in records], axis=0)
            yield f"{size:>6} {correction:<12}" + "".join(f"{mean:>10.4f}" for mean in means if not np.isnan(mean))
        for (size, correction), records in rows.items():
            if correction == "none":
                least = np.mean([offline(record, store) for record in records])
                yield f"{size:>6} {'offline':<12}{'':>60}{least:>10.4f}"


def main() -> None:
    """Print the table of a run directory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the directory of a finished run of benchmarks/stream.toml")
    path = parser.parse_args().run
    results = load_results(path)
    with Store(path / FILE_NAME) as store:
        print("\n".join(lines(results, store)))


if __name__ == "__main__":
    main()
