"""What the bench makes of the rows of its scripts: tables, a JSON file and a plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _timing import Growth, Row, growths
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FORMAT = 1
PACKAGES = ("fairbench-harness", "numpy", "torch", "pandas", "scikit-learn", "fairlearn", "benchopt", "dask")
CONSOLE = Console(width=None if os.isatty(1) else 140)


@dataclass(frozen=True)
class Script:
    """What a script measured: its rows, how long all of it took, and what went wrong, if anything did."""

    name: str
    title: str
    rows: list[Row]
    seconds: float
    problem: str = ""


def printed_table(script: Script) -> None:
    """Print a script's rows."""
    table = Table(title=f"{script.name}: {script.title} ({script.seconds:.0f} s)", title_justify="left")
    table.add_column("measured", overflow="fold")
    for heading in ("best", "median", "unit", "ratio"):
        table.add_column(heading, justify="left" if heading == "unit" else "right", no_wrap=True)
    table.add_column("what the ratio is to", overflow="fold")
    for row in script.rows:
        told = [row.against] if row.against else []
        told += [] if row.aim is None else [f"aim {number(row.aim)}{' missed' if missed(row) else ''}"]
        told += [row.note] if row.note else []
        ratio = "" if row.ratio is None else f"x{number(row.ratio)}" if row.ratio >= 1 else f"1/{number(1 / row.ratio)}"
        size = f", {row.size:,.0f} {row.of}" if row.size is not None else ""
        texts = (row.name + size, number(row.value), number(row.median), row.unit, ratio, "; ".join(told))
        table.add_row(*map(escape, texts))
    CONSOLE.print(table)
    if script.problem:
        CONSOLE.print(f"{script.name} failed: {script.problem}", style="red", markup=False)


def missed(row: Row) -> bool:
    """Return whether the value exceeds its aim."""
    return row.aim is not None and row.value is not None and row.value > row.aim


def number(value: float | None) -> str:
    """Return a number with three digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def printed_growth(scripts: Sequence[Script]) -> None:
    """Print the exponents of all curves, if there are any."""
    found = _growths(scripts)
    if not found:
        return
    table = Table(title="growth: cost as size ** exponent", title_justify="left")
    for heading in ("cost", "of", "sizes", "exponent", "between the two largest"):
        table.add_column(heading, overflow="fold")
    for growth in found:
        sizes = f"{growth.sizes[0]:,.0f} to {growth.sizes[-1]:,.0f}"
        table.add_row(growth.name, growth.of, sizes, f"{growth.exponent:.2f}", f"{growth.last:.2f}")
    CONSOLE.print(table)


def _growths(scripts: Sequence[Script]) -> list[Growth]:
    return [growth for script in scripts for growth in growths(script.rows)]


def written(scripts: Sequence[Script], quick: bool, path: Path) -> None:
    """Write everything to a JSON file: platform and versions, every script's rows, and the exponents."""
    text: dict[str, Any] = {
        "format": FORMAT,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": quick,
        "platform": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "versions": {name: found for name in PACKAGES if (found := _version(name))},
        },
        "scripts": {
            script.name: {
                "title": script.title,
                "seconds": script.seconds,
                "problem": script.problem,
                "rows": [row.plain() for row in script.rows],
            }
            for script in scripts
        },
        "growth": [growth._asdict() for growth in _growths(scripts)],
    }
    path.write_text(json.dumps(text, indent=1, allow_nan=False) + "\n")
    CONSOLE.print(f"written to {path}", markup=False)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def draw(scripts: Sequence[Script], path: Path) -> None:
    """Draw all ratios as bars, and all curves of growth beside them, if matplotlib is installed."""
    if find_spec("matplotlib") is None:
        CONSOLE.print("no plot: matplotlib is not installed")
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ratios = [(f"{script.name}: {row.name}", row) for script in scripts for row in script.rows if row.ratio]
    curves: dict[str, list[Row]] = {}
    for script in scripts:
        for row in script.rows:
            if row.size and row.value:
                curves.setdefault(f"{row.name} ({row.unit}) by {row.of}", []).append(row)
    height = max(3.0, 0.22 * len(ratios), 0.35 * len(curves))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(18, height), layout="constrained")
    left.barh([name for name, _ in ratios], [row.ratio for _, row in ratios], color="tab:blue")
    left.set(xscale="log", xlabel="times the cost of what is measured")
    left.axvline(1, color="black", linewidth=1)
    left.invert_yaxis()
    left.tick_params(axis="y", labelsize=7)
    for place, (name, rows) in enumerate(curves.items()):
        rows = sorted(rows, key=lambda row: row.size or 0)
        style = ("-", "--", ":")[place // 10 % 3]
        right.plot([row.size for row in rows], [row.value for row in rows], style, marker=".", label=name)
    right.set(xscale="log", yscale="log", xlabel="size", ylabel="cost")
    if curves:
        right.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    CONSOLE.print(f"drawn as {path}", markup=False)
