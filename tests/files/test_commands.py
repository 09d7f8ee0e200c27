"""What messages advise works as it is printed, for the datasets of a local plugin file too."""

from __future__ import annotations

import shlex

import pytest
from file_helpers import GOOD, digest, put

PLUGIN = """
from dataclasses import dataclass
from fairbench.api import DataFile, hookimpl

@dataclass(frozen=True)
class Survey:
    \"\"\"Trial.\"\"\"
    name = "survey"
    files = (DataFile("survey/people\\x1b[31m.csv", {digest!r}, ({url!r},)),)
    sensitive_features = ("sex",)
    def load(self, files):
        raise NotImplementedError

@hookimpl
def fairbench_datasets():
    return [Survey]
"""
NAME = "people\x1b[31m.csv"  # a name that would colour a terminal red


@pytest.fixture
def plugin(places, server) -> str:
    server.answers["/people.csv"] = GOOD
    path = places / "my plugins" / "survey.py"
    path.parent.mkdir()
    path.write_text(PLUGIN.format(digest=digest(GOOD), url=server.url("/people.csv")))
    return str(path)


def test_the_advice_of_a_run_works_as_printed(fairbench, plugin, places):
    arguments = ["--methods", "constant", "--datasets", "survey", "--plugin", plugin, "--repeats", 1]
    code, _, said = fairbench("run", *arguments, "--offline", "--out", "o")
    fetch, path = (f"fairbench data {verb} survey --plugin {shlex.quote(plugin)}" for verb in ("fetch", "path"))
    assert code == 1
    assert f"get it with '{fetch}', put it where '{path}' says" in said
    cached = f"{places}/cache/data/survey/people\\x1b[31m.csv"
    code, out, err = fairbench(*shlex.split(path)[1:])
    assert (code, out) == (1, f"{cached}\n")
    assert err == f"survey/people\\x1b[31m.csv is missing; '{fetch}' downloads it\n"
    code, out, _ = fairbench(*shlex.split(fetch)[1:])
    assert (code, out.split("\t")[:2]) == (0, ["survey", cached])


@pytest.mark.parametrize("command", ["list", "verify", "fetch", "path", "add"])
def test_every_command_takes_a_plugin_and_prints_what_can_be_printed(fairbench, plugin, places, command):
    put(places / "mine", GOOD, f"survey/{NAME}")
    names = [] if command == "list" else ["survey"]
    source = [places / "mine"] if command == "add" else ["--data-dir", places / "mine"]
    code, out, err = fairbench("data", command, *names, *source, "--plugin", plugin)
    assert code == 0
    assert "people\\x1b[31m.csv" in out
    assert "\x1b" not in out + err


def test_what_is_damaged_is_printed_so_too(fairbench, plugin, places):
    put(places / "mine", b"damaged", f"survey/{NAME}")
    for command in ("verify", "fetch", "path", "add"):
        source = [places / "mine"] if command == "add" else ["--data-dir", places / "mine"]
        code, out, err = fairbench("data", command, "survey", *source, "--plugin", plugin)
        assert code in (1, 2)
        assert "people\\x1b[31m.csv" in err
        assert "\x1b" not in out + err
