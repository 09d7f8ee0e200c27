"""The versions of fairbench and of its plugin API, by themselves: a build reads them without importing anything."""

__version__ = "0.1.0"

API_VERSION = 1
"""The version of ``fairbench.api``; it rises when working plugins must change."""

OLDEST_API = 1  # the oldest whose plugins still work


def compiled() -> bool:
    """Return whether the compiled part is in use, without importing torch, which what it speeds up needs."""
    from importlib import import_module

    try:
        import_module("fairbench_projection._solver._pair")
    except ImportError:
        return False
    return True
