"""What a run records about points that are known without it, and about methods that exist only for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairbench.errors import DataError
from fairbench.plugins.components import DatasetSpec, Reference, Referenced
from fairbench.plugins.registry import Registry
from fairbench.system.isolation import process_state_kept


def known_references(spec: DatasetSpec, label: str) -> list[dict[str, Any]]:
    """Return a dataset's reference points as plain data, as ``run.json`` keeps them; empty if it knows none.

    Args:
        spec: the dataset.
        label: its name with its parameters, for messages.

    Raises:
        DataError: what it returns are no references.
    """
    if not isinstance(spec, Referenced):
        return []
    with process_state_kept():
        found = spec.references()
    if not isinstance(found, Sequence) or not all(isinstance(reference, Reference) for reference in found):
        raise DataError(f"{label}: references() returned {found!r}; it must return a list of fairbench.api.Reference")
    return [
        {
            "name": reference.name,
            "values": {metric: float(value) for metric, value in reference.values.items()},
            "note": reference.note,
        }
        for reference in found
    ]


def reference_methods(registry: Registry, names: Iterable[str]) -> list[str]:
    """Return the sorted names of those methods that declare themselves references (``is_reference``)."""
    return sorted({name for name in names if getattr(registry.get("methods", name), "is_reference", False)})
