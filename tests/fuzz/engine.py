"""One input after another through a reader of the product, in a process of its own that can be killed.

An input is determined by target, seed and number. A *find* is whatever is neither a result nor one of the errors that
fairbench raises on purpose: another exception, a message of several lines, a result that is not as it must be, a hang,
a process that dies, or memory beyond a limit.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Optional

from mutation import mutated

from fairbench.errors import FairbenchError, printable

HANGS = 20.0  # seconds for one input
MEMORY = 600  # MiB that one input may add to the peak of the process

Change = Callable[[bytes, Random, Sequence[bytes]], bytes]


class Wrong(Exception):
    """A result that is not as it must be."""


@dataclass(frozen=True)
class Reader:
    """What is ready to be fuzzed.

    Args:
        seeds: sound files by name.
        read: reads the content in place of the file of that name; what it returns is of no interest.
        change: makes an input of a sound file.
        refusals: the errors that are raised on purpose.
    """

    seeds: Mapping[str, bytes]
    read: Callable[[str, bytes], object]
    change: Change = mutated
    refusals: tuple[type[BaseException], ...] = (FairbenchError,)


@dataclass(frozen=True)
class Target:
    """A kind of file, and how its reader is made ready in a folder; ``lacks`` says why it cannot be fuzzed here."""

    name: str
    make: Callable[[Path], Reader]
    lacks: Callable[[], str] = field(default=lambda: "")


class Find(NamedTuple):
    """An input that was neither read nor refused in one line."""

    target: str
    number: int
    name: str
    content: bytes
    what: str


def made(reader: Reader, target: str, seed: int, number: int) -> tuple[str, bytes]:
    """Return the input of a number: the name of the file that it stands for, and its content."""
    random = Random(f"{target} {seed} {number}")
    name = random.choice(sorted(reader.seeds))
    return name, reader.change(reader.seeds[name], random, list(reader.seeds.values()))


def judged(reader: Reader, name: str, content: bytes) -> str:
    """Return what is wrong with how an input is read; empty if nothing is."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # as the tests have it: a warning would be one more line on the screen
            reader.read(name, content)
    except reader.refusals as error:
        message = str(error)
        if not message.strip():
            return f"an empty message of {type(error).__name__}"
        if "Traceback" in message or "\n" in printable(message):  # as the command line shows it
            return f"a message of several lines: {message[:300]!r}"
        return _grown(before)
    except Wrong as error:
        return f"a wrong result: {error}"
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {str(error)[:300]}"
    return _grown(before)


def _grown(before: int) -> str:
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return f"{grown:.0f} MiB of memory" if grown > MEMORY else ""


def found(target: Target, reader: Reader, seed: int, numbers: Sequence[int]) -> Iterator[Optional[Find]]:
    """Yield for each number, in this process, what is wrong with its input, or None; a hang is not noticed."""
    for number in numbers:
        name, content = made(reader, target.name, seed, number)
        what = judged(reader, name, content)
        yield Find(target.name, number, name, content, what) if what else None


def fuzz(target: Target, folder: Path, seed: int, inputs: int, jobs: int, seen: Callable[[int], bool]) -> list[Find]:
    """Return the finds among so many inputs, in ``jobs`` processes.

    ``seen`` is told now and then how many are done, and says whether to go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shares = [range(job, inputs, jobs) for job in range(jobs)]
    workers = [_Worker(target, folder / str(job), seed, share) for job, share in enumerate(shares)]
    try:
        while sum(worker.is_done() for worker in workers) < jobs and seen(sum(worker.done for worker in workers)):
            time.sleep(0.05)
        seen(sum(worker.done for worker in workers))
    finally:
        for worker in workers:
            worker.stop()
    return sorted((find for worker in workers for find in worker.finds), key=lambda find: find.number)


class _Worker:
    """A process that reads a share of the inputs; it is replaced when it hangs or dies."""

    def __init__(self, target: Target, folder: Path, seed: int, numbers: Sequence[int]) -> None:
        self.target, self.folder, self.seed, self.numbers = target, folder, seed, numbers
        self.finds: list[Find] = []
        self.done = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._context = multiprocessing.get_context("fork")
        self._start()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._at = self._context.Value("q", -1)  # the place among the numbers; -1 while the reader is made ready
        rest = self.numbers[self.done :]
        self._first, self._last, self._since = self.done, -1, time.monotonic()
        arguments = (self.target, self.folder, self.seed, rest, self._at, theirs)
        self._process = self._context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def is_done(self) -> bool:
        """Take what the process has found, and see whether it has come to the end; replace it if it has stopped."""
        at, dead = self._at.value, not self._process.is_alive()  # what it has sent until then is taken below
        with contextlib.suppress(EOFError, OSError):
            while self._pipe.poll():
                message = self._pipe.recv()
                if isinstance(message, Exception):
                    raise message
                self.finds.append(message)
        self.done = max(self.done, self._first + max(at, 0))
        if self.done >= len(self.numbers):
            return True
        if at != self._last:
            self._last, self._since = at, time.monotonic()
        late = at >= 0 and time.monotonic() - self._since > HANGS
        if dead and at < 0:
            raise RuntimeError(f"{self.target.name}: the reader cannot be made ready")
        if (dead or late) and self._at.value == at:
            self.stop()
            what = f"no end after {HANGS:g} s" if late else f"the process died ({self._process.exitcode})"
            name, content = made(self.target.make(self.folder), self.target.name, self.seed, self.numbers[self.done])
            self.finds.append(Find(self.target.name, self.numbers[self.done], name, content, what))
            self.done += 1
            if self.done < len(self.numbers):
                self._start()
        return self.done >= len(self.numbers)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _work(target: Target, folder: Path, seed: int, numbers: Sequence[int], at: Any, pipe: Any) -> None:
    try:
        with (folder / "output").open("w") as sink, contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            reader = target.make(folder)
            at.value = 0
            for place, find in enumerate(found(target, reader, seed, numbers), 1):
                if find is not None:
                    pipe.send(find)
                at.value = place
    except Exception as error:
        pipe.send(RuntimeError(f"{target.name}: {error!r}"))
        raise
