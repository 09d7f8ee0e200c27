"""What is said of columns, in every form that users give it, and what a table says against itself."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from fairbench.data.own.declaration import own_data
from fairbench.data.own.prepared import prepared
from fairbench.errors import DataError, SuiteError

LEAN = ("baselines", "executors", "metrics", "reports", "scenarios")


@pytest.fixture
def rows():
    """A table of 400 rows with a label, a group, ages, and a number."""
    draw = np.random.default_rng(0)
    paid, sex = draw.integers(0, 2, 400), draw.choice(["f", "m"], 400)
    return pd.DataFrame({"paid": paid, "sex": sex, "age": draw.integers(18, 80, 400), "x": draw.normal(size=400)})


def found(rows, **said):
    return prepared(own_data(rows, **{"label": "paid", "group": "sex", **said}))


def test_numbers_of_numpy_and_columns_named_by_numbers_are_taken(rows):
    coded = rows.assign(sex=np.where(rows["sex"] == "f", 0.0, 1.0))
    plain = found(coded, group=["sex", "age"], favorable="0", protected={"sex": "0"}, bin={"age": [30, 50]})
    numpy = found(
        coded.set_axis([0, 1, 2, 3], axis=1),
        label=0,
        group=[1, np.int64(2)],
        favorable=np.int64(0),
        protected={1: np.float64(0)},
        bin={2: np.array([30, 50])},
    )
    assert (plain.dataset.y == numpy.dataset.y).all()
    assert plain.dataset.protected_group["sex"] == numpy.dataset.protected_group["1"] == "0"
    assert plain.dataset.sensitive_features["age"].tolist() == numpy.dataset.sensitive_features["2"].tolist()


@pytest.mark.parametrize("edges", [[float("nan")], [float("inf")], [-np.inf, 3], [10**400], ["3"], [True]])
def test_an_edge_is_a_finite_number(rows, edges):
    with pytest.raises(SuiteError, match="finite and in increasing order"):
        own_data(rows, label="paid", group="age", bin={"age": edges})


def test_paths_that_no_file_can_have_are_refused(fairbench):
    for path, reason in (("a\0b.csv", "embedded null"), ("a" * 5000 + ".csv", "File name too long")):
        status, _, err = fairbench("audit", path, "--prediction", "p", "--group", "sex")
        assert (status, f"cannot be read ({reason}" in err.replace("\n", " ")) == (2, True)
    assert fairbench("audit", "a" * 5000)[0] == 2
    with pytest.raises(SuiteError, match="holds a zero byte"):
        own_data("a\0b.csv", label="paid", group="sex")


def test_python_takes_an_attribute_alone_and_combined(rows):
    import fairbench

    said = {"label": "paid", "methods": "constant", "repeats": 1, "metrics": "accuracy", "reference": False}
    made = fairbench.run(data=rows, group=["sex", "sex,age"], bins={"age": 40}, quiet=True, workers=1, **said)
    assert {record.cell.group for record in made.results.records} == {"sex", "sex,age"}


def test_names_with_an_equals_sign_stand_in_quotes(fairbench, rows, tmp_path):
    rows.rename(columns={"sex": "sex=asked", "x": "a,b"}).to_csv(tmp_path / "loans.csv", index=False)
    command = ("show", "dataset", "--data", "loans.csv", "--label", "paid", "--group", "sex=asked")
    status, _, err = fairbench(*command, "--protected", "'sex=asked'='m'", "--kind", '"a,b"=date', "--json")
    assert status == 0, err
    assert "protected: m" in " ".join(err.split())
    assert "a,b (a date)" in err
    assert "write COLUMN=VALUE" in fairbench(*command, "--protected", "'sex=asked'")[2]


@pytest.mark.parametrize(("first", "second"), [("Yes", "yes"), ("caf\u00e9", "cafe\u0301")])
def test_a_label_that_is_written_in_two_ways_is_refused(rows, first, second):
    labels = np.where(rows["paid"] == 0, "no", np.where(rows["x"] > 0, first, second))
    with pytest.raises(DataError, match="differ in blanks or case alone; write one label in one way"):
        found(rows.assign(paid=labels), favorable=first)


def test_edges_are_written_in_full(rows):
    salary = rows.assign(salary=np.arange(400) * 10_000 + 1)
    made = found(salary, group="salary", bin={"salary": [1234567, 2345678]}).dataset
    assert set(made.sensitive_features["salary"]) == {"under 1234567", "1234567 to 2345677", "2345678 or more"}
    guess = found(salary, group="salary")
    assert "(--bin salary=2000001 would say so" in guess.dataset.notes[0]
    said = found(salary, group="salary", bin={"salary": [2000001]})
    assert guess.dataset.sensitive_features.equals(said.dataset.sensitive_features)


def test_numbers_that_the_user_calls_categories_are_groups_as_they_are(rows):
    zips = rows.assign(zip=np.arange(400) % 30)
    assert found(zips, group="zip", kinds={"zip": "category"}).dataset.sensitive_features["zip"].nunique() == 30
    assert found(zips, group="zip").dataset.sensitive_features["zip"].nunique() == 2


def test_a_few_texts_among_the_numbers_of_an_attribute_count_as_missing(rows):
    some = rows.assign(age=np.where(np.arange(400) < 3, "unknown", rows["age"].astype(str)))
    made = found(some, group="age", bin={"age": [40]}).dataset
    assert set(made.sensitive_features["age"]) == {"under 40", "40 or more"}
    assert made.notes[:2] == (
        "age: 3 rows with 'unknown' or the like count as missing.",
        "3 rows without age left out, of 400.",
    )


def test_groups_that_are_the_label_again_are_warned_of(rows):
    twin = rows.assign(paid=np.where(rows["sex"] == "f", 1, 0))
    nearly = twin.assign(paid=np.where(np.arange(400) == 7, 1 - twin["paid"], twin["paid"]))
    assert any("The groups of sex determine the label paid" in note for note in found(twin).dataset.notes)
    assert any("The groups of sex nearly determine the label paid" in note for note in found(nearly).dataset.notes)
    assert not any("groups of" in note for note in found(rows).dataset.notes)


def test_a_repeated_identifier_is_warned_of(rows):
    visits = rows.assign(patient_nbr=np.arange(400) // 2 * 997, type_id=np.arange(400) % 8)
    notes = [note for note in found(visits).dataset.notes if "identifier" in note]
    assert len(notes) == 1
    assert "The feature patient_nbr looks like an identifier (its name, and 200 different whole numbers)" in notes[0]
    assert "known when" not in notes[0]


@pytest.mark.parametrize("date", ["{day:02}-Jan-2020", "{day} March 2020", "May {day}, 2020", "2020-{month:02}"])
def test_dates_with_names_of_months_and_months_alone_are_dates(rows, date):
    texts = [date.format(day=1 + row % 28, month=1 + row % 12) for row in range(400)]
    columns = {column.name: column.remark for column in found(rows.assign(made=texts)).columns}
    assert columns["made"] == "a date"


@pytest.mark.parametrize("number", ["{:,}", "${}.50", "{},5"])
def test_numbers_that_are_not_read_are_named_as_such(rows, number):
    texts = [number.format(1000 * row + 1000) for row in range(400)]
    columns = {column.name: column.remark for column in found(rows.assign(pay=texts)).columns}
    assert columns["pay"] == f"numbers that cannot be read, such as {texts[0]!r}: write them as 1234.5"


def test_suites_of_one_name_that_begin_in_one_second_have_directories_of_their_own(
    fairbench, rows, tmp_path, monkeypatch
):
    class Stopped(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2)

    monkeypatch.setattr("fairbench.running.rundir.datetime.datetime", Stopped)
    monkeypatch.setenv("FAIRBENCH_PLUGINS", ",".join(f"fairbench_{kind}" for kind in LEAN))
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        rows.assign(x=rows["x"] + number).to_csv(tmp_path / folder / "loans.csv", index=False)
        declared = '[data.loans]\nfile = "loans.csv"\nlabel = "paid"\ngroup = "sex"\n'
        (tmp_path / folder / "s.toml").write_text(f'methods = ["constant"]\nrepeats = 1\n{declared}')
    runs = [fairbench("run", f"{folder}/s.toml", "--workers", "1") for folder in ("one", "two", "one")]
    assert [status for status, _, _ in runs] == [0, 0, 0]
    assert all("run again" not in err for _, _, err in runs)
    assert len(list((tmp_path / "runs").iterdir())) == 3
