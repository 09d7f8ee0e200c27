"""The names of components, remembered so that the shell can complete them without loading every plugin."""

from __future__ import annotations

import json

from fairbench.system.cache import cache_directory

FILE_NAME = "names.json"


def remember_names(names: dict[str, list[str]]) -> None:
    """Keep the names for the next completion; if the cache cannot be written, completion is merely slower."""
    try:
        folder = cache_directory()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(json.dumps(names), encoding="utf-8")
    except OSError:
        return


def known_names(kind: str) -> list[str]:
    """Return the remembered names of a kind; load the plugins if nothing is remembered."""
    try:
        names: list[str] = json.loads((cache_directory() / FILE_NAME).read_text(encoding="utf-8"))[kind]
    except (OSError, ValueError, KeyError):
        from fairbench.plugins.loading import load_plugins

        registry, _ = load_plugins(kind=kind)
        names = registry.names(kind)
    return [*names, "all"] if kind in ("methods", "datasets") else names
