"""The private folder of a run, and the datasets in it that workers map instead of loading them."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fairbench.cells import Cell
from fairbench.data.shared import write_dataset
from fairbench.errors import NotApplicable, StoreError
from fairbench.running.cell import DATASETS, Workbench

SCRATCH = ".scratch"  # in the run directory


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Make the private folder of a run in its directory, which is locked; remove it when the run ends.

    A folder that a killed run left is removed first. Other users can read nothing in it.

    Raises:
        StoreError: it cannot be made.
    """
    folder = path.absolute() / SCRATCH
    try:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}; remove it, or choose another --out") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def share_datasets(cells: Iterable[Cell], workbench: Workbench, digests: Container[str], folder: Path) -> list[str]:
    """Write the loaded datasets of these cells into the folder; return in sentences why some could not be written.

    A dataset that files cannot hold is left out without a word: each worker loads it, as it would without this folder.

    Args:
        cells: those that are to run.
        workbench: has loaded the datasets.
        digests: labels of the datasets that can be used.
        folder: the private folder of the run.
    """
    by_label: dict[str, list[Cell]] = {}
    for cell in cells:
        by_label.setdefault(str(cell.dataset), []).append(cell)
    said = []
    (folder / DATASETS).mkdir(mode=0o700)
    for label, its_cells in by_label.items():
        if label not in digests:
            continue
        choice = its_cells[0].dataset
        place = folder / DATASETS / workbench.digest(choice)
        try:
            if not place.exists():  # the same rows under another label
                seeds = (cell.seed("split") for cell in its_cells)
                write_dataset(workbench.dataset(choice), place, seeds, workbench.remarks(choice))
        except NotApplicable:
            continue
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            said.append(f"{label} cannot be shared among workers ({error.strerror}); each of them loads it")
    return said
