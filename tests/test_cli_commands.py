"""What is refused in the options of every command: a value that would be dropped, an empty one, and nan."""

from __future__ import annotations

import click
import pytest

from fairbench.cli.commands import Command
from fairbench.cli.main import cli
from fairbench.cli.options import GivenPath

GRID = ["--methods", "constant", "--datasets", "synthetic[rows=300]"]
OWN = ["run", "--data", "loans.csv", "--label", "paid", "--group", "sex", "--methods", "constant", "--dry-run"]


def commands(group=cli):
    yield group
    for command in group.commands.values():
        yield from commands(command) if isinstance(command, click.Group) else [command]


def test_every_command_refuses_what_would_be_dropped():
    every = list(commands())
    assert len(every) > 25
    assert [command.name for command in every if not isinstance(command, Command)] == []


def test_no_path_can_be_empty():
    paths = [(command.name, parameter.name, parameter.type) for command in commands() for parameter in command.params]
    paths = [path for path in paths if isinstance(path[2], click.Path)]
    assert len(paths) > 25
    assert [path for path in paths if not isinstance(path[2], GivenPath)] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", *GRID, "--dry-run", "--out", "a", "--out=b"], "--out is given 2 times; 'b' counts, the last one"),
        (["run", *GRID, "--dry-run", "--repeats", "2", "--repeats", "2"], "--repeats is given 2 times; '2' counts"),
        (["run", *GRID, "--dry-run", "--workers=2", "--workers=1"], "--workers is given 2 times; '1' counts"),
        ([*OWN, "--label", "income"], "--label is given 2 times; 'income' counts"),
        (["report", "r", "--format", "csv", "--format", "json"], "--format is given 2 times; 'json' counts"),
        (["data", "list", "--data-dir", ".", "--data-dir", "."], "--data-dir is given 2 times; '.' counts"),
    ],
)
def test_the_last_value_of_an_option_that_is_no_list_counts_and_that_is_said(fairbench, arguments, message):
    _, _, err = fairbench(*arguments)
    assert f"warning: {message}" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "r", "--predictions", "--diagnostics"], "--predictions and --diagnostics exclude each other"),
        (["run", *GRID, "--no-stratify", "--stratify"], "--stratify and --no-stratify exclude each other; give one"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(fairbench, tmp_path, arguments, message):
    status, out, err = fairbench(*arguments)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        [*OWN, "--favorable", ""],
        [*OWN, "--favorable= "],
        ["run", *GRID, "--baseline", ""],
        ["lines", "r", "--baseline", ""],
        ["audit", "pred.csv", "--prediction", "p", "--group", "sex", "--label", ""],
        ["audit", "pred.csv", "--prediction", "p", "--group", "sex", "--baseline", ""],
        ["report", "r", "--rule", ""],
        ["power", "synthetic", "--group", "sex", "--group", ""],
        ["plugins", "install", "x", "--python", ""],
    ],
)
def test_an_empty_value_is_not_taken_for_none(fairbench, tmp_path, arguments):
    (tmp_path / "pred.csv").write_text("y,p,sex\n1,1,f\n0,1,m\n")
    status, out, err = fairbench(*arguments)
    assert (status, out) == (2, "")
    assert "is empty; give a value, or leave the option out" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["power", "synthetic", "--different", "nan"], "'--different': nan is not a finite number"),
        (["run", *GRID, "--group-known", "1", "--group-known", "nan"], "'--group-known': nan is not a finite number"),
        (["audit", "pred.csv", "--score", "p", "--threshold", "nan"], "'--threshold': nan is not a finite number"),
        (["audit", "pred.csv", "--score", "p", "--threshold", "inf"], "'--threshold': inf is not a finite number"),
    ],
)
def test_nan_and_infinity_are_no_numbers(fairbench, arguments, message):
    status, out, err = fairbench(*arguments)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())


def test_flags_may_be_repeated_and_help_comes_first(fairbench):
    status, out, err = fairbench("list", "reports", "--json", "--json")
    assert (status, err) == (0, "")
    assert out.startswith("{")
    status, out, _ = fairbench("run", "--out", "a", "--out", "b", "--baseline", "", "--help")
    assert (status, out.startswith("Usage: fairbench run")) == (0, True)
