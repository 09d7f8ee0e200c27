"""What the documents say is tried: commands, the example plugin, the example suite."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from fairbench.plugins.loading import load_plugins
from fairbench.running.suite import parse_suite, plan

pytestmark = pytest.mark.documents

ROOT = Path(__file__).parents[1]
NAMES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "docs/audit.md",
    "docs/verdicts.md",
    "docs/robustness.md",
    "docs/own-data.md",
    "docs/executors.md",
    "docs/store.md",
    "docs/compare.md",
    "docs/claims.md",
    "docs/json.md",
)
DOCUMENTS = [ROOT / name for name in NAMES]
README = DOCUMENTS[0].read_text(encoding="utf-8")

OWN_DATA = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [
    line.partition("#")[0].strip()
    for document in DOCUMENTS
    for block in blocks(document.read_text(encoding="utf-8"), "sh")
    for line in block.splitlines()
    if line.startswith("fairbench ")
]


REPORTED = sorted(
    {
        " ".join(line.partition("#")[0].split())
        for document in DOCUMENTS
        for line in [*re.findall(r"`(fairbench report [^`]*)`", document.read_text(encoding="utf-8")), *COMMANDS]
        if line.startswith("fairbench report ")
    }
)


def run(*arguments, cwd):
    command = [sys.executable, "-m", "fairbench", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with what the documents' commands name: the example plugin, the suites, and a table."""
    (tmp_path / "equal_shares.py").write_text(next(block for block in blocks(README, "python") if "hookimpl" in block))
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    monkeypatch.chdir(tmp_path)
    exec(next(block for block in blocks(OWN_DATA, "python") if "to_csv" in block), {})  # noqa: S102 - our own document
    return tmp_path


