"""One thread for each process, so that sums are computed in the same order on every machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def ask_for_one_thread() -> None:
    """Let libraries that are loaded from now on use one thread; processes provide the parallelism."""
    os.environ.update(dict.fromkeys(VARIABLES, "1"))


def use_one_thread() -> Any:
    """Limit the loaded libraries except torch to one thread, and return an object that can undo it.

    Only libraries that are already loaded can be limited; scikit-learn loads its own OpenMP and scipy's BLAS.
    """
    import sklearn  # noqa: F401 - loaded so that its threads can be limited
    from threadpoolctl import threadpool_limits

    limits = threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit the loaded libraries to one thread in the block, and restore their numbers of threads afterwards."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    with use_one_thread():
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
