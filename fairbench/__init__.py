"""fairbench: a benchmark harness that tells the truth about fairness methods.

Data flows one way: suite -> cells -> ``run_cell`` -> store -> report.

- ``data``, ``counts``, ``components``, ``hooks``: the nouns, and what a plugin may supply
- ``projection``: the nearest scores that satisfy a fairness constraint, exactly (``api.projection`` has the layer)
- ``api``: all that a plugin imports (``fairbench.api``, and ``fairbench.api.torch`` for torch and higher)
- ``files``, ``adding``, ``preparation``: raw files found, verified or taken in; a dataset split, encoded without leaks
- ``registry``, ``plugins``: names to components, and how plugins are found and kept apart
- ``suite``, ``run``, ``store``, ``results``: plan a grid, run it, keep it, read it
- ``testing``, ``cli``: the checks that every component passes; the command line
"""

from fairbench.version import __version__

__all__ = ["__version__"]
