"""The versions of fairbench and its plugin API, in a module of their own: a build reads them without other imports."""

__version__ = "0.1.0"

API_VERSION = 1
"""The version of ``fairbench.api``; it rises when a change requires working plugins to change."""

OLDEST_API = 1  # the oldest whose plugins still work


def compiled() -> bool:
    """Return whether the compiled part is in use, without importing torch."""
    from importlib import import_module

    try:
        import_module("fairbench_projection._solver._pair")
    except ImportError:
        return False
    return True
