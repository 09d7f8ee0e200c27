"""Fuzz what fairbench reads: ``python tests/fuzz/fuzz.py suite store --inputs 100000 --seed 1``.

Each find is written below ``--finds`` as a file ``TARGET-SEED-NUMBER-NAME``, with what went wrong beside it in a
``.txt``; ``--replay FILE`` reads such a file again. Exit status 1 says that there were finds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FAIRBENCH_ENVIRONMENTS", os.devnull)

from engine import Find, fuzz, judged
from rich.progress import Progress
from targets import TARGETS, registry


def main() -> int:
    """Fuzz the targets that were named, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all, or of {', '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=100_000, help="of each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="end a target after so long; the table says how many inputs ran")
    parser.add_argument("--finds", type=Path, default=Path("finds"), help="folder (default: %(default)s)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="read a find again")
    asked = parser.parse_args()
    if asked.replay:
        return _replay(asked.replay)
    names = list(TARGETS) if asked.targets == ["all"] else asked.targets
    unknown = [name for name in names if name not in TARGETS]
    if unknown or not names or min(asked.inputs, asked.jobs) < 1:
        parser.error(
            f"name targets among: all, {', '.join(TARGETS)}" if unknown or not names else "at least 1 is needed"
        )
    registry()  # once, before processes are forked
    print(f"{'target':<24}{'inputs':>10}{'finds':>8}{'seconds':>10}")
    finds = 0
    for name in names:
        finds += _run(name, asked)
    return 1 if finds else 0


def _run(name: str, asked: argparse.Namespace) -> int:
    """Fuzz one target, print its line and write its finds; return how many there are."""
    lacks = TARGETS[name].lacks()
    if lacks:
        print(f"{name:<24}   skipped: {lacks}", flush=True)
        return 0
    start, done, end = time.monotonic(), 0, asked.minutes and time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory(prefix="fairbench-fuzz-") as folder, Progress(transient=True) as progress:
        task = progress.add_task(name, total=asked.inputs)

        def seen(count: int) -> bool:
            nonlocal done
            done = count
            progress.update(task, completed=count)
            return not end or time.monotonic() < end

        found = fuzz(TARGETS[name], Path(folder), asked.seed, asked.inputs, asked.jobs, seen)
    print(f"{name:<24}{done:>10,}{len(found):>8,}{time.monotonic() - start:>10.0f}", flush=True)
    for find in found:
        _write(find, asked.finds, asked.seed)
    for what in dict.fromkeys(find.what for find in found):
        print(f"    {what[:300]}")
    return len(found)


def _write(find: Find, folder: Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{find.target}-{seed}-{find.number}-{find.name}"
    file.write_bytes(find.content)
    file.with_name(f"{file.name}.txt").write_text(find.what + "\n", encoding="utf-8", errors="backslashreplace")


def _replay(file: Path) -> int:
    """Read a find again, in this process, and say what is wrong with it."""
    for name, target in TARGETS.items():
        if file.name.startswith(f"{name}-"):
            seed_name: Optional[str] = file.name[len(name) + 1 :].split("-", 2)[2]
            with tempfile.TemporaryDirectory(prefix="fairbench-fuzz-") as folder:
                what = judged(target.make(Path(folder)), str(seed_name), file.read_bytes())
            print(what or "read, or refused in one line")
            return 1 if what else 0
    print(f"{file} is not named as a find is: TARGET-SEED-NUMBER-NAME", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
