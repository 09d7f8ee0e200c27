"""The digest of a plugin's code sees every file of its own, and imports none of them."""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from fairbench.plugins import code_digest
from fairbench.plugins.code_digest import changes, core_code, local_code, package_code
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import BUILT_IN

PLUGIN = '''"""A method with helpers of its own."""

import json
import numpy as np
from dataclasses import dataclass
from fairbench.api import Predictions, hookimpl
import helper_beside
from helper_package.inner import deep
from helper_package import sister, missing_name


@dataclass(frozen=True)
class Helped:
    """Select by a helper."""

    name = "helped"

    def fit(self, train, validation, *, seed):
        import helper_in_a_function
        from importlib import import_module
        import_module("helper_by_name")
        return lambda inputs: Predictions(np.ones(len(inputs), int))


@hookimpl
def fairbench_methods():
    return [Helped]
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path with a plugin and modules that would end the process if they ran."""
    files = {
        "helped.py": PLUGIN,
        "helper_beside.py": "import helper_of_helper\nraise SystemExit(1)",
        "helper_of_helper.py": "import helper_beside  # a circle",
        "helper_in_a_function.py": "raise SystemExit(2)",
        "helper_by_name.py": "x = = 1",
        "helper_package/__init__.py": "from . import quiet\nmissing_name = 1",
        "helper_package/quiet.py": "",
        "helper_package/sister.py": "from .inner.deep import *",
        "helper_package/inner/__init__.py": "",
        "helper_package/inner/deep.py": "from .. import cousin",
        "helper_package/cousin.py": "",
        "helper_package/unused.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def code_of(folder, brought=()):
    return local_code(folder / "helped.py", (folder / "helped.py").read_bytes(), brought)


def test_a_local_file_has_the_modules_that_it_imports_and_theirs(folder):
    found = code_of(folder)
    assert sorted(found) == [
        "helped.py",
        "helper_beside.py",
        "helper_by_name.py",
        "helper_in_a_function.py",
        "helper_of_helper.py",
        "helper_package/__init__.py",
        "helper_package/cousin.py",
        "helper_package/inner/__init__.py",
        "helper_package/inner/deep.py",
        "helper_package/quiet.py",
        "helper_package/sister.py",
    ]
    assert found["helped.py"] == sha256(PLUGIN.encode()).hexdigest()
    assert not [name for name in sys.modules if name.startswith("helper_")]


@pytest.mark.parametrize("name", ["helper_of_helper.py", "helper_in_a_function.py", "helper_package/cousin.py"])
def test_a_change_in_any_of_them_is_seen(folder, name):
    before = code_of(folder)
    (folder / name).write_text("SHARE = 80")
    after = code_of(folder)
    assert {file for file in before if before.get(file) != after.get(file)} == {name}


def test_where_the_plugin_lies_does_not_matter(folder, tmp_path_factory):
    before = code_of(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "helped.py").rename(elsewhere / "helped.py")
    assert code_of(elsewhere) == before


def test_a_module_that_was_named_at_run_time_is_among_them(folder):
    assert "unused.py" in code_of(folder, ["unused", "json", "numpy.linalg", "nowhere"])


BESIDE = """
import runpy, sys
from pathlib import Path
HERE = Path(__file__).parent
SOURCE = HERE / "helper_run.py"
SETTINGS = HERE / "settings" / "weights.npy"

def late():
    sys.path.insert(0, str(HERE))
    import helper_late
    sys.path.insert(0, str(HERE / "settings"))
    import helper_later
    return runpy.run_path(str(SOURCE)), (HERE / "rates.csv").read_text(), open("/etc/hosts"), HERE / ".."
"""
READ_LATE = [
    *("helper_late.py", "settings/helper_later.py", "helper_run.py", "helper_of_run.py"),
    *("settings/weights.npy", "rates.csv"),
]


@pytest.mark.parametrize("name", READ_LATE)
def test_what_lies_beside_a_plugin_and_is_named_in_it_counts_though_nothing_imports_it_yet(tmp_path, name):
    plugin = tmp_path / "late.py"
    (tmp_path / "settings").mkdir()
    for file in [*READ_LATE, "other.npy"]:
        (tmp_path / file).write_bytes(b"import helper_of_run" if file == "helper_run.py" else b"1")
    before = local_code(plugin, BESIDE.encode(), ())
    assert {Path(shown).name for shown in before} == {"late.py", *(Path(file).name for file in READ_LATE)}
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"  # changed")
    after = local_code(plugin, BESIDE.encode(), ())
    assert {Path(shown).name for shown in before if before[shown] != after.get(shown)} == {Path(name).name}


NAMES = {  # what a plugin or its helper says, and the files beside it that it names
    'open(HERE / "w.csv")': ["w.csv"],
    'load(HERE / "model.safetensors"), load("a.h5", "b.gz", "c.md")': ["a.h5", "b.gz", "c.md", "model.safetensors"],
    'open(HERE / "bare"), open("bare"), kind == "begun"': ["bare"],
    'open(HERE / "sub").glob("*"), HERE.glob("*")': ["sub/helper_a.py", "sub/helper_b.py", "sub/w.xml"],
    'open(f"sfx{size}.dat")': ["sfx1.dat", "sfx22.dat"],
    'open(f"{HERE}/w.csv"), open(f"{HERE}/sub/{size}")': ["sub/helper_a.py", "sub/helper_b.py", "sub/w.xml", "w.csv"],
    'open("sfx{}.dat".format(size)), open("%s/w.csv" % HERE)': ["sfx1.dat", "sfx22.dat", "w.csv"],
    'open(os.path.dirname(__file__) + "/w.csv")': ["w.csv"],
    'open("../above.sql")': ["../above.sql"],
    'open(HERE / ".." / "above.sql"), open(HERE.parents[1] / "above.sql")': ["../above.sql"],
    'HERE.glob("*.json")': ["one.json", "two.json"],
    'HERE.rglob("*.xml")': ["sub/w.xml"],
    'WILD = "*.json"\nHERE.glob(WILD)': ["one.json", "two.json"],
    'Path(__file__).with_suffix(".dat")': ["{stem}.dat"],
    'NAME = "helper_named"\nimport_module(NAME)': ["helper_named.py"],
    'import_module(f"sub.helper_{size}")': ["sub/helper_a.py", "sub/helper_b.py"],
    'def read():\n    """w.csv"""\n    return "*.json", "helper_named", "sub", "", ".", "*"': [],
    'open("/etc/hosts"), open("/proc/self/stat"), open(f"/proc/{size}/stat")': [],
    'f"{size}{HERE}", f"{size:.2f}", f"{size}s", f"see {size} in w.csv"': [],
    'frame.to_csv(HERE / "w.csv"), save(model, HERE / "model.safetensors")': [],
    'read_csv(HERE / "w.csv").to_csv("c.md")': ["w.csv"],
    'open(HERE / "w.csv", "w"), (HERE / "bare").open("a"), (HERE / "c.md").write_text(""), HERE / "fits.log"': [],
}


@pytest.fixture
def data(tmp_path):
    """A folder with files to read."""
    base = tmp_path / "plugin"
    for folder in ("sub", "run"):
        (base / folder).mkdir(parents=True)
    names = ["w.csv", "model.safetensors", "a.h5", "b.gz", "c.md", "bare", "sfx1.dat", "sfx22.dat", "one.json"]
    names += ["two.json", "../above.sql", "plugin.dat", "helper.dat", "helper_named.py", "sub/w.xml", "fits.log"]
    names += ["begun", "sub/helper_a.py", "sub/helper_b.py", "run/results.sqlite", "run/x.xml"]
    for name in names:
        (base / name).write_text("1")
    return base


@pytest.mark.parametrize("says", NAMES)
@pytest.mark.parametrize("stem", ["plugin", "helper"])
def test_what_a_plugin_or_its_helper_names_counts_and_nothing_else(data, stem, says):
    source = "import helper" if stem == "helper" else says
    (data / "helper.py").write_text(says if stem == "helper" else "")
    before = local_code(data / "plugin.py", source.encode(), ())
    named = {name.format(stem=stem) for name in NAMES[says]}
    own = {"plugin.py", "helper.py"} if stem == "helper" else {"plugin.py"}
    assert set(before) == own | named
    for name in named:
        (data / name).write_text("2")
    after = local_code(data / "plugin.py", source.encode(), ())
    assert {name for name in before if before[name] != after[name]} == named


def test_a_new_file_that_a_pattern_fits_changes_the_digest(data):
    (data / "helper.py").write_text("")
    before = local_code(data / "plugin.py", b'HERE.glob("*.json")', ())
    (data / "three.json").write_text("1")
    after = local_code(data / "plugin.py", b'HERE.glob("*.json")', ())
    assert changes(before, after) == "three.json is new"


def test_a_file_named_by_its_whole_path_counts_and_a_very_large_one_by_size_and_time(data, monkeypatch):
    file = data / "w.csv"
    source = f'open("{file}")'.encode()
    assert set(local_code(data.parent / "plugin.py", source, ())) == {"plugin.py", str(file)}
    assert set(local_code(data / "plugin.py", source, ())) == {"plugin.py", str(file)}
    monkeypatch.setattr(code_digest, "LARGEST_READ", 0)
    os.utime(file, ns=(5, 5))
    assert local_code(data / "plugin.py", source, ())[str(file)] == "1 bytes of 5"


def test_installed_modules_are_left_out(folder):
    record = folder / "helper_package-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("helper_package/__init__.py,sha256=x,1\nhelper_by_name.py,,\n")
    from fairbench.plugins.code_digest import _installed_names

    _installed_names.cache_clear()
    assert sorted(code_of(folder)) == [
        "helped.py",
        "helper_beside.py",
        "helper_in_a_function.py",
        "helper_of_helper.py",
    ]


def test_a_plugin_file_runs_what_its_digest_says_even_if_it_was_edited_within_a_second(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "quick.py"
    seen = []
    for share in (20, 80):
        path.write_text(
            PLUGIN.split("import helper_beside")[0]
            + f'@dataclass(frozen=True)\nclass Quick:\n    """Nothing."""\n    name = "quick"\n    share = {share}\n'
            + "    def fit(self, train, validation, *, seed):\n        return None\n\n"
            + "@hookimpl\ndef fairbench_methods():\n    return [Quick]\n"
        )
        os.utime(path, (1e9, 1e9))
        registry, _ = load_plugins([str(path)])
        seen.append((registry.get("methods", "quick").share, registry.origin("methods", "quick").sha256))
    assert [share for share, _ in seen] == [20, 80]
    assert seen[0][1] != seen[1][1]


def test_an_installed_plugin_has_every_file_of_its_package_and_of_its_distribution(folder):
    about = folder / "acme_two-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-two\nVersion: 1.0\n")
    (about / "RECORD").write_text("helper_package/__init__.py,,\nunused.py,,\nacme_two-1.0.dist-info/x.json,,\n")
    (about / "x.json").write_text("{}")
    (folder / "helper_package/settings.toml").write_text("")
    (folder / "helper_package/readme.txt").write_text("")
    found = package_code("helper_package.inner.deep", "acme-two")
    assert {"helper_package/settings.toml", "helper_package/unused.py", "unused.py"} <= set(found)
    assert not [name for name in found if name.endswith((".txt", "x.json"))]
    assert set(package_code("helper_package", "acme-two", follow=False)) == set(found) - {"unused.py"}


def test_an_editable_plugin_has_what_it_imports_from_elsewhere(folder):
    (folder / "helper_package/sister.py").write_text("import helper_of_helper")
    assert "helper_of_helper.py" in package_code("helper_package.sister", "acme-two")


def test_a_package_within_a_namespace_ends_at_the_namespace(folder):
    for name in ("ours/fair/__init__.py", "ours/fair/method.py", "ours/other/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert sorted(package_code("ours.fair.method", "ours")) == ["ours/fair/__init__.py", "ours/fair/method.py"]
    assert package_code("nowhere.at_all", "ours") == {}


def test_built_in_families_and_the_core_have_digests():
    registry, _ = load_plugins()
    origin = registry.origin("methods", "constant")
    assert origin.distribution == BUILT_IN
    assert "fairbench_baselines/constant.py" in origin.files
    assert all(name.startswith("fairbench_baselines/") for name in origin.files)
    core = core_code()
    assert {
        "fairbench/running/cell.py",
        "fairbench/data/rows.py",
        "fairbench/api/torch.py",
        "fairbench/running/default_suite.toml",
        "fairbench_projection/_solver/parity.py",
    } <= set(core)
    assert not [name for name in core if name.startswith(("fairbench/cli/", "fairbench/papers/"))]
    assert all(len(digest) == 64 for digest in core.values())


def test_changes_are_said_in_words():
    before = {"a.py": "1", "b.py": "1", "c.py": "1"}
    assert changes(before, {"a.py": "2", "b.py": "1", "d.py": "1"}) == "a.py changed, d.py is new, c.py is gone"
    assert (
        changes(dict.fromkeys("abcde", "1"), dict.fromkeys("abcde", "2"))
        == "a changed, b changed, c changed and 2 more"
    )
