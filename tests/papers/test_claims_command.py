"""The command ``fairbench claims``: what it prints, and what its exit status says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fairbench.papers.claims import DOES_NOT_HOLD, HOLDS, OPEN
from fairbench.running.store import Store

EXAMPLE = Path(__file__).parents[2] / "benchmarks" / "claims" / "claims.toml"
CLAIM = """
[claims.one]
text = "x"
metrics = "accuracy"
expected = [{mean}, {most}]
compare = [{{ method = "{method}" }}]
"""
RUN = ["--methods", "constant", "--datasets", "synthetic[rows=300]", "--repeats", "3"]
RUN += ["--metrics", "accuracy", "--workers", "1", "--out", "r"]


@pytest.mark.long
def test_the_example_has_a_claim_that_holds_and_one_that_does_not(fairbench, tmp_path):
    status, out, err = fairbench("claims", EXAMPLE, "--workers", 1, "--out", tmp_path / "run")
    assert status == 1, err
    assert re.findall(r"^## (.*?):", out, re.M) == [HOLDS, DOES_NOT_HOLD, OPEN, HOLDS]
    status, out, _ = fairbench("claims", EXAMPLE, "--run", tmp_path / "run", "--format", "json")
    read = json.loads(out)
    assert (status, read["all_hold"]) == (1, False)
    one = tmp_path / "one.toml"
    one.write_text('suite = "nosuch.toml"\n' + CLAIM.format(mean=0.75, most=0.1, method="logistic"))
    assert fairbench("claims", one, "--run", tmp_path / "run")[0] == 0
    status, _, err = fairbench("claims", one)
    assert (status, "nosuch.toml" in err) == (2, True)
    status, _, err = fairbench("claims", one, "--run", tmp_path)
    assert (status, "is not a run directory" in err) == (2, True)
    status, _, err = fairbench("claims", one, "--run", tmp_path / "run", "--out", "x")
    assert (status, "give one of them" in err) == (2, True)


def test_an_unfinished_run_is_said_in_the_exit_status_though_all_claims_hold(fairbench, tmp_path):
    fairbench("run", *RUN)
    (tmp_path / "one.toml").write_text(CLAIM.format(mean=0.5, most=0.5, method="constant"))
    judged = ["claims", "one.toml", "--run", "r", "--format", "json"]
    status, out, err = fairbench(*judged)
    assert (status, json.loads(out)["unfinished"], err) == (0, "", "")
    whole = (tmp_path / "r/results.sqlite").rename(tmp_path / "whole.sqlite")
    with Store(whole) as before, Store(tmp_path / "r/results.sqlite", create=True) as after:
        for key in sorted(before.finished())[:2]:
            after.add(before.measured(key))
    left = "1 of 3 cells not run yet (2 of 3 repeats complete)"
    status, out, err = fairbench(*judged)
    read = json.loads(out)
    assert (status, read["all_hold"], read["unfinished"], err) == (1, True, left, f"{left}\n")
    assert f"- {left}." in fairbench(*judged[:4])[1]
