"""fairbench: a benchmark harness that tells the truth about fairness methods.

Data flows one way: suite -> cells -> ``run_cell`` -> store -> values -> report. From the ground up, each wing uses only
those above it in this list:

- ``errors``, ``seeding``, ``notation``, ``texts``: messages, seeds, and how values are written down
- ``cells``, ``choices``, ``records``: a cell of the grid, what users type, and what happened at a cell
- ``system``: the process's settings, output, files and threads
- ``data``: tables, splits and counts; raw files and where they come from
- ``plugins``: kinds of components, hooks, parameters, the registry and how plugins are found
- ``running``: suites, cells, sessions, run directories and the store
- ``analysis``: values, intervals, reference lines, exports
- ``api``: everything that a plugin may import
- ``papers``: published tables and figures, rerun and compared with what is measured
- ``testing``: the checks that every component passes, and the audit of methods
- ``models``: fitted models written to files and read again
- ``cli``: the command line
- ``python``: ``fairbench.run`` and ``fairbench.load``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairbench.version import __version__

if TYPE_CHECKING:
    from fairbench.models.loaded import load_model
    from fairbench.python import Run, load, run

__all__ = ["Run", "__version__", "load", "load_model", "run"]


def __getattr__(name: str) -> Any:
    """Return a public name, whose module is imported when it is first needed."""
    if name == "load_model":
        from fairbench.models.loaded import load_model

        return load_model
    if name in __all__:
        from fairbench import python

        return getattr(python, name)
    raise AttributeError(f"module 'fairbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names that completion offers, those that are not imported yet among them."""
    return sorted({*globals(), *__all__})
