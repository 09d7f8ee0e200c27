"""The files of code that belong to a plugin, and a digest of each; nothing is imported to find them."""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple, Optional

from fairbench.plugins.named_files import CODE, IMPORTERS, named_by

CORE = "fairbench"
LARGEST_READ = 2**30  # bytes; of a larger file that is no code, size and time stand for the content
_NO_NUMBERS = (
    "cli",
    "papers",
    "templates",
    "testing",
    "__main__.py",
    "python.py",
)  # parts of the core that only plan, show, check or begin a plugin
_SOLVER = ("fairbench_projection", "_solver")  # what stands behind ``fairbench.api.projection``


class Module(NamedTuple):
    """A module's file, what it is called in a run's record, and its package, for its relative imports."""

    path: Path
    shown: str
    package: str


def digest_of(files: Mapping[str, str]) -> str:
    """Return one sha256 for a set of files."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def local_code(file: Path, source: bytes, brought: Iterable[str]) -> dict[str, str]:
    """Return the digest of a local plugin file and of each of its own modules, imports inside functions too.

    Its own modules are those that are neither Python's nor installed; fairbench has a digest of its own. A module
    beside the plugin need not be on the path yet, and a file can be run or read without being imported: it counts if
    the plugin or one of its modules names it (see ``named_files``).

    Args:
        file: the plugin file.
        source: its content, as it was loaded.
        brought: names of modules that appeared when it was imported; some are found at run time only.
    """
    found, seen = {file.name: hashlib.sha256(source).hexdigest()}, {file}
    tree = _parsed(source)
    folders = named_by(file, tree).folders
    pending = [(Module(file, file.name, ""), tree)]
    pending += _follow([*_imported(tree, ""), *brought], found, seen, folders)
    for module, tree in pending:  # which grows
        named = named_by(module.path, tree)
        pending += _follow(named.modules, found, seen, folders)
        for path, name in named.files.items():
            if path in seen:
                continue
            seen.add(path)
            shown = os.path.normpath(os.path.join(os.path.dirname(module.shown), name))
            shown = shown if shown not in found else str(path)
            found[shown] = _read_digest(path)
            if path.suffix == ".py":
                beside = _parsed(_content(path))
                pending += [(Module(path, shown, ""), beside), *_follow(_imported(beside, ""), found, seen, folders)]
    return found


def package_code(module: str, distributed_by: str, *, follow: bool = True) -> dict[str, str]:
    """Return the digest of each file of code of an installed plugin: of its package, and of its distribution.

    Args:
        module: a plugin's module.
        distributed_by: the name of its distribution.
        follow: whether to look beyond the package: at what else its distribution brought, and at the modules elsewhere
            that an editable installation imports.
    """
    top = _package(module)
    if top is None:
        return {}
    root = top.path.parent if top.path.name == "__init__.py" else top.path
    base = root.parents[top.package.count(".")]
    paths = dict(_code_under(root, base))
    if follow:
        paths.update(_recorded(distributed_by))
    found = {shown: _file_digest(path) for shown, path in sorted(paths.items())}
    if follow and not _is_installed(base, top.package.partition(".")[0]):
        trees = [(_parsed(_content(path)), _package_of(shown)) for shown, path in paths.items()]
        names = [name for tree, package in trees for name in _imported(tree, package)]
        _follow(names, found, set(paths.values()))
    return found


def core_code() -> dict[str, str]:
    """Return the digest of each of fairbench's files that can change a number."""
    root = Path(__file__).parents[1]
    kept = {shown: path for shown, path in _code_under(root, root.parent) if shown.split("/")[1] not in _NO_NUMBERS}
    found = importlib.util.find_spec(_SOLVER[0])
    for folder in (found and found.submodule_search_locations) or ():
        kept.update(_code_under(Path(folder, _SOLVER[1]), Path(folder).parent))
    return {shown: _file_digest(path) for shown, path in sorted(kept.items())}


def changes(before: Mapping[str, str], after: Mapping[str, str], most: int = 3) -> str:
    """Return which files differ between two sets, in words."""
    words = {
        "changed": [name for name in after if name in before and before[name] != after[name]],
        "is new": [name for name in after if name not in before],
        "is gone": [name for name in before if name not in after],
    }
    said = [f"{name} {what}" for what, names in words.items() for name in sorted(names)]
    return ", ".join(said[:most]) + (f" and {len(said) - most} more" if len(said) > most else "")


