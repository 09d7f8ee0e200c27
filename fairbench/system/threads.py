"""One thread for each process, so that sums are taken in the same order whatever the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def ask_for_one_thread() -> None:
    """Let libraries that are loaded from now on use one thread; processes give the parallelism."""
    os.environ.update(dict.fromkeys(VARIABLES, "1"))


def use_one_thread() -> Any:
    """Let the libraries that are loaded use one thread, and return what can undo that, but for torch.

    Only libraries that are loaded by now can be limited; scikit-learn brings its own OpenMP, and scipy's BLAS with it.
    """
    import sklearn  # noqa: F401 - loaded so that its threads can be limited
    from threadpoolctl import threadpool_limits

    limits = threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the libraries that are loaded use one thread within the block, and as many as before after it."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    with use_one_thread():
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
