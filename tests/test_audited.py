"""What an audit reads of a file of predictions: every outcome's meaning, every row that is left out, every refusal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairbench.analysis.audited import Question, read_audited
from fairbench.data.own.reading import names_a_file
from fairbench.errors import DataError

ROWS = """sex,race,y,p,s,q
f,a,1,1,0.9,1
f,b,0,1,0.8,0
f,a,1,0,0.3,1
m,b,0,0,0.2,0
m,a,1,1,0.7,1
m,b,0,0,0.1,1
"""


@pytest.fixture
def ask(tmp_path):
    """Return what is read of a table, as text, with the columns of ROWS unless others are named."""

    def read(text=ROWS, **columns):
        path = tmp_path / "p.csv"
        path.write_bytes(text.encode())
        return read_audited(Question(path, **{"groups": ("sex",), "prediction": "p", **columns}))

    return read


def test_columns_are_read_as_they_are(ask):
    found = ask(label="y", score="s", baseline="q", groups=("sex", "race"), protected={"sex": "f"})
    assert (found.rows, found.columns, found.favorable) == (6, 6, "1")
    assert found.y.tolist() == [1, 0, 1, 0, 1, 0]
    assert found.decision.tolist() == [1, 1, 0, 0, 1, 0]
    assert found.baseline.tolist() == [1, 0, 1, 0, 1, 1]
    assert found.score.tolist() == [0.9, 0.8, 0.3, 0.2, 0.7, 0.1]
    assert [grouping.name for grouping in found.groupings] == ["sex", "race", "sex,race"]
    assert found.groupings[2].categories == ("f, a", "f, b", "m, a", "m, b")
    assert found.groupings[2].code.tolist() == [0, 1, 0, 3, 2, 3]
    assert [grouping.protected for grouping in found.groupings] == [0, None, None]
    assert found.register == ()


@pytest.mark.parametrize(
    ("favorable", "values", "expected"),
    [
        ("", "yes no", [1, 0]),
        ("", "True false", [1, 0]),
        ("", "1.0 0.0", [1, 0]),
        ("0", "1 0", [0, 1]),
        ("no", "1 0", [0, 1]),
        ("good", "good bad", [1, 0]),
        ("1", "1 2", [1, 0]),
        ("1", "1 -1", [1, 0]),
    ],
)
def test_the_favourable_outcome_is_one(ask, favorable, values, expected):
    first, second = values.split()
    assert ask(f"sex,p\nf,{first}\nm,{second}\n", favorable=favorable).decision.tolist() == expected


def test_label_and_prediction_may_spell_yes_differently(ask):
    found = ask("sex,y,p\nf,yes,1\nm,no,1\n", label="y")
    assert (found.y.tolist(), found.decision.tolist(), found.favorable) == ([1, 0], [1, 1], "yes")


def test_a_threshold_decides_by_the_score(ask):
    found = ask(prediction="", score="s", threshold=0.7, label="y")
    assert found.decision.tolist() == [1, 1, 0, 0, 1, 0]
    assert found.median is None


def test_scores_alone_are_cut_above_the_median_of_all_rows(ask):
    text = "sex,s\nf,1\nf,2\nm,2\n,3\n"
    found = ask(text, prediction="", score="s")
    assert (found.median, found.decision.tolist(), found.y) == (2, [0, 0, 0, 1], None)


def test_what_is_missing_is_counted_and_left_out_where_it_is_needed(ask):
    text = "sex,race,y,p,s\nf,a,1,1,.1\n,b,1,1,.1\nm,NA,0,0,.1\nm,b,,0,.1\nf,b,0,,.1\nf,a,0,1,\n"
    found = ask(text, label="y", score="s", groups=("sex", "race"))
    assert [(entry.where, entry.rows) for entry in found.register] == [
        ("p", 1),
        ("s", 1),
        ("y", 1),
        ("sex", 1),
        ("race", 1),
        ("sex,race", 2),
    ]
    assert found.y.tolist() == [1, 1, 0, -1]
    assert found.groupings[2].code.tolist() == [0, -1, -1, 1]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_a_byte_order_mark_and_line_ends_of_windows_are_read(ask, separator):
    text = "\ufeff" + ROWS.replace(",", separator).replace("\n", "\r\n") + "\r\n"
    assert ask(text, label="y").y.tolist() == [1, 0, 1, 0, 1, 0]


def test_columns_with_types_as_in_a_parquet_file_say_the_same(monkeypatch, tmp_path):
    table = pd.DataFrame({"sex": ["f", "m", None], "p": [True, False, True], "y": [1.0, np.nan, 0.0], "s": [7, 8, 9]})
    monkeypatch.setattr(
        "fairbench.analysis.audited.read_table", lambda path, where, used, advice: (table, ("read well",))
    )
    found = read_audited(Question(tmp_path / "p.parquet", ("sex",), label="y", prediction="p", score="s"))
    assert (found.decision.tolist(), found.y.tolist(), found.score.tolist()) == ([1, 0, 1], [1, -1, 0], [7, 8, 9])
    assert found.groupings[0].code.tolist() == [0, 1, -1]
    assert found.notes == ("read well",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"groups": ("sexx",)}, "p.csv has no column 'sexx'; did you mean 'sex'?"),
        ({"label": "truth"}, "p.csv has no column 'truth'; it has: sex, race, y, p, s, q"),
        ({"groups": ()}, "name a column with --group"),
        ({"prediction": ""}, "with --prediction, or one of scores with --score"),
        (
            {"prediction": "s"},
            "has 6 values (0.1, 0.2, 0.3, 0.7, …) and looks like a score; give it as --score s with a",
        ),
        ({"label": "s"}, "--label s has 6 values (0.1, 0.2, 0.3, 0.7, …); an outcome has two, such as 0 and 1"),
        ({"prediction": "race"}, "which of 'a' and 'b' is good for the person? Say so, e.g. --favorable 'b'"),
        ({"prediction": "race", "favorable": "c"}, "no label or prediction is 'c', which --favorable names"),
        ({"prediction": "race", "favorable": "a", "label": "y"}, "'y' holds 0, 1; 'race' holds a, b: label and pred"),
        ({"score": "race"}, "--score race: 'a' in row 1 is not a finite number"),
        ({"threshold": 0.5}, "--threshold 0.5 has nothing to do: the decisions are given by --prediction"),
        ({"prediction": "", "score": "s", "threshold": float("nan")}, "--threshold nan is not a finite number"),
        ({"baseline": "q"}, "--baseline q compares accuracy and gaps, which needs a --label"),
        ({"label": "p"}, "--label and --prediction are both 'p', so they agree in every row; name two"),
        ({"label": "y", "baseline": "p"}, "--prediction and --baseline are both 'p'"),
        ({"groups": ("sex", "p")}, "--group p is the --prediction too; name an attribute of persons"),
        ({"score": "s", "groups": ("s",)}, "--group s is the --score too"),
        ({"protected": {"sx": "f"}}, "--protected names 'sx', which is not given as a --group; did you mean 'sex'?"),
        ({"protected": {"sex": "F"}}, "--protected sex=F: no row has this value; did you mean 'f'?"),
        ({"prediction": "", "score": "s", "favorable": "1"}, "only scores are given, which have no such value"),
    ],
)
def test_a_question_that_the_file_cannot_answer_is_refused_in_words(ask, columns, message):
    with pytest.raises(DataError) as refused:
        ask(**columns)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sex,p\nf,0\nm,1\nm,2\n", "--prediction p has 3 values (0, 1, 2) and looks like a score"),
        ("sex,p\nf,no\nm,yes\nm,maybe\n", "--prediction p has 3 values (maybe, no, yes); an outcome has two"),
        ("sex,p\nf,0\nf,1\n", "--group sex is 'f' in every row that can be audited; a comparison needs two groups"),
        ("sex,p\n,0\n,1\n", "--group sex has no value in any row that can be audited"),
        ("sex,p\nMale,0\nmale,1\n", "'Male' and 'male', which differ in blanks or case alone; give one category one"),
        ("sex,p\n\u00e9,0\ne\u0301,1\n", "which differ in blanks or case alone"),
        ("sex,p\nf,0\nm\x1b[2J,1\n", "--group sex holds 'm\\x1b[2J'; name every category in visible letters"),
        ("sex,p,p\nf,0,1\nm,1,1\n", "2 columns are named 'p' (columns 2, 3); rename or remove one"),
        ("sex,p\nf,\nm,NaN\n", "no row has 'p', so nothing can be audited"),
        ("sex,p\n" + "".join(f"{row},1\n" for row in range(1_000)), "--group sex has 1,000 values, as an identif"),
    ],
)
def test_a_file_that_cannot_be_audited_is_refused_in_words(ask, text, message):
    with pytest.raises(DataError) as refused:
        ask(text)
    assert message in str(refused.value)


def test_what_may_not_be_meant_is_said(ask):
    ages = "age,y,p\n" + "".join(f"{20 + row},{row % 2},{row % 2 if row < 11 else ''}\n" for row in range(12))
    assert ask(ages, label="y", groups=("age",)).notes == (
        "Every decision agrees with y: is it what really happened, or the decision again?",
        "age holds 11 numbers, and each is a category; if they are amounts, such as ages, put them into bands first.",
    )
    assert ask(label="y").notes == ()


def test_two_columns_of_one_name_cannot_be_dropped_here(ask):
    with pytest.raises(DataError) as refused:
        ask("sex,p,p\nf,0,1\nm,1,1\n")
    assert "--drop" not in str(refused.value)


def test_a_value_that_only_the_predictions_have_is_refused(ask):
    with pytest.raises(DataError, match="'y' holds bad, good; 'p' holds Good, bad: label and predictions must use"):
        ask("sex,y,p\nf,good,Good\nm,bad,bad\n", label="y", favorable="good")


def test_a_baseline_that_lacks_a_value_is_refused(ask):
    with pytest.raises(DataError, match="'q' of the baseline lacks a value in 1 rows"):
        ask(ROWS.replace("0.1,1", "0.1,"), label="y", baseline="q")


def test_two_combinations_that_read_alike_are_refused(ask):
    text = 'one,two,p\n"a, b",c,1\na,"b, c",0\n'
    with pytest.raises(DataError, match="two combinations of 'one' and 'two' read alike"):
        ask(text, groups=("one", "two"))


def test_too_many_combinations_are_not_compared_and_said(ask):
    text = "one,two,p\n" + "".join(f"a{a},b{b},{a % 2}\n" for a in range(15) for b in range(15))
    found = ask(text, groups=("one", "two"))
    assert [grouping.name for grouping in found.groupings] == ["one", "two"]
    assert found.notes == ("By one,two there are 225 categories, too many to compare.",)


def test_what_names_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "decisions").write_text("x")
    (tmp_path / "mlp").mkdir()
    files = ("decisions", "no.csv", "a/no.PARQUET", "no.tsv")
    assert [names_a_file(name) for name in (*files, "mlp", "mlp[lr=.1]")] == [*[True] * 4, *[False] * 2]
