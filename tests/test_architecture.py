"""The layers of the package, read from the sources: imports point one way, and start-up stays light."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINGS = [  # from the ground up; a module imports from its own wing and from those below
    {"version", "errors", "seeding", "notation", "quantities", "cells", "choices", "records", "texts"},
    {"system"},
    {"data"},
    {"plugins"},
    {"running"},
    {"analysis"},
    {"api"},
    {"papers"},
    {"testing"},
    {"templates"},
    {"models"},
    {"cli"},
    {"python"},
    {"__init__", "__main__"},
]
DEPRECATED = {"preparation"}  # former places, which point up to the new ones; nothing of ours may import them
LEVEL = {name: level for level, names in enumerate(WINGS) for name in names}
SOLVER = "fairbench_projection"  # its door, fairbench.api.projection, is the only way from the core into a plugin


def module_name(path: Path) -> str:
    """Return a module's dotted name below the folder that holds its package."""
    base = ROOT / "plugins" if ROOT / "plugins" in path.parents else ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def wing(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_names(path: Path) -> list[str]:
    """Return the full names of all that a file imports, also inside functions, but for types alone."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    found = []
    pending = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [f"{base}.{alias.name}" for alias in node.names]
        else:
            pending += list(ast.iter_child_nodes(node))
    return found


CORE = sorted((ROOT / "fairbench").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
MODULES = {module_name(path): path for path in CORE + PLUGINS}
LIVING = [path for path in CORE if wing(module_name(path)) not in DEPRECATED]


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports: ours by their whole names, others by their first."""
    found = set()
    for name in imported_names(path):
        while name not in MODULES and "." in name:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {module_name(path)}


def test_every_core_module_is_in_a_wing():
    assert {wing(module_name(path)) for path in CORE} == set(LEVEL) | DEPRECATED


@pytest.mark.parametrize("name", sorted(DEPRECATED))
def test_a_deprecated_module_is_a_file_that_only_names_the_new_place(name):
    path = ROOT / "fairbench" / f"{name}.py"
    body = [type(node) for node in ast.parse(path.read_text(encoding="utf-8")).body]
    assert body[1:] == [
        ast.Import,
        ast.ImportFrom,
        ast.Assign,
        ast.Expr,
    ]  # two imports, __all__, warn


@pytest.mark.parametrize("path", LIVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_imports_point_to_lower_wings_or_their_own(path):
    own = LEVEL[wing(module_name(path))]
    for name in imports(path) & set(MODULES):
        if name.startswith("fairbench."):
            assert wing(name) not in DEPRECATED, f"{path.name} imports {name}"
            assert LEVEL[wing(name)] <= own, f"{path.name} imports {name}"
        elif name != "fairbench":
            assert (module_name(path), name.split(".")[0]) == ("fairbench.api.projection", SOLVER)


def test_no_imports_go_in_circles():
    pending = {name: imports(path) & set(MODULES) for name, path in MODULES.items()}
    while pending:
        free = [name for name, needs in pending.items() if not needs & set(pending)]
        assert free, f"each of these imports another of them: {sorted(pending)}"
        for name in free:
            del pending[name]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_only_the_api_and_their_own_package(path):
    package = path.relative_to(ROOT / "plugins").parts[0]
    for name in imports(path):
        if name.split(".")[0].startswith("fairbench"):
            assert name.startswith(("fairbench.api", package)), f"{path.name} imports {name}"


@pytest.mark.parametrize("folder", ["fairbench", "plugins", "benchmarks", "tests"])
def test_no_module_is_longer_than_a_person_reads_at_a_sitting(folder):
    lines = {str(path): len(path.read_text("utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert len(lines) > 5
    assert {path: number for path, number in lines.items() if number > 400} == {}


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_from_disk(path):
    if path.parent.name == "fairbench_executors":
        return  # speaks over pipes, with processes that it started itself
    assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & imports(path)


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_nothing_heavy():
    run = "try:\n    from fairbench.cli.main import main; main()\nexcept SystemExit: pass"
    code = f"import sys; sys.argv = ['fairbench', '--help']\n{run}"
    loaded = modules_after(code)
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "sklearn", "rich", "pluggy", "requests"}


def test_the_api_is_free_of_torch():
    loaded = modules_after("import fairbench.api")
    assert "fairbench.api" in loaded
    assert not loaded & {"torch", "higher", "pandas", "sklearn"}


MAP = ROOT / "docs" / "architecture.md"
REWRITE = "UPDATE_DOCS"  # a variable of the environment that lets the test mend the lines


def line_of(path: str, name: str) -> int:
    """Return the line at which a function, class or method begins."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for part in name.split("."):
        (node,) = [node for node in body if getattr(node, "name", None) == part]
        body = getattr(node, "body", [])
    return node.lineno


def test_the_map_names_what_there_is_and_where():
    page = MAP.read_text(encoding="utf-8")
    steps = re.findall(r"`([\w.]+)`, \[([\w./]+):(\d+)\]\(\.\./([\w./]+)#L(\d+)\)", page)
    assert len(steps) > 20
    mended = page
    for name, path, line, target, anchor in steps:
        right = line_of(path, name)
        mended = mended.replace(
            f"`{name}`, [{path}:{line}](../{target}#L{anchor})", f"`{name}`, [{path}:{right}](../{path}#L{right})"
        )
    if os.environ.get(REWRITE):
        MAP.write_text(mended, encoding="utf-8")
    assert mended == page or os.environ.get(REWRITE), f"{REWRITE}=1 pytest {__file__} mends the lines"
    links = [link.partition("#")[0] for link in re.findall(r"\]\((\.\./[^)]+)\)", page)]
    assert [link for link in links if not (MAP.parent / link).exists()] == []
    assert set(re.findall(r"\[(\w+)/\]", page)) == {
        path.parent.name for path in (ROOT / "fairbench").glob("*/__init__.py")
    }
