"""A cheater: none: it does as it should, prints, warns, logs and keeps a file of its own."""

from __future__ import annotations

import logging
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Cheater:
    """None: it does as it should, prints, warns, logs and keeps a file of its own."""

    name = "sound"

    def fit(self, train, validation, *, seed):
        logging.getLogger("sound").warning("fitting")
        traceback.format_stack()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "weights").write_bytes(train.X.tobytes())
        weight = train.X.T @ (train.y - 0.5)
        return lambda inputs: Predictions((inputs.X @ weight > 0).astype(int))


@hookimpl
def fairbench_methods():
    return [Cheater]
