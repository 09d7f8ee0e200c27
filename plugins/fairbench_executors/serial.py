"""One cell after the other in this process: the executor to debug with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, TypeVar

from fairbench.api import hookimpl

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Serial:
    """Run items in this process, one at a time and only as they are asked for."""

    name = "serial"

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R | BaseException]]:
        """Yield each item with what the function returned or raised, in the order given.

        Raises:
            KeyboardInterrupt: the user has stopped the run; what was yielded before stands.
        """
        for item in items:
            yield item, _outcome(function, item)


def _outcome(function: Callable[[T], R], item: T) -> R | BaseException:
    try:
        return function(item)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its item
        return error


@hookimpl
def fairbench_executors() -> list[type]:
    """Return the executor."""
    return [Serial]
