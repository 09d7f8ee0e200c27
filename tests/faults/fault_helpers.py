"""Processes to be killed, what they leave, and how it is counted; the tests beside import this by its name."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from fairbench.errors import StoreError
from fairbench.records import DONE
from fairbench.running.store import FILE_NAME, Store

HERE = Path(__file__).parent
PATIENCE = 300.0  # seconds for what takes far less unless the machine is overloaded
ROUNDS = range(20)
WORKER_ROUNDS = range(
    20 if "FAIRBENCH_LONG" in os.environ else 6
)  # where each round starts workers, which takes seconds
GRID = [
    *("run", "--plugin", str(HERE / "grid_plugin.py"), "--datasets", "tiny"),
    *("--methods", "draws[shift=0.0|0.1]", "--repeats", "100"),
    *("--metrics", "accuracy,demographic_parity_difference", "--out", "r"),
]
CELLS = 200
MORE = 4  # cells that a run may begin beyond those that a test waits for
SERIAL, PROCESSES = ("--executor", "serial"), ("--executor", "processes[workers=2]")


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


# -------------------------------------------------------------------- processes


def status_of(pid: int) -> SimpleNamespace | None:
    """Return the state, parent and session of a process; None if there is none."""
    try:
        state, parent, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return SimpleNamespace(pid=pid, state=state, parent=int(parent), session=int(session))


def running(session: int) -> list[int]:
    """Return the processes of a session that have not ended; one that waits to be collected has."""
    found = [status_of(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [each.pid for each in found if each and each.session == session and each.state not in "ZX"]


def is_running(pid: int) -> bool:
    """Return whether a process is there and has not ended."""
    found = status_of(pid)
    return found is not None and found.state not in "ZX"


def descendants(coordinator: int) -> list[int]:
    """Return the children of a process and theirs, whatever session they are in."""
    found = [status_of(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
    family = [coordinator]
    for parent in family:
        family += [each.pid for each in found if each and each.parent == parent]
    return family[1:]


def workers(coordinator: int) -> list[int]:
    """Return the worker processes of a run."""
    found = []
    for pid in running(coordinator):
        with suppress(OSError):  # it has ended meanwhile
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def kill_a_worker(run: Run, parent: int, chance) -> None:
    """Kill one of the worker processes in the session of a process, unless the run ends before there is any."""

    def done() -> bool:
        found = workers(parent)
        with suppress(ProcessLookupError):  # it has ended meanwhile
            if found:
                os.kill(chance.choice(found), signal.SIGKILL)
                return True
        return run.ended

    wait_until(done)


class Nursery:
    """A process that starts ``fairbench`` in a moment, see ``nursery.py``; within a prefix such as ``unshare``."""

    def __init__(self, *prefix: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, kind: str, what) -> int:
        self.process.stdin.write(json.dumps({kind: what}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, command, folder: Path, **settings) -> Run:
        """Start a command in a folder.

        Settings are what ``nursery.py`` does to the process first, by the name of its function, or variables of the
        environment.
        """
        (folder / "begun").unlink(missing_ok=True)
        pid = self.ask("start", {"command": list(command), "folder": str(folder), "settings": settings})
        return Run(self, pid, folder)

    def run(self, command, folder: Path, **settings) -> Run:
        """Run a command to its end."""
        run = self.start(command, folder, **settings)
        run.wait()
        return run

    def call(self, *command) -> int:
        """Run another program there; return its exit status."""
        return self.ask("call", list(map(str, command)))

    def close(self) -> None:
        self.process.communicate(timeout=PATIENCE)


@dataclass
class Run:
    """A command that a nursery has started in a session of its own; later its exit status and what it said."""

    nursery: Nursery
    pid: int
    folder: Path
    status: int | None = None
    out: str = ""
    err: str = ""  # in one line

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has come to its end
            os.kill(self.pid, number)

    def signal_all(self, number: int) -> None:
        """Signal every process of the run, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    @property
    def ended(self) -> bool:
        return status_of(self.pid).state == "Z"

    def wait_for_a_worker(self) -> None:
        wait_until(lambda: self.ended or workers(self.pid))

    def wait_until_nothing_is_left(self) -> None:
        wait_until(lambda: not running(self.pid))

    def wait(self) -> int:
        wait_until(lambda: self.ended)
        self.status = self.nursery.ask("wait", self.pid)
        self.out = (self.folder / "log.out").read_text()
        self.err = " ".join((self.folder / "log.err").read_text().split())
        return self.status


class Permits:
    """A pipe from which each cell of ``draws`` takes a byte: runs get no further than a test lets them, and do not end.

    All that a test gives must be fewer than the cells of a run.
    """

    def __init__(self, folder: Path) -> None:
        os.mkfifo(folder / "permits")
        self.settings = {"DRAWS_PERMITS": str(folder / "permits")}
        self._pipe = os.open(folder / "permits", os.O_RDWR)

    def let(self, run: Run, cells: int) -> None:
        """Let a run finish some more cells; return when it has reported so many, or has begun all that it may."""
        count = len(reported(run.folder)) + cells
        os.write(self._pipe, bytes(cells + MORE))
        wait_until(lambda: run.ended or len(reported(run.folder)) >= count or not self._left())

    def _left(self) -> bool:
        return bool(select.select([self._pipe], [], [], 0)[0])

    def close(self) -> None:
        os.close(self._pipe)


# -------------------------------------------------------------------- what they leave


def reported(folder: Path) -> dict[str, str]:
    """Return the status that runs in a folder have reported last, by the key of the cell."""
    path = folder / "reported"
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines()) if path.exists() else {}


def stored(folder: Path) -> dict[str, tuple]:
    """Return what the store of the run ``r`` says of every finished cell of ``draws``, by key: its values and time."""
    try:
        with Store(folder / "r" / FILE_NAME) as store:
            done = [r for r in store.records() if r.status == DONE and r.cell.method.name == "draws"]
            return {r.cell.key: (r.values, r.seconds) for r in done}
    except StoreError as error:
        if re.search("does not exist|holds nothing yet", str(error)):
            return {}
        raise


def exported(text: str) -> list[tuple]:
    """Return every row of an export without its times."""
    rows = csv.DictReader(io.StringIO(text))
    return sorted(tuple(value for name, value in row.items() if "seconds" not in name) for row in rows)


@dataclass
class Tally:
    """What the rounds of a fault cost."""

    fault: str
    truth: dict[str, tuple]  # values of an undisturbed run by key
    rounds: int = 0
    cells: int = 0  # finished cells that were looked at, in all rounds
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def round(self, folder: Path, before: dict[str, tuple]) -> dict[str, tuple]:
        """Count a round, and look at what it left."""
        self.rounds += 1
        return self.look(folder, before)

    def look(self, folder: Path, before: dict[str, tuple]) -> dict[str, tuple]:
        """Count which cells that were finished are gone or other than they were; return what is stored."""
        told = {key for key, status in reported(folder).items() if status == DONE and key in self.truth}
        now = stored(folder)  # only now: the run may go on, and stores a cell before it reports it
        self.cells += len(now)
        self.lost += sorted((told | before.keys()) - now.keys())
        self.wrong += [key for key, (values, _) in now.items() if values != self.truth.get(key)]
        self.lost += [key for key in before.keys() & now.keys() if before[key] != now[key]]  # it was run again
        return now

    @property
    def row(self) -> tuple:
        return self.fault, self.rounds, self.cells, len(self.lost), len(self.wrong)

    def sound(self) -> bool:
        return self.rounds > 0 and self.cells > 0 and not self.lost and not self.wrong
