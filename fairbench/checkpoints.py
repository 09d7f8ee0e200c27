"""What an unfinished cell has so far, in a file of plain arrays: a killed run goes on after its last finished step.

The process that runs a cell writes the file after each step of a scenario that can resume (see ``Resumable``); the one
that stores the finished cell removes it.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fairbench.cells import DONE, Cell, Record, Value, canonical
from fairbench.components import Arrays
from fairbench.data import Predictions
from fairbench.store import Measured, Truth

FOLDER = "partial"
FORMAT = 1
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


class Progress(NamedTuple):
    """What is measured so far, the last step and the scenario's state after it, and the time it all took."""

    measured: Measured
    step: int
    state: Arrays
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """The file of one cell.

    Args:
        path: of the file, ``<cell key>.npz``.
        cell: the cell.
    """

    path: Path
    cell: Cell

    def save(self, progress: Progress) -> None:
        """Replace the file in one step; where that is impossible, warn and go on without the insurance."""
        record, index = progress.measured.record, []
        arrays: dict[str, Any] = {f"state/{name}": np.asarray(array) for name, array in progress.state.items()}
        for number, ((step, point), (truth, made)) in enumerate(progress.measured.predictions.items()):
            index.append([step, point, truth.key, list(truth.group_names)])
            arrays.setdefault(f"y/{truth.key}", truth.y)
            arrays.setdefault(f"group/{truth.key}", truth.group)
            arrays[f"y_pred/{number}"] = made.y_pred.astype(np.uint8)
            if made.y_score is not None:
                arrays[f"y_score/{number}"] = made.y_score
            if made.randomised:
                arrays[f"decision/{number}"] = made.decision
        about = {
            "format": FORMAT,
            "cell": self.cell.key,
            "versions": dict(record.versions),
            "values": [list(value) for value in record.values],
            "chosen": record.chosen,
            "diagnostics": {name: list(curve) for name, curve in record.diagnostics.items()},
            "predictions": index,
            "step": progress.step,
            "seconds": progress.seconds,
            "cpu_seconds": progress.cpu_seconds,
        }
        written = self.path.with_suffix(".writing")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written.open("wb") as stream:
                np.savez(stream, about=np.array(canonical(about)), **arrays)
            os.replace(written, self.path)
        except OSError as error:
            with suppress(OSError):
                written.unlink()
            warnings.warn(
                f"{self.path} cannot be written ({error}); a killed run would begin this cell anew", stacklevel=2
            )

    def load(self, versions: Mapping[str, str]) -> Optional[Progress]:
        """Return what was saved; None if there is nothing, or nothing of these plugin versions that can be read."""
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if [about["format"], about["cell"], about["versions"]] != [FORMAT, self.cell.key, dict(versions)]:
                    return None
                return _progress(self.cell, about, {name: arrays[name] for name in arrays.files})
        except _UNREADABLE:
            return None

    def remove(self) -> None:
        """Remove the file, and the folder with the last one."""
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):
            self.path.parent.rmdir()


def _progress(cell: Cell, about: Mapping[str, Any], arrays: Arrays) -> Progress:
    predictions = {}
    for number, (step, point, key, names) in enumerate(about["predictions"]):
        truth = Truth(arrays[f"y/{key}"], arrays[f"group/{key}"], tuple(names))
        decision: Any = arrays.get(f"decision/{number}")
        made = Predictions(arrays[f"y_pred/{number}"], arrays.get(f"y_score/{number}"), decision)
        predictions[step, point] = truth, made
    record = Record(
        cell,
        DONE,
        values=tuple(Value(*value) for value in about["values"]),
        chosen=about["chosen"],
        diagnostics={name: tuple(curve) for name, curve in about["diagnostics"].items()},
        versions=about["versions"],
    )
    state = {name[len("state/") :]: array for name, array in arrays.items() if name.startswith("state/")}
    return Progress(Measured(record, predictions), about["step"], state, about["seconds"], about["cpu_seconds"])
