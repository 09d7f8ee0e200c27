"""What is particular to each of the tables beside the oldest four, against counts taken from the raw files."""

from __future__ import annotations

import os
import re
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairbench_datasets import bank, credit_default, diabetes, dutch, law_school, ricci, student
from fairbench_datasets._diabetes_columns import diagnosis, name

from fairbench.api import DataError
from fairbench.data.inspection import measured_notes
from fairbench.data.preparation import part_rows


@cache
def load(spec):
    """Return a loaded dataset, or skip the test."""
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with the raw files (bank/bank-full.csv and so on)")
    folder = Path(os.environ["FAIRBENCH_DATA"])
    return spec.load({file.path: folder / file.path for file in spec.files})


# the sizes of the parts of a split, as two successive calls of scikit-learn's train_test_split give them
SIZES = [
    (bank.Bank(), 31647, 6782, 6782),
    (student.Student(), 276, 59, 60),
    (student.Student(course="portuguese"), 454, 97, 98),
    (law_school.LawSchool(), 13084, 2804, 2804),
    (dutch.Dutch(), 42294, 9063, 9063),
    (ricci.Ricci(), 82, 18, 18),
    (credit_default.CreditDefault(), 21000, 4500, 4500),
]


@pytest.mark.parametrize(("spec", "train", "validation", "test"), SIZES, ids=str)
def test_parts_have_the_known_sizes(spec, train, validation, test):
    assert [len(rows) for rows in part_rows(load(spec), 0)] == [train, validation, test]


def test_bank_drops_the_length_of_the_call_unless_it_is_wanted():
    assert "duration" not in load(bank.Bank()).X
    assert len(load(bank.Bank()).X.columns) == 15
    kept = load(bank.Bank(duration=True))
    assert list(kept.X.columns) == bank.COLUMNS[:-1]
    assert any("gives the label away" in note for note in kept.notes)


def test_bank_keeps_unknown_values_and_clients_never_contacted():
    X = load(bank.Bank()).X
    unknown = (X == "unknown").sum()
    assert unknown[unknown > 0].to_dict() == {"job": 288, "education": 1857, "contact": 13020, "poutcome": 36959}
    assert (X["pdays"] == -1).sum() == 36954
    assert X["marital"].value_counts().to_dict() == {"married": 27214, "single": 12790, "divorced": 5207}


def test_bank_counts_clients_of_60_as_unprotected():
    dataset = load(bank.Bank())
    age = dataset.X["age"]
    older = (age < 25) | (age >= 60)
    assert (older.sum(), dataset.y[older].sum()) == (2593, 807)
    assert set(dataset.sensitive_features["age"][age == 60]) == {"25 to 60"}


def test_student_files_are_read_as_they_are_and_share_pupils():
    mathematics, portuguese = load(student.Student()), load(student.Student(course="portuguese"))
    assert any(note.startswith("38 pupils") for note in mathematics.notes)
    assert any(note.startswith("15 pupils") for note in portuguese.notes)
    background = [
        *("school", "sex", "age", "address", "famsize", "Pstatus", "Medu", "Fedu", "Mjob", "Fjob", "reason"),
        *("nursery", "internet"),
    ]
    assert len(mathematics.X.merge(portuguese.X, on=background)) == 382


def test_student_earlier_grades_are_whole_numbers_where_they_are_wanted():
    assert not {"G1", "G2", "G3"} & set(load(student.Student()).X.columns)
    dataset = load(student.Student(course="portuguese", earlier_grades=True))
    assert "G3" not in dataset.X
    for grade in ("G1", "G2"):  # quoted in the file
        assert dataset.X[grade].dtype.kind == "i"
        assert dataset.X[grade].between(0, 20).all()
    assert any("nearly give the label away" in note for note in dataset.notes)


def test_student_protects_the_sex_that_passes_less_often():
    for course, sex in (("mathematics", "Female"), ("portuguese", "Male")):
        dataset = load(student.Student(course=course))
        rates = pd.Series(dataset.y).groupby(dataset.sensitive_features["sex"]).mean()
        assert dataset.protected_group["sex"] == rates.idxmin() == sex


def test_law_school_is_the_version_with_18692_rows_and_two_duplicates():
    dataset = load(law_school.LawSchool())
    assert dataset.X.assign(y=dataset.y).duplicated().sum() == 2
    assert sorted(set(dataset.X["tier"])) == [1, 2, 3, 4, 5, 6]
    assert sorted(set(dataset.X["fam_inc"])) == [1, 2, 3, 4, 5]
    assert any("20,798" in note for note in dataset.notes)


def test_dutch_rows_repeat_and_the_report_says_so():
    dataset = load(dutch.Dutch())
    assert (~dataset.X.assign(y=dataset.y).duplicated()).sum() == 18438
    (note,) = measured_notes(dataset)
    assert "rows repeat an earlier one" in note


def test_ricci_label_is_a_function_of_two_features():
    dataset = load(ricci.Ricci())
    total = 0.6 * dataset.X["Written"] + 0.4 * dataset.X["Oral"]
    np.testing.assert_array_equal(dataset.y, total.round(6) >= 70)
    assert dataset.X["Position"].value_counts().to_dict() == {"Lieutenant": 77, "Captain": 41}
    np.testing.assert_allclose(load(ricci.Ricci(combine=True)).X["Combine"], total, atol=1e-9)


def test_credit_default_reads_the_names_of_the_second_line():
    X = load(credit_default.CreditDefault()).X
    assert list(X.columns)[5:8] == ["PAY_0", "PAY_2", "PAY_3"]
    assert "ID" not in X
    assert X["EDUCATION"].value_counts()[["0", "5", "6"]].tolist() == [14, 280, 51]
    assert (X["MARRIAGE"] == "0").sum() == 54
    assert X.assign(y=load(credit_default.CreditDefault()).y).duplicated().sum() == 35


