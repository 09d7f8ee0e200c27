"""One cell after the other in this process: the executor for debugging.

It cannot stop what ends or holds up a whole process: ``os._exit``, a crash in native code, memory that runs out, a fit
that never ends, a thread or a child process that is left behind. With ``processes``, those cost only a worker.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Callable, ClassVar, TypeVar

from fairbench.api import NO_LIMITS, RAISED, RETURNED, Ended, Executor, Limits, NotApplicable, hookimpl

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Serial:
    """Run items in this process, one at a time and only as they are asked for; a crash of one ends the run."""

    name: ClassVar[str] = "serial"
    in_this_process: ClassVar[bool] = True

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, in the order given.

        Args:
            function: called with each item.
            items: one after the other.
            limits: there must be none.

        Raises:
            NotApplicable: there is a limit, which this process cannot keep while it is busy.
            KeyboardInterrupt: the user has stopped the run; what was yielded before stands.
        """
        if limits:
            raise NotApplicable("the executor serial cannot stop an item in its own process; use processes for limits")
        for item in items:
            yield _ended(function, item)


def _ended(function: Callable[[T], R], item: T) -> Ended[T, R]:
    process = os.getpid()
    try:
        return Ended(item, RETURNED, function(item))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its item
        return Ended(item, RAISED, error=error)
    finally:
        if os.getpid() != process:  # a fork that the item made has come back
            os._exit(1)


@hookimpl
def fairbench_executors() -> list[type[Executor]]:
    """Return the executor."""
    return [Serial]
