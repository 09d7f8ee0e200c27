"""What a run records about points that are known without it, and about methods that exist only for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Optional

from fairbench.cells import Choice
from fairbench.choices import parse_choices, stands_for
from fairbench.errors import DataError, SuiteError
from fairbench.plugins.components import DatasetSpec, Reference, Referenced
from fairbench.plugins.registry import Registry
from fairbench.running.outcomes import said
from fairbench.system.isolation import process_state_kept

BASELINE, ATTAINABLE = "mlp", "attainable"
HOLDOUT = "holdout"
COMPARING = (HOLDOUT, "selected", "tuned", "tuned_together", "search", "sweep")
"""Scenarios in which methods are set against reference lines: one fit, or one choice of fits, for each split."""


def added_methods(baseline: str, methods: Sequence[Choice], registry: Registry) -> list[Choice]:
    """Return the methods that reference lines need beside those of a suite.

    Args:
        baseline: the suite's, as on the command line; empty for the usual one.
        methods: what the suite requests; a variant of the usual baseline is enough.
        registry: a usual method that it lacks is left out.

    Raises:
        UnknownName: there is no such baseline.
        SuiteError: the text names no single method.
    """
    names = {method.name for method in methods}
    if baseline:
        choices = parse_choices(baseline)
        if len(choices) != 1:
            raise SuiteError(f"baseline {baseline!r} names {len(choices)} methods; name one")
        registry.get("methods", choices[0].name)
        added = [] if any(stands_for(choices[0], method) for method in methods) else choices
    else:
        added = [Choice(BASELINE)] if BASELINE in registry.names("methods") and BASELINE not in names else []
    if ATTAINABLE in registry.names("methods") and ATTAINABLE not in names:
        added.append(Choice(ATTAINABLE))
    return added


def reference_scenario(scenarios: Sequence[Choice], registry: Registry) -> Optional[Choice]:
    """Return the scenario in which added methods run, if methods are set against reference lines in any.

    Args:
        scenarios: the suite's; its first ``holdout`` is taken.
        registry: for the parameters of ``holdout`` if the suite has none.
    """
    if not any(scenario.name in COMPARING for scenario in scenarios):
        return None
    own = next((scenario for scenario in scenarios if scenario.name == HOLDOUT), None)
    if own is None and HOLDOUT in registry.names("scenarios"):
        return registry.complete("scenarios", Choice(HOLDOUT))
    return own


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
