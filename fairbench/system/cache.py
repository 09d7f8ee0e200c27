"""The user's folders: what can be fetched again, and environments of plugins."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return the user's cache folder: ``FAIRBENCH_CACHE``, or the platform's."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("FAIRBENCH_CACHE") or user_cache_dir("fairbench"))


def environments_directory() -> Path:
    """Return the folder of isolated plugins' environments: ``FAIRBENCH_ENVIRONMENTS``, or one in the user's data."""
    from platformdirs import user_data_dir

    return Path(os.environ.get("FAIRBENCH_ENVIRONMENTS") or Path(user_data_dir("fairbench"), "environments"))
