"""What a method's own code does in a process, seen through Python's audit hooks, and what it has replaced there."""

from __future__ import annotations

import builtins
import os
import re
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType, FunctionType, ModuleType
from typing import Any, Callable, Optional

Tell = Callable[[str, str], None]
"""The file of the code, and what it did."""

READS = {
    "open": "opens",
    "sqlite3.connect": "opens",
    "os.listdir": "lists",
    "os.scandir": "lists",
    "glob.glob": "searches for",
    "pathlib.Path.glob": "searches",
    "pathlib.Path.rglob": "searches",
    "shutil.copyfile": "copies",
}
LOOKS = {
    "gc.get_objects": "looks through all objects in the process (gc.get_objects)",
    "gc.get_referrers": "looks up who holds an object (gc.get_referrers)",
    "sys._getframe": "looks at its callers' variables (sys._getframe)",
    "sys._current_frames": "looks at other threads' variables (sys._current_frames)",
    "sys.settrace": "follows other code (sys.settrace)",
    "sys.setprofile": "follows other code (sys.setprofile)",
    "sys.addaudithook": "follows other code (sys.addaudithook)",
    "ctypes.string_at": "reads memory by its address (ctypes)",
    "ctypes.cdata": "reads memory by its address (ctypes)",
    "ctypes.PyObj_FromPtr": "reads memory by its address (ctypes)",
}
FRAMES = ("tb_frame", "gi_frame", "cr_frame", "ag_frame")
LEAVES = {
    "subprocess.Popen": "starts a process, which the audit cannot inspect",
    "os.system": "starts a process, which the audit cannot inspect",
    "os.exec": "starts a process, which the audit cannot inspect",
    "os.fork": "starts a process, which the audit cannot inspect",
    "os.posix_spawn": "starts a process, which the audit cannot inspect",
    "socket.connect": "connects to the network",
}
_PROCESS = re.compile(r"/proc/[^/]+/(task/[^/]+/)?(fd|mem|environ|cmdline)\b")
_STDLIB = sysconfig.get_paths()["stdlib"]
_CORE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Watch:
    """An audit hook that reports what the code under some roots does, itself or through a library that it calls.

    Args:
        report: called once for each action.
        places: folders that no method has a reason to look into, with their names for messages.
        others: files and folders of other plugins, which may be under a root.
    """

    def __init__(self, report: Tell, places: Mapping[str, str], others: Sequence[str] = ()) -> None:
        """Start with no root: no code is watched yet."""
        self.report, self.roots, self.others = report, [], [_CORE, *others]  # type: tuple[Tell, list[str], list[str]]
        self.places = {os.path.realpath(place): name for place, name in places.items()}
        self._busy, self._seen = _Busy(), set()  # type: tuple[_Busy, set[tuple[str, str]]]

    def __call__(self, event: str, args: Sequence[Any]) -> None:
        """Examine an event; events caused by this code itself are ignored."""
        known = event in READS or event in LOOKS or event in LEAVES or event == "object.__getattr__"
        if not known or not self.roots or self._busy.now:
            return
        self._busy.now = True
        try:
            self._look(event, args, sys._getframe(1))
        finally:
            self._busy.now = False

    def owns(self, file: str) -> bool:
        """Return whether a file is one of the code that is watched."""
        root = next((root for root in self.roots if _under(file, root)), None)
        if root is None or "site-packages" in file[len(root) :]:
            return False
        return not any(_under(file, other) and not _under(root, other) for other in self.others)

    def _look(self, event: str, args: Sequence[Any], frame: FrameType) -> None:
        if event in ("os.listdir", "os.scandir") and frame.f_code.co_filename.startswith("<frozen importlib"):
            return  # an import looks for its module
        if event in READS:
            place = self._place(args[0] if args else None)
            file = next(filter(self.owns, _files(frame)), None) if place else None
            what = f"{READS[event]} {place}"
        elif event in LEAVES:
            file = next((file for file in _files(frame) if not _under(file, _STDLIB) or "site-packages" in file), None)
            what = LEAVES[event]
        elif event in LOOKS or args[1] in FRAMES:
            file = next((file for file in _files(frame) if os.path.basename(file) != "inspect.py"), None)
            what = LOOKS.get(event, "looks at other code's variables (a traceback's or generator's frame)")
        else:
            return
        if file and self.owns(file) and (file, what) not in self._seen:
            self._seen.add((file, what))
            self.report(file, what)

    def _place(self, path: Any) -> str:
        """Return the name of a path where a method has no reason to look; empty for other paths."""
        if path is None:
            path = "."
        if not isinstance(path, (str, bytes, os.PathLike)):
            return ""  # a file that is open already
        text = os.fsdecode(path)
        if text in sys.path:
            return ""  # where a library looks for modules, not data
        if text.startswith("file:"):
            text = text[len("file:") :].partition("?")[0]
        if _PROCESS.match(text):
            return text
        whole = os.path.realpath(text)
        for place, name in self.places.items():
            if _under(whole, place):
                return name + whole[len(place) :]
        return ""


class _Busy(threading.local):
    now = False


def _under(path: str, root: str) -> bool:
    return path == root or path.startswith(root + os.sep)


def _files(frame: Optional[FrameType]) -> Iterator[str]:
    """Yield the files of the frames, from the inside out; what ``exec`` runs counts as its caller's."""
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith("<"):
            yield os.path.abspath(name)
        frame = frame.f_back


def functions() -> dict[str, Any]:
    """Return the functions and classes of the harness, of numpy and of Python itself, by name."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "fairbench"]
    modules += [builtins, *(sys.modules[name] for name in ("numpy", "random", "sqlite3") if name in sys.modules)]
    found = {}
    for module in filter(lambda module: isinstance(module, ModuleType), modules):
        for name, value in vars(module).items():
            if not name.startswith("__") and callable(value):
                found[f"{module.__name__}.{name}"] = value
                if isinstance(value, type) and value.__module__ == module.__name__:
                    members = {key: member for key, member in vars(value).items() if isinstance(member, FunctionType)}
                    found.update({f"{module.__name__}.{name}.{key}": member for key, member in members.items()})
    return found


def replaced(before: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the file of each function that has replaced another one ('' if unknown), and the name of the other one."""
    now = functions()
    for name, value in before.items():
        if name in now and now[name] is not value:
            yield getattr(getattr(now[name], "__code__", None), "co_filename", ""), f"replaces {name}"
