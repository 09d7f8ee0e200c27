"""Peak memory of a process that does one thing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from _timing import Row

PROGRAMS = {
    "python": "pass",
    "fairbench --help": "import contextlib, sys; from fairbench.__main__ import main; sys.argv[1:] = ['--help']\n"
    "with contextlib.suppress(SystemExit): main()",
    "all plugins loaded": "from fairbench.plugins.loading import load_plugins; load_plugins()",
    "ten cells of constant on {rows:,} rows": "import fairbench; fairbench.run("
    "methods='constant', datasets='synthetic[rows={rows}]', repeats=10, reference=False, out='{out}', workers=1)",
    "ten cells of mlp on {rows:,} rows": "import fairbench; fairbench.run("
    "methods='mlp[epochs=1]', datasets='synthetic[rows={rows}]', repeats=10, reference=False, out='{out}', workers=1)",
}
UNIT = 2**10 if sys.platform == "linux" else 1  # of ru_maxrss, in bytes


def measure(quick: bool) -> Iterator[Row]:
    """Run each program in a process of its own and say how much memory it held at most."""
    first = None
    for name, program in PROGRAMS.items():
        for rows in (2_000,) if quick else (2_000, 100_000):
            if "rows" not in name and rows != 2_000:
                continue
            with tempfile.TemporaryDirectory() as folder:
                text = program.format(rows=rows, out=f"{folder}/run")
                told = f"{text}\nimport resource; print('\\n', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
                done = subprocess.run([sys.executable, "-c", told], check=True, stdout=subprocess.PIPE, text=True)
            megabytes = int(done.stdout.split()[-1]) * UNIT / 2**20
            first = first or megabytes
            yield Row(name.format(rows=rows), megabytes, "MiB", other=first, against="python alone")
