"""What is built holds everything it needs, and works where nothing of the sources lies about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def sources():
    """Return the files of the project: those that git tracks or, in a source distribution, those it lists."""
    if not (ROOT / ".git").exists():
        return (ROOT / "fairbench_harness.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the source distribution, and the wheel from it, from a copy of the sources."""
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source")
    for name in sources():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_the_wheel_holds_every_module_and_data_file(built):
    (wheel,) = built.glob("fairbench_harness-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = [path.relative_to(ROOT) for path in (ROOT / "fairbench").rglob("*.py")]
    modules += [path.relative_to(ROOT / "plugins") for path in (ROOT / "plugins").rglob("*.py")]
    assert {str(module) for module in modules} <= held
    assert {
        "fairbench/py.typed",
        "fairbench/running/default_suite.toml",
        "fairbench_projection/_solver/_pair.pyi",
    } <= held
    papers = [path.relative_to(ROOT / "plugins") for path in (ROOT / "plugins").glob("*/data/*/*.toml")]
    assert papers
    assert {str(path) for path in papers} <= held
    templates = [name.partition("/")[2] for name in sources() if name.startswith("fairbench/templates/")]
    assert len(templates) > 30
    assert {f"fairbench/{name}" for name in templates} <= held
    assert not [
        name for name in held if name.startswith(("tests/", "benchmarks/", "docs/", "examples/")) or name.endswith(".c")
    ]


def test_the_wheel_says_its_licence(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        said = opened.read(metadata).decode("utf-8")
        assert [name for name in opened.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    assert "\nLicense-Expression: MIT\n" in said


@pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="this machine has no compiler")
def test_the_wheel_holds_the_compiled_part_for_every_python(built):
    (wheel,) = built.glob("*.whl")
    assert "-cp39-abi3-" in wheel.name
    assert "fairbench_projection/_solver/_pair.abi3.so" in zipfile.ZipFile(wheel).namelist()


def test_the_source_distribution_holds_everything_but_what_the_repository_needs_for_itself(built):
    (archive,) = built.glob("fairbench_harness-*.tar.gz")
    with tarfile.open(archive) as opened:
        names = [name.partition("/")[2] for name in opened.getnames()]
    assert {
        "plugins/fairbench_projection/_solver/_pair.c",
        "CITATION.cff",
        "SECURITY.md",
        "tests/conftest.py",
        "tests/papers/tiny/rerun.toml",
        "tox.ini",
    } <= set(names)
    own = (".ci/", ".git", "fairbench_harness.egg-info/")
    assert not [name for name in sources() if name not in names and not name.startswith(own)]
    assert not [name for name in names if "__pycache__" in name or name.endswith(".so")]


def test_the_installed_wheel_runs_the_smoke_suite(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site), "FAIRBENCH_CACHE": str(tmp_path / "cache")}
    suite = str(ROOT / "benchmarks" / "smoke.toml")
    command = [sys.executable, "-m", "fairbench", "run", suite, "--repeats", "1", "--out", "r"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "14 cells: 14 done, 0 skipped, 0 failed" in done.stderr
    assert "synthetic[rows=1000] by group" in done.stdout
    command = [sys.executable, "-m", "fairbench", "reproduce", "faalgrad:table4", "--quick", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 * 6 * 5
