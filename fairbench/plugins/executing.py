"""What a plugin that runs cells supplies: the protocol of executors, the limits of an item and how it ended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Callable, Generic, Optional, Protocol, TypeVar

RETURNED, RAISED = "returned", "raised"
"""How an item of an executor ended, if it did: ``Ended.how`` is one of these, or how its process ended instead."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Limits:
    """What an item can use before its executor stops it.

    Args:
        seconds: wall-clock time from when the item is passed to its process; None for no limit.
        memory: bytes of memory of its process; None for no limit.
        retries: how often an item is tried again after its process ended without an answer. One that raised, or that
            exceeded a limit, is not tried again: with the same seed it would end in the same way.
    """

    seconds: Optional[float] = None
    memory: Optional[int] = None
    retries: int = 1

    def __post_init__(self) -> None:
        """Check that limits are above 0, and retries not below."""
        for what, limit in (("seconds", self.seconds), ("memory", self.memory)):
            if limit is not None and not limit > 0:
                raise ValueError(f"the limit of {what} is {limit}; it must be above 0")
        if self.retries < 0:
            raise ValueError(f"retries is {self.retries}; it must be at least 0")

    def __bool__(self) -> bool:
        """Return whether there is a limit that some process must be watched for."""
        return self.seconds is not None or self.memory is not None


NO_LIMITS = Limits()
"""Limits that limit nothing."""


@dataclass(frozen=True)
class Ended(Generic[T, R]):
    """How an item ended in an executor.

    Args:
        item: the item.
        how: ``returned``, ``raised``, or how its process ended: ``crashed``, ``timed out``, ``out of memory``.
        result: what the function returned; None if it did not return.
        error: what it raised, or an exception that says how its process ended; None if it returned.
    """

    item: T
    how: str
    result: Optional[R] = None
    error: Optional[BaseException] = None


class Executor(Protocol):
    """A frozen dataclass that decides where and how cells are run.

    One whose items run in the process that calls ``map`` can declare ``in_this_process = True`` in its class; loaded
    datasets are then not written to files for other processes. One with processes of its own can have a method
    ``warm(modules)``, which returns a context manager that gives such an executor: its processes may begin to import
    these modules of libraries in the block, ahead of ``map``.
    """

    @property
    def name(self) -> str:
        """Its name in suites and on the command line; in the class, a plain ``name = "..."``."""
        ...

    def map(
        self, function: Callable[[T], R], items: Sequence[T], limits: Limits = NO_LIMITS
    ) -> Generator[Ended[T, R], None, None]:
        """Yield how each item ended, once for each item, in any order.

        Args:
            function: importable by name, so that another process can call it; the same holds for the types of its
                argument and its result. That of a run has an attribute ``scratch``, the path of a private folder in
                the run directory which the run removes when it ends; an executor can keep its own files there.
            items: the arguments, one for each call.
            limits: what each item can use.

        Raises:
            NotApplicable: the executor cannot enforce such a limit; raised before anything has run.
            KeyboardInterrupt: the user has stopped the run; results that have arrived are yielded first.
        """
        ...
