"""Options as people give them: lists add up, nothing is dropped, and what was shown can be typed again."""

from __future__ import annotations

import json
import re

import pytest

GRID = ["--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1"]

PLUGIN = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional
import numpy as np
from fairbench.api import Predictions, hookimpl, parameter
if TYPE_CHECKING:
    from collections.abc import Iterable

class Base:
    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))

@dataclass(frozen=True)
class Texts(Base):
    """Texts that look like something else."""
    name = "texts"
    year: str = parameter("2018", "survey year", choices=("2014", "2018"))
    text: str = "x"
    depth: int | None = None

@dataclass(frozen=True)
class Needs(Base):
    """One parameter without a default."""
    name = "needs"
    alpha: float

@dataclass(frozen=True)
class Bad(Base):
    """An annotation that only type checkers see."""
    name = "bad"
    widths: Iterable[int] = (1,)

@hookimpl
def fairbench_methods():
    return [Texts, Needs, Bad]
'''


def planned(fairbench, *arguments):
    status, out, err = fairbench("run", "--dry-run", "--json", *arguments)
    assert status == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_options_that_are_repeated_add_up(fairbench):
    cells = planned(
        fairbench,
        *("--methods", "constant", "--methods", "mlp[lr=1|2],logistic", "--datasets", "compas", "--datasets", "german"),
        *("--scenarios", "holdout", "--scenarios", "stream", "--metrics", "accuracy", "--metrics", "roc_auc"),
        *("--group", "sex", "--group", "sex , age", "--scale", "none", "--scale", "standard", "--repeats", "1"),
    )
    assert {cell["method"]["name"] for cell in cells} == {"constant", "mlp", "logistic"}
    assert {cell["dataset"]["name"] for cell in cells} == {"compas", "german"}
    assert {cell["scenario"]["name"] for cell in cells} == {"holdout", "stream"}
    assert {tuple(cell["metrics"]) for cell in cells} == {("accuracy", "roc_auc")}
    assert {cell["group"] for cell in cells} == {"sex", "sex,age"}
    assert {cell["preparation"]["scale"] for cell in cells} == {"none", "standard"}
    assert len(cells) == 4 * 2 * 2 * 2 * 2


def test_lists_that_are_repeated_are_those_with_commas(fairbench):
    twice = planned(fairbench, *GRID, "--methods", "mlp")
    once = planned(fairbench, *GRID[2:], "--methods", "constant,mlp")
    assert twice == once


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", *GRID, "--executor", "serial", "--executor", "processes"], "names 2 executors; name one"),
        (["run", *GRID, "--methods", "mlp[lr=(1", "--methods", "2)]"], "'mlp[lr=(1' leaves 2 brackets open"),
        (["run", *GRID, "--out", ""], "'--out': the path is empty; write '.' for the current folder"),
        (["run", ""], "'[SUITE]': the path is empty"),
        (["reproduce", "faalgrad", "--out", " "], "'--out': the path is empty"),
        (["report", ""], "'RUN': the path is empty"),
        (["export", ""], "'RUN': the path is empty"),
        (["rescore", ""], "'RUN': the path is empty"),
        (["run", *GRID, "--group", "sex,"], "'sex,' has an empty name"),
        (["run", *GRID[:4], "--repeats", "9" * 30], "cells; at most 1000000 are planned"),
        (["export", "r", "--format", "jsonl", "--spreadsheet"], "--spreadsheet is for --format csv"),
    ],
)
def test_what_would_be_dropped_or_misread_is_refused_before_anything_is_written(
    fairbench, tmp_path, arguments, message
):
    status, out, err = fairbench(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_a_run_directory_is_named_after_the_beginning_of_a_long_list(fairbench, tmp_path):
    methods = ",".join(["constant"] * 40)
    status, _, err = fairbench("run", "--methods", methods, *GRID[2:])
    assert status == 0, err
    (made,) = (tmp_path / "runs").iterdir()
    assert "constant-constant" in made.name
    assert len(made.name) < 100


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "texts.py").write_text(PLUGIN)
    return ("--plugin", "texts.py")


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("year=2014|2018", [{"year": "2014"}, {"year": "2018"}]),
        ("text=true", [{"text": "true"}]),
        ("text=1.50", [{"text": "1.50"}]),
        ("text=.5|5.|-.5e3", [{"text": ".5"}, {"text": "5."}, {"text": "-.5e3"}]),
        ("text=(a)", [{"text": "(a)"}]),
        ('text="a,b|c]"', [{"text": "a,b|c]"}]),
        ("text='it\"s\\n'", [{"text": 'it"s\\n'}]),
        (r'text="\u001b[31m"', [{"text": "\x1b[31m"}]),
        ("text=''", [{"text": ""}]),
        ("depth=none", [{"depth": None}]),
        ("depth=3", [{"depth": 3}]),
    ],
)
def test_what_a_dry_run_shows_can_be_typed_again(fairbench, plugin, text, params):
    defaults = {"year": "2018", "text": "x", "depth": None}
    first = planned(fairbench, "--methods", f"texts[{text}]", *GRID[2:], *plugin)
    assert [cell["method"]["params"] for cell in first] == [{**defaults, **given} for given in params]
    _, out, _ = fairbench("run", "--dry-run", "--methods", f"texts[{text}]", *GRID[2:], *plugin)
    assert "\x1b" not in out
    shown = [line.split("  ", 6)[6] for line in out.splitlines()]
    again = planned(fairbench, "--methods", ",".join(f"texts[{shown}]" for shown in shown), *GRID[2:], *plugin)
    assert again == first


@pytest.mark.parametrize("typed", [".001", "1.e-3", ".1E-2", "1e-3"])
def test_a_number_is_the_same_however_it_is_typed(fairbench, typed):
    assert planned(fairbench, "--methods", f"mlp[lr={typed}]", *GRID[2:]) == planned(
        fairbench, "--methods", "mlp[lr=0.001]", *GRID[2:]
    )


def test_one_bad_component_ends_nothing_but_itself(fairbench, plugin):
    status, out, err = fairbench("run", "--dry-run", "--methods", "all", *GRID[2:], *plugin)
    assert status == 0
    assert {" texts ", " constant ", " mlp "} <= set(re.findall(r" \w+ ", out))
    assert "texts.py (local file) is broken: method bad: parameter widths: its annotation 'Iterable[int]'" in err
    assert "method needs is left out of 'all': method needs needs alpha, which has no default" in err
    for method, message in [
        ("bad", "is broken: method bad"),
        ("needs", "needs alpha"),
        ("needs[alpha=x]", "alpha is 'x'"),
    ]:
        status, out, err = fairbench("run", "--dry-run", "--methods", method, *GRID[2:], *plugin)
        assert (status, out) == (2, "")
        assert message in err
    status, out, _ = fairbench("show", "method", "needs", *plugin)
    assert (status, "required" in out) == (0, True)
    assert fairbench("show", "method", "texts", "--json", *plugin)[0] == 0
    status, _, err = fairbench("show", "method", "bad", *plugin)
    assert (status, "outside 'if TYPE_CHECKING'" in err) == (2, True)
