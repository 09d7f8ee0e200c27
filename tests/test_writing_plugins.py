"""A newcomer's path, as docs/writing-plugins.md prints it; generated packages and examples, installed and tested."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from fairbench.plugins.loading import load_plugins
from fairbench.templates import TEMPLATES, write_package

pytestmark = pytest.mark.documents

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "writing-plugins.md"
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
GENERATED = [f"a_{kind}" for kind in TEMPLATES if kind != "method"]  # the newcomer writes one of these
NEEDED = [f"fairbench_{kind}" for kind in ("datasets", "metrics", "scenarios", "reports", "executors")]
SCRIPTS = {
    "fairbench": "from fairbench.__main__ import main; main()",
    "pytest": "from pytest import main; sys.exit(main())",
    # what a machine without a network needs
    "pip": "sys.argv[2:2] = ['--quiet', '--no-index', '--no-build-isolation']; from pip import main; sys.exit(main())",
}


class Desk:
    """A folder, and an environment of its own in which everything is found that this one has."""

    def __init__(self, folder):
        self.folder, environment = folder / "desk", folder / "env"
        self.folder.mkdir()
        venv.create(environment, symlinks=True)
        (packages,) = environment.glob("lib/python*/site-packages")
        known = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        (packages / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in known))
        self.commands = environment / "bin"
        for name, code in SCRIPTS.items():
            (self.commands / name).write_text(f"#!{self.commands / 'python'}\nimport sys\n{code}\n")
            (self.commands / name).chmod(0o755)

    def run(self, line, plugins=()):
        """Run a line of shell, as a user types it, with these plugins loaded, or all."""
        path = f"{self.commands}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "FAIRBENCH_CACHE": str(self.folder / "cache")}
        environment["FAIRBENCH_PLUGINS"] = ",".join(plugins)
        command = ["/bin/sh", "-c", line]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("writing"))


@pytest.fixture(scope="module")
def installed(desk):
    """The generated packages of the other kinds, and the examples, in the same environment."""
    for name in GENERATED:
        write_package(name[2:], name, desk.folder, load_plugins()[0])
    for example in EXAMPLES:
        shutil.copytree(example, desk.folder / example.name, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    names = [*GENERATED, *(example.name for example in EXAMPLES)]
    done = desk.run(f"pip install {' '.join(f'./{name}' for name in names)}")
    assert done.returncode == 0, done.stderr
    return names


def test_the_newcomers_commands_lead_to_a_row_beside_fairlearns(desk):
    (block,) = blocks("sh")
    new, *others = block.splitlines()
    assert new == "fairbench new method mine"
    assert len(others) == 4
    assert desk.run(new).returncode == 0
    (example,) = [code for code in blocks("python") if "CHECKS" in code]
    (desk.folder / "mine" / "tests" / "test_example.py").write_text(example)
    for command in others:
        done = desk.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    table, *_ = done.stdout.split("\n\n\n")
    assert {"mine", "fairlearn_threshold_optimizer"} <= {line.split()[0] for line in table.splitlines() if line.split()}
    assert " 0 skipped, 0 failed" in done.stderr


def test_the_short_plugin_of_the_document_is_one(tmp_path):
    (plugin,) = [code for code in blocks("python") if "from_estimator" in code]
    (tmp_path / "bayes.py").write_text(plugin)
    assert "mine" in load_plugins([str(tmp_path / "bayes.py")])[0].names("methods")


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_document_names_every_kind_that_has_a_template(kind):
    assert f"| `{kind} NAME` |" in DOCUMENT.read_text(encoding="utf-8")


def test_what_is_generated_and_the_examples_keep_the_rules(desk, installed):
    code = (
        "import json, sys; from fairbench.plugins.loading import load_plugins; "
        "from fairbench.testing import check_plugin; "
        "print(json.dumps({name: [f.result for f in check_plugin(load_plugins()[0], name)] for name in sys.argv[1:]}))"
    )
    quick = [name for name in installed if name != "massaging"]  # the audit takes long; see its own tests
    done = desk.run(f"python -c '{code}' {' '.join(quick)}", plugins=quick)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert list(results) == quick
    assert all(results.values())
    assert {result for found in results.values() for result in found} == {"passed"}, done.stdout


def test_the_tests_of_what_is_generated_and_of_the_examples_pass(desk, installed):
    folders = " ".join(f"{name}/tests" for name in installed)
    done = desk.run(f"pytest -q -W error --rootdir . --junitxml tests.xml {folders}")
    assert done.returncode == 0, done.stdout
    for name in installed:
        assert (desk.folder / "tests.xml").read_text().count(f'classname="{name}.tests.') > 1, name


def test_the_examples_work_together_in_one_run(desk, installed):
    metrics = "accuracy,generalized_entropy,between_group_entropy"
    what = f"--methods 'massaging[share=0|1]' --datasets hiring --group sex --group age_group --metrics {metrics}"
    examples = [example.name for example in EXAMPLES]
    done = desk.run(f"fairbench run {what} --repeats 1 --workers 1 --out r", plugins=[*examples, *NEEDED])
    assert done.returncode == 0, done.stderr
    assert "4 cells: 4 done" in done.stderr
    report = (desk.folder / "r" / "report.inequality.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| massaging\\\[share=[01]\.0\\\] \| 1 \|", report, flags=re.MULTILINE)) == 4


def test_the_commands_of_every_readme_plan_cells(desk, installed):
    files = [desk.folder / name / "README.md" for name in installed] + [ROOT / "examples" / "README.md"]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    commands = [line for line in lines if line.startswith(("fairbench run", "fairbench reproduce"))]
    assert len(commands) > len(installed)
    shell = 'fairbench() { for word in "$@"; do printf \'%s\\t\' "$word"; done; echo; }'  # what a shell makes of them
    words = desk.run("\n".join([shell, *commands]))
    assert words.stderr == ""
    code = (
        "import sys; from fairbench.cli.main import cli\n"
        'for line in sys.stdin: cli.main([*line.split(chr(9))[:-1], "--dry-run"], standalone_mode=False)'
    )
    (desk.folder / "words").write_text(words.stdout)
    done = desk.run(f"python -c '{code}' < words")
    assert done.returncode == 0, done.stderr
