"""What a dataset holds: rows, features, groups, repetitions, and the smallest gap between groups that it can show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairbench.analysis.power import Pair, power_view
from fairbench.analysis.sizes import RATES, group_sizes, planned_splits
from fairbench.cells import Choice
from fairbench.data.inspection import measured_notes, repeated_rows
from fairbench.data.preparation import group_codes
from fairbench.data.rows import Dataset
from fairbench.errors import DataError, NotApplicable
from fairbench.running.session import Session

METRIC, REPEATS = "demographic_parity_difference", (1, 10)


@dataclass(frozen=True)
class GroupFacts:
    """A group's name, its rows, those with y = 1, and whether it is the protected one."""

    name: str
    rows: int
    positives: int
    protected: bool


@dataclass(frozen=True)
class AttributeFacts:
    """A sensitive attribute.

    Args:
        name: of the attribute.
        groups: in the order of their codes.
        gaps: of the selection rates, at the rate that is the share of y = 1: between the groups for which the smallest
            gap suffices, then, of more than two groups, between those that need the largest; none if the rows cannot be
            split.
        few: in words, which groups have few rows in a test part.
        reason: why there is no gap, or none over repeats; else empty.
    """

    name: str
    groups: tuple[GroupFacts, ...]
    gaps: tuple[Pair, ...] = ()
    few: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset when it is loaded.

    Args:
        rows: their number.
        positives: rows with y = 1.
        favorable_label: the label that is good for the person.
        numeric: features that are numbers; 0 of images.
        categories: features that are categories; 0 of images.
        image_shape: (channels, height, width) of images; empty for a table.
        repeated: rows that equal an earlier one in every feature and in the first attribute.
        attributes: the sensitive ones, the default first.
        notes: sentences shown with every result, those that were measured included.
    """

    rows: int
    positives: int
    favorable_label: int
    numeric: int
    categories: int
    image_shape: tuple[int, ...]
    repeated: int
    attributes: tuple[AttributeFacts, ...]
    notes: tuple[str, ...]


def dataset_facts(session: Session, choice: Choice) -> Facts:
    """Return what a dataset holds; its files must be there already, and nothing is downloaded.

    Args:
        session: knows the plugins, and where files are.
        choice: the dataset and its parameters.

    Raises:
        NotApplicable: it is not available here, e.g. because a file is missing.
        DataError: a file is damaged, or the loader failed.
    """
    try:
        dataset = session.runner.workbench.dataset(choice)
        notes = (*dataset.notes, *measured_notes(dataset))
    except (NotApplicable, DataError):
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{choice}: its loader failed ({type(error).__name__}: {error})") from error
    table: Any = dataset.X
    numbers = 0 if dataset.image_shape else len(table.select_dtypes(include=["number", "bool"]).columns)
    return Facts(
        rows=len(dataset.y),
        positives=int(dataset.y.sum()),
        favorable_label=dataset.favorable_label,
        numeric=numbers,
        categories=0 if dataset.image_shape else len(table.columns) - numbers,
        image_shape=dataset.image_shape,
        repeated=repeated_rows(dataset),
        attributes=tuple(_attributes(session, choice, dataset)),
        notes=notes,
    )


def _attributes(session: Session, choice: Choice, dataset: Dataset) -> Iterator[AttributeFacts]:
    """Yield what is known of each attribute of a dataset."""
    names = list(dataset.sensitive_features.columns)
    splits = {group: cells for (_, group), cells in planned_splits(session, [str(choice)], names).items()}
    for name in names:
        codes, groups, protected = group_codes(dataset, [name])
        rows = np.bincount(codes, minlength=len(groups))
        positives = np.bincount(codes, weights=dataset.y, minlength=len(groups)).astype(int)
        found = AttributeFacts(
            name,
            tuple(
                GroupFacts(group, int(n), int(ones), code == protected)
                for code, (group, n, ones) in enumerate(zip(groups, rows, positives))
            ),
        )
        try:
            sizes = group_sizes(dataset, splits[name])
        except (NotApplicable, DataError) as error:
            yield replace(found, reason=str(error))
            continue
        pairs = power_view(sizes, dict.fromkeys(RATES, sizes.base_rate), REPEATS)
        gaps = tuple(pair for pair in pairs if pair.metric == METRIC)
        valid = sizes.correction.ratio is not None
        yield replace(found, gaps=gaps, few=sizes.few, reason="" if valid else sizes.correction.reason)
