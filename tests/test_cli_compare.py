"""``fairbench compare`` on runs that ``fairbench run`` has made."""

from __future__ import annotations

import json

import pytest

import fairbench as api

DATA = "synthetic[rows=300]"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two small runs, the second without one of the methods."""
    folder = tmp_path_factory.mktemp("compared")
    more = {"datasets": DATA, "repeats": 3, "workers": 1, "metrics": "accuracy,log_loss", "quiet": True}
    api.run(methods="logistic,constant", out=folder / "a", reference=False, **more)
    api.run(methods="logistic[C=0.0001]", out=folder / "b", reference=False, **more)
    return folder


def test_compare_shows_what_changed_and_what_is_gone(fairbench, made):
    status, out, _ = fairbench("compare", made / "a", made / "b")
    assert status == 0
    assert "logistic: C 1.0 -> 0.0001" in out
    assert "constant: 3 of 3 cells (not in" in out.replace("\n    ", " ")
    assert "paired over repeats (3 repeats)" in out


def test_the_gate_has_an_exit_status_of_its_own(fairbench, made):
    status, out, _ = fairbench("compare", made / "a", made / "a", "--gate")
    assert (status, "gate: passed" in out) == (0, True)
    status, out, _ = fairbench("compare", made / "a", made / "b", "--gate", "--least", 1)
    assert (status, "missing: " in out) == (1, True)
    status, out, _ = fairbench("compare", made / "a", made / "b", "--gate", "--least", 10, "--allow-missing")
    assert (status, "missing (allowed): " in out) == (0, True)
    status, out, _ = fairbench("compare", made / "a", made / "b", "--gate", "--methods", "logistic", "--format", "json")
    read = json.loads(out)
    assert status == 1
    assert [line["metric"] for line in read["gate"]["worse"]] == ["log_loss"]


def test_python_compares_two_runs_that_were_loaded(made):
    shown = api.load(made / "a").compare(api.load(made / "b"), metrics="log_loss")
    assert list(shown.frame["reading"]) == ["worse"]
    assert "log loss" in str(shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["b", "nosuch"], "nosuch is not a run directory"),
        (["a", "b", "--methods", "constant"], "no method in common"),
        (["a", "b", "--least", "1"], "belong to --gate"),
        (["a", "b", "--gate", "--least", "x"], "'x' is not a number of at least 0"),
        (["a", "b", "--gate", "--least", "1", "--least", "2"], "given twice"),
        (["a", "b", "--gate", "--least", "acuracy=1"], "did you mean 'accuracy'"),
        (["a", "b", "--metrics", "nosuch"], "no metric of these runs is named 'nosuch'"),
    ],
)
def test_bad_input_is_refused_with_status_2(fairbench, made, monkeypatch, arguments, said):
    status, out, err = fairbench("compare", *(made / a if a in "ab" else a for a in arguments))
    assert (status, out) == (2, "")
    assert said in err
