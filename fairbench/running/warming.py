"""Libraries that worker processes can load while a run still gathers its data."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

from fairbench.plugins.executing import Executor

ALWAYS = ("fairbench.running.cell", "sklearn.model_selection")  # what every worker needs
LARGE = ("pandas", "torch")  # what it needs if the plugins do, which have been loaded here


def warmed(executor: Executor) -> AbstractContextManager[Executor]:
    """Return a context with an executor, whose workers begin to load libraries if it can do so ahead of ``map``.

    No module of a plugin is among them: what plugins do when they are imported is for each worker to do.
    """
    warm = getattr(executor, "warm", None)
    if warm is None:
        return nullcontext(executor)
    ours = sorted(name for name in sys.modules if name.startswith("fairbench.api"))
    context: AbstractContextManager[Executor] = warm((*ours, *filter(sys.modules.__contains__, LARGE), *ALWAYS))
    return context
