"""What the project says of itself agrees: version, plugin packages, the environments that are tested."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

import pytest

from fairbench.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def test_the_citation_is_of_this_version_under_this_licence():
    said = dict(re.findall(r"^([a-z-]+): (\S+)$", CITATION, flags=re.MULTILINE))
    assert said["cff-version"] == "1.2.0"
    assert said["version"] == __version__
    assert said["license"] == PROJECT["project"]["license"]


def test_the_citation_is_yaml_with_all_that_its_format_requires():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load(CITATION)
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["authors"] == PROJECT["project"]["authors"]


def test_coverage_is_taken_of_every_package():
    packages = {"fairbench", *PROJECT["project"]["entry-points"]["fairbench"]}
    assert set(PROJECT["tool"]["coverage"]["run"]["source_pkgs"]) == packages


@pytest.mark.skipif(not WORKFLOW.exists(), reason="a source distribution has no workflows")
def test_every_environment_is_tested_on_every_change():
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    environments = {*tox["tox"]["env_list"].split(", "), *(name[8:] for name in tox if name.startswith("testenv:"))}
    pythons, checks = WORKFLOW.read_text(encoding="utf-8").split("\n  check:\n")
    tested = {"py" + version.replace(".", "") for version in re.findall(r'"(3\.\d+)"', pythons)}
    tested |= {*re.findall(r"env: \[(.*)\]", checks)[0].split(", "), *re.findall(r"- env: (\w+)", checks)}
    assert tested == environments - {
        "bench",
        "audit",
    }  # the one asserts nothing; what the other finds depends on the day
    assert "python -m tox -e audit" in pythons


@pytest.mark.skipif(not WORKFLOW.exists(), reason="a source distribution has no workflows")
def test_the_workflow_publishes_the_site_that_its_docs_environment_builds():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    (kept,) = [step for step in jobs["check"]["steps"] if "pages" in step.get("uses", "")]
    assert tox["testenv:docs"]["commands"].endswith(" docs " + kept["with"]["path"])
    assert jobs["publish"]["needs"] == "check"
    assert jobs["publish"]["permissions"]["pages"] == "write"