def _follow(
    names: Iterable[str], found: dict[str, str], seen: set[Path], folders: Sequence[str] = ()
) -> list[tuple[Module, ast.Module]]:
    """Add the digests of the modules of these names that are not installed, and of all that they import in turn.

    What is on no path is looked for in the folders. Returned are those modules that have a source.
    """
    pending, sources = list(names), []
    asked: set[str] = set()
    while pending:
        name = pending.pop()
        if name in asked:
            continue
        asked.add(name)
        for module in _chain(name, folders):
            if module.path in seen or not module.path.is_file():
                continue
            seen.add(module.path)
            found[module.shown if module.shown not in found else str(module.path)] = _file_digest(module.path)
            if module.path.suffix == ".py":
                tree = _parsed(_content(module.path))
                sources.append((module, tree))
                pending += _imported(tree, module.package)
    return sources


def _package_of(shown: str) -> str:
    return ".".join(shown.split("/")[:-1])


def _parsed(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])  # importing it says what is wrong


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the dotted names that a source may import; those that are attributes lead nowhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join(filter(None, [*above, node.module or ""]))
            if origin:
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in IMPORTERS and isinstance(node.args[0].value, str):
                yield node.args[0].value.lstrip(".")


def _chain(name: str, folders: Sequence[str]) -> list[Module]:
    """Return the modules that importing a dotted name runs, but none of Python's, fairbench's or an installed one."""
    top, *rest = name.split(".")
    spec = None if top == CORE else _top(top) or importlib.machinery.PathFinder.find_spec(top, folders)
    found: list[Module] = []
    dotted, base = top, None
    while spec is not None:
        locations = list(spec.submodule_search_locations or ())
        place = Path(spec.origin) if spec.origin and spec.has_location else None
        if base is None:
            folder = Path(locations[0]).parent if locations else place.parent if place else None
            if folder is None or _is_installed(folder, top):
                break
            base = folder
        if place is not None:
            shown = place.relative_to(base).as_posix() if base in place.parents else place.name
            found.append(Module(place, shown, dotted if locations else dotted.rpartition(".")[0]))
        if not rest or not locations:
            break
        dotted = f"{dotted}.{rest.pop(0)}"
        spec = importlib.machinery.PathFinder.find_spec(dotted, locations)
    return found


def _top(name: str) -> Optional[importlib.machinery.ModuleSpec]:
    try:
        return importlib.util.find_spec(name)  # of a name without a dot, which runs nothing
    except Exception:  # a stranger's finder may raise anything; what cannot be found is not imported either
        return None


def _package(module: str) -> Optional[Module]:
    """Return the outermost regular package of a module, or the module itself."""
    top, *rest = module.split(".")
    spec, dotted = _top(top), top
    while spec is not None:
        if spec.origin and spec.has_location:
            return Module(Path(spec.origin), "", dotted)
        if not rest:
            return None
        dotted = f"{dotted}.{rest.pop(0)}"
        spec = importlib.machinery.PathFinder.find_spec(dotted, list(spec.submodule_search_locations or ()))
    return None


def _code_under(root: Path, base: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file of code in a folder, or of a single file."""
    for path in [root] if root.is_file() else root.rglob("*"):
        if path.suffix in CODE and path.is_file():
            yield path.relative_to(base).as_posix(), path


def _recorded(distributed_by: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of code that an installed distribution says it brought."""
    try:
        files = distribution(distributed_by).files or ()
    except PackageNotFoundError:
        return
    for file in files:
        path = Path(str(file.locate()))
        ours = not file.parts[0].endswith(".dist-info") and not file.name.startswith("__editable__")
        if ours and file.suffix in CODE and ".." not in file.parts and path.is_file():
            yield file.as_posix(), path


def _is_installed(folder: Path, top: str) -> bool:
    """Return whether a top-level module in a folder is Python's own, or was put there by an installer."""
    if {"site-packages", "dist-packages"} & set(folder.parts):
        return True
    homes = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return any(home == folder or home in folder.parents for home in homes) or top in _installed_names(folder)


@lru_cache(maxsize=256)
def _installed_names(folder: Path) -> frozenset[str]:
    """Return the top-level modules of the distributions that an installer put into a folder (``pip --target``)."""
    names = set()
    for about in folder.glob("*.dist-info"):
        lines = _content(about / "RECORD").decode("utf-8", "replace").splitlines()
        places = [line.split(",")[0] for line in lines] or [about.name.split("-")[0]]
        names |= {place.split("/")[0].split(".")[0] for place in places}
    return frozenset(names)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _file_digest(path: Path) -> str:
    try:
        about = path.stat()
    except OSError:
        return ""
    return _cached_digest(path, about.st_mtime_ns, about.st_size)


def _read_digest(path: Path) -> str:
    """Return the digest of a file that is read by name, which can be large."""
    with suppress(OSError):
        about = path.stat()
        if about.st_size > LARGEST_READ:
            return f"{about.st_size} bytes of {about.st_mtime_ns}"
    return _file_digest(path)


@lru_cache(maxsize=4096)
def _cached_digest(path: Path, modified: int, size: int) -> str:
    digest = hashlib.sha256()
    with suppress(OSError), path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
