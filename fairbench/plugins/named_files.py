"""The files that a source names in its texts: what a plugin may read, run or import though no import names it.

Only files that exist are found. Docstrings name nothing; files of the system, and those that the source opens to write
them, are left out.
"""

from __future__ import annotations

import ast
import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

IMPORTERS = ("import_module", "__import__")
CODE = (".py", ".so", ".pyd", ".toml", ".json", ".yaml", ".yml")
_READ = (*CODE, ".ini", ".cfg", ".txt", ".npy", ".npz", ".pt", ".pth", ".pkl", ".joblib")  # even if written as well
_WRITTEN = (".log", ".lock", ".tmp", ".pid", ".pyc")
_SYSTEM = ("/bin/", "/etc/", "/lib", "/proc/", "/run/", "/sbin/", "/sys/", "/usr/")
_STORE = "results.sqlite"  # beside it lies what a run wrote
_LONGEST_NAME = 300  # characters
_READERS = ("open", "read", "load", "Path", "PurePath", "join", "with_name")  # how calls begin that take a path
_SAVERS = ("to_", "save", "dump")  # how calls begin that are given what to write, or where, first
_GLOBS = {"glob": "", "iglob": "", "rglob": "**/"}
_VALUE = re.compile(r"\{[^{}]*\}|%[-+.0-9]*[sdifg]")  # the place of a value in a text to format
_FILES = re.compile(r"\S*\w\S*/\S*|\S*\.\w+")  # a pattern within a folder that is named, or with a suffix


class Named(NamedTuple):
    """What a source names: folders, its own first; files, each with the name to record; modules beside it."""

    folders: list[str]
    files: dict[Path, str]
    modules: list[str]


def named_by(file: Path, tree: ast.AST) -> Named:
    """Return what the source of a file names.

    A text counts alone, or after the name of a folder that is a text as well; one without a suffix must be used as a
    path. With wildcards it counts in calls of ``glob``, and a text with values in it stands for every file that fits.
    The names of modules count where an import's name is computed.
    """
    texts, base = _Texts(tree, file.stem), str(file.parent)
    inner = [text for text in filter(_may_name, texts.all) if not os.path.isabs(text) and ".." not in text.split("/")]
    places = sorted(path for path in (os.path.join(base, text) for text in inner) if os.path.isdir(path))
    folders = [base, *places]
    searched = [*folders, os.path.dirname(base)] if texts.above else folders
    found = {**_named_files(searched, filter(_may_name, texts.files)), **_matches(folders, texts.patterns())}
    return Named(folders, {Path(os.path.normpath(path)): name for path, name in found.items()}, _modules(base, texts))


