"""``run.json``: read from a directory that anybody may have edited, and replaced atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairbench.errors import StoreError
from fairbench.plugins.components import BETTER
from fairbench.texts import counted

RUN_FILE = "run.json"
FORMAT = 2  # format 1 says less of the code, so that its runs can be read but not continued
LARGEST = 1 << 28  # bytes

_SESSION = {
    "started": str,
    "ended?": str,
    "finished": str,
    "command?": [str],
    "executor?": str,
    "python?": str,
    "platform?": str,
    "machine?": str,
    "processors?": (int, None),
    "versions?": {...: str},
    "compiled?": bool,
    "plugins?": {...: str},
}
_SOURCE = {"distribution": str, "version": str, "sha256": str, "files": {...: str}}
_ACCEPTED = {"when": str, "source": str, "files": str, "before": str, "after": str, "cells": int}
_RUN = {
    "format?": int,
    "fairbench?": str,
    "suite": {"name": str, "repeats?": int, "tunings?": int, "fits?": int, "baseline?": str},
    "plan": str,
    "planned": int,
    "datasets?": {...: str},
    "notes?": {...: [str]},
    "references?": {...: [{"name": str, "values": {...: float}, "note": str}]},
    "base_rates?": {...: float},
    "reference_methods?": [str],
    "components?": {...: str},
    "sources?": {...: _SOURCE},
    "accepted?": [_ACCEPTED],
    "unavailable?": {...: str},
    "labels": {...: [str]},
    "seeds?": str,
    "sessions": [_SESSION],
    "cells": [str],
}


def read_run(path: Path) -> dict[str, Any]:
    """Return what ``run.json`` in a run directory says.

    Raises:
        StoreError: there is none, or it is damaged, not fairbench's, or of a later fairbench.
    """
    file = path / RUN_FILE
    try:
        if file.exists() and not file.is_file():
            raise StoreError(f"{file} is not a file; put back the one that 'fairbench run' made")
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
        run = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
        # No report could write half a character, and 1e999 is read as infinite.
        json.dumps(run, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"{path} is not a run directory: it has no {RUN_FILE}; 'fairbench run' makes one") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise StoreError(
            f"{file} cannot be read: {reason}; put back the one that 'fairbench run' made, or choose another directory"
        ) from error
    found = _misfit(run, _RUN, "") or _contradiction(run)
    if found:
        raise StoreError(
            f"{file} is not fairbench's {RUN_FILE}; {found}; "
            "put back the one that 'fairbench run' made, or choose another run directory"
        )
    known: dict[str, Any] = run
    return known


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not JSON")


def _misfit(value: Any, shape: Any, where: str) -> str:
    """Return in words the first place where a value does not have the given shape; empty if it fits."""
    if isinstance(shape, tuple):
        fits = any(not _misfit(value, choice, where) for choice in shape)
    elif shape is None:
        fits = value is None
    elif isinstance(shape, type):
        fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    else:
        fits = isinstance(value, type(shape))
    if not fits:
        return f"{where or 'the whole'} is missing or of another form (seen {_short(value)})"
    if shape == [str] and all(type(member) is str for member in value):
        return ""  # there are many keys of cells
    if isinstance(shape, list):
        members = [(f"{where}[{number}]", member, shape[0]) for number, member in enumerate(value)]
    elif not isinstance(shape, dict):
        return ""
    elif ... in shape:
        members = [(f"{where}.{_short(name)}", member, shape[...]) for name, member in value.items()]
    else:
        members = []
        for name, inner in shape.items():
            key = name.rstrip("?")
            if key in value or key == name:
                members.append((f"{where}.{key}" if where else key, value.get(key), inner))
    return next(filter(None, (_misfit(member, inner, place) for place, member, inner in members)), "")


def _contradiction(run: Mapping[str, Any]) -> str:
    """Return in words what is inconsistent although each part has the right form; empty if nothing is."""
    if not 1 <= run.get("format", 1) <= FORMAT:
        return f"its format is {_short(run['format'])}, and this fairbench reads up to {FORMAT}: a later one made it"
    if run["planned"] != len(run["cells"]) or len(set(run["cells"])) < len(run["cells"]):
        return f"planned is {_short(run['planned'])} but it names {counted(len(set(run['cells'])), 'cell')}"
    for what in ("repeats", "tunings", "fits"):
        if not 0 <= run["suite"].get(what, 0) <= 10**9:
            return f"suite.{what} is {_short(run['suite'][what])}"
    for what in ("datasets", "methods", "metrics"):
        names = run["suite"].get(what, ())
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            return f"suite.{what} is {_short(names)}; it must be a list of names"
    if not run["sessions"]:
        return "sessions is empty"
    for name, share in run.get("base_rates", {}).items():
        if not 0 <= share <= 1:
            return f"base_rates.{_short(name)} is {_short(share)}; it must be a share from 0 to 1"
    for name, label in run["labels"].items():
        if len(label) != 2 or label[1] not in BETTER or not label[0].strip():
            return f"labels.{_short(name)} is {_short(label)}; it must be a heading and one of {', '.join(BETTER)}"
    for component, source in run.get("components", {}).items():
        if source not in run.get("sources", {}):
            return f"components.{_short(component)} is {_short(source)}, which sources lacks"
    return ""


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def write_run(path: Path, run: Mapping[str, Any]) -> None:
    """Replace ``run.json`` in one step, so that a kill leaves the old or the new one; no link is followed.

    Raises:
        StoreError: it cannot be written.
    """
    partial = path / f"{RUN_FILE}.partial"
    content = json.dumps(run, indent=1, ensure_ascii=False).encode("utf-8", "replace")  # a command may hold any bytes
    found = _misfit(run, _RUN, "") or _contradiction(run)
    if found:
        raise StoreError(f"{path / RUN_FILE} is not written, since nobody could read it: {found}")
    try:
        if partial.is_symlink() or partial.exists():
            partial.unlink()
        with partial.open("xb") as stream:  # fails where somebody has put a link meanwhile
            stream.write(content + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path / RUN_FILE)
    except OSError as error:
        raise StoreError(
            f"{path / RUN_FILE} cannot be written: {error}; free some space or choose another --out"
        ) from error
