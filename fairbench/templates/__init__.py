"""Packages to begin a plugin with: one of each kind lies beside this file, with ``my_method`` and the like as names."""

from __future__ import annotations

import importlib.util
import io
import keyword
import os
import re
import shutil
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fairbench.errors import FairbenchError
from fairbench.plugins.kinds import KINDS

if TYPE_CHECKING:
    from fairbench.plugins.registry import Registry

TEMPLATES = ("method", "dataset", "metric", "scenario", "report", "paper")
"""The kinds that have a template."""

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def write_package(kind: str, name: str, into: Path, registry: Registry) -> Path:
    """Write an installable package with one working component, and return its folder.

    Args:
        kind: one of ``TEMPLATES``.
        name: of the component, the package and the folder.
        into: where the folder is put; it is made if it is not there.
        registry: the components that have names already.

    Raises:
        FairbenchError: the name cannot be used or is taken, the folder is there already, or it cannot be written.
    """
    files = dict(_files(kind))
    _check_name(kind, name, registry, "\n".join(text for path, text in files.items() if path.suffix == ".py"))
    target = into / name
    if os.path.lexists(target):
        raise FairbenchError(f"{target} is there already; choose another name, or another place with --into")
    filled = {Path(_filled(str(path), kind, name)): _filled(text, kind, name) for path, text in files.items()}
    try:
        for path, text in filled.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(text.encode("utf-8"))  # with the same line ends everywhere
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise FairbenchError(
            f"{target} cannot be written: {error.strerror}; choose another place with --into"
        ) from error
    return target


def _files(kind: str) -> Iterator[tuple[Path, str]]:
    """Yield the path, relative to the template's folder, and the text of each file of a template."""
    for path in sorted((_HERE / kind).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(_HERE / kind), path.read_text(encoding="utf-8")


def _filled(text: str, kind: str, name: str) -> str:
    """Return a text of a template with the name in each of its spellings: my_method, my-method and MyMethod."""
    text = text.replace(f"my_{kind}", name).replace(f"my-{kind}", _distribution(name))
    return text.replace(f"My{kind.title()}", _class_name(name))


def _distribution(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _check_name(kind: str, name: str, registry: Registry, code: str) -> None:
    """Refuse a name that cannot be used, is taken, or means something else in the template's ``code``.

    Raises:
        FairbenchError: it does.
    """
    if not _NAME.fullmatch(name):
        nearest = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("0123456789_")
        advice = f"; try {nearest!r}" if _NAME.fullmatch(nearest) else ""
        raise FairbenchError(
            f"{name!r} cannot be the name of a Python package; use small letters, digits and '_', and begin with a "
            f"letter{advice}"
        )
    longer = f"try {f'{name}_{kind}'!r}"
    if keyword.iskeyword(name) or keyword.iskeyword(_class_name(name)):
        raise FairbenchError(f"{name!r} is a word of Python itself; {longer}")
    plural = next(plural for plural, known in KINDS.items() if known.singular == kind)
    if name in registry.names(plural):
        raise FairbenchError(f"a {kind} is named {name!r} already: {registry.origin(plural, name)}; {longer}")
    where = _installed(name)
    if where:
        raise FairbenchError(f"{name!r} is installed already ({where}) and would be hidden; {longer}")
    own = code.replace(f"my_{kind}", "").replace(f"My{kind.title()}", "")
    words = {
        token.string for token in tokenize.generate_tokens(io.StringIO(own).readline) if token.type == tokenize.NAME
    }
    if name in words or _class_name(name) in words:
        raise FairbenchError(f"{name!r} has another meaning in the package that would be written; {longer}")


def _installed(name: str) -> str:
    """Return where a module or a distribution of this name is installed; empty if there is none."""
    from importlib.metadata import PackageNotFoundError, distribution

    with suppress(ValueError):  # a module that is made without a loader
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:  # else a folder that happens to lie on the path
            return spec.origin
    with suppress(PackageNotFoundError):
        found = distribution(_distribution(name))
        return f"distribution {found.metadata['Name']} {found.version}"
    return ""