class _Texts:
    """The texts of a source, by what they may name."""

    def __init__(self, tree: ast.AST, stem: str) -> None:
        self.stem = stem
        self.all: set[str] = set()
        self.files: set[str] = set()  # names of files
        self.formats: set[str] = set()  # names with * for each value
        self.globs: set[str] = set()
        self.imports: set[str] = set()  # patterns of modules' names
        self.above = False  # whether the folder above is asked for
        self.imports_by_name = self.globs_by_name = False
        docstrings: set[int] = set()
        written: set[int] = set()
        paths: set[int] = set()
        for node in ast.walk(tree):  # outer nodes come before those within
            if isinstance(node, ast.Expr):
                docstrings.add(id(node.value))
            elif isinstance(node, ast.Call):
                written.update(id(part) for place in _written(node) for part in ast.walk(place) if not _is_read(part))
                paths.update(map(id, node.args if _called(node).startswith(_READERS) else ()))
                self._take_call(node)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                paths.update((id(node.left), id(node.right)))
            elif isinstance(node, ast.Attribute):
                self.above |= node.attr == "parents" or getattr(node.value, "attr", "") == node.attr == "parent"
            elif isinstance(node, ast.JoinedStr) and id(node) not in written:
                self._take_format(_pattern(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                self.all.add(node.value)
                if id(node) not in written:
                    self._take_text(node.value, id(node) in paths)
        self.above |= ".." in self.all

    def _take_call(self, node: ast.Call) -> None:
        called, given = _called(node), node.args[0] if node.args else None
        text = given.value if isinstance(given, ast.Constant) else None
        if called in _GLOBS and given is not None:
            self.globs_by_name |= text is None
            self.globs |= {f"{_GLOBS[called]}{text}"} if isinstance(text, str) else set()
        elif called in IMPORTERS and isinstance(given, ast.JoinedStr):
            self.imports.add(_pattern(given).lstrip("."))
        elif called in IMPORTERS:
            self.imports_by_name |= text is None
        elif called == "with_suffix" and isinstance(text, str):
            self.files.add(f"{self.stem}{text}")

    def _take_text(self, text: str, is_path: bool) -> None:
        if is_path or "/" in text or os.path.splitext(text)[1]:
            self.files.add(text)
        if _VALUE.search(text):
            self._take_format(_VALUE.sub("*", text))

    def _take_format(self, pattern: str) -> None:
        pattern = re.sub(r"^\*/+", "", pattern)  # the folder of the source, most likely
        if "*" not in pattern:
            self.files.add(pattern)
        elif _FILES.fullmatch(pattern) and _may_name(pattern):
            self.formats.add(pattern)

    def patterns(self) -> list[str]:
        """Return every pattern of files' names."""
        wild = {text for text in self.all if self.globs_by_name and ("*" in text or "?" in text)}
        return sorted(filter(_may_name, self.formats | self.globs | wild))


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _written(node: ast.Call) -> list[ast.AST]:
    """Return the parts of a call that name the file which it writes, if it does."""
    called = _called(node)
    if called in ("write_text", "write_bytes"):
        return [node.func]
    if called.startswith(_SAVERS):
        return [*node.args[:2]]
    if called != "open":
        return []
    at = 0 if isinstance(node.func, ast.Attribute) else 1  # path.open(mode); io.open(file, mode) has it second
    modes = [*node.args[at:2], *(word.value for word in node.keywords if word.arg == "mode")]
    writes = any(isinstance(mode, ast.Constant) and re.fullmatch("[bt]?[wax][bt]?", str(mode.value)) for mode in modes)
    return [node.func, *node.args[:1]] if writes else []


def _is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and str(node.value).endswith(_READ)


def _pattern(node: ast.JoinedStr) -> str:
    parts = (str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    return re.sub(r"\*+", "*", "".join(parts))


def _may_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and text.isprintable() and bool(text.strip("./"))


def _named_files(folders: Sequence[str], names: Iterable[str]) -> dict[str, str]:
    """Return the files that have these names in these folders, each with its name from the first of them."""
    found = {}
    for name in names:
        if os.path.isabs(name) and not name.startswith(_SYSTEM) and _is_kept(name):
            found[name] = name
        for folder in folders:
            path = os.path.join(folder, name.lstrip("/"))  # for folder + "/name"
            if _is_kept(path):
                found[path] = os.path.relpath(path, folders[0])
    return found


def _matches(folders: Sequence[str], patterns: Iterable[str]) -> dict[str, str]:
    """Return the files that fit a pattern, as above, but none that a run wrote."""
    found = {}
    for pattern in patterns:
        places = folders if re.search(r"\w", pattern) else folders[1:]  # what lies beside a plugin need not be its own
        if os.path.isabs(pattern):
            places = [] if pattern.startswith(_SYSTEM) else [""]
        for folder in places:
            for path in glob.iglob(os.path.join(glob.escape(folder), pattern), recursive=True):
                if _is_kept(path) and not os.path.exists(os.path.join(os.path.dirname(path), _STORE)):
                    found[path] = os.path.relpath(path, folders[0]) if folder else path
    return found


def _is_kept(path: str) -> bool:
    return not path.endswith((*_WRITTEN, _STORE)) and os.path.isfile(path)


def _modules(base: str, texts: _Texts) -> list[str]:
    """Return the modules beside a source that it may import by a name which is computed."""
    patterns = [pattern for pattern in texts.imports if re.search(r"\w", pattern)]
    if texts.imports_by_name:
        patterns += [text for text in texts.all if text.replace(".", "_").isidentifier()]
    found = set()
    for pattern in patterns:
        stem = os.path.join(glob.escape(base), *pattern.split("."))
        for path in [*glob.iglob(f"{stem}.py"), *glob.iglob(os.path.join(stem, "__init__.py"))]:
            found.add(os.path.relpath(re.sub(r"(/__init__)?\.py$", "", path), base).replace(os.sep, "."))
    return sorted(found)
