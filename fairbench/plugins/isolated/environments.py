"""The environments of isolated plugins, read from their manifests; no Python of theirs is started."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from fairbench.errors import PluginError
from fairbench.system.cache import environments_directory
from fairbench.system.writing import replace_file

MANIFEST = "fairbench.json"
FORMAT = 1
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a plugin.

    Args:
        name: of the plugin's distribution.
        version: of the plugin's distribution.
        origin: what was installed, as it was typed; a path is absolute.
        python: the version of its Python.
        interpreter: the Python that it was made with, if one was asked for.
        layered: whether it falls back on the libraries beside fairbench.
        files: name -> sha256 of each file of the plugin's code.
        versions: the version of every distribution that can be imported in it.
        methods: see ``declared.described``.
        format: of the manifest.
    """

    name: str
    version: str
    origin: str
    python: str
    interpreter: str
    layered: bool
    files: Mapping[str, str]
    versions: Mapping[str, str]
    methods: list[dict[str, Any]]
    format: int = FORMAT

    @property
    def folder(self) -> Path:
        """Return where it is."""
        return environments_directory() / self.name

    @property
    def code(self) -> dict[str, str]:
        """Return what a change of its numbers can come from: its files' digests, and the versions of libraries."""
        return {**self.files, **{f"{name} (installed)": version for name, version in self.versions.items()}}

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder."""
        replace_file(folder / MANIFEST, json.dumps(asdict(self), indent=1).encode())


def python_of(folder: Path) -> Path:
    """Return the Python of the environment in a folder."""
    return folder / "bin" / "python"


class Found(NamedTuple):
    """An environment's name and manifest (empty if it cannot be read), and whether its Python is there."""

    name: str
    manifest: bytes
    usable: bool


def found_environments() -> tuple[Found, ...]:
    """Return what there is of every environment, sorted by name."""
    try:
        folders = sorted(path for path in environments_directory().iterdir() if _NAME.fullmatch(path.name))
    except OSError:  # nothing was installed
        return ()
    return tuple(
        Found(folder.name, _content(folder / MANIFEST), python_of(folder).exists())
        for folder in folders
        if folder.is_dir()
    )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def environment_of(name: str, content: bytes) -> Environment:
    """Return the environment that a manifest describes.

    Raises:
        PluginError: the manifest is damaged, or of another fairbench; the message says what to do.
    """
    kinds = {"str": str, "bool": bool, "int": int, "Mapping[str, str]": dict, "list[dict[str, Any]]": list}
    try:
        given = json.loads(content)
        if given["format"] != FORMAT:
            raise PluginError(f"another fairbench made it (format {given['format']}, not {FORMAT}); {again(name)}")
        for field in fields(Environment):
            if not isinstance(given[field.name], kinds[str(field.type)]):
                raise TypeError(f"{field.name} is {given[field.name]!r}")
        if given["name"] != name:
            raise ValueError(f"it is that of {given['name']!r}")
        return Environment(**given)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PluginError(
            f"its manifest {environments_directory() / name / MANIFEST} is damaged ({type(error).__name__}: {error}); "
            f"'fairbench plugins remove {name}' removes it"
        ) from error


def again(name: str) -> str:
    """Return how to make an environment anew."""
    return f"'fairbench plugins install {name} --isolated --upgrade' makes it anew"
