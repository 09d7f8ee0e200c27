"""The American Community Survey as folktables reads it, on a small file of its shape."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from fairbench_datasets.acs import ACS, RACES

from fairbench.api import DataError, NotApplicable

N = 400
INCOME = ["AGEP", "COW", "SCHL", "MAR", "OCCP", "POBP", "RELP", "WKHP", "SEX", "RAC1P"]


def survey(**changed):
    """Return people as a state's file has them: numbers, and nothing where a question does not apply."""
    draw = np.random.default_rng(0)
    age = draw.integers(0, 95, N)
    table = pd.DataFrame(
        {
            "RT": "P",
            "SERIALNO": [f"2018{number:09d}" for number in range(N)],
            "SOCP": "111021",
            "NAICSP": "722Z",
            "ST": 6,
            "AGEP": age,
            "PWGTP": draw.integers(1, 90, N),
            "SEX": draw.integers(1, 3, N),
            "RAC1P": np.resize(list(RACES), N),
            "SCHL": draw.integers(1, 25, N),
            "MAR": draw.integers(1, 6, N),
            "RELP": draw.integers(0, 18, N),
            "POBP": draw.integers(1, 500, N),
            "OCCP": draw.integers(10, 9800, N),
            **{name: draw.integers(1, 3, N) for name in ("DIS", "NATIVITY", "DEAR", "DEYE", "DREM", "PUBCOV")},
            **{name: draw.integers(1, 4, N) for name in ("CIT", "MIG", "MIL", "ANC", "FER", "ESP")},
            "COW": draw.integers(1, 9, N),
            "WKHP": draw.integers(1, 99, N),
            "ESR": draw.integers(1, 7, N),
            "PINCP": draw.integers(-500, 150_000, N),
        }
    )
    table["COW"] = table["COW"].where(table["AGEP"] > 15)
    return table.assign(**changed)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with California's file of 2018 where folktables looks for it."""
    pytest.importorskip("folktables")
    (tmp_path / "2018" / "1-Year").mkdir(parents=True)
    survey().to_csv(tmp_path / "2018" / "1-Year" / "psam_p06.csv", index=False)
    return tmp_path


def rewrite(folder, **changed):
    survey(**changed).to_csv(folder / "2018" / "1-Year" / "psam_p06.csv", index=False)


def test_income_has_the_rows_features_and_label_of_folktables(folder):
    dataset = ACS(folder=str(folder)).load({})
    people = survey()
    kept = people[(people["AGEP"] > 16) & (people["PINCP"] > 100) & (people["WKHP"] > 0)]  # and a weight, as all have
    assert list(dataset.X.columns) == INCOME
    np.testing.assert_array_equal(dataset.y, kept["PINCP"] > 50_000)
    np.testing.assert_array_equal(dataset.X["AGEP"], kept["AGEP"])
    np.testing.assert_array_equal(dataset.X["OCCP"].astype(int), kept["OCCP"])
    assert dataset.favorable_label == 1


def test_numbers_stay_numbers_and_codes_are_categories(folder):
    X = ACS(folder=str(folder)).load({}).X
    assert [name for name in X if X[name].dtype.kind == "f"] == ["AGEP", "SCHL", "WKHP"]
    assert [name for name in X if X[name].dtype.name == "category"] == [
        name for name in INCOME if name not in ("AGEP", "SCHL", "WKHP")
    ]
    coarse = ACS(folder=str(folder), detailed_codes=False).load({}).X
    assert set(X.columns) - set(coarse.columns) == {"OCCP", "POBP"}


def test_groups_are_those_of_the_answers(folder):
    dataset = ACS(folder=str(folder)).load({})
    groups = dataset.sensitive_features
    assert set(groups["race_all"]) == set(RACES.values())
    assert ((groups["race"] == "White") == (dataset.X["RAC1P"] == "1")).all()
    assert ((groups["sex"] == "Female") == (dataset.X["SEX"] == "2")).all()
    assert dataset.protected_group == {"sex": "Female", "race": "Non-White", "race_all": "Black"}


@pytest.mark.parametrize(("task", "label"), [("employment", "ESR"), ("public_coverage", "PUBCOV")])
def test_other_tasks_have_their_own_label_and_an_unanswered_question_is_a_code(folder, task, label):
    rewrite(folder, MIL=np.where(survey()["AGEP"] < 17, np.nan, 1))
    dataset, people = ACS(folder=str(folder), task=task).load({}), survey()
    kept = people if task == "employment" else people[(people["AGEP"] < 65) & (people["PINCP"] <= 30_000)]
    np.testing.assert_array_equal(dataset.y, kept[label] == 1)
    assert set(dataset.X["MIL"]) == {"0", "1"}


def test_without_a_folder_or_a_file_the_advice_says_what_to_type(folder):
    with pytest.raises(NotApplicable, match=r"acs needs the folder .*acs\[folder=PATH,download=true\]"):
        ACS().load({})
    with pytest.raises(NotApplicable, match=r"the folder .*2017.* does not exist; acs\[folder=PATH,download=true\]"):
        ACS(folder=str(folder), year=2017).load({})
    assert not (folder / "2017").exists()
    with pytest.raises(NotApplicable, match=r"the file of NY in .* is not there"):
        ACS(folder=str(folder), state="NY").load({})


def test_a_file_of_another_version_is_refused(folder):
    path = folder / "2018" / "1-Year" / "psam_p06.csv"
    survey().drop(columns="RELP").to_csv(path, index=False)
    with pytest.raises(DataError, match="RELP"):
        ACS(folder=str(folder)).load({})
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a survey as folktables expects it"):
        ACS(folder=str(folder)).load({})
    rewrite(folder, RAC1P=12)
    with pytest.raises(DataError, match="RAC1P is 12, not one of 1, 2"):
        ACS(folder=str(folder)).load({})
    rewrite(folder, PINCP=0)
    with pytest.raises(DataError, match="no row is left"):
        ACS(folder=str(folder)).load({})


def test_without_folktables_it_is_not_applicable(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "folktables", None)
    (tmp_path / "2018" / "1-Year").mkdir(parents=True)
    with pytest.raises(NotApplicable, match=r"acs needs folktables: pip install 'fairbench-harness\[acs\]'"):
        ACS(folder=str(tmp_path)).load({})
