"""Arrays that are used again from call to call: fetching fresh memory can cost more than the arithmetic on it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np


class _Scratch(threading.local):
    """For each thread, one array by name, as large as the largest that was asked for."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray[Any, Any]] = {}

    def take(self, name: str, size: int, dtype: Any) -> np.ndarray[Any, Any]:
        """Return an array (size,) with any content, valid until the next call with this name."""
        kept = self._kept.get(name)
        if kept is None or len(kept) < size:
            kept = self._kept[name] = np.empty(size, dtype=dtype)
        return kept[:size]


SCRATCH = _Scratch()
