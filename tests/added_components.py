"""Components that a test adds to this process's plugins, where no later test finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairbench.plugins import loading
from fairbench.plugins.registry import Plugin, Registry
from fairbench.running import cell


@contextmanager
def added(**components: Sequence[Any]) -> Iterator[Registry]:
    """Lend a registry with ``components`` by kind; a plugin file could not be watched by its test as these are."""
    loading._load.cache_clear()
    cell._workbench.cache_clear()
    registry, _ = loading.load_plugins()
    registry._frozen = False
    registry.add(Plugin("test", "local file", ""), components)
    registry.freeze()
    yield registry
    loading._load.cache_clear()
    cell._workbench.cache_clear()
