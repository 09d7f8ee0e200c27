"""Small wheels made here: a plugin that is one file, and a fairbench-harness that stands for the running one."""

from __future__ import annotations

import ast
import base64
import hashlib
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from fairbench.errors import PluginError
from fairbench.version import __version__

HARNESS = "fairbench-harness"
_WORKER_NEEDS = ("numpy", "pluggy")  # what ``import fairbench.api`` imports; test_isolated_parts.py holds it
_OLDEST_PYTHON = ">=3.9"
_SCRIPT = re.compile(r"^# /// script[ \t]*\n((?:^#(?: .*)?\n)*?)^# ///[ \t]*$", re.MULTILINE)
_TABLE = {"dependencies": list, "requires-python": str}


def read_toml(text: str) -> dict[str, Any]:
    """Return what a text in TOML says.

    Raises:
        ValueError: it is none.
    """
    if sys.version_info >= (3, 11):  # here, because the process of an environment, which reads none, has no tomli
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def canonical(name: str) -> str:
    """Return a distribution's name as package indexes compare it: small letters, ``-`` for ``_`` and ``.``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def build_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    needs: Sequence[str] = (),
    python: str = "",
    entry_points: str = "",
) -> Path:
    """Write a wheel of pure Python, and return where it is.

    Args:
        folder: where to write it.
        name: the distribution's name.
        version: its version.
        files: content by path, as they are installed.
        needs: requirements.
        python: the versions of Python that it runs on, e.g. ``>=3.9``; empty for any.
        entry_points: content of ``entry_points.txt``.
    """
    stem = f"{canonical(name).replace('-', '_')}-{version}"
    about = f"{stem}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {one}" for one in needs)]
    metadata += [f"Requires-Python: {python}"] if python else []
    inside = {
        **files,
        f"{about}/METADATA": ("\n".join(metadata) + "\n").encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: fairbench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{about}/entry_points.txt": entry_points.encode()} if entry_points else {}),
    }
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in inside.items())
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in inside.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{about}/RECORD", f"{record}{about}/RECORD,,\n")
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def harness_wheel(folder: Path) -> Path:
    """Write a fairbench-harness without code, which requires only what its worker imports, and return where it is.

    A plugin that depends on fairbench-harness then gets no library that its own must replace. The code is that of the
    running fairbench, which the worker imports from where it is.
    """
    try:
        known = requires(HARNESS) or []
    except PackageNotFoundError:  # run from its sources
        known = []
    named = {canonical((re.match(r"[\w.-]+", text) or [""])[0]): text for text in known if ";" not in text}
    needs = [named.get(name, name) for name in _WORKER_NEEDS]
    return build_wheel(folder, HARNESS, __version__, {}, needs=needs, python=_OLDEST_PYTHON)


def script_wheel(folder: Path, script: Path) -> Path:
    """Write a wheel of a plugin that is one file with requirements of its own, and return where it is.

    The requirements are those of a block of comments that begins with ``# /// script`` (PEP 723). The version is the
    digest of the file.

    Raises:
        PluginError: the file cannot be read, or its block is not as required.
    """
    try:
        source = script.read_bytes()
        ast.parse(source)
    except (OSError, SyntaxError, ValueError) as error:
        raise PluginError(f"{script}: {error}") from error
    block = _block(source.decode("utf-8", "replace").replace("\r\n", "\n"), script)
    module = f"fairbench_plugin_{re.sub(r'[^0-9a-z_]', '_', script.stem.lower())}"
    return build_wheel(
        folder,
        script_name(script),
        f"0+{hashlib.sha256(source).hexdigest()[:12]}",
        {f"{module}.py": source},
        needs=block.get("dependencies", []),
        python=block.get("requires-python", ""),
        entry_points=f"[fairbench]\n{module} = {module}\n",
    )


def script_name(script: Path) -> str:
    """Return the name of a plugin that is one file."""
    return canonical(re.sub(r"[^0-9a-z]+", "-", script.stem.lower()).strip("-")) or "plugin"


def _block(text: str, script: Path) -> dict[str, Any]:
    """Return the table in the file's block of requirements; an empty one if it has no block.

    Raises:
        PluginError: there are two blocks, or one is not as required.
    """
    blocks = _SCRIPT.findall(text + "\n")
    if len(blocks) > 1 or (not blocks and re.search(r"^# /// script", text, re.MULTILINE)):
        what = f"has {len(blocks)} blocks '# /// script'" if blocks else "does not end its block '# /// script'"
        raise PluginError(f"{script} {what}; write one, each line with '# ' before it, and '# ///' after the last")
    if not blocks:
        return {}
    lines = [line[2:] for line in blocks[0].splitlines()]
    try:
        table = read_toml("\n".join(lines))
    except ValueError as error:
        raise PluginError(f"{script}: its block '# /// script' is not TOML: {error}") from error
    for name, kind in _TABLE.items():
        value = table.get(name, kind())
        items = value if isinstance(value, list) else [value]
        if not isinstance(value, kind) or not all(isinstance(item, str) and "\n" not in item for item in items):
            words = "a list of texts" if kind is list else "a text"
            raise PluginError(f"{script}: {name} in its block '# /// script' is {value!r}; it must be {words}")
    return table
