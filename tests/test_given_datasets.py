"""Datasets built from parameters: files and sensitive features are those of the dataset that was built."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench.cells import Choice
from fairbench.data.sources import DataFile
from fairbench.errors import DataError, PluginError, SuiteError, UnknownName
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Plugin, Registry
from fairbench.running.suite import Suite, plan

PLUGIN = Path(__file__).parent / "third_party" / "own_table.py"
QUICK = ("--repeats", "1", "--plugin", str(PLUGIN), "--metrics", "accuracy")


@pytest.fixture
def people(tmp_path):
    """Write 300 rows with two sensitive columns."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"x": generator.normal(size=300), "y": generator.integers(0, 2, 300)})
    table["group:sex"] = generator.choice(["f", "m"], 300)
    table["group:race"] = generator.choice(["a", "b"], 300)
    table.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


@pytest.fixture
def registry():
    return load_plugins([str(PLUGIN)])[0]


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_table_that_the_user_names_is_run(fairbench, people, workers):
    choice = f"own_table[path={people.name}]"
    status, out, err = fairbench(
        "run", *QUICK, "--methods", "constant,coin", "--datasets", choice, "--workers", workers, "--out", "out"
    )
    assert status == 0, err
    assert "own_table" in out
    run = json.loads(Path("out/run.json").read_text())
    assert list(run["datasets"]) == [choice]
    status, out, _ = fairbench("export", "out", "--format", "jsonl")
    assert {json.loads(line)["sensitive"] for line in out.splitlines()} == {"sex"}


def test_its_attributes_are_those_of_its_table(registry, people):
    choice = f"own_table[path={people}]"
    cells = plan(Suite("s", (choice,), ("constant",), group=("", "race", "race,sex"), repeats=1), registry)
    assert [cell.group for cell in cells] == ["sex", "race", "race,sex"]
    with pytest.raises(UnknownName, match=r"'rase'; did you mean 'race'\? \(there are race, sex\)"):
        plan(Suite("s", (choice,), ("constant",), group=("rase",), repeats=1), registry)


def test_a_table_that_is_missing_is_said_before_anything_runs(fairbench, tmp_path):
    choice = "own_table[path=nowhere.csv]"
    status, _, err = fairbench("run", *QUICK, "--methods", "constant", "--datasets", choice)
    assert status == 2
    assert "nowhere.csv: cannot be read (No such file or directory); give the path of a CSV table" in err
    assert not (tmp_path / "runs").exists()


def test_a_path_that_is_not_given_is_asked_for(fairbench):
    status, _, err = fairbench("run", *QUICK, "--methods", "constant", "--datasets", "own_table")
    assert status == 2
    assert "dataset own_table needs path, which has no default; write own_table[path=...]" in err


def test_lists_say_what_a_dataset_needs(fairbench, people):
    status, out, _ = fairbench("list", "datasets", "--json", "--plugin", PLUGIN)
    rows = {row["name"]: row["what"] for row in map(json.loads, out.splitlines())}
    assert status == 0
    assert rows["own_table"].endswith("are sensitive. (needs path)")
    status, out, err = fairbench("data", "list", "--json", "--plugin", PLUGIN)
    assert status == 0
    assert "survey/2020.csv" in out
    assert "own_table is left out: dataset own_table needs path" in err
    status, out, err = fairbench("data", "list", "--json", "--plugin", PLUGIN)
    status, _, err = fairbench("data", "verify", f"own_table[path={people}]", "--plugin", PLUGIN)
    assert status == 0
    assert "has no raw files to fetch or add" in err
    status, out, _ = fairbench("show", "dataset", "own_table", "--json", "--plugin", PLUGIN)
    assert [(row["name"], row["required"], row["help"]) for row in json.loads(out)["parameters"]] == [
        ("path", True, "the table")
    ]


@pytest.mark.long
def test_files_follow_the_parameters(fairbench):
    status, _, err = fairbench("data", "fetch", "survey[year=1999]", "--plugin", PLUGIN)
    assert status == 1
    assert "survey[year=1999]: survey/1999.csv: not found" in err
    assert "ask for the survey of 1999" in err
    status, out, _ = fairbench("data", "path", "survey[year=2001]", "--plugin", PLUGIN)
    assert status == 1
    assert out.strip().endswith("survey/2001.csv")
    arguments = ("--methods", "constant", "--datasets", "survey[year=1999],synthetic[rows=200]", "--offline")
    status, out, err = fairbench("run", *QUICK, *arguments)
    assert "survey[year=1999] is left out: survey/1999.csv: not found" in err


def test_attributes_may_be_a_parameter(registry):
    choice = 'survey[sensitive_features="age"]'
    assert plan(Suite("s", (choice,), ("constant",), repeats=1), registry)[0].group == "age"


def test_a_check_leaves_out_what_cannot_be_built(fairbench):
    status, out, _ = fairbench("check", PLUGIN, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(row["result"], row["detail"]) for row in rows if row["component"] == "own_table"] == [
        ("not run", "it cannot be built without path; check it with values in its own tests")
    ]
    assert {row["result"] for row in rows if row["component"] == "survey"} == {"passed"}


def test_all_datasets_leave_out_those_that_want_parameters(registry):
    from fairbench.running.suite import left_out

    suite = Suite("s", ("all",), ("constant",), repeats=1)
    assert "own_table" not in {cell.dataset.name for cell in plan(suite, registry)}
    assert [sentence for sentence in left_out(suite, registry) if "own_table" in sentence] == [
        "dataset own_table is left out of 'all': dataset own_table needs path, which has no default; "
        "write own_table[path=...]"
    ]


def built(**members):
    """Return a registry with one dataset of such members."""
    members = {"name": "odd", "files": (), "sensitive_features": ("sex",), "load": lambda self, files: None, **members}
    registry = Registry()
    registry.add(Plugin("ours", "tests", "1"), {"datasets": [dataclass(frozen=True)(type("Odd", (), members))]})
    return registry


def raising(error):
    def read(self):
        raise error

    return property(read)


@pytest.mark.parametrize(
    ("members", "expected", "message"),
    [
        ({"sensitive_features": property(lambda self: ())}, PluginError, r"sensitive_features is \(\); it must name"),
        ({"sensitive_features": lambda self: ("sex",)}, PluginError, "sensitive_features is <bound method"),
        ({"files": ("a.csv",)}, PluginError, r"files is \('a.csv',\); it must be a tuple of DataFile"),
        ({"files": raising(KeyError("x"))}, DataError, "dataset odd cannot say what its files are: KeyError: 'x'"),
        ({"files": raising(SystemExit(3))}, DataError, "SystemExit: 3"),
        ({"sensitive_features": raising(SuiteError("no"))}, SuiteError, "no"),
    ],
)
def test_what_a_dataset_says_of_itself_is_checked(members, expected, message):
    registry = built(**members)
    with pytest.raises(expected, match=message):
        registry.dataset(Choice("odd"))
    assert registry.lacks("datasets", "odd")


def test_files_are_those_of_the_instance():
    file = DataFile("a.csv", "0" * 64, obtain="ask")
    assert built(files=property(lambda self: [file])).dataset(Choice("odd")).files == [file]
