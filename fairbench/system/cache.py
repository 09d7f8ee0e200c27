"""The user's folders: what can be fetched again, and environments of plugins."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Optional


def cache_directory() -> Path:
    """Return the user's cache folder: ``FAIRBENCH_CACHE``, or the platform's."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("FAIRBENCH_CACHE") or user_cache_dir("fairbench"))


def environments_directory() -> Path:
    """Return the folder of isolated plugins' environments: ``FAIRBENCH_ENVIRONMENTS``, or one in the user's data."""
    own = os.environ.get("FAIRBENCH_ENVIRONMENTS")
    return (
        Path(own) if own else _data_directory(os.path.expanduser("~"), os.environ.get("XDG_DATA_HOME")) / "environments"
    )


@lru_cache(maxsize=4)
def _data_directory(home: str, data_home: Optional[str]) -> Path:
    """Return the folder of the user's data, which depends on these; every cell asks whether a plugin is new there."""
    from platformdirs import user_data_dir

    return Path(user_data_dir("fairbench"))
