"""The version of fairbench, by itself so that a build can read it without importing anything."""

__version__ = "0.1.0"


def compiled() -> bool:
    """Return whether the compiled part is in use, without importing torch, which what it speeds up needs."""
    from importlib import import_module

    try:
        import_module("fairbench_projection._solver._pair")
    except ImportError:
        return False
    return True
