"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return the user's cache folder: ``FAIRBENCH_CACHE``, or the platform's."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("FAIRBENCH_CACHE") or user_cache_dir("fairbench"))
