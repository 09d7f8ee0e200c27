"""What leaves the command line is safe for terminals, spreadsheets and files of other people."""

from __future__ import annotations

import ast
import csv
import io
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from fairbench.analysis import export
from fairbench.cli.main import cli, main
from fairbench.errors import UnknownName, did_you_mean, printable
from fairbench.system.writing import replace_file

ROOT = Path(__file__).parents[1]
GRID = ["--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1"]
STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202e]")


def command(*arguments, cwd, **environment):
    line = [sys.executable, "-m", "fairbench", *map(str, arguments)]
    given = {**os.environ, "FAIRBENCH_CACHE": str(cwd / "cache"), **environment}
    return subprocess.run(line, capture_output=True, cwd=cwd, env=given, check=False)


def test_what_steers_a_terminal_is_spelled_out_and_the_rest_stays():
    assert printable("é ± \u2013 日本\n(x)") == "é ± \u2013 日本\n(x)"
    assert printable("a\x1b[31m\r\x07\x9b\x7f\t\u202e\udc9b\U000e0001") == (
        r"a\x1b[31m\r\x07\x9b\x7f\t\u202e\udc9b\U000e0001"
    )
    cut = printable("x" * 2_000_000 + "end", 1000)
    assert len(cut) < 1100
    assert cut.endswith("xend")
    assert "[... 1999003 characters left out ...]" in cut


EVIL = "e\x1b]0;owned\x07\x1b[31m\u202e"
PLUGIN = f'''
from dataclasses import dataclass
import numpy as np
from fairbench.api import Predictions, hookimpl, parameter

@dataclass(frozen=True)
class Evil:
    """Says {EVIL}."""
    name = "evil"
    text: str = parameter("{EVIL}", "means {EVIL}")
    def fit(self, train, validation, *, seed):
        raise ValueError("{EVIL}")

@hookimpl
def fairbench_methods():
    return [Evil]
'''


@pytest.fixture
def evil(tmp_path):
    (tmp_path / f"{EVIL}.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / f"{EVIL}.toml").write_text(
        'name = "\\u001b[31m"\ndatasets = ["synthetic[rows=300]"]\nmethods = ["evil"]\nrepeats = 1\n', encoding="utf-8"
    )
    (tmp_path / "bad.py").write_text(f"raise ValueError('{EVIL}')")
    (tmp_path / "bad.toml").write_text('datasets = ["a"]\nmethods = ["b"]\n"\\u001b[31m" = 1\n')
    return ("--plugin", f"{EVIL}.py")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["run", f"{EVIL}.toml", "--dry-run"], 0),
        (["run", f"{EVIL}.toml", "--out", f"{EVIL}", "--workers", "1"], 1),
        (["run", "bad.toml"], 2),
        (["run", f"no{EVIL}.toml"], 2),
        (["run", "--methods", EVIL, "--datasets", "synthetic"], 2),
        (["run", "--methods", f"evil[{EVIL}=1]", "--datasets", "synthetic"], 2),
        (["run", *GRID, "--group", f"{EVIL},"], 2),
        (["run", f"--{EVIL}"], 2),
        (["run", *GRID, "--plugin", "bad.py"], 2),
        (["report", EVIL], 2),
        (["show", "method", "evil"], 0),
        (["show", "method", EVIL], 2),
        (["list", "methods"], 0),
        (["plugins"], None),
    ],
    ids=range(14),
)
def test_no_name_text_or_error_of_a_stranger_steers_the_terminal(fairbench, evil, arguments, status):
    takes_plugins = evil if arguments[0] != "report" else ()
    seen, out, err = fairbench(*arguments, *takes_plugins)
    assert status in (None, seen), err
    assert out or err
    assert not STEERS.search(out + err)
    assert len(out) + len(err) < 100_000


def on_terminal(*arguments, cwd):
    """Run a command whose stdout is a terminal; return what the terminal gets."""
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "fairbench", *map(str, arguments)]
    with subprocess.Popen(line, stdout=theirs, stderr=subprocess.DEVNULL, cwd=cwd) as process:
        os.close(theirs)
        got = b""
        try:
            while chunk := os.read(ours, 65536):
                got += chunk
        except OSError:  # as Linux ends a terminal
            pass
        os.close(ours)
    assert process.returncode == 0
    return got.decode().replace("\r\n", "\n")


@pytest.mark.long
def test_data_reach_a_terminal_spelled_out_and_a_file_as_they_are(fairbench, evil, tmp_path):
    fairbench("run", f"{EVIL}.toml", "--out", "r", "--workers", "1", *evil)
    assert EVIL in fairbench("export", "r")[1]
    for arguments in (["export", "r"], ["report", "r", "--format", "latex"]):
        seen = on_terminal(*arguments, cwd=tmp_path)
        assert "evil" in seen
        assert not STEERS.search(seen)


