"""All timings side by side: ``tox -e bench``, or ``python benchmarks/speed [SCRIPT ...] [--quick] [--out FOLDER]``.

Each script of this folder runs in a process of its own, on one thread. Its rows are printed as a table; at the end all
are written to ``bench.json``, and drawn as ``bench.png``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from ast import get_docstring, parse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from _report import Script, draw, printed_growth, printed_table, written
from _timing import Row

HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def script_names() -> list[str]:
    """Return the scripts of this folder."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def run_script(name: str, quick: bool) -> Script:
    """Run a script in a process of its own and return its rows; what it prints besides goes to stderr."""
    started = time.perf_counter()
    command = [sys.executable, str(HERE), name, "--rows", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}, check=False)
    rows = [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    title = (get_docstring(parse((HERE / f"{name}.py").read_text())) or name).splitlines()[0]
    problem = f"it ended with status {done.returncode}; its traceback stands above" if done.returncode else ""
    return Script(name, title.rstrip("."), rows, time.perf_counter() - started, problem)


def print_rows(name: str, quick: bool) -> None:
    """Run a script in this process, and write each row as a line of JSON."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no row
    warnings.simplefilter("ignore")
    for row in import_module(name).measure(quick):
        print(json.dumps(vars(row)), file=results, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scripts that were named, or all; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="tox -e bench --", description="Time fairbench and its parts side by side.")
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"any of {', '.join(script_names())}; default all")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of bench.json and bench.png")
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)  # what run_script asks for
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.scripts) - set(script_names()))
    if unknown:
        parser.error(f"there is no script {', '.join(unknown)}; there are {', '.join(script_names())}")
    if given.rows:
        print_rows(*given.scripts, given.quick)
        return 0
    found = []
    for name in given.scripts or script_names():
        found.append(run_script(name, given.quick))
        printed_table(found[-1])
    printed_growth(found)
    given.out.mkdir(parents=True, exist_ok=True)
    written(found, given.quick, given.out / "bench.json")
    draw(found, given.out / "bench.png")
    return int(any(script.problem for script in found))


if __name__ == "__main__":
    sys.exit(main())
