"""Python's search for unreachable cycles of objects, and when it is in the way."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*, ending: bool = False) -> Iterator[None]:
    """Look for no cycles meanwhile: who makes a million objects that stay would have all of them looked at many times.

    Objects that are in no cycle are freed as ever.

    Args:
        ending: the process ends after the block, so that the objects that are there by then are never looked at.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ending:
            gc.freeze()
        if enabled:
            gc.enable()
