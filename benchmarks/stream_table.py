"""What corrections do to a stream of scores, printed from a finished run.

    fairbench run benchmarks/stream.toml --out runs/stream
    python benchmarks/stream_table.py runs/stream

It prints the report ``streams`` and then the least mean squared change that, in hindsight, would bring all scores of a
stream taken together within epsilon.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fairbench_projection.streams import blocks, render

from fairbench.api.projection import Box, solve_parity
from fairbench.errors import StoreError
from fairbench.records import Record, Results
from fairbench.running.rundir import load_results
from fairbench.running.store import FILE_NAME, Store


def least_change(record: Record, store: Store) -> float:
    """Return the least mean squared change that brings an uncorrected stream's scores within epsilon."""
    ((truth, made),) = store.predictions(record.cell.key).values()
    epsilon = record.cell.scenario.params["epsilon"]
    value = solve_parity(made.y_score, truth.group, len(truth.group_names), epsilon, Box(0.0, 1.0)).value
    return float(((value - made.y_score) ** 2).mean())


def lines(results: Results, store: Store) -> Iterator[str]:
    """Yield the report's lines, and those of the least change."""
    yield from render(results).split("\n")
    for title, rows in blocks(results).items():
        yield f"Least change in hindsight, {title}:"
        yield ""
        for row in rows:
            if row.correction == "none":
                yield f"- rows {row.size}: {np.mean([least_change(record, store) for record in row.records]):.4f}"
        yield ""


def main() -> None:
    """Print the table of a run directory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the directory of a finished run of benchmarks/stream.toml")
    path = parser.parse_args().run
    try:
        results = load_results(path)
        with Store(path / FILE_NAME) as store:
            shown = "\n".join(lines(results, store)).rstrip()
    except StoreError as error:
        parser.exit(2, f"{error}\n")
    if not shown:
        parser.exit(2, f"{path} has no finished stream; run benchmarks/stream.toml\n")
    print(shown)


if __name__ == "__main__":
    main()
