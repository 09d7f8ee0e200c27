"""What SECURITY.md promises of the code itself: nothing that is read is executed, and temporary files are private."""

from __future__ import annotations

import ast
import json
import os
import runpy
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fairbench.cells import Cell, Choice
from fairbench.choices import MOST, parse_choices
from fairbench.errors import SuiteError
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, Record
from fairbench.running.checkpoints import Checkpoint, Progress
from fairbench.running.store import Measured
from fairbench.running.suite import Suite, parse_suite, plan

ROOT = Path(__file__).parents[1]
CODE = [path for folder in ("fairbench", "plugins", "examples", ".ci") for path in (ROOT / folder).rglob("*.py")]
ALLOWED = {  # place -> what may stand there, and why
    "fairbench/plugins/loading.py": ({"exec"}, "imports a plugin file that the user names with --plugin"),
    "plugins/fairbench_executors/": ({"pickle", "cloudpickle"}, "cells and results, between a run and its own workers"),
}
EXECUTES = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "yaml", "telnetlib"}
CALLS = {  # attribute -> the argument that makes it safe; None if nothing does
    "read_pickle": None,
    "read_hdf": None,
    "mktemp": None,
    "system": None,
    "popen": None,
    "load": ("allow_pickle", False),  # numpy's, checked for numpy alone
    "read_array": ("allow_pickle", False),
}


