"""How long commands take before they do anything: cold and warm help, lists and imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

from _timing import Row, alternately, children_seconds

LOADED = """
import sys, fairbench.cli.main
print(*(module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)))
"""


def command(*arguments: str) -> Callable[[], None]:
    """Return what runs Python with these arguments in a process of its own."""
    return lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def forget(files: Sequence[str]) -> None:
    """Drop files from the system's page cache, so that they must be read again."""
    for name in files:
        descriptor = os.open(name, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measure(quick: bool) -> Iterator[Row]:
    """Time processes, with their files in the page cache and without."""
    helping = command("-m", "fairbench", "--help")
    works = {
        "python -c pass": command("-c", "pass"),
        "fairbench --help": helping,
        "import fairbench": command("-c", "import fairbench"),
        "fairbench list methods": command("-m", "fairbench", "list", "methods"),
    }
    found = alternately(works, rounds=3 if quick else 10, burst=0, clock=children_seconds, budget=20.0)
    for name, times in found.items():
        aim = {"aim": 100.0} if name == "fairbench --help" else {}
        beside = {} if name == "python -c pass" else {"other": found["python -c pass"], "against": "python -c pass"}
        yield times.row(f"{name}, warm", **beside, **aim)
    if not hasattr(os, "posix_fadvise"):
        yield Row("fairbench --help, cold", None, "CPU ms", note="this system cannot drop files from its cache")
        return
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, stdout=subprocess.PIPE, text=True)
    modules = [Path(name) for name in done.stdout.split()]
    compiled = [place for path in modules for place in path.parent.glob(f"__pycache__/{path.stem}.*.pyc")]
    files = [str(path) for path in (*modules, *compiled) if path.is_file()]

    def cold() -> None:
        forget(files)
        helping()

    cold_times = alternately({"": cold}, rounds=3, burst=0, clock=children_seconds)[""]
    note = f"{len(files)} files of modules are dropped from the page cache first"
    yield cold_times.row("fairbench --help, cold", other=found["fairbench --help"], against="warm", note=note)
