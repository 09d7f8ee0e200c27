"""Checkpoints of unfinished cells, in files of plain arrays: a killed run continues after its last finished step.

The process that runs a cell writes the file after each step of a scenario that can resume (see ``Resumable``); the one
that stores the finished cell removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Optional

import numpy as np

from fairbench.cells import Cell, canonical
from fairbench.data.rows import Predictions
from fairbench.plugins.components import Arrays
from fairbench.records import DONE, Parts, Record, Value
from fairbench.running.packing import Measured
from fairbench.running.truth import Truth

FOLDER = "partial"
FORMAT = 2
_DIGEST = 32  # bytes at the head of a file, taken over all that follows


class Progress(NamedTuple):
    """The measurements so far, the last step and the scenario's state after it, and the time spent."""

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
        """Replace the file in one step; if that is impossible, warn and continue without a checkpoint."""
        record, index, truths = progress.measured.record, [], {}
        arrays: dict[str, Any] = {f"state/{name}": np.asarray(array) for name, array in progress.state.items()}
        for number, ((step, point), (truth, made)) in enumerate(progress.measured.predictions.items()):
            index.append([step, point, truth.key])
            truths[truth.key] = truth.about
            arrays.update({f"{truth.key}/{name}": array for name, array in truth.arrays.items()})
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
            "parts": record.parts and astuple(record.parts),
            "alike": [list(place) for place in record.alike],
            "supports": [list(support) for support in record.supports],
            "remarks": list(record.remarks),
            "predictions": index,
            "truths": truths,
            "step": progress.step,
            "seconds": progress.seconds,
            "cpu_seconds": progress.cpu_seconds,
        }
        written = self.path.with_suffix(".writing")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            written.unlink(missing_ok=True)  # of a process that was killed, or a link, which is not followed
            with written.open("x+b") as stream:
                stream.write(bytes(_DIGEST))
                np.savez(stream, about=np.array(canonical(about)), **arrays)
                digest = _digest(stream)
                stream.seek(0)
                stream.write(digest)
            os.replace(written, self.path)
        except OSError as error:
            with suppress(OSError):
                written.unlink()
            warnings.warn(
                f"{self.path} cannot be written ({error}); if the run is killed, this cell starts again from scratch",
                stacklevel=2,
            )

    def load(self, versions: Mapping[str, str]) -> Optional[Progress]:
        """Return what was saved; None if nothing sound was saved by these plugin versions."""
        try:
            with self.path.open("rb") as stream:
                if stream.read(_DIGEST) != _digest(stream):
                    return None
                with zipfile.ZipFile(stream) as members:
                    listed = members.infolist()
                    stored = all(member.compress_type == zipfile.ZIP_STORED for member in listed)
                    if not stored or sum(member.file_size for member in listed) > self.path.stat().st_size:
                        return None  # not ours, and it is larger than it looks
                stream.seek(_DIGEST)
                with np.load(stream, allow_pickle=False) as arrays:
                    about = json.loads(str(arrays["about"]))
                    if [about["format"], about["cell"], about["versions"]] != [FORMAT, self.cell.key, dict(versions)]:
                        return None
                    measured = {metric for _, _, _, metric, *_ in about["values"]}
                    if about["predictions"] and not set(self.cell.metrics) <= measured:
                        return None  # the run has grown by a metric, which the steps before lack
                    return _progress(self.cell, about, {name: arrays[name] for name in arrays.files})
        except Exception:  # whatever the file holds, the cell can begin anew
            return None

    def remove(self) -> None:
        """Remove the file, and the folder with the last one."""
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):
            self.path.parent.rmdir()


def begun_cells(folder: Optional[Path]) -> set[str]:
    """Return the keys of the cells that have a checkpoint in a folder."""
    return {path.stem for path in folder.glob("*.npz")} if folder else set()


def _digest(stream: BinaryIO) -> bytes:
    """Return the digest of all that follows the head."""
    total = hashlib.blake2b(digest_size=_DIGEST)
    stream.seek(_DIGEST)
    for block in iter(lambda: stream.read(1 << 20), b""):
        total.update(block)
    return total.digest()


def _progress(cell: Cell, about: Mapping[str, Any], arrays: Arrays) -> Progress:
    truths = {}
    for key, plain in about["truths"].items():
        truths[key] = Truth.rebuilt(plain, {name: arrays[f"{key}/{name}"] for name in Truth.array_types(plain)})
    predictions = {}
    for number, (step, point, key) in enumerate(about["predictions"]):
        decision: Any = arrays.get(f"decision/{number}")
        made = Predictions(arrays[f"y_pred/{number}"], arrays.get(f"y_score/{number}"), decision)
        predictions[step, point] = truths[key], made
    record = Record(
        cell,
        DONE,
        values=tuple(Value(*value) for value in about["values"]),
        chosen=about["chosen"],
        diagnostics={name: tuple(curve) for name, curve in about["diagnostics"].items()},
        versions=about["versions"],
        parts=about["parts"] and Parts(*about["parts"]),
        alike=tuple((step, point) for step, point in about["alike"]),
        supports=tuple((group, rows) for group, rows in about["supports"]),
        remarks=tuple(about["remarks"]),
    )
    state = {name[len("state/") :]: array for name, array in arrays.items() if name.startswith("state/")}
    return Progress(Measured(record, predictions), about["step"], state, about["seconds"], about["cpu_seconds"])
