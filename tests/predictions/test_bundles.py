"""Bundles: what whoever doubts an audit of predictions is given, and recomputes."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
from importlib import import_module
from pathlib import Path

from fairbench.analysis import bundle as bundles
from fairbench.analysis.audited import Question

verdict = import_module("fairbench.testing.audit.verdict")  # fairbench.testing has a function named audit

COLUMNS = ("--label", "y", "--score", "s", "--threshold", "0.5", "--group", "sex,race", "--exclude-small")


def test_an_outsider_recomputes_a_bundle_from_its_command(fairbench, table, tmp_path, monkeypatch):
    more = ("--baseline", "q", "--protected", "sex=f", "--favorable", "1")
    status, _, err = fairbench("audit", "p.csv", *COLUMNS, *more, "--bundle", "out/b")
    assert (status, "written to out/b" in err) == (0, True)
    bundle = tmp_path / "out" / "b"
    told = json.loads((bundle / "audit.json").read_text())
    data = (tmp_path / "p.csv").read_bytes()
    assert told["data"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert (told["data"]["rows"], told["data"]["columns"]) == table.shape
    assert {"fairbench", "python", "numpy", "pandas", "scipy", "fairbench_metrics"} <= told["versions"].keys()
    assert told["command"] in (bundle / "README.txt").read_text()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "p.csv").write_bytes(data)
    monkeypatch.chdir(elsewhere)
    name, *arguments = shlex.split(told["command"])
    assert name == "fairbench"
    assert fairbench(*arguments)[0] == 0
    again = elsewhere / "out" / "b"
    files = {path.name for path in bundle.iterdir()}
    assert files == {"audit.json", "README.txt", "categories.csv", "gaps.csv", "metrics.csv", "excluded.csv"}
    assert {name: (again / name).read_bytes() for name in files} == {
        name: (bundle / name).read_bytes() for name in files
    }
    for name in ("categories", "gaps", "metrics", "excluded"):
        with (bundle / f"{name}.csv").open(newline="") as file:
            shown = list(csv.DictReader(file))
        assert [list(row.values()) for row in shown] == [
            ["" if value is None else str(value) for value in row.values()] for row in told[name]
        ]


def test_the_command_of_a_bundle_survives_a_shell():
    question = Question(Path("my file.csv"), ("a", "b"), prediction="it's", label="y", protected={"a": "x y"})
    words = shlex.split(bundles.command(question, ("m.py",), Path("b")))
    assert words[:7] == ["fairbench", "audit", "my file.csv", "--label", "y", "--prediction", "it's"]
    assert words[7:] == ["--group", "a", "--group", "b", "--protected", "a=x y", "--plugin", "m.py", "--bundle", "b"]


def test_names_with_commas_are_typed_in_quotes_and_so_is_the_command(fairbench, table, tmp_path):
    odd = table.rename(columns={"sex": "sex, asked", "race": "race=given"}).replace({"f": "f, other"})
    odd.to_csv(tmp_path / "p.csv", index=False)
    options = ("--group", "'sex, asked',race=given", "--protected", "'sex, asked'='f, other','race=given'=a")
    status, out, err = fairbench("audit", "p.csv", "--prediction", "p", *options, "--bundle", "b")
    assert status == 0, err
    assert "f, other +" in out
    told = json.loads((tmp_path / "b" / "audit.json").read_text())
    assert told["question"]["protected"] == {"sex, asked": "f, other", "race=given": "a"}
    (tmp_path / "b").rename(tmp_path / "first")
    assert fairbench(*shlex.split(told["command"])[1:])[0] == 0
    assert (tmp_path / "b" / "audit.json").read_bytes() == (tmp_path / "first" / "audit.json").read_bytes()


def test_a_bundle_is_not_mixed_with_what_is_there(fairbench, table, tmp_path):
    for name, make in (
        ("full", lambda path: (path.mkdir(), (path / "x").touch())),
        ("file", lambda path: path.touch()),
    ):
        make(tmp_path / name)
        status, out, err = fairbench("audit", "p.csv", *COLUMNS, "--bundle", name)
        assert (status, out) == (2, "")
        assert f"--bundle {name} is {'not empty' if name == 'full' else 'no folder'}; name a new folder" in err
    (tmp_path / "empty").mkdir()
    assert fairbench("audit", "p.csv", *COLUMNS, "--bundle", "empty")[0] == 0


def test_a_bundle_that_cannot_be_finished_leaves_nothing(fairbench, table, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundles.Path, "replace", full)
    status, out, err = fairbench("audit", "p.csv", *COLUMNS, "--bundle", "b")
    assert status == 2
    assert "by sex,race" in out  # what was found is shown all the same
    assert "--bundle b cannot be written: No space left on device" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv"]
