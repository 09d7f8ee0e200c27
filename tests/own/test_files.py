"""Files of data of one's own, in every layout that they come in, and those that are not as they should be."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
from own_tables import QUICK, SAID

from fairbench.errors import SuiteError


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
        (("--data", "a.csv", *SAID, "--bin", "age=25", "--bin", "age=45"), "--bin names 'age' twice; write all edges"),
        (("--data", "a.csv", *SAID, "--bin", "age=25", "--bin", "'age'=45"), "twice; write all edges in one list"),
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
