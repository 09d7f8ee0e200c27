"""Another project's distribution called ``fairbench`` is named before anything else, with how to mend it."""

from __future__ import annotations

import base64
import hashlib

import pytest

from fairbench.plugins.loading import load_plugins
from fairbench.plugins.namesake import namesake_warning, requires_namesake

MEND = "run 'pip uninstall fairbench', then 'pip install --force-reinstall --no-deps fairbench-harness'"


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def installed(site, folder, name="METADATA", text="Metadata-Version: 2.1\nName: fairbench\nVersion: 0.3.1\n"):
    (site / folder).mkdir()
    (site / folder / name).write_text(text)
    return site / folder


@pytest.mark.parametrize(
    ("folder", "name", "called"),
    [
        ("fairbench-0.3.1.dist-info", "METADATA", "fairbench 0.3.1"),
        ("Fairbench-0.3.1-py3.11.egg-info", "PKG-INFO", "fairbench 0.3.1"),
        ("fairbench.egg-info", "PKG-INFO", "fairbench"),
        ("fairbench-0.3.1.egg-info", "PKG-INFO", "fairbench 0.3.1"),
    ],
)
def test_the_other_distribution_is_named_with_how_to_mend_it(site, folder, name, called):
    installed(site, folder, name)
    said = namesake_warning()
    assert said.startswith(f"the distribution {called} of another project is installed too ({site})")
    assert MEND in said


@pytest.mark.parametrize("folder", ["fairbench_harness-0.1.0.dist-info", "fairbench_tools-1.0.dist-info"])
def test_no_other_name_is_meant(site, folder):
    installed(site, folder)
    (site / "fairbench-9.dist-info").mkdir()  # what an installer left over
    (site / "fairbench").mkdir()
    assert namesake_warning() == ""


def test_files_that_it_has_overwritten_are_counted(site):
    installed(site, "fairbench-0.3.1.dist-info")
    ours = installed(site, "fairbench_harness-0.1.0.dist-info")
    lines = []
    for name in ("__init__.py", "cli.py", "run.py"):
        digest = base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")
        lines.append(f"fairbench/{name},sha256={digest},{len(name)}")
    (ours / "RECORD").write_text("\n".join([*lines, "fairbench_harness-0.1.0.dist-info/RECORD,,"]))
    (site / "fairbench").mkdir()
    (site / "fairbench/__init__.py").write_text("theirs")
    (site / "fairbench/run.py").write_text("run.py")
    assert (
        "which has overwritten fairbench/__init__.py and 1 more of fairbench-harness; both bring" in namesake_warning()
    )


@pytest.mark.parametrize(
    "command", [["--help"], ["list", "scenarios"], ["run", "--methods", "nothing", "--datasets", "x"]]
)
def test_every_command_says_so_first(fairbench, site, command):
    installed(site, "fairbench-0.3.1.dist-info")
    first = fairbench(*command)[2].splitlines()[0]
    assert first.startswith("warning: the distribution fairbench 0.3.1 of another project is installed too")


@pytest.mark.parametrize(
    "requirement", ["fairbench", "Fairbench>=0.3", "fairbench[x] ; extra == 'y'", "fairbench (>=1)"]
)
def test_a_requirement_of_the_other_project_is_known(requirement):
    assert requires_namesake(["numpy", requirement])


@pytest.mark.parametrize(
    "requirement", ["fairbench-harness", "fairbench_harness>=0.1", "fairbench.harness", "my-fairbench"]
)
def test_a_requirement_of_this_project_is_right(requirement):
    assert not requires_namesake([requirement])


def test_a_plugin_that_depends_on_it_is_named(fairbench, site):
    about = installed(site, "acme_misled-2.1.dist-info")
    about.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-misled\nVersion: 2.1\nRequires-Dist: fairbench>=0.1\n"
    )
    about.joinpath("entry_points.txt").write_text("[fairbench]\nacme_misled = acme_misled\n")
    (site / "acme_misled.py").write_text(
        "from fairbench.api import Metric, hookimpl\n@hookimpl\ndef fairbench_metrics():\n"
        "    return [Metric('misled', lambda samples, predictions: 0.0)]\n"
    )
    load_plugins.__globals__["_load"].cache_clear()
    try:
        words = "plugin acme_misled (acme-misled 2.1) depends on 'fairbench', another project's distribution"
        for command in (["plugins"], ["run", "--methods", "constant", "--datasets", "synthetic", "--dry-run"]):
            _, out, err = fairbench(*command)
            assert words in out + err
            assert MEND in out + err
    finally:
        load_plugins.__globals__["_load"].cache_clear()
