"""One cell after the other in this process: the executor to debug with.

It cannot stop what ends or holds up a whole process: ``os._exit``, a crash in native code, memory that runs out, a fit
that never ends, a thread or a child process that is left behind. Those cost a worker of ``processes`` alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, TypeVar

from fairbench.api import hookimpl

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Serial:
    """Run items in this process, one at a time and only as they are asked for; a crash of one ends the run."""

    name = "serial"

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R | BaseException]]:
        """Yield each item with what the function returned or raised, in the order given.

        Raises:
            KeyboardInterrupt: the user has stopped the run; what was yielded before stands.
        """
        for item in items:
            yield item, _outcome(function, item)


def _outcome(function: Callable[[T], R], item: T) -> R | BaseException:
    process = os.getpid()
    try:
        return function(item)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its item
        return error
    finally:
        if os.getpid() != process:  # a fork that the item made has come back
            os._exit(1)


@hookimpl
def fairbench_executors() -> list[type]:
    """Return the executor."""
    return [Serial]