def test_the_example_in_python_runs_and_prints(folder):
    (block,) = [block for block in blocks(README, "python") if "fairbench.run(" in block]
    (folder / "example.py").write_text(block)
    done = subprocess.run([sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "threshold" in done.stdout
    assert "10 cells: 10 done" in done.stdout


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("fairbench run")])
def test_every_run_command_plans_cells(folder, command):
    for executor, library in (("dask", "distributed"), ("slurm", "submitit")):
        if f"'{executor}[" in command:
            pytest.importorskip(library)
    done = run(*shlex.split(command)[1:], "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_example_with_a_table_of_ones_own_runs_and_prints(folder, capsys):
    (block,) = [block for block in blocks(OWN_DATA, "python") if "fairbench.run(" in block]
    exec(block, {})  # noqa: S102 - our own document
    shown = capsys.readouterr().out
    assert "loans" in shown
    assert "threshold" in shown


def test_the_suite_with_a_table_of_ones_own_is_one(folder, fairbench):
    (text,) = blocks(OWN_DATA, "toml")
    (folder / "mine.toml").write_text(text)
    status, out, err = fairbench("run", "mine.toml", "--dry-run")
    assert status == 0, err
    assert len(out.splitlines()) == 3 * 10


def test_power_is_shown_for_a_table_of_ones_own(folder, fairbench):
    (command,) = [command for command in COMMANDS if command.startswith("fairbench power --data")]
    status, out, _ = fairbench(*shlex.split(command)[1:])
    assert status == 0
    assert "loans by sex" in out


def test_what_readme_says_is_enough_of_the_plugins_is_enough_for_a_run(folder, monkeypatch):
    (block,) = [block for block in blocks(README, "sh") if "FAIRBENCH_PLUGINS" in block]
    setting, command = block.splitlines()
    monkeypatch.setenv("FAIRBENCH_PLUGINS", setting.partition("=")[2])
    done = run(*shlex.split(command)[1:], "--repeats", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "1 cell: 1 done" in done.stderr


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.startswith(("fairbench list", "fairbench show"))]
)
def test_every_listing_command_shows_something(folder, command):
    done = run(*shlex.split(command)[1:], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A finished run of two methods, with reference lines."""
    path = tmp_path_factory.mktemp("documents") / "run"
    methods, more = "logistic,mba_dp", ("--baseline", "logistic", "--repeats", "2", "--workers", "1")
    done = run(
        "run", "--methods", methods, "--datasets", "synthetic[rows=400]", *more, "--out", str(path), cwd=path.parent
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("command", REPORTED)
def test_every_documented_report_shows_a_run(small, fairbench, command):
    _, verb, _, *options = shlex.split(command.partition(">")[0])
    if command.endswith(".png"):  # bytes, which capsys does not take
        made = subprocess.run(
            [sys.executable, "-m", "fairbench", verb, str(small), *options], capture_output=True, check=False
        )
        assert (made.returncode, made.stdout[:4] or b"\x89PNG") == (0, b"\x89PNG")
        return
    status, shown, said = fairbench(verb, small, *options)
    assert status == 0
    assert "nan" not in shown.lower().split()
    assert shown or "has nothing for the report" in said


def test_the_documents_name_every_report_on_tables():
    """Those on feedback loops and streams are written into the run directory, and have documents of their own."""
    registry = load_plugins()[0]
    own = [
        name
        for name in registry.names("reports")
        if registry.report(name).render.__module__.startswith("fairbench_reports.")
    ]
    text = README + (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    assert len(own) > 10
    assert [name for name in own if not re.search(rf"[` ]{name}[`,\s]", text)] == []


def test_the_commands_that_the_document_on_verdicts_names_exist(fairbench):
    text = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    for command in sorted(set(re.findall(r"`fairbench (\w+)[^`]*`", text))):
        assert fairbench(command, "--help")[0] == 0, command


def test_the_example_of_an_audit_shows_what_the_document_shows(fairbench, tmp_path, monkeypatch):
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(text, "python")
    (tmp_path / "example.py").write_text(block)
    subprocess.run([sys.executable, "example.py"], check=True)
    shown = ""
    for command in [line for block in blocks(text, "sh") for line in block.splitlines()]:
        status, out, _ = fairbench(*shlex.split(command)[1:])
        assert status == 0, command
        shown += out
    assert (tmp_path / "audit-of-applicants" / "audit.json").is_file()
    lines = [line.rstrip() for line in shown.splitlines()]
    documented = [line for block in blocks(text, "text") for line in block.splitlines()]
    assert len(documented) > 30
    assert [line for line in documented if line not in lines and "[" not in line] == []  # [ends of drawn intervals]


@pytest.mark.parametrize(("name", "statuses"), [("compare", [0, 0, 0, 1]), ("claims", [1, 1])])
def test_comparisons_and_claims_show_what_their_documents_show(folder, fairbench, monkeypatch, name, statuses):
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    monkeypatch.chdir(folder)
    shown, ended = "", []
    for command in [line for block in blocks(text, "sh") for line in block.splitlines()]:
        status, out, err = fairbench(*shlex.split(command)[1:], *(["--workers", "1"] if " run " in command else []))
        assert status in (0, 1), err
        ended.append(status)
        shown += out
    assert ended == statuses
    rounded = partial(re.sub, r"(\d\.\d\d)\d+", r"\1")  # the last digits depend on the libraries' versions
    lines = rounded(shown).splitlines()
    documented = rounded("\n".join(blocks(text, "text"))).splitlines()
    assert len(documented) >= 7
    assert [line for line in documented if line not in lines] == []
    for block in blocks(text, "toml"):
        assert block in (ROOT / "benchmarks" / "claims" / "claims.toml").read_text(encoding="utf-8")
    for block in blocks(text, "python"):
        exec(block, {})  # noqa: S102 - our own document


def test_the_example_of_a_multiverse_is_part_of_a_suite():
    (text,) = blocks((ROOT / "docs" / "robustness.md").read_text(encoding="utf-8"), "toml")
    cells = plan(parse_suite(text, "robustness.md", "robustness"), load_plugins()[0])
    assert len({(str(cell.dataset), cell.preparation) for cell in cells if cell.method.name == "mlp"}) == 2 * 2 * 2 * 2


def test_the_example_method_keeps_the_rules_and_runs(folder):
    checked = run("check", "equal_shares.py", "--json", cwd=folder)
    findings = [json.loads(line) for line in checked.stdout.splitlines()]
    assert len(findings) == 12
    assert {finding["result"] for finding in findings} == {"passed"}, checked.stdout
    arguments = [
        "--methods",
        "equal_shares,mlp",
        "--datasets",
        "synthetic[rows=2000]",
        "--repeats",
        "2",
        "--workers",
        "1",
    ]
    done = run("run", *arguments, "--plugin", "equal_shares.py", "--out", "r", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in run("export", "r", "--format", "jsonl", cwd=folder).stdout.splitlines()]
    gaps = {
        method: max(
            line["value"]
            for line in lines
            if line["method"] == method and line["metric"] == "demographic_parity_difference" and not line["group"]
        )
        for method in ("equal_shares", "mlp")
    }
    assert gaps["equal_shares"] < gaps["mlp"]  # the labels' own gap is .3, and what the example is for is to close it


def test_the_example_suite_is_one():
    (text,) = [block for block in blocks(README, "toml") if "datasets" in block]
    cells = plan(parse_suite(text, "README.md", "readme"), load_plugins()[0])
    assert len(cells) == 2 * 4 * 5 * 2


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.toml")), ids=lambda path: path.name)
def test_every_suite_of_the_repository_plans_cells(path):
    assert plan(parse_suite(path.read_text(encoding="utf-8"), path.name, path.stem), load_plugins()[0])


@pytest.mark.parametrize("script", ["stream_table", "meta_table", "fair_layers", "feedback_cost"])
def test_a_script_refuses_what_is_no_run_or_suite_in_one_message(tmp_path, script):
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), "nosuch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    *usage, said = done.stderr.splitlines()
    assert said.startswith("nosuch is not a run directory: ") or "invalid choice: 'nosuch'" in said
    assert all(line.startswith("usage: ") for line in usage)
