"""A method that misbehaves in the way that it is told to, and predicts all the same if it can."""

import ctypes
import locale
import os
import random
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


def fork(train):
    if not os.fork():
        sys.exit(0)


def segfault(train):
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # whoever runs the tests may dump a traceback
    ctypes.string_at(0)


def change_warnings(train):
    warnings.simplefilter("ignore")


def hang_in_native_code(train):
    ctypes.PyDLL(None).sleep(600)  # PyDLL keeps the interpreter's lock


def eat_memory(train):
    held = [b"x" * 2**26 for _ in range(16)]
    time.sleep(600)
    return held


def write_to_inputs(train):
    ctypes.memset(train.X.ctypes.data, 0, train.X.nbytes)  # whatever numpy's flag says


DOES = {
    "print": lambda train: print("rubbish", flush=True),
    "chdir": lambda train: os.chdir("/"),
    "seed": lambda train: (random.seed(0), np.random.seed(0)),
    "thread": lambda train: threading.Thread(target=time.sleep, args=(0.2,)).start(),
    "warnings": change_warnings,
    "locale": lambda train: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "numpy": lambda train: np.seterr(all="raise"),
    "fork": fork,
    "exit": lambda train: sys.exit("bye"),
    "write": write_to_inputs,
    "os_exit": lambda train: os._exit(3),
    "segfault": segfault,
    "hang": lambda train: time.sleep(600),
    "hang_native": hang_in_native_code,
    "memory": eat_memory,
}
RETURNS = {
    "nan": lambda scores: Predictions.from_score(scores * np.nan),
    "shape": lambda scores: Predictions.from_score(scores[:3]),
    "label": lambda scores: Predictions(np.full(len(scores), 7)),
}


@dataclass(frozen=True)
class Trouble:
    """Do or return what should not be; else predict as ``draws``."""

    name = "trouble"
    kind: str = ""

    def fit(self, train, validation, *, seed):
        DOES.get(self.kind, len)(train)
        made = RETURNS.get(self.kind, Predictions.from_score)
        return lambda inputs: made(np.random.default_rng(seed).random(len(inputs)))


@hookimpl
def fairbench_methods():
    return [Trouble]