def dangers(source: str) -> list[tuple[int, str]]:
    """Return line and name of all that executes what it reads, runs a shell, or names a temporary file beforehand."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [(node.lineno, name.partition(".")[0]) for name in names if name.partition(".")[0] in MODULES]
            if isinstance(node, ast.ImportFrom) and node.module in ("tempfile", "os"):
                found += [(node.lineno, alias.name) for alias in node.names if CALLS.get(alias.name, "") is None]
        elif isinstance(node, ast.Call):
            found += [(node.lineno, name) for name in _call(node)]
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(("/tmp", "/var/tmp"))
        ):
            found.append((node.lineno, node.value))
    return found


def _call(node: ast.Call) -> list[str]:
    given = {word.arg: getattr(word.value, "value", "?") for word in node.keywords}
    if given.get("shell") or given.get("allow_pickle"):
        return ["shell" if given.get("shell") else "allow_pickle"]
    if isinstance(node.func, ast.Name):
        return [node.func.id] if node.func.id in EXECUTES else []
    if not isinstance(node.func, ast.Attribute):
        return []
    name, owner = node.func.attr, ast.unparse(node.func.value)
    if owner == "torch" and name == "load":
        return [] if given.get("weights_only") is True else ["torch.load"]
    if name not in CALLS or (name == "load" and owner not in ("np", "numpy")):
        return []
    safe = CALLS[name]
    return [] if safe is not None and given.get(safe[0]) is safe[1] else [f"{owner}.{name}"]


def test_nothing_that_is_read_is_executed_and_no_temporary_file_has_a_known_name():
    used, wrong = set(), []
    for path in CODE:
        name = path.relative_to(ROOT).as_posix()
        place = next((place for place in ALLOWED if name.startswith(place)), "")
        for line, what in dangers(path.read_text(encoding="utf-8")):
            if place and what in (*ALLOWED[place][0], "compile"):
                used.add(place)
            else:
                wrong.append(f"{name}:{line}: {what}")
    assert not wrong
    assert used == set(ALLOWED)  # what is allowed and no longer there would allow something else


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "from pickle import loads", "import yaml.loader", "eval(x)", "exec(x)", "pd.read_pickle(x)"),
        *("np.load(x)", "np.load(x, allow_pickle=True)", "f(x, allow_pickle=True)", "torch.load(x)", "os.system(x)"),
        *("torch.load(x, weights_only=False)", "subprocess.run(x, shell=True)", "tempfile.mktemp()", "open('/tmp/x')"),
        *("from tempfile import mktemp", "numpy.lib.format.read_array(x)", "__import__(x)"),
    ],
)
def test_each_danger_is_seen(source):
    assert dangers(source)


@pytest.mark.parametrize(
    "source",
    [
        "json.loads(x)",
        "np.load(x, allow_pickle=False)",
        "torch.load(x, weights_only=True)",
        "tempfile.mkstemp()",
        "spec.load(x)",
    ],
)
def test_what_is_safe_is_no_danger(source):
    assert not dangers(source)


ALTERNATIVES = "|".join(map(str, range(100)))


def test_a_list_of_choices_is_counted_before_it_is_multiplied_out():
    assert len(parse_choices(f"m[a={ALTERNATIVES},b={ALTERNATIVES}]")) == MOST
    with pytest.raises(SuiteError, match=r"'n\[…\]' together with what stands before it stands for more than 10000"):
        parse_choices(f"m[a={ALTERNATIVES},b={ALTERNATIVES}],n")
    with pytest.raises(SuiteError, match=r"^'m\[…\]' stands for more than 10000 combinations"):
        parse_choices(f"m[a={ALTERNATIVES},b={ALTERNATIVES},c=1|2]")


def test_axes_of_a_suite_are_counted_before_they_are_multiplied_out():
    shares = [number / 100_000 for number in range(100_000)]  # squared, they would fill any memory
    suite = Suite("x", ("synthetic",), ("constant",), group_known=tuple(shares), stratify=(True, False) * 50_000)
    with pytest.raises(SuiteError, match="suite x has 50000000000 cells; at most 1000000 are planned"):
        plan(suite, load_plugins()[0])


def saved(tmp_path):
    cell = Cell(Choice("compas"), Choice("mlp"), "sex", 0)
    checkpoint = Checkpoint(tmp_path / "partial" / f"{cell.key}.npz", cell)
    checkpoint.save(Progress(Measured(Record(cell, DONE), {}), 1, {"state": np.zeros(1000)}, 1.0, 1.0))
    return checkpoint


def test_a_checkpoint_is_not_written_through_a_link(tmp_path):
    (tmp_path / "partial").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "partial" / f"{Cell(Choice('compas'), Choice('mlp'), 'sex', 0).key}.writing").symlink_to(
        tmp_path / "precious"
    )
    assert saved(tmp_path).load({}) is not None
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_forged_checkpoint_whose_members_share_their_bytes_is_not_read(tmp_path, monkeypatch):
    checkpoint = saved(tmp_path)
    assert checkpoint.load({}) is not None
    real = zipfile.ZipFile.infolist
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda archive: real(archive) * 100)  # each named many times
    assert checkpoint.load({}) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('methods = ["a"]\ndatasets = ["b"]\n[data.x]\nfile = "a\\u0000b"\nlabel = "y"\ngroup = "g"', "zero byte"),
        (
            'methods = ["a"]\ndatasets = ["b"]\n[data."../../x"]\nfile = "f"\nlabel = "y"\ngroup = "g"',
            "cannot be a dataset's name",
        ),
    ],
)
def test_names_in_a_suite_are_no_paths(text, told):
    with pytest.raises(SuiteError, match=told):
        parse_suite(text, "x.toml", "x")


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/b", "..", ".", "a b", "A", "a\0b", "", "~"])
def test_the_name_of_a_new_package_is_no_path(fairbench, tmp_path, name):
    status, _, err = fairbench("new", "metric", name)
    assert (status, len(err.strip().splitlines())) == (2, 1), err
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".py"]


def test_the_name_of_a_suite_stays_within_the_folder_of_runs(fairbench, tmp_path):
    (tmp_path / "s.toml").write_text(
        'name = "../../../etc/x"\nmethods = ["constant"]\ndatasets = ["synthetic[rows=300]"]\nrepeats = 1\n'
    )
    assert fairbench("run", "s.toml", "--workers", "1")[0] == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.split("-", 4)[4].startswith("etc-x-")


def test_files_of_a_run_that_are_links_are_replaced_and_not_followed(fairbench, tmp_path):
    (tmp_path / "r").mkdir()
    for number, name in enumerate(("run.json.partial", "report.md", "report.tex", "report.csv")):
        (tmp_path / f"precious{number}").write_text("precious")
        (tmp_path / "r" / name).symlink_to(tmp_path / f"precious{number}")
    run = ["run", "--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1"]
    assert fairbench(*run, "--out", "r")[0] == 0
    assert {path.read_text() for path in tmp_path.glob("precious*")} == {"precious"}
    assert not any(path.is_symlink() for path in (tmp_path / "r").iterdir())


def audited(monkeypatch, capsys, stdout, stderr=""):
    main = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["main"]
    monkeypatch.setattr(subprocess, "run", lambda *given, **options: SimpleNamespace(stdout=stdout, stderr=stderr))
    status = main()
    return status, "".join(capsys.readouterr())


def test_an_audit_that_could_look_nothing_up_fails_and_says_so(monkeypatch, capsys):
    unknown = json.dumps(
        {"dependencies": [{"name": "numpy", "skip_reason": "not found"}, {"name": "fairbench-harness"}]}
    )
    for stdout in ("", "Traceback", unknown):
        status, said = audited(monkeypatch, capsys, stdout, "Traceback\n  File\nConnectionError: no route\n")
        assert status == 1
        assert "cannot be reached from here, so nothing was audited" in said
        assert "Traceback" not in said


def test_an_audit_names_what_is_vulnerable_and_how_it_is_mended(monkeypatch, capsys):
    sound = {"name": "numpy", "version": "2.0", "vulns": []}
    hurt = {"name": "pillow", "version": "9.0", "vulns": [{"id": "CVE-1", "fix_versions": ["9.1"]}]}
    own = {"name": "fairbench-harness", "skip_reason": "not found"}
    assert audited(monkeypatch, capsys, json.dumps({"dependencies": [sound, own]})) == (
        0,
        "packages: 1; with known vulnerabilities: 0; not audited: 0\n",
    )
    status, said = audited(monkeypatch, capsys, json.dumps({"dependencies": [sound, hurt, own]}))
    assert (status, said.splitlines()[0]) == (1, "pillow 9.0: CVE-1, mended in 9.1")


def test_downloads_and_copies_are_for_their_owner_alone(tmp_path):
    from fairbench.running.hotcopy import copied

    (tmp_path / "results.sqlite").write_bytes(b"x")
    mask = os.umask(0)
    try:
        with copied(tmp_path / "results.sqlite") as copy:
            assert copy.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(mask)