def test_a_table_that_lacks_the_line_before_its_names_is_refused(tmp_path):
    (file,) = credit_default.CreditDefault.files
    path = tmp_path / "table.csv"
    for text in ("", "ID,LIMIT_BAL\n1,2\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"table.csv, line [12]: the file ends without the line 'X0, X1, "):
            credit_default.CreditDefault().load({file.path: path})


STAYS = [  # rows and rows with y = 1, of the protected group and of all others
    (diabetes.Diabetes(), "race", 23394, 2577, 76099, 8592),
    (diabetes.Diabetes(missing_race="category"), "sex", 54708, 6152, 47058, 5205),
]


@pytest.mark.long
@pytest.mark.parametrize(("spec", "group", "n1", "positive1", "n0", "positive0"), STAYS, ids=str)
def test_diabetes_groups_and_labels_have_the_known_counts(spec, group, n1, positive1, n0, positive0):
    dataset = load(spec)
    protected = (dataset.sensitive_features[group] == dataset.protected_group[group]).to_numpy()
    assert (protected.sum(), dataset.y[protected].sum()) == (n1, positive1)
    assert ((~protected).sum(), dataset.y[~protected].sum()) == (n0, positive0)
    assert list(dataset.X.columns) == diabetes.columns.FEATURES
    assert len(dataset.X.columns) == 50 - 4  # two identifiers, weight and the label


def test_diabetes_keeps_what_was_not_measured_and_what_is_unknown():
    dataset = load(diabetes.Diabetes(missing_race="category"))
    X, races = dataset.X, dataset.sensitive_features["race_all"].value_counts()
    assert ((X["max_glu_serum"] == "None").sum(), (X["A1Cresult"] == "None").sum()) == (96420, 84748)
    unknown = (X == "unknown").sum()
    assert unknown[unknown > 0].to_dict() == {
        "race": 2273,
        "payer_code": 40256,
        "medical_specialty": 49949,
        "diag_1": 21,
        "diag_2": 358,
        "diag_3": 1423,
    }
    assert races.to_dict() == {
        "Caucasian": 76099,
        "AfricanAmerican": 19210,
        "unknown": 2273,
        "Hispanic": 2037,
        "Other": 1506,
        "Asian": 641,
    }
    assert (X["gender"] == "Male").sum() == 47055
    assert "The sex is unknown in 3 rows, which the group 'Male or unknown' includes." in dataset.notes


@pytest.mark.long
def test_diabetes_keeps_first_stays_and_leaves_deaths_out():
    first = load(diabetes.Diabetes(stays="first", missing_race="category"))
    assert (len(first.y), first.y.sum(), first.partition) == (71518, 6293, None)
    alive = ~first.X["discharge_disposition_id"].isin(diabetes.DEATH_OR_HOSPICE)
    assert (alive.sum(), first.y[alive].sum()) == (69973, 6277)


def test_diabetes_parts_share_no_patient_and_differ_between_seeds():
    dataset = load(diabetes.Diabetes())
    n = len(dataset.y)
    parts = [dataset.partition(seed) for seed in (0, 1)]
    for rows in parts:
        assert sorted(np.concatenate(rows).tolist()) == list(range(n))
        # a patient has at most 40 stays, so no part is further than that from its size without patients
        for part, size in zip(rows, (69645, 14924, 14924)):
            assert abs(len(part) - size) <= 40
    assert set(parts[0][2].tolist()) != set(parts[1][2].tolist())


def test_rows_of_a_patient_stay_together():
    patient = np.random.default_rng(0).integers(0, 40, 300)
    _, patient = np.unique(patient, return_inverse=True)
    seen = [set(patient[rows]) for rows in diabetes.by_patient(patient, 3)]
    assert all(seen)
    assert sum(map(len, seen)) == len(set(patient.tolist()))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *(
            ("250.83", "diabetes"),
            ("250", "diabetes"),
            ("251", "other"),
            ("428", "circulatory"),
            ("785", "circulatory"),
        ),
        *(("486", "respiratory"), ("786.5", "respiratory"), ("579", "digestive"), ("788", "genitourinary")),
        *(("996", "injury"), ("715", "musculoskeletal"), ("174", "neoplasms"), ("V57", "other"), ("E909", "other")),
        ("?", "unknown"),
    ],
)
def test_diagnoses_are_grouped_by_the_chapters_of_icd_9(code, kind):
    assert diagnosis(code) == kind


@pytest.mark.parametrize("text", ["", "25O", "2500", "250.", "250.123", "W1"])
def test_what_is_no_diagnosis_is_refused(text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        diagnosis(text)


def test_names_of_payers_are_words():
    assert (name("?"), name("MC"), name("Surgery-Colon&Rectal")) == ("unknown", "MC", "Surgery-Colon&Rectal")
    with pytest.raises(ValueError, match="12"):
        name("12")


def test_diabetes_leaves_deaths_out_on_request(tmp_path):
    whole = load(diabetes.Diabetes())
    assert any(note.startswith("2,384 stays ended in death or in a hospice") for note in whole.notes)
    source = Path(os.environ["FAIRBENCH_DATA"]) / diabetes.STAYS.path
    with source.open("rb") as stream:
        (tmp_path / "stays.csv").write_bytes(b"".join(islice(stream, 2000)))
    files = {diabetes.STAYS.path: tmp_path / "stays.csv"}
    kept, left = (diabetes.Diabetes(drop_deaths=drop).load(files) for drop in (False, True))
    dead = kept.X["discharge_disposition_id"].isin(diabetes.DEATH_OR_HOSPICE).sum()
    assert len(kept.y) - len(left.y) == dead > 0
    assert not any("death" in note for note in left.notes)
