"""The kinds of components, and their names, remembered so that shell completion need not load every plugin."""

from __future__ import annotations

import json
import os
from pathlib import Path

KINDS = ("datasets", "methods", "metrics", "scenarios", "reports", "executors", "papers")
CACHE_FILE = "names.json"


def cache_directory() -> Path:
    """Return the user's cache folder: ``FAIRBENCH_CACHE``, or the platform's."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("FAIRBENCH_CACHE") or user_cache_dir("fairbench"))


def remember_names(names: dict[str, list[str]]) -> None:
    """Keep the names for the next completion; where the cache cannot be written, completion is only slower."""
    try:
        folder = cache_directory()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CACHE_FILE).write_text(json.dumps(names), encoding="utf-8")
    except OSError:
        return


def known_names(kind: str) -> list[str]:
    """Return the remembered names of a kind; load the plugins if nothing is remembered."""
    try:
        names: list[str] = json.loads((cache_directory() / CACHE_FILE).read_text(encoding="utf-8"))[kind]
    except (OSError, ValueError, KeyError):
        from fairbench.plugins import load_plugins

        registry, _ = load_plugins()
        names = registry.names(kind)
    return [*names, "all"] if kind in ("methods", "datasets") else names
