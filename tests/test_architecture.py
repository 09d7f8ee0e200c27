"""The layers of the package, read from the sources: imports point one way, and start-up stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    [
        "version",
        "errors",
        "seeding",
        "names",
        "code_digest",
        "namesake",
        "output",
        "markdown",
        "writing",
        "library_settings",
    ],
    ["values"],
    ["cells", "choices", "isolation"],
    ["columns"],
    ["tables"],
    ["data", "data_digest"],
    ["alike", "annotations", "counts", "components", "projection", "intervals", "lines"],
    ["parameters"],
    ["hooks", "results", "registry", "splits", "outcomes"],
    ["api"],
    ["checksums", "archives", "web", "wheels", "downloads", "files"],
    ["preparation", "inspection", "truth", "packing", "hotcopy", "examples"],
    ["oldstore", "checkpoints"],
    ["store"],
    ["adding"],
    ["suite", "plugins"],
    ["run"],
    ["runfile", "resume", "rundir", "growth", "export", "papers"],
    ["audit"],
    ["testing"],
    ["cli_options", "cli_progress"],
    ["cli_audit", "cli_data", "cli_reports", "cli_run", "cli_show"],
    ["cli_reproduce"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def module_name(path: Path) -> str:
    return path.relative_to(ROOT / "fairbench").with_suffix("").parts[0]


def imports(path: Path, *, top_level_only: bool = False) -> list[str]:
    """Return the modules that a file imports, those under TYPE_CHECKING left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif not top_level_only or not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            pending += list(ast.iter_child_nodes(node))
    return found


CORE = sorted(
    path for path in (ROOT / "fairbench").rglob("*.py") if path.parent.name == "api" or path.name != "__init__.py"
)
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def test_every_core_module_has_a_layer():
    assert {module_name(path) for path in CORE} == set(LEVEL)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_imports_point_to_lower_layers_or_the_same(path):
    own = LEVEL[module_name(path)]
    for name in imports(path, top_level_only=True):
        parts = name.split(".")
        if parts[0] == "fairbench" and len(parts) > 1 and parts[1] in LEVEL and parts[1] != module_name(path):
            assert LEVEL[parts[1]] <= own, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_only_the_api_and_their_own_package(path):
    package = path.relative_to(ROOT / "plugins").parts[0]
    for name in imports(path):
        if name.split(".")[0].startswith("fairbench"):
            assert name.startswith(("fairbench.api", package)), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_longer_than_a_person_reads_at_a_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 420


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_from_disk(path):
    if path.parent.name == "fairbench_executors":
        return  # speaks over pipes, with processes that it started itself
    assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & set(imports(path))


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_nothing_heavy():
    run = "try:\n    from fairbench.cli import main; main()\nexcept SystemExit: pass"
    code = f"import sys; sys.argv = ['fairbench', '--help']\n{run}"
    loaded = modules_after(code)
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "sklearn", "rich", "pluggy", "requests"}


def test_the_api_is_free_of_torch():
    loaded = modules_after("import fairbench.api")
    assert "fairbench.api" in loaded
    assert not loaded & {"torch", "higher", "pandas", "sklearn"}
