"""What a run records about points that are known without it, and about methods that exist only for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairbench.errors import DataError
from fairbench.plugins.components import DatasetSpec, Reference, Referenced
from fairbench.plugins.registry import Registry
from fairbench.running.outcomes import said
from fairbench.system.isolation import process_state_kept


def known_references(spec: DatasetSpec) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return a dataset's reference points as plain data, as ``run.json`` keeps them, and what is wrong with them.

    A dataset whose points cannot be had is as good as one that knows none: the reason stands among its notes.
    """
    if not isinstance(spec, Referenced):
        return [], ()
    try:
        with process_state_kept():
            found = spec.references()
        if not isinstance(found, Sequence) or not all(isinstance(reference, Reference) for reference in found):
            raise DataError(f"references() returned {found!r}; it must return a list of fairbench.api.Reference")
        return [_plain(reference) for reference in found], ()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return [], (f"Its reference points cannot be shown: {type(error).__name__}: {said(error)}",)


def _plain(reference: Reference) -> dict[str, Any]:
    values = {metric: float(value) for metric, value in reference.values.items()}
    return {"name": reference.name, "values": values, "note": reference.note}


def reference_methods(registry: Registry, names: Iterable[str]) -> list[str]:
    """Return the sorted names of those methods that declare themselves references (``is_reference``)."""
    return sorted(name for name in set(names) if getattr(registry.get("methods", name), "is_reference", False))
