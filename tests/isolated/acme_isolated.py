"""Methods whose library is acme_lib; its version 1 cuts at 0.3 and its version 2 at 0.6."""

# /// script
# requires-python = ">=3.9"
# dependencies = ["acme-lib==2.0", "fairbench-harness"]
# ///

import enum
import os
import signal
import sys
import time
import warnings
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Literal, Optional

import acme_lib
import numpy as np

from fairbench.api import Fitted, NotApplicable, Options, Predictions, Range, hookimpl, parameter


class Side(enum.Enum):
    """Which way scores run."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Cut:
    """Cut a linear score where acme_lib says."""

    name = "acme_cut"
    grid = ({}, {"widths": [4]})
    ranges = {"rate": Range(0.1, 1.0, log=True, source="acme"), "widths": Options((8,), (4, 2))}  # noqa: RUF012

    rate: float = parameter(0.5, "share that is kept", source="acme, section 2", minimum=0, maximum=1)
    widths: tuple[int, ...] = parameter((8, 4), "sizes", choices=[(8, 4), (8,), (4,), (4, 2)])
    side: Side = Side.UP
    form: Literal["line", "step"] = "line"
    most: Optional[int] = None
    table: dict[str, float] = field(default_factory=lambda: {"a": 1.0})
    where: Path = Path("nowhere")
    environment: str = "a name like any other"

    def fit(self, train, validation, *, seed):
        draws = np.random.default_rng(seed).normal(size=train.X.shape[1])
        weight = draws + train.X.T @ (train.y - train.y.mean()) / len(train) + np.random.random() * 0
        offset = {code: validation.X[validation.group == code].mean() for code in np.unique(validation.group)}

        def at(cut):
            def predict(inputs):
                raw = inputs.X @ weight * self.rate + np.array(
                    [offset.get(code, 0.0) for code in inputs.group.tolist()]
                )
                return Predictions.from_score(1 / (1 + np.exp(-raw)), cut)

            return predict

        def drawn(inputs):
            return Predictions.from_decision(at(0.5)(inputs).y_score, seed=seed)

        points = {0.5: at(0.5), "library": at(acme_lib.CUT), "drawn": drawn}
        curves = {"loss": [0.1 + 0.2, float("nan"), 3], "names": np.arange(len(train.group_names))}
        return Fitted(points, "library", curves)


@dataclass(frozen=True)
class Needy:
    """Have a parameter without a default."""

    name = "acme_needy"
    value: int = parameter(MISSING, "anything")

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.full(len(inputs), self.value % 2))


@dataclass(frozen=True)
class Aware:
    """Select the protected rows if it is told to, else everybody."""

    name = "acme_aware"
    aware: bool = False

    @property
    def uses_group(self):
        return ("prediction",) if self.aware else ()

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(inputs.protected.astype(int) if self.aware else np.ones(len(inputs), int))


@dataclass(frozen=True)
class Trouble:
    """Do what no method should do."""

    name = "acme_trouble"
    is_reference = True
    how: str = "prints"
    note: str = ""

    def fit(self, train, validation, *, seed):
        if self.note:
            Path(f"{self.note}.new").write_text(str(os.getpid()))
            os.rename(f"{self.note}.new", self.note)
        return getattr(self, self.how)

    def __getattr__(self, name):
        raise AttributeError(name)

    def burns(self, inputs):
        while time.process_time() < 1:
            pass
        return Predictions(np.ones(len(inputs), dtype=int))

    def prints(self, inputs):
        os.write(1, b"\0fairbench {garbage\n")
        print("acme says hello")
        warnings.warn("acme is old", stacklevel=1)
        os.chdir("/")
        return Predictions(np.ones(len(inputs), dtype=int))

    def raises(self, inputs):
        raise KeyError("acme")

    def exits(self, inputs):
        sys.exit(3)

    def leaves(self, inputs):
        print("acme leaves")
        os._exit(7)

    def dies(self, inputs):
        os.kill(os.getpid(), signal.SIGKILL)

    def closes(self, inputs):
        os.closerange(3, 4096)
        time.sleep(100000)

    def garbles(self, inputs):
        for number in range(3, 4096):
            try:
                os.write(number, b"what?\n")
            except OSError:
                continue
        time.sleep(100000)

    def refuses(self, inputs):
        raise NotApplicable("acme wants three groups")

    def guesses(self, inputs):
        return np.ones(len(inputs))

    def hangs(self, inputs):
        while True:
            time.sleep(100000)


@hookimpl
def fairbench_methods():
    return [Cut, Needy, Aware, Trouble]
