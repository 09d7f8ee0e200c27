"""The files of code that belong to a plugin, and a digest of each; nothing is imported to find them."""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.util
import json
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple, Optional

CORE = "fairbench"
CODE = (".py", ".so", ".pyd", ".toml", ".json", ".yaml", ".yml")
READ = (
    *CODE,
    ".ini",
    ".cfg",
    ".txt",
    ".npy",
    ".npz",
    ".pt",
    ".pth",
    ".pkl",
    ".joblib",
)  # what a plugin may read by name
LONGEST_NAME = 100  # characters
_NO_NUMBERS = (
    "cli",
    "papers",
    "templates",
    "testing",
    "__main__.py",
    "python.py",
)  # parts of the core that only plan, show, check or begin a plugin
_SOLVER = ("fairbench_projection", "_solver")  # what stands behind ``fairbench.api.projection``
_IMPORTERS = ("import_module", "__import__")


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
    beside the plugin need not be on the path yet, and a file beside it can be run or read without being imported: it
    counts if its name occurs in the source as a text, alone or after the name of a folder that occurs there.

    Args:
        file: the plugin file.
        source: its content, as it was loaded.
        brought: names of modules that appeared when it was imported; some are found at run time only.
    """
    found = {file.name: hashlib.sha256(source).hexdigest()}
    folders, beside = _named(file.parent, source)
    seen = {file}
    _follow([*_imported(source, ""), *brought], found, seen, folders)
    for path in beside:
        if path not in seen:
            seen.add(path)
            found[path.relative_to(file.parent).as_posix()] = _file_digest(path)
            if path.suffix == ".py":
                _follow(_imported(_content(path), ""), found, seen, folders)
    return found


def _named(base: Path, source: bytes) -> tuple[list[str], list[Path]]:
    """Return the folders that texts in a source name, itself among them, and the files in them that others name."""
    texts = {text for text in _texts(source) if text.strip("./") and len(text) <= LONGEST_NAME and text.isprintable()}
    places = sorted(text for text in texts if not Path(text).is_absolute() and ".." not in Path(text).parts)
    folders = [base, *(base / text for text in places if (base / text).is_dir())]
    files = [folder / text for folder in folders for text in places if text.endswith(READ)]
    return [*map(str, folders)], [path for path in files if path.is_file()]


def _texts(source: bytes) -> list[str]:
    try:
        nodes = ast.walk(ast.parse(source))
        return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # importing it says what is wrong


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
        names = [name for shown, path in paths.items() for name in _imported(_content(path), _package_of(shown))]
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


def _follow(names: Iterable[str], found: dict[str, str], seen: set[Path], folders: Sequence[str] = ()) -> None:
    """Add the digests of the modules of these names that are not installed, and of all that they import in turn.

    What is on no path is looked for in the folders.
    """
    pending = list(names)
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
                pending += _imported(_content(module.path), module.package)


def _package_of(shown: str) -> str:
    return ".".join(shown.split("/")[:-1])


def _imported(source: bytes, package: str) -> Iterator[str]:
    """Yield the dotted names that a source may import; those that are attributes lead nowhere."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # importing it says what is wrong
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
            if called in _IMPORTERS and isinstance(node.args[0].value, str):
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


@lru_cache(maxsize=4096)
def _cached_digest(path: Path, modified: int, size: int) -> str:
    return hashlib.sha256(_content(path)).hexdigest()
