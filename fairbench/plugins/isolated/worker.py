"""What the Python of an environment runs: it says what its plugin brings, then fits and predicts when it is asked to.

It imports no more than ``fairbench.api`` does. The channel is a socket of its own, so that whatever a library prints is
only output.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Mapping
from importlib.metadata import distributions
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbench.cells import Choice
from fairbench.data.rows import Inputs, Predictions, Samples
from fairbench.errors import FairbenchError, NotApplicable, Unstorable
from fairbench.plugins.components import Fitted
from fairbench.plugins.group_use import group_use
from fairbench.plugins.isolated.declared import described
from fairbench.plugins.isolated.frames import receive, send, unpacked
from fairbench.plugins.isolated.wheels import HARNESS, canonical
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Registry
from fairbench.seeding import derive_seed
from fairbench.system.cpu import cpu_seconds
from fairbench.system.generators import seed_generators
from fairbench.system.isolation import process_state_kept

PR_SET_PDEATHSIG = 1
PAUSE = 1.0  # seconds between two looks at whether the parent is still there
_TOOLS = (HARNESS, "pip", "setuptools", "wheel", "uv")  # which change no number
Answer = tuple[dict[str, Any], dict[str, NDArray[Any]]]


def main(channel: int, parent: int) -> None:
    """Answer requests until the other side closes the channel.

    Args:
        channel: the file descriptor of a socket.
        parent: the process whose main thread started this one; 0 if another thread of it did.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    _end_with(parent)
    with socket.socket(fileno=channel) as connection:
        read, write = connection.makefile("rb"), connection.makefile("wb")
        worker, spent = _Worker(), 0.0
        request: dict[str, Any] = {"do": "describe"}
        arrays: dict[str, NDArray[Any]] = {}
        try:
            while True:
                header, made = worker.answer(request, arrays)
                before, spent = spent, cpu_seconds()
                header["cpu"] = spent - before
                try:
                    send(write, header, made)
                except (TypeError, ValueError) as error:  # of names and numbers that cannot be sent
                    send(write, _failure(error, cpu=spent - before), {})
                request, arrays = receive(read)
        except (EOFError, OSError):
            os._exit(0)  # the parent wants nothing more; threads of libraries may


def _end_with(parent: int) -> None:
    """Let this process end with its parent, in the middle of a fit if need be."""
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    first = os.getppid()
    if parent and first != parent:  # it was gone before we asked
        os._exit(1)
    threading.Thread(target=_end_without, args=(first,), daemon=True).start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PAUSE)
    os.killpg(os.getpgid(0), signal.SIGKILL)


class _Worker:
    """What is kept between two requests: the plugin, and what was fitted."""

    def __init__(self) -> None:
        self.fitted: dict[int, list[Any]] = {}
        self.registry: Registry | None = None

    def answer(self, request: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Answer:
        """Return the answer to a request, or what went wrong."""
        for number in request.get("forget", ()):
            self.fitted.pop(number, None)
        try:
            with process_state_kept():
                return getattr(self, str(request["do"]))(request, arrays)  # type: ignore[no-any-return]  # one of ours
        except BaseException as error:  # SystemExit too: a library that calls sys.exit costs only its cell
            return _failure(error), {}

    def describe(self, request: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Answer:
        """Load the environment's plugins; return what they bring, their code's digests, and all versions."""
        places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
        self.registry, problems = load_plugins(only=(), places=places)
        methods, refused = [], [f"{one}: {one.problem}" for one in problems]
        files: dict[str, str] = {}
        for name in self.registry.names("methods"):
            try:
                methods.append(described(self.registry.get("methods", name)))
            except FairbenchError as error:
                refused.append(f"method {name}: {error}")
            files.update(self.registry.origin("methods", name).files)
        return {
            "methods": methods,
            "files": files,
            "problems": refused,
            "others": sorted({kind for one in self.registry.plugins for kind in one.components} - {"methods"}),
            "distributions": {one.distribution: one.version for one in self.registry.plugins},
            "versions": _versions(),
            "python": platform.python_version(),
        }, {}

    def uses(self, request: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Answer:
        """Return where a method with these parameters declares to use the group."""
        assert self.registry is not None  # noqa: S101 - the first answer was that of ``describe``
        uses = group_use(self.registry.method(Choice(request["method"], request["params"])))
        return {"uses": uses}, {}

    def fit(self, request: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Answer:
        """Fit a method, and keep the result under the request's number."""
        assert self.registry is not None  # noqa: S101 - the first answer was that of ``describe``
        method = self.registry.method(Choice(request["method"], request["params"]))
        train, validation = (unpacked(part, Samples, request, arrays) for part in ("train", "validation"))
        seed_generators(derive_seed("isolated", request["seed"]))  # for a method that uses them all the same
        result = method.fit(train, validation, seed=request["seed"])
        fitted = Fitted.of(result)
        names = [name.item() if hasattr(name, "item") else name for name in fitted.points]
        chosen = fitted.chosen.item() if hasattr(fitted.chosen, "item") else fitted.chosen
        curves = {str(name): np.asarray(curve) for name, curve in fitted.diagnostics.items()}
        self.fitted[request["number"]] = list(fitted.points.values())
        return {"points": names, "chosen": chosen, "plain": not isinstance(result, Fitted)}, curves

    def predict(self, request: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Answer:
        """Return the predictions of one operating point."""
        predictor = self.fitted[request["number"]][request["point"]]
        made = predictor(unpacked("inputs", Inputs, request, arrays))
        if not isinstance(made, Predictions):
            raise Unstorable(f"its predictor returned {type(made).__name__}; it must return Predictions")
        scores = {} if made.y_score is None else {"y_score": made.y_score}
        return {}, {"y_pred": made.y_pred, "decision": made.decision, **scores}


def _failure(error: BaseException, **more: float) -> dict[str, Any]:
    """Return the answer that says what went wrong: a reason, or a traceback."""
    for kind in (NotApplicable, Unstorable):
        if isinstance(error, kind):
            return {"error": kind.__name__, "message": str(error), **more}
    return {"error": "other", "message": traceback.format_exc(), **more}


def _versions() -> dict[str, str]:
    """Return the version of each distribution that is imported; of two copies, the first on the path counts."""
    found: dict[str, str] = {}
    for one in distributions():
        found.setdefault(canonical(one.metadata["Name"] or ""), one.version)
    return {name: version for name, version in sorted(found.items()) if name and name not in _TOOLS}
