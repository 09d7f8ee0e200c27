"""An old and a new acme_lib, a plugin for each, and environments with them; nothing comes from an index."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from fairbench.plugins.isolated import install
from fairbench.plugins.isolated.client import _running
from fairbench.plugins.isolated.wheels import build_wheel, script_wheel

SCRIPT = Path(__file__).with_name("acme_isolated.py")


def old_plugin(folder, version="1.0", **more):
    """Write a wheel of a package whose methods are those of the script, with ``old_`` before their names."""
    source = SCRIPT.read_text(encoding="utf-8").replace('name = "acme_', 'name = "old_').encode()
    files = {"acme_old/__init__.py": b'"""Acme."""\n', "acme_old/methods.py": source}
    needs, points = ["acme_lib==1.0", "fairbench-harness>=0.1"], "[fairbench]\nacme = acme_old\n"
    return build_wheel(folder, "Acme_Old", version, {**files, **more}, needs=needs, entry_points=points)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    for version, cut in (("1.0", 0.3), ("2.0", 0.6)):
        build_wheel(folder, "acme_lib", version, {"acme_lib/__init__.py": f"CUT = {cut}\n".encode()})
    old_plugin(folder)
    return folder


@pytest.fixture
def offline(wheels, monkeypatch):
    """Let pip find the wheels of these tests, and nothing else."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


@pytest.fixture
def environments(tmp_path, monkeypatch):
    """Keep environments in a new folder, and end their processes afterwards."""
    monkeypatch.setenv("FAIRBENCH_ENVIRONMENTS", str(tmp_path / "environments"))
    yield tmp_path / "environments"
    for process in list(_running.values()):
        process.kill()


@pytest.fixture
def unpacking(environments, monkeypatch):
    """Make environments in a moment: their wheels are unpacked, and no installer is asked."""

    def make(folder, wanted):
        install._call([install.sys.executable, "-m", "venv", "--without-pip", str(folder)], "make an environment")
        install._layer(folder)
        place = next(folder.glob("lib/python3*/site-packages"))
        target = Path(wanted.target)
        wheel = script_wheel(folder, target) if target.suffix == ".py" else target
        with zipfile.ZipFile(wheel) as inside:
            inside.extractall(place)
        (place / "acme_lib.py").write_text("CUT = 0.3\n")

    monkeypatch.setattr(install, "_make", make)
    return environments
