"""The start, the tutorials and the notebook do what they say: their code runs, and shows what they show."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.documents

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = [DOCS / "start.md", *sorted((DOCS / "tutorials").glob("*.md"))]
NOTEBOOK = DOCS / "notebooks" / "from-frame-to-verdict.md"
FENCED = re.compile(r"^```(sh|python|text)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def reference_lines(monkeypatch):
    monkeypatch.delenv("FAIRBENCH_NO_REFERENCE", raising=False)


def words(text):
    """Return a text with its numbers masked and its blanks evened: versions of libraries move the last digits."""
    return " ".join(re.sub(r"[+-]?\d[\d,]*(\.\d+)?", "#", text).split())


def follow(document, folder, fairbench):
    """Do what a document says in order; yield each text that it shows with what was printed just before."""
    printed = ""
    for language, block in FENCED.findall(document.read_text(encoding="utf-8")):
        if language == "text":
            yield block, printed
        elif language == "python" and "hookimpl" in block:
            (folder / "half_way.py").write_text(block, encoding="utf-8")
        elif language == "python":
            subprocess.run([sys.executable, "-c", block], cwd=folder, check=True)
        else:
            printed = "".join(shown(line, folder, fairbench) for line in block.splitlines())


def shown(line, folder, fairbench):
    """Return what a command prints; one whose output goes to a file must write something."""
    command, redirected, file = line.partition(" > ")
    _, *arguments = shlex.split(command)
    if file.endswith(".png"):  # bytes, which capsys does not take
        done = subprocess.run(
            [sys.executable, "-m", "fairbench", *arguments], cwd=folder, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout[:4]) == (0, b"\x89PNG"), line
        return ""
    status, out, err = fairbench(*arguments)
    assert status == 0, (line, err)
    assert out or err, line
    return "" if redirected else out + err


@pytest.mark.parametrize("document", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_does_what_it_says(document, tmp_path, fairbench):
    for block, printed in follow(document, tmp_path, fairbench):
        assert words(block) in words(printed)


def test_the_notebook_runs_from_a_table_to_a_verdict(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # older jupyter_core warns of this change
    reason = "install the extra docs (pip install 'fairbench-harness[docs]')"
    jupytext, nbclient = (pytest.importorskip(name, reason=reason) for name in ("jupytext", "nbclient"))
    pytest.importorskip("ipykernel", reason=reason)
    notebook = jupytext.read(NOTEBOOK)
    patience = {"timeout": None, "startup_timeout": 600, "iopub_timeout": 600}
    nbclient.NotebookClient(notebook, **patience, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert any("above the coin" in data.get("text/html", "") for data in shown)
    assert any("image/png" in data for data in shown)
    assert "female" in shown[-1]["text/html"]