@pytest.mark.parametrize("code", ["latin-1", "cp1252", "ascii"])
def test_what_cannot_be_encoded_is_replaced(fairbench, monkeypatch, code):
    fairbench("run", *GRID, "--out", "r")
    refused = ("run", "--methods", "\u2211\u00e9", "--datasets", "synthetic")
    for arguments in (("report", "r"), ("report", "r", "--format", "markdown"), ("export", "r"), refused):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=code) for _ in range(2)]
        for name, stream in zip(("stdout", "stderr"), streams):
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, "argv", ["fairbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue() for stream in streams)
        assert ended.value.code == (2 if arguments is refused else 0)
        assert (b"no method is named" in err) if arguments is refused else out


@pytest.mark.long
def test_the_plain_locale_is_no_reason_for_a_traceback(fairbench, tmp_path):
    fairbench("run", *GRID, "--out", "r")
    done = command("report", "r", cwd=tmp_path, LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)


def test_a_message_of_millions_of_characters_is_cut(fairbench, tmp_path):
    (tmp_path / "s.toml").write_text(f'datasets = ["synthetic"]\nmethods = ["{"x" * 900_000}"]\n')
    status, out, err = fairbench("run", "s.toml")
    assert (status, out) == (2, "")
    assert "characters left out" in err
    assert len(err) < 11_000


def test_reports_take_the_place_of_links_and_leave_alone_what_these_lead_to(fairbench, tmp_path):
    fairbench("run", *GRID, "--out", "r")
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    for report in (tmp_path / "r").glob("report*"):
        report.unlink()
        report.symlink_to(mine)
    (tmp_path / "r" / "report.csv").unlink()
    os.mkfifo(tmp_path / "r" / "report.csv")
    assert fairbench("report", "r")[0] == 0
    assert mine.read_text() == "precious"
    assert all(report.is_file() and not report.is_symlink() for report in (tmp_path / "r").glob("report*"))
    assert not list((tmp_path / "r").glob(".*.partial"))


def test_a_file_that_cannot_be_put_in_place_leaves_what_was_there(tmp_path):
    (tmp_path / "report.md").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "report.md", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    os.umask(mask := os.umask(0))
    replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask


def test_texts_that_a_spreadsheet_would_run_get_an_apostrophe_and_numbers_none(fairbench, tmp_path):
    texts = ["=1+1", "+1", "-1", "@a", "\tx", "a=1", "'", ""]
    rows = [{"text": text, "number": -1.5} for text in texts]
    written = io.StringIO(newline="")
    export.write(rows, written, "csv", spreadsheet=True)
    read = list(csv.DictReader(io.StringIO(written.getvalue(), newline="")))
    assert [row["text"] for row in read] == [*(f"'{text}" for text in texts[:5]), *texts[5:]]
    assert {row["number"] for row in read} == {"-1.5"}
    (tmp_path / "f.py").write_text(PLUGIN.replace(EVIL, "=cmd()"), encoding="utf-8")
    fairbench("run", *GRID[2:], "--methods", "evil", "--plugin", "f.py", "--out", "r")
    assert "\n=cmd()" not in fairbench("export", "r", "--spreadsheet")[1]
    assert fairbench("export", "r", "--spreadsheet")[0] == 0


@pytest.mark.long
def test_python_m_runs_nothing_that_lies_in_the_current_folder(tmp_path):
    for name in ("torch", "click", "numpy", "rich", "fairbench_baselines", "sitecustomize_no"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was run')")
    done = command("run", *GRID, "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stdout.count(b"constant")) == (0, 1), done.stderr


@pytest.mark.long
@pytest.mark.skipif(sys.version_info < (3, 11), reason="older Pythons search the current folder first")
def test_a_worker_runs_nothing_that_lies_in_the_current_folder(tmp_path):
    (tmp_path / "random.py").write_text("raise SystemExit('not ours')")
    command = [str(Path(sys.executable).with_name("fairbench")), "run", "--methods", "constant", "--workers", "2"]
    done = subprocess.run(
        [*command, "--datasets", "synthetic[rows=300]", "--repeats", "2", "--out", "o"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_python_m_still_finds_what_pythonpath_names_even_here(tmp_path):
    (tmp_path / "my_helper.py").write_text("VALUE = 1\n")
    (tmp_path / "p.py").write_text("import my_helper\n" + PLUGIN.replace(EVIL, "x"))
    arguments = ("run", *GRID[2:], "--methods", "evil", "--dry-run", "--plugin", "p.py")
    assert command(*arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path)).returncode == 0
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert b"my_helper" in done.stderr


PLACES = {"kind": "methods", "path": "runs/x", "name": "compas", "self.paper.name": "faalgrad", "names[0]": "table1"}
NOT_WHOLE = {"fairbench data add health"}  # it goes on in words


def commands_in_messages():
    """Return every quoted command in a message of the sources, with samples where a message fills something in."""
    found = set()
    for path in sorted([*(ROOT / "fairbench").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        skipped |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else PLACES.get(ast.unparse(part.value), "x")
                    for part in node.values
                ]
                found.update(re.findall(r"'(fairbench [^']*)'", "".join(parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
                found.update(re.findall(r"'(fairbench [^']*)'", node.value))
    return sorted(found)


@pytest.mark.long
def test_messages_name_commands():
    assert {"fairbench plugins", "fairbench list methods", "fairbench export runs/x"} <= set(commands_in_messages())


@pytest.mark.parametrize("text", [text for text in commands_in_messages() if text not in NOT_WHOLE])
def test_a_command_that_a_message_names_can_be_given(text):
    words, group, context = shlex.split(text)[1:], cli, click.Context(cli, info_name="fairbench")
    while isinstance(group, click.Group) and (words or not group.invoke_without_command):
        name, group, words = group.resolve_command(context, words)
        if "--help" not in words and not isinstance(group, click.Group):
            group.make_context(name, words, parent=context)


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("mpl", ["mlp", "threshold"], "mlp"),
        ("MLP", ["mlp"], "mlp"),
        ("compass", ["compas", "adult"], "compas"),
        ("adult", ["adult", "compas"], None),
        ("x", ["y", "xy_long_name"], None),
        ("forest", ["threshold", "constant"], None),
        ("a" * 100_000, ["abc"], None),
    ],
)
def test_did_you_mean_offers_another_name_that_is_close_or_none(name, known, meant):
    assert did_you_mean(name, known) == (f"; did you mean {meant!r}?" if meant else "")
    assert str(UnknownName("method", name, known)).startswith(f"no method is named {name!r}")
