"""The process of an environment, as this one sees it: started at need, kept for later cells, and killed hard."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from fairbench.data.rows import Inputs, Predictions, Samples
from fairbench.errors import NotApplicable, PluginError, Unstorable
from fairbench.plugins.code_digest import changes
from fairbench.plugins.isolated.environments import Environment, again, python_of
from fairbench.plugins.isolated.frames import Unreadable, packed, receive, send
from fairbench.system.cpu import add_helper_seconds
from fairbench.system.threads import VARIABLES

LAST_WORDS = 2000  # characters
GRACE = 1.0  # seconds that a process has to end after it has closed its side
_START = (  # the running fairbench's code, and nothing else of the folder that it lies in
    "import importlib.util, sys\n"
    "spec = importlib.util.spec_from_file_location('fairbench', sys.argv[1] + '/__init__.py')\n"
    "sys.modules['fairbench'] = importlib.util.module_from_spec(spec)\n"
    "spec.loader.exec_module(sys.modules['fairbench'])\n"
    "from fairbench.plugins.isolated.worker import main\n"
    "main(int(sys.argv[2]), int(sys.argv[3]))\n"
)
_KNOWN = {"NotApplicable": NotApplicable, "Unstorable": Unstorable}


class MethodFailed(RuntimeError):
    """A method raised an error in its environment; the message is the traceback there."""


class ProcessFailed(RuntimeError):
    """The process of an environment did not answer; the message has its last words, and how it ended."""


class Handle:
    """Stands for what was fitted in a process; the process forgets it when nothing refers to it here."""

    def __init__(self, number: int) -> None:
        """Take the number that the process knows it by."""
        self.number = number


class Process:
    """A running Python of an environment."""

    def __init__(self, name: str, folder: Path) -> None:
        """Start it.

        Args:
            name: of the environment, for messages.
            folder: of the environment.

        Raises:
            ProcessFailed: there is no such Python, or it ended or said something unreadable.
        """
        self.name = name
        self._forgotten: list[int] = []
        self._fits = 0
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_APPEND)  # so that it begins anew once it has been emptied
        package = str(Path(__file__).parents[2])
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        line = [str(python_of(folder)), "-I", "-c", _START, package, str(theirs.fileno()), str(parent)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the environment's own Python
                line,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is not for it, and its children die with it
                env={**os.environ, **dict.fromkeys(VARIABLES, "1")},
            )
        except OSError as error:
            ours.close()
            raise ProcessFailed(f"{name}: {line[0]} cannot be started: {error.strerror}; {again(name)}") from error
        finally:
            theirs.close()
        self._read, self._write = ours.makefile("rb"), ours.makefile("wb")
        ours.close()  # the two files keep it open
        try:
            self.about, _ = self._exchange()
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the answer to a request.

        Raises:
            NotApplicable, Unstorable: the method's, or the worker's word.
            MethodFailed: the method raised another error.
            ProcessFailed: the process ended, or answered something unreadable.
        """
        with self._lock:
            forget, self._forgotten[:] = list(self._forgotten), []
            return self._exchange({**header, "forget": forget}, arrays)

    def _exchange(self, *request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            if request:
                send(self._write, *request)
            header, arrays = receive(self._read)
        except (EOFError, OSError, Unreadable, ValueError) as error:
            said = str(error) if isinstance(error, Unreadable) else "it closed its pipe"
            raise ProcessFailed(self._last_words(said)) from error
        except BaseException:  # Ctrl-C, or an alarm: the answer would be taken for that to the next request
            self.kill()
            raise
        add_helper_seconds(header["cpu"])
        print(self._printed(), end="", file=sys.stderr, flush=True)
        if "error" in header:
            known, message = _KNOWN.get(header["error"]), header["message"]
            raise known(message) if known else MethodFailed(f"in the environment {self.name}:\n{message}")
        return header, arrays

    def uses(self, method: str, params: Mapping[str, Any]) -> Optional[tuple[str, ...]]:
        """Return where a method with these parameters declares to use the group; None if it does not declare it."""
        answer, _ = self.ask({"do": "uses", "method": method, "params": params}, {})
        return None if answer["uses"] is None else tuple(answer["uses"])

    def fit(
        self, method: str, params: Mapping[str, Any], train: Samples, validation: Samples, seed: int
    ) -> tuple[Handle, list[Any], dict[str, Any], dict[str, Any]]:
        """Fit a method; return what stands for the result, its points' names, the answer, and recorded curves."""
        self._fits += 1
        number, header, arrays = self._fits, {}, {}
        for name, rows in (("train", train), ("validation", validation)):
            about, more = packed(name, rows)
            header.update(about)
            arrays.update(more)
        request = {"do": "fit", "number": number, "method": method, "params": params, "seed": int(seed), **header}
        answer, curves = self.ask(request, arrays)
        handle = Handle(number)
        weakref.finalize(handle, self._forgotten.append, number)
        return handle, answer["points"], answer, curves

    def predict(self, handle: Handle, point: int, inputs: Inputs) -> Predictions:
        """Return what a point of a fitted method decides about rows."""
        about, arrays = packed("inputs", inputs)
        _, made = self.ask({"do": "predict", "number": handle.number, "point": point, **about}, arrays)
        return Predictions(made["y_pred"], made.get("y_score"), made["decision"])

    def kill(self) -> None:
        """End the process and all that it has started, whatever they are doing."""
        if self._output.closed:  # it has been killed before: the number may be another process's by now
            return
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for file in (self._read, self._write, self._output):
            with suppress(OSError, ValueError):  # what was not sent yet has nowhere to go
                file.close()
        for key in [key for key, process in _running.items() if process is self]:
            del _running[key]

    def _printed(self) -> str:
        """Return what was printed since the last call."""
        content = os.pread(self._output.fileno(), 1 << 20, 0)
        if content:
            os.ftruncate(self._output.fileno(), 0)
        return content.decode("utf-8", "backslashreplace")

    def _last_words(self, said: str) -> str:
        """End the process; return what it printed last, and how it ended."""
        if self._output.closed:
            return f"the process of the environment {self.name} has ended"
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        code = self._process.poll()
        words = self._printed()[-LAST_WORDS:].strip()
        self.kill()
        if code is not None:
            said = f"it ended with status {code}" if code >= 0 else _signal(-code)
        return f"{words}\nthe process of the environment {self.name} gave no answer: {said}".lstrip()


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"it was killed by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"


_running: dict[tuple[int, Path], Process] = {}


def process_of(environment: Environment) -> Process:
    """Return this process's process of an environment, started at need.

    Raises:
        ProcessFailed: it cannot be started.
        PluginError: the environment is not as it was when it was made.
    """
    key = os.getpid(), environment.folder
    process = _running.get(key)
    if process is not None and not process.alive:
        process.kill()  # what it has started
        process = None
    if process is None:
        process = _running[key] = Process(environment.name, environment.folder)
        found = {**process.about["files"], **{f"{k} (installed)": v for k, v in process.about["versions"].items()}}
        if found != environment.code:
            process.kill()
            raise PluginError(
                f"the environment {environment.name} is not as it was when it was made: "
                f"{changes(environment.code, found)}; {again(environment.name)}"
            )
    return process


@atexit.register
def _end_all() -> None:
    for (owner, _), process in list(_running.items()):
        if owner == os.getpid():
            process.kill()
