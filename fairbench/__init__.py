"""fairbench: a benchmark harness that tells the truth about fairness methods.

Data flows one way: suite -> cells -> ``run_cell`` -> store -> report.

- ``data``, ``counts``, ``alike``, ``components``, ``hooks``: the nouns, and what a plugin may supply
- ``projection``: the nearest scores that satisfy a fairness constraint, exactly (``api.projection`` has the layer)
- ``api``: all that a plugin imports (``fairbench.api``, and ``fairbench.api.torch`` for torch and higher)
- ``files``, ``adding``, ``preparation``: raw files found, verified or taken in; a dataset split, encoded without leaks
- ``registry``, ``plugins``: names to components, and how plugins are found and kept apart
- ``values``, ``choices``: what people type; ``annotations``, ``parameters``: what components take, checked
- ``suite``, ``run``, ``store``, ``results``: plan a grid, run it, keep it, read it
- ``intervals``, ``lines``: uncertainty over repeats; the coin that every method is held against
- ``papers``: published tables and figures run again, and set beside what is measured
- ``testing``, ``cli``: the checks that every component passes; the command line
"""

from fairbench.version import __version__

__all__ = ["__version__"]
