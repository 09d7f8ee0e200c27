"""Two runs compared, as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
from compared_runs import ALL, deciding, failing, run_in

from fairbench.analysis.compared import compare_runs
from fairbench.analysis.compared_shown import Shown, as_markdown, as_plain, as_text, number
from fairbench.analysis.gate import gate

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def runs(tmp_path):
    return partial(run_in, tmp_path)


def test_hostile_names_are_shown_as_text(runs):
    name = "acme[note='<script>alert(1)</script>|x']"
    compared = compare_runs(
        runs({name: deciding(0.1, 0), "acme[note=b]": failing}), runs({name: deciding(0.2, 0), "acme[note=b]": failing})
    )
    assert HOSTILE in as_text(compared)
    shown = as_markdown(compared, gate(compared, {}))
    assert HOSTILE not in shown
    assert "&lt;script" in shown
    (header, *rows) = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(rows) == 1 + len(ALL)
    assert {line.replace(r"\|", "").count("|") for line in rows} == {header.count("|")}
    same = as_markdown(compare_runs(*[runs({name: deciding(0.1, 0)})] * 2))
    assert "Identical:" in same
    assert HOSTILE not in same


def test_text_is_at_most_80_columns_wide_and_no_cell_is_empty_of_sense(runs):
    one, other = runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.2, 0)})
    short = replace(one, path=None), replace(other, path=None)
    shown = as_text(compare_runs(*short), gate(compare_runs(*short), {"": 0.01}), {"": 0.01})
    assert max(map(len, shown.splitlines())) <= 80
    assert "nan" not in shown.lower().split()
    assert "gate: FAILED" in shown


def test_json_has_every_change_and_the_gate(runs):
    compared = compare_runs(runs({"mlp": deciding(0.1, 0)}), runs({"mlp": deciding(0.2, 0)}))
    read = json.loads(json.dumps(as_plain(compared, gate(compared, {"": 0.01}), {"": 0.01}), allow_nan=False))
    assert len(read["changes"]) == len(ALL)
    assert read["gate"]["passed"] is False
    assert read["unfinished"] == []
    assert list(Shown(compared).frame["metric"]) == list(ALL)
    assert str(Shown(compared)) == as_text(compared)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.25, "+0.2500"), (-3e-18, "+0.0000"), (2e-5, "+2.0e-05"), (None, "-"), (12345.678, "+12345.7")],
)
def test_numbers_show_what_counts(value, shown):
    assert number(value, signed=True) == shown
