"""How many rows of each group the test parts of a dataset have, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fairbench.analysis.counts import FALSE_POSITIVE, SELECTION, TRUE_POSITIVE, stored_rows
from fairbench.analysis.intervals import Correction, parts_correction
from fairbench.analysis.values import finished
from fairbench.cells import Cell
from fairbench.data.preparation import group_codes, part_rows
from fairbench.data.rows import Dataset, Floats
from fairbench.errors import DataError, NotApplicable, SuiteError
from fairbench.records import Parts, Results
from fairbench.running.grid import gather
from fairbench.running.session import Session, chosen_suite
from fairbench.texts import error_line

RATES = (SELECTION, TRUE_POSITIVE, FALSE_POSITIVE)
FEW_ROWS = 10
"""Rows of a group in a test part below which any statement about it is doubtful."""

SPLITS = 10  # over which sizes are averaged


@dataclass(frozen=True, eq=False)
class GroupSizes:
    """How many rows the groups have in the test parts of a dataset's splits, as means over repeats, in whole rows.

    Args:
        groups: names of the G groups.
        rows: (G, 2) number of rows with y = 0 and y = 1.
        base_rate: the share of y = 1 in the whole dataset.
        parts: sizes of all parts of each split.
    """

    groups: tuple[str, ...]
    rows: Floats
    base_rate: float
    parts: tuple[Parts, ...]

    @property
    def correction(self) -> Correction:
        """Return how intervals over repeats account for the overlap of the splits."""
        return parts_correction(self.parts)

    @property
    def few(self) -> tuple[str, ...]:
        """Return in words which groups have fewer than 10 rows, or fewer than 10 with one of the labels."""
        found = []
        for name, (zeros, ones) in zip(self.groups, self.rows):
            if zeros + ones < FEW_ROWS:
                found.append(f"{name!r} has {zeros + ones:.0f}")
            else:
                labels = ((1, ones), (0, zeros))
                found += [f"{name!r} has {n:.0f} with y = {label}" for label, n in labels if n < FEW_ROWS]
        return tuple(found)


def group_sizes(dataset: Dataset, cells: Sequence[Cell]) -> GroupSizes:
    """Return the sizes of groups in the test parts that some cells, one for each repeat, would be measured on.

    Args:
        dataset: as loaded.
        cells: they differ in nothing but the repeat.

    Raises:
        NotApplicable: the dataset lacks the attribute, or cannot be split.
        DataError: the dataset's own partition is invalid.
    """
    codes, names, _ = group_codes(dataset, cells[0].group.split(","))
    group_and_label = codes * 2 + dataset.y
    splits = [part_rows(dataset, cell.seed("split")) for cell in cells]
    rows = [np.bincount(group_and_label[test], minlength=2 * len(names)) for _, _, test in splits]
    parts = tuple(Parts(len(train), len(rest), len(test), dataset.overlap) for train, rest, test in splits)
    whole = _whole(np.mean(rows, axis=0)).reshape(len(names), 2)
    return GroupSizes(names, whole, float(dataset.y.mean()), parts)


def _whole(means: Floats) -> Floats:
    """Return whole numbers with the same sum (rounded): those with the largest fractions are rounded up."""
    whole = np.floor(means)
    short = round(float(means.sum() - whole.sum()))
    whole[np.argsort(whole - means, kind="stable")[:short]] += 1
    return whole


def planned_splits(
    session: Session, datasets: Sequence[str], groups: Sequence[str] = ()
) -> dict[tuple[str, str], list[Cell]]:
    """Return, by a dataset's label and a sensitive attribute, a cell for each of the splits that sizes are means over.

    Args:
        session: knows the plugins.
        datasets: choices such as ``adult[missing=category]``, or ``all``.
        groups: sensitive attributes; none for each dataset's own.

    Raises:
        SuiteError: a name is wrong; ``UnknownName`` with the names that come near.
    """
    given = {"datasets": tuple(datasets), "methods": ("constant",), "group": tuple(groups), "repeats": SPLITS}
    repeats: dict[tuple[str, str], dict[int, Cell]] = {}
    for cell in session.plan(chosen_suite(None, given)).cells:  # every method has the same splits
        repeats.setdefault((str(cell.dataset), cell.group), {})[cell.repeat] = cell
    return {place: list(splits.values()) for place, splits in repeats.items()}


def planned_sizes(
    session: Session, datasets: Sequence[str], groups: Sequence[str] = ()
) -> Iterator[tuple[str, str, GroupSizes]]:
    """Yield the label, the sensitive attribute and the sizes of groups of each dataset that can be used.

    Why others cannot be used is said to the session's observer.

    Args:
        session: loads plugins and data.
        datasets: choices such as ``adult[missing=category]``, or ``all``.
        groups: sensitive attributes; none for each dataset's own.

    Raises:
        SuiteError: a name is wrong; ``UnknownName`` with the names that come near.
        DataError: none of the datasets can be used, and one is faulty.
    """
    splits_of = planned_splits(session, datasets, groups)
    with session.observer.downloads() as progress:
        available = gather([cell for cells in splits_of.values() for cell in cells], session.runner, progress)
    left_out = {**available.skipped, **available.failed}
    for label, reason in left_out.items():
        session.observer.say(f"{label} is left out: {error_line(reason)}")
    for (label, group), cells in splits_of.items():
        if label in left_out:
            continue
        try:
            yield label, group, group_sizes(session.runner.workbench.dataset(cells[0].dataset), cells)
        except (NotApplicable, DataError) as error:
            session.observer.say(f"{label} by {group} is left out: {error}")


def measured_rates(results: Results, method: str, dataset: str, group: str) -> dict[str, float]:
    """Return the three rates over all groups that a method has in a run, over all repeats and settings together.

    A rate that no row is counted for is left out.

    Args:
        results: the run.
        method: its name.
        dataset: the dataset's label.
        group: the sensitive attribute.

    Raises:
        SuiteError: the run has no finished cell of this method here, or no predictions of it.
        StoreError: the store is damaged.
    """
    here = [r for r in finished(results.records) if (str(r.cell.dataset), r.cell.group) == (dataset, group)]
    records = [record for record in here if record.cell.method.name == method]
    with stored_rows(results) as stored:
        counts = [found for found in map(stored.counts, records) if found is not None]
    if not counts:
        known = sorted({record.cell.method.name for record in here})
        has = f"it has: {', '.join(known)}" if known else "it has no finished cell there"
        raise SuiteError(f"{results.path} has no predictions of method {method!r} on {dataset} by {group}; {has}")
    found = {}
    for rate in RATES:
        selected, rows = (sum(float(part.sum()) for part in parts) for parts in zip(*(c.of(rate) for c in counts)))
        if rows:
            found[rate] = selected / rows
    return found
