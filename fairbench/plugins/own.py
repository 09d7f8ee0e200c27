"""Data of one's own as a plugin: a declared table becomes a dataset like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.data.own.declaration import OwnData
from fairbench.data.own.prepared import contents, prepared
from fairbench.data.rows import Dataset
from fairbench.errors import SuiteError
from fairbench.plugins.registry import LOCAL, Plugin, Registry

Contents = tuple[tuple[str, str], ...]  # sha256 by name, of the table and of its declaration


def register_own(registry: Registry, given: Sequence[tuple[OwnData, Contents]]) -> None:
    """Add a dataset for each table; its version is the digest of the table and its declaration.

    Raises:
        SuiteError: the name of one is taken.
    """
    for own, digests in given:
        if own.name in registry.names("datasets"):
            raise SuiteError(
                f"{own.where}: there is already a dataset named {own.name!r}; rename the file, or declare it in a "
                f"suite under another name ([data.my-{own.name}])"
            )
        plugin = Plugin(f"{own.name} ({own.file or 'a pandas table'})", LOCAL, "", code=dict(digests))
        registry.add(plugin, {"datasets": [_spec(own)]})


def with_contents(given: Sequence[OwnData]) -> tuple[tuple[OwnData, Contents], ...]:
    """Return each declaration with the digests of what it describes now."""
    return tuple((own, tuple(contents(own).items())) for own in given)


def _spec(own: OwnData) -> type[Any]:
    """Return the dataset's class, as a plugin would define it."""

    @dataclass(frozen=True)
    class Table:
        name = own.name
        files = ()
        sensitive_features = own.group

        def load(self, files: Mapping[str, Path]) -> Dataset:
            return prepared(own).dataset

    Table.__doc__ = f"Data of your own: {own.where}."
    return Table
