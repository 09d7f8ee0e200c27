"""Data of one's own without code, as users give it: options, suites, Python; files that are not as they should be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench.errors import DataError, SuiteError

SAID = ("--label", "paid", "--group", "sex")
LEAN = ",".join(f"fairbench_{kind}" for kind in ("baselines", "executors", "metrics", "reports", "scenarios"))
QUICK = ("--methods", "constant,logistic", "--repeats", "1", "--metrics", "accuracy,selection_rate")


def people(n=240, seed=0):
    """Return a table of loans: numbers, categories, dates, identifiers, missing values, a label and two attributes."""
    draw = np.random.default_rng(seed)
    income = draw.normal(30, 8, n).round(2)
    return pd.DataFrame(
        {
            "id": np.arange(n) + 7,
            "date": pd.date_range("2020-01-01", periods=n).strftime("%d.%m.%Y"),
            "sex": draw.choice(["female", "male"], n),
            "age": draw.integers(18, 80, n),
            "income": income,
            "purpose": draw.choice(["car", "house", "école"], n),
            "zip": draw.integers(100, 130, n),
            "paid": np.where(income + draw.normal(0, 8, n) > 30, "yes", "no"),
        }
    )


@pytest.fixture
def table():
    return people()


@pytest.fixture
def asked(fairbench, tmp_path):
    """Plan a run on a file with this content, and return status and stderr; nothing runs."""

    def plan(content, *options, said=SAID, name="loans.csv"):
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False)
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        status, out, err = fairbench("run", "--data", name, *said, *options, *QUICK, "--dry-run")
        assert (status, out) == (2, "") or status == 0
        return status, " ".join(err.split())

    return plan


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
    status, _, err = fairbench("run", *said, *QUICK, "--repeats", "2", "--out", "r", "--workers", "1")
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


@pytest.mark.parametrize(
    ("encoding", "separator", "end", "said"),
    [
        ("utf-8", ",", "\n", ()),
        ("utf-8-sig", ",", "\r\n", ()),
        ("utf-16", "\t", "\r\n", ("the text is not UTF-8 and is read as utf-16", "columns are separated by tabs")),
        ("utf-16-le", ",", "\n", ("read as utf-16-le",)),
        (
            "cp1252",
            ";",
            "\n",
            ("read as cp1252", "separated by semicolons", "numbers are written with a decimal comma"),
        ),
        ("latin-1", "|", "\r", ("read as cp1252", "separated by vertical bars")),
    ],
)
def test_every_layout_reads_the_same(asked, table, encoding, separator, end, said):
    plain = asked(table)[1]
    table["income"] = table["income"].astype(str)
    if separator == ";":
        table["income"] = table["income"].str.replace(".", ",")
    text = table.to_csv(index=False, sep=separator, lineterminator=end)
    status, err = asked(text.encode(encoding))
    assert status == 0
    for sentence in said:
        assert f"loans.csv: {sentence}" in err or sentence in err
        err = err.replace(f"{sentence}", "")
    assert "not UTF-8" in err or plain[plain.index("column taken as") :] == err[err.index("column taken as") :]
    assert "not UTF-8" not in err or encoding != "utf-8"
    assert ("école" in err) is ("école" in plain)


def test_quotes_hold_separators_and_line_ends(asked):
    text = 'paid;"sex;group";note\n' + "".join(
        f'{"yes" if n % 2 else "no"};"{"f;x" if n % 3 else "m"}";"a, b\nc"\n' for n in range(40)
    )
    status, err = asked(text, said=("--label", "paid", "--group", "sex;group"))
    assert status == 0
    assert "sex;group group, category 2 0 m, f;x 2 groups" in err
    assert "40 rows" in err


LINE = "paid,sex,x\n"
ROWS = "".join(f"{n % 2},{'mf'[n // 2 % 2]},{n % 7}\n" for n in range(40))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", (), "loans.csv: the file is empty; it needs a line of column names, and rows"),
        ("\n \n", (), "the file is empty"),
        (LINE, (), "there are column names (paid, sex, x) but no rows"),
        (b"PK\x03\x04rest", (), "it is a spreadsheet or zip file, not text; save or unpack it as CSV"),
        (b"a,b\n\0\0\1\2\3\4\5\6\7,\0", (), "it holds zero bytes, so it is not a table in text"),
        ("paid sex x\n1 f 2\n", (), "it has one column only, 'paid sex x'; columns must be separated by one of commas"),
        ("paid,sex,x,sex\n" + ROWS, (), "2 columns are named 'sex' (columns 2, 4); rename or remove one"),
        (",,\n" + ROWS, (), "no column has a name"),
        (LINE + ROWS + "1,f,2,9\n", (), "not a table (Expected 3 fields in line 42, saw 4)"),
        (LINE + ROWS.replace("\n", ",1\n"), (), "rows have more fields than the first line has names"),
        (LINE + ROWS + '1,"f,2\n', (), "not a table ("),
        (LINE + ROWS, ("--label", "payed"), "label names 'payed'; did you mean 'paid'?, and there is no such column"),
        (LINE + ROWS, ("--group", "sexe"), "group names 'sexe'; did you mean 'sex'?"),
        (LINE + ROWS, ("--drop", "y"), "drop names 'y', and there is no such column; it has: paid, sex, x"),
        (LINE + ROWS, ("--kind", "z=number"), "kind names 'z'"),
        (LINE + ROWS, ("--protected", "sex=w"), "no sex is 'w'; its groups are 'f', 'm'"),
        (LINE + ROWS, ("--favorable", "2"), "no paid is '2'; its values are '0' (20), '1' (20)"),
        (
            LINE + ROWS.replace("\n", "\n2,f,1\n"),
            (),
            "has 3 values, '2' (40), '0' (20), '1' (20); say with --favorable",
        ),
        (LINE + ROWS.replace("0,", "good,").replace("1,", "bad,"), (), "say with --favorable which of them is good"),
        (LINE + ROWS.replace("0,", "1,"), (), "the label 'paid' has one value, '1' (40)"),
        (LINE + "".join(f"{n},f,1\n{n},m,1\n" for n in range(30)), (), "has 30 different values"),
        (LINE + ROWS.replace("f", "m"), (), "'sex' has one group, 'm'; a comparison needs two"),
        (LINE + "1,,2\n,f,3\n", (), "every row lacks paid or a group (sex)"),
        (LINE + ROWS.replace("f", "Male").replace("m", "male"), (), "which differ in blanks or case alone"),
        (
            LINE + "".join(f"{n % 2},g{n},1\n" for n in range(120)),
            (),
            "'sex' has 120 groups, such as 'g0'; at most 100",
        ),
        (LINE + ROWS, ("--bin", "sex=3"), "only numbers can be divided at edges (--bin)"),
        (
            LINE + ROWS,
            ("--group", "x", "--bin", "x=3,99"),
            "'x' runs from 0 to 6, so nobody is in the group '99 or more'",
        ),
        (LINE + ROWS.replace(",6", ",inf"), (), "'x' holds infinite values"),
        (
            LINE + "".join(f"{n % 2},{'mf'[n // 2 % 2]},c{n % 1500}\n" for n in range(3000)),
            ("--kind", "x=category"),
            "'x' has 1,500 categories, each of which becomes a feature; at most 1,000 are taken",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_said_in_one_message(asked, content, options, message):
    said = SAID[2:] if "--label" in options else SAID
    status, err = asked(content, *options, said=said)
    assert status == 2
    assert message in err
    assert err.startswith(("fairbench: loans", "fairbench: --data loans"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label", "paid"), "--label says something of a table of your own; add --data FILE"),
        (("--kind", "a=number"), "--kind says something"),
        (("--data", "a.csv", "--group", "sex"), "--data needs --label"),
        (("--data", "a.csv", "--label", "paid"), "--data needs --group"),
        (("--data", "a.csv", *SAID, "--protected", "female"), "--protected 'female': write COLUMN=VALUE"),
        (("--data", "a.csv", *SAID, "--kind", "a=date,a=number"), "--kind names 'a' twice"),
        (("--data", "a.csv", *SAID, "--bin", "sex=old"), "write numbers with commas between"),
        (("--data", "a.csv", *SAID, "--bin", "sex"), "--bin 'sex': write COLUMN=EDGES"),
        (("--data", "nowhere/a.csv", *SAID), "nowhere/a.csv: cannot be read (No such file or directory)"),
        (("--data", "adult.csv", *SAID), "there is already a dataset named 'adult'; rename the file"),
    ],
)
def test_options_that_do_not_fit_are_refused(fairbench, options, message):
    status, _, err = fairbench("run", *options, *QUICK, "--datasets", "synthetic[rows=200]")
    assert status == 2
    assert message in " ".join(err.split())


def test_other_labels_count_as_unfavourable_when_one_is_named(asked):
    content = LINE + ROWS.replace("0,", "no,").replace("1,", "YES,") + "maybe,f,1\n"
    status, err = asked(content, "--favorable", "yes")
    assert status == 0
    assert "The label paid has 3 values: YES is favourable, and no, maybe count as unfavourable together." in err


def test_a_column_without_a_name_is_left_out(asked, table):
    status, err = asked(table.to_csv())
    assert status == 0
    assert "loans.csv: column 1 has no name and is left out" in err


def test_a_hundred_thousand_categories_do_not_become_features(asked):
    n = 100_000
    rows = pd.DataFrame(
        {"paid": np.arange(n) % 2, "sex": np.where(np.arange(n) % 3, "f", "m"), "name": np.arange(n) + 0.5}
    )
    rows["name"] = "n" + rows["name"].astype(str)
    rows["shop"] = ["shop " + str(number % 2000) for number in range(n)]
    status, err = asked(rows)
    assert status == 0
    assert "name (an identifier or free text: 100,000 different values in 100,000 rows)" in err
    assert "shop (an identifier or free text: 2,000 different values in 100,000 rows)" in err


@pytest.mark.parametrize("real", [True, False])
def test_parquet_is_read_like_csv(fairbench, table, tmp_path, monkeypatch, real):
    table.to_csv(tmp_path / "loans.csv", index=False)
    if real:
        pytest.importorskip("pyarrow")
        table.to_parquet(tmp_path / "loans.parquet")
    else:
        (tmp_path / "loans.parquet").write_bytes(b"PAR1")
        monkeypatch.setattr(pd, "read_parquet", lambda stream: table)
    shown = [
        json.loads(fairbench("show", "dataset", "--data", f"loans.{end}", *SAID, "--json")[1])
        for end in ("csv", "parquet")
    ]
    assert [each.pop("text") for each in shown] == ["Data of your own: loans.csv.", "Data of your own: loans.parquet."]
    assert shown[0].pop("plugin") != shown[1].pop("plugin")
    assert shown[0] == shown[1]


def test_a_damaged_parquet_file_is_said(asked):
    pytest.importorskip("pyarrow")
    status, err = asked(b"PAR1 and nonsense PAR1", name="loans.parquet")
    assert status == 2
    assert "loans.parquet: not a readable Parquet file (" in err


def test_parquet_without_pyarrow_is_said(asked, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    status, err = asked(b"PAR1PAR1", name="loans.parquet")
    assert status == 2
    assert "loans.parquet: reading Parquet needs pyarrow, which is not installed" in err


def test_columns_of_one_name_can_be_dropped_together(asked, table):
    table["zip2"] = 1
    status, err = asked(table.rename(columns={"zip2": "zip"}), "--drop", "zip")
    assert status == 0
    assert err.count("zip left out 0 0 you said so") == 2


@pytest.mark.parametrize(
    ("values", "kind", "use"),
    [
        (pd.array([1, None, 3], dtype="Int64"), "number", "feature"),
        (pd.array([True, None, False], dtype="boolean"), "category", "feature"),
        (pd.Categorical(["a", "b", None]), "category", "feature"),
        (pd.arrays.SparseArray([0, 0, 1]), "number", "feature"),
        ([1, "a", None], "category", "feature"),
        (pd.to_timedelta([1, 2, 3], unit="D"), "date", "left out"),
        (np.array([1j, 2j, 3j]), "", "left out"),
        ([b"a", b"b", b"c"], "", "left out"),
    ],
)
def test_every_type_of_pandas_has_a_kind(values, kind, use):
    from fairbench.data.own.declaration import own_data
    from fairbench.data.own.prepared import prepared

    rows = pd.DataFrame({"v": values}).iloc[[0, 1, 2] * 8].reset_index(drop=True)
    rows = rows.assign(paid=np.arange(24) % 2, sex=np.where(np.arange(24) % 3, "f", "m"))
    found = prepared(own_data(rows, label="paid", group="sex"))
    assert (found.columns[0].kind, found.columns[0].use) == (kind, use)
    assert ("v" in found.dataset.X) is (use == "feature")


def test_a_column_that_cannot_be_compared_is_named():
    from fairbench.data.own.declaration import own_data

    with pytest.raises(SuiteError, match="data: column 'v' cannot be read"):
        own_data(pd.DataFrame({"v": [[1], [2]]}), label="a", group="b")


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
