"""Data of one's own without code, as users give it: options, suites, Python; what is guessed and what is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_tables import LEAN, QUICK, SAID

from fairbench.errors import DataError, SuiteError


def stored(out):
    return json.loads(Path(out, "run.json").read_text(encoding="utf-8"))


@pytest.mark.long
def test_a_table_runs_to_its_tables_and_a_run_goes_on(fairbench, table, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRBENCH_PLUGINS", LEAN)
    table.loc[:4, "sex"] = None
    table.loc[3:9, "paid"] = ""
    table.to_csv(tmp_path / "Loans 2020.csv", index=False)
    said = ("--data", "Loans 2020.csv", *SAID, "--group", "age", "--favorable", "yes", "--protected", "sex=female")
    said = (*said, "--bin", "age=30,60", "--drop", "id,date", "--kind", "zip=category")
    status, out, err = fairbench("run", *said, *QUICK, "--out", "r", "--workers", "2")
    assert status == 0, err
    assert "loans-2020 by sex" in out
    assert "loans-2020 by age" in out
    assert "loans-2020: 7 rows without paid left out, of 240." in out
    assert "loans-2020: 3 rows without sex left out, of 240." in out
    run = stored("r")
    assert run["suite"]["data"]["loans-2020"] == {
        "file": str(tmp_path / "Loans 2020.csv"),
        "label": "paid",
        "favorable": "yes",
        "group": ["sex", "age"],
        "protected": {"sex": "female"},
        "drop": ["id", "date"],
        "kinds": {"zip": "category"},
        "bin": {"age": [30, 60]},
    }
    assert list(run["datasets"]) == ["loans-2020"]
    twice = ["2" if word == "1" else word for word in QUICK]  # repeats
    status, _, err = fairbench("run", *said, *twice, "--out", "r", "--workers", "1")
    assert status == 0, err
    assert "4 of 8 cells were finished before" in err
    status, out, _ = fairbench("export", "r", "--format", "jsonl")
    groups = {line["group"] for line in map(json.loads, out.splitlines()) if line["sensitive"] == "age"}
    assert groups >= {"under 30", "30 to 59", "60 or more"}


def test_finished_cells_are_run_again_when_the_table_or_its_declaration_changes(fairbench, table, tmp_path):
    table.to_csv(tmp_path / "loans.csv", index=False)
    command = ("run", "--data", "loans.csv", *SAID, *QUICK, "--out", "r", "--workers", "1")
    assert fairbench(*command)[0] == 0
    before = stored("r")["datasets"]
    assert "2 of 2 cells were finished before" in fairbench(*command)[2]
    table.loc[0, "income"] = 99
    table.to_csv(tmp_path / "loans.csv", index=False)
    err = fairbench(*command)[2]
    assert "dataset loans: loans.csv changed" in err
    assert "finished before" not in err
    assert stored("r")["datasets"] != before
    assert "dataset loans: declaration changed" in fairbench(*command, "--drop", "zip")[2]


def test_a_suite_declares_tables_beside_others(fairbench, table, tmp_path):
    (tmp_path / "suites").mkdir()
    table.to_csv(tmp_path / "suites" / "loans.csv", index=False)
    text = """
    methods = ["constant"]
    datasets = ["mine", "synthetic[rows=200]"]
    metrics = ["accuracy"]
    repeats = 1
    [data.mine]
    file = "loans.csv"
    label = "paid"
    favorable = "yes"
    group = ["sex"]
    drop = "id"
    kinds = {zip = "category"}
    [data.unused]
    file = "loans.csv"
    label = "paid"
    group = ["age"]
    bin = {age = [40.5]}
    """
    (tmp_path / "suites" / "s.toml").write_text(text)
    status, out, err = fairbench("run", "suites/s.toml", "--workers", "1", "--out", "r")
    assert status == 0, err
    assert set(stored("r")["datasets"]) == {"mine", "synthetic[rows=200]"}
    assert stored("r")["suite"]["data"]["unused"]["bin"] == {"age": [40.5]}
    assert "mine by sex" in out
    status, out, err = fairbench("lines", "r", "--baseline", "logistic", "--workers", "1")
    assert status == 0, err
    status, out, _ = fairbench("run", "suites/s.toml", "--data", "suites/loans.csv", *SAID, "--dry-run", "--json")
    assert {json.loads(line)["dataset"]["name"] for line in out.splitlines()} == {"mine", "synthetic", "loans"}


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ('label = "paid"\ngroup = ["sex"]', "data.mine has no file; give the path of a CSV or Parquet file"),
        ('file = "a.csv"\nlabel = "paid"', "data.mine has no group; name the columns"),
        ('file = "a.csv"\nlabel = "paid"\ngroups = ["sex"]', "'groups' is not a key; did you mean 'group'?"),
        ('file = "a.csv"\nlabel = "y"\ngroup = "s"\nkinds = {z = "text"}', "the kind of 'z' is 'text'; it must be one"),
        ('file = "a.csv"\nlabel = "y"\ngroup = "s"\nbin = {s = [3, 2]}', "in increasing order"),
        ('file = "a.csv"\nlabel = "y"\ngroup = "s"\nbin = {t = [3]}', "bin names 't', which is not one of the groups"),
        ('file = "a.csv"\nlabel = "y"\ngroup = ["s", "s"]', "group names 's' twice"),
        ('file = "a.csv"\nlabel = "y"\ngroup = "y"', "'y' is the label and a group"),
        ('file = "a.csv"\nlabel = "y"\ngroup = "s"\ndrop = ["s"]', "'s' is to be dropped"),
        ('file = "a.csv"\nlabel = ["y"]\ngroup = "s"', "label is ['y']; it must be a text"),
        ('file = "a.csv"\nlabel = "y"\ngroup = "s"\nprotected = "a"', "protected is 'a'; it must be a table by column"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused(fairbench, tmp_path, declaration, message):
    (tmp_path / "s.toml").write_text(f'methods = ["constant"]\n[data.mine]\n{declaration}')
    status, _, err = fairbench("run", "s.toml")
    assert status == 2
    assert message in err


@pytest.mark.long
def test_python_takes_a_path_or_a_table(table, tmp_path, monkeypatch, capsys):
    import fairbench

    monkeypatch.chdir(tmp_path)
    table.to_csv("loans.csv", index=False)
    said = {"label": "paid", "group": "sex", "favorable": "yes", "drop": ["id", "date"], "methods": "logistic"}
    said.update(repeats=1, metrics="accuracy", reference=False, quiet=True)
    written = fairbench.run(data="loans.csv", workers=1, **said)
    given = fairbench.run(data={"loans": table}, workers=1, **said)
    apart = fairbench.run(
        data={"loans": table},
        executor="processes[workers=2]",
        methods="logistic,constant",
        **{key: value for key, value in said.items() if key != "methods"},
    )
    values = [
        frame[frame["method"] == "logistic"]["value"].tolist() for frame in (written.values, given.values, apart.values)
    ]
    assert values[0] == values[1] == values[2]
    assert written.results.run["datasets"] == given.results.run["datasets"]
    assert given.results.run["suite"]["data"]["loans"].keys() >= {"frame", "label"}
    assert capsys.readouterr().err == ""
    shuffled = fairbench.run(data={"loans": table.iloc[::-1]}, workers=1, **said)
    assert shuffled.results.run["datasets"] != given.results.run["datasets"]
    with pytest.raises(SuiteError, match="label says something of a table of your own; give it as data"):
        fairbench.run(datasets="compas", **said)
    with pytest.raises(SuiteError, match="data is of type list; give a path or a pandas DataFrame"):
        fairbench.run(data=[1], **said)
    with pytest.raises(DataError, match="2 columns are named 'age'"):
        fairbench.run(data=table.rename(columns={"zip": "age"}), **said)
    monkeypatch.setattr(sys, "argv", ["fairbench", "lines", str(given.path)])
    from fairbench.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "its rows were a pandas table in Python" in capsys.readouterr().err


def test_other_commands_take_a_table_too(fairbench, table, tmp_path):
    table.to_csv(tmp_path / "loans.csv", index=False)
    status, out, _ = fairbench("show", "dataset", "--data", "loans.csv", *SAID, "--drop", "zip,date", "--json")
    shown = json.loads(out)
    assert (status, shown["name"], shown["rows"]) == (0, "loans", 240)
    assert (shown["numeric_features"], shown["categorical_features"]) == (2, 2)
    assert [group["name"] for group in shown["attributes"][0]["groups"]] == ["female", "male"]
    status, out, _ = fairbench("power", "--data", "loans.csv", *SAID)
    assert status == 0
    assert out.startswith("loans by sex: test parts of 36 rows")
    status, _, err = fairbench("show", "method", "mlp", "--data", "loans.csv", *SAID)
    assert (status, "--data is the dataset loans" in err) == (2, True)
    status, _, err = fairbench("power")
    assert (status, "give a table of your own with --data" in err) == (2, True)


@pytest.mark.parametrize(("answer", "runs"), [("y\n", True), ("\n", True), ("n\n", False)])
def test_a_person_is_asked_unless_they_said_yes(fairbench, table, tmp_path, monkeypatch, answer, runs):
    table.to_csv(tmp_path / "loans.csv", index=False)
    asked = []
    monkeypatch.setattr("fairbench.cli.own._is_watched", lambda: True)
    monkeypatch.setattr("click.confirm", lambda text, **more: asked.append(text) or answer != "n\n")
    command = ("run", "--data", "loans.csv", *SAID, *QUICK, "--workers", "1")
    status, _, err = fairbench(*command)
    assert asked == ["Is this how the columns are meant?"]
    assert (status == 0) is runs
    assert runs or "Nothing was run" in err
    assert (tmp_path / "runs").exists() is runs
    fairbench(*command, "--yes")
    assert len(asked) == 1


def test_the_guess_is_shown(asked, table):
    table["again"] = np.where(table["paid"] == "yes", "a", "b")
    table["decision"] = np.where(np.arange(240) % 12 == 0, "no", table["paid"])
    table["near"] = np.where(np.arange(240) == 100, "b", table["again"])
    table["one"] = 1
    table["none"] = np.nan
    table["day"] = 20200101 + np.arange(240) % 28
    table["serial_no"] = np.random.default_rng(0).permutation(240) * 1000
    table["words"] = [f"word {number}" for number in range(240)]
    table["flag"] = np.arange(240) % 2 == 0
    table["code"] = np.where(np.arange(240) < 4, [f"V{number}" for number in range(240)], np.arange(240) % 60)
    table["twin"] = table["sex"].str[:1]
    table["amount"] = np.where(np.arange(240) < 3, "unknown", table["income"].astype(str))
    status, err = asked(table)
    assert status == 0
    for line in [
        f"240 rows, {(table['paid'] == 'yes').sum()} of them with the label paid = yes",
        "sex group, category 2 0",
        "age feature, number",
        "purpose feature, category 3 0",
        "zip feature, number 30 0",
        "flag feature, category 2 0 True, False",
        "code feature, category 64 0",
        "3 rows with 'unknown'",
        "id (an identifier: a whole number of its own in every row)",
        "serial_no (an identifier: a whole number of its own in every row)",
        "words (an identifier or free text: 240 different values in 240 rows)",
        "date (a date)",
        "day (a date)",
        "one (it has one value, which tells nothing)",
        "none (it has no value)",
        "The feature again is the label paid again, under another name: every method can read it off.",
        "The feature near nearly determines the label paid (alone it has a ROC AUC of 0.99",
        "The feature decision looks like a decision already made",
        "The feature twin gives sex away in every row",
    ]:
        assert line in err, line
    assert err.count("already made") == 1
    assert "feature income" not in err.replace("income feature", "")


def test_the_user_knows_better(asked, table):
    table["empty"] = None
    _, err = asked(table, "--kind", "id=number,zip=category", "--kind", "age=date,empty=number")
    assert "empty (it has no value)" in err
    assert "id feature, number" in err
    assert "zip feature, category" in err
    assert "age (a date)" in err
    status, err = asked(table, "--kind", "purpose=number")
    assert (status, "'purpose' is to be a number, and holds none (seen" in err) == (2, True)


def test_what_is_said_decides_the_dataset():
    from fairbench.data.own.declaration import own_data
    from fairbench.data.own.prepared import prepared

    rows = pd.DataFrame({"age": [24, 25, 44, 45, 64, 65] * 10, "x": [1.5, None, 2] * 20, "word": ["a", None] * 30})
    rows = rows.assign(sex=["m", "f", "f"] * 20, paid=["no", "no", "yes", "yes", "no", "yes"] * 10)
    said = {"label": "paid", "group": ["sex", "age"], "bin": {"age": (25, 45, 65)}}
    guessed = prepared(own_data(rows, **said)).dataset
    assert list(guessed.sensitive_features["age"][:6]) == [
        *("under 25", "25 to 44", "25 to 44"),
        *("45 to 64", "45 to 64", "65 or more"),
    ]
    assert list(guessed.y[:6]) == [0, 0, 1, 1, 0, 1]
    assert guessed.favorable_label == 1
    assert guessed.protected_group == {"sex": "f", "age": "under 25"}  # f: 1 of 2 in each six rows, as m; first by name
    assert guessed.sensitive_columns == {"sex": ("sex",), "age": ("age",)}
    assert list(guessed.X) == ["age", "x", "word", "sex"]
    assert guessed.X["x"].isna().sum() == 20
    assert guessed.X["word"].isna().sum() == 30  # the missing one is its second category
    other = prepared(own_data(rows, **said, favorable="No", protected={"sex": "M", "age": "65 or more"})).dataset
    assert list(other.y[:6]) == [1, 1, 0, 0, 1, 0]
    assert other.protected_group == {"sex": "m", "age": "65 or more"}
    halves = prepared(own_data(rows.assign(age=rows["age"] + 0.5), **{**said, "group": "age"})).dataset
    assert sorted(set(halves.sensitive_features["age"])) == [
        *("25 to under 45", "45 to under 65"),
        *("65 or more", "under 25"),
    ]


def test_a_table_that_datasets_name_runs_once(fairbench, table, tmp_path):
    table.to_csv(tmp_path / "loans.csv", index=False)
    command = ("run", "--data", "loans.csv", *SAID, "--methods", "constant", "--repeats", "1", "--dry-run", "--json")
    for names, found in [("loans", ["loans"]), ("german", ["german", "loans"]), ("all", None)]:
        _, out, _ = fairbench(*command, "--datasets", names)
        planned = [json.loads(line)["dataset"]["name"] for line in out.splitlines()]
        assert planned.count("loans") == 1
        assert found is None or planned == found


def test_combinations_are_compared_as_everywhere(fairbench, table, tmp_path):
    table.to_csv(tmp_path / "loans.csv", index=False)
    command = ("run", "--data", "loans.csv", "--label", "paid", "--group", "sex,age", "--bin", "age=40")
    status, out, _ = fairbench(*command, *QUICK, "--dry-run", "--json")
    assert status == 0
    assert {json.loads(line)["group"] for line in out.splitlines()} == {"sex,age"}


@pytest.mark.parametrize(
    ("ages", "edge"),
    [(range(18, 58), 38), ([18] * 30 + list(range(20, 32)), 20)],  # of the second, nobody is under the median
)
def test_many_numbers_are_divided_at_the_median_and_it_is_said(asked, ages, edge):
    rows = pd.DataFrame({"paid": [number % 2 for number in range(len(ages))], "age": ages, "x": range(len(ages))})
    status, err = asked(rows, said=("--label", "paid", "--group", "age"))
    assert status == 0
    assert f"2 groups, guessed; protected: under {edge}" in err or f"protected: {edge} or more" in err
    assert f"they are divided at the median, {edge} (--bin age={edge} would say so" in err
