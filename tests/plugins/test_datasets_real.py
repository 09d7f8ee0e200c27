"""The loaders of the real datasets, against counts taken from the raw files (most of them without pandas)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairbench_datasets import (
    adult,
    bank,
    communities,
    compas,
    credit_default,
    diabetes,
    dutch,
    german,
    law_school,
    ricci,
    student,
)

from fairbench.data.inspection import measured_notes

MODULES = (*(adult, bank, communities, compas, credit_default, diabetes, dutch, german, law_school, ricci, student),)
SPECS = (
    *(adult.Adult, bank.Bank, communities.Communities, compas.Compas, credit_default.CreditDefault, diabetes.Diabetes),
    *(dutch.Dutch, german.German, law_school.LawSchool, ricci.Ricci, student.Student),
)
MANY_VALUED = "race_all"  # all other attributes have two groups


@pytest.fixture(scope="module")
def folder():
    """Return the folder that holds the raw files."""
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with the raw files (adult/adult.data and so on)")
    return Path(os.environ["FAIRBENCH_DATA"])


@pytest.fixture(scope="module")
def load(folder):
    """Return a function that loads a dataset once."""
    loaded = {}

    def load_once(spec):
        if spec not in loaded:
            loaded[spec] = spec.load({file.path: folder / file.path for file in spec.files})
        return loaded[spec]

    return load_once


def encoded(dataset, group):
    """Return X as the harness encodes it for a group: without the columns that carry it, categories spread out."""
    return pd.get_dummies(dataset.X.drop(columns=list(dataset.sensitive_columns.get(group, ()))))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_module_offers_its_dataset_through_the_hook(module):
    (spec,) = module.fairbench_datasets()
    assert spec in SPECS
    assert spec.name == module.__name__.rsplit(".", 1)[1]


@pytest.mark.parametrize("file", [file for spec in SPECS for file in spec.files], ids=lambda file: file.path)
def test_pinned_digest_and_size_are_those_of_the_canonical_file(folder, file):
    content = (folder / file.path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert len(content) == file.bytes


@pytest.mark.parametrize("file", [file for spec in SPECS for file in spec.files], ids=lambda file: file.path)
def test_file_is_served_over_https_and_archives_are_pinned(file):
    assert file.urls or file.archive
    assert all(url.startswith("https://") for url in file.urls)
    assert file.archive is None or (len(file.archive.sha256) == 64 and file.path.endswith(file.archive.member))


# spec, group, encoded columns, then rows and rows with y = 1 of the protected group and of all others
COUNTS = [
    (compas.Compas(), "race", 7, 3175, 1661, 2997, 1148),
    (compas.Compas(), "sex", 5, 1175, 413, 4997, 2396),
    (compas.Compas(races="two"), "race", 7, 3175, 1661, 2103, 822),
    (compas.Compas(drop_late_screenings=True), "race", 7, 2682, 1168, 2622, 773),
    (adult.Adult(), "sex", 100, 14695, 1669, 30527, 9539),
    (adult.Adult(), "race", 97, 6319, 1001, 38903, 10207),
    (adult.Adult(education="number"), "sex", 85, 14695, 1669, 30527, 9539),
    (adult.Adult(education="both"), "sex", 101, 14695, 1669, 30527, 9539),
    (adult.Adult(education="both", fnlwgt=True), "sex", 102, 14695, 1669, 30527, 9539),
    (adult.Adult(missing="category"), "race", 101, 7080, 1080, 41762, 10607),
    (adult.Adult(missing="category", education="both", fnlwgt=True), "sex", 106, 16192, 1769, 32650, 9918),
    (communities.Communities(), "race", 97, 855, 520, 1139, 465),
    (communities.Communities(race_shares=True), "race", 101, 855, 520, 1139, 465),
    (communities.Communities(label="overall_median"), "race", 97, 855, 545, 1139, 452),
    (german.German(), "sex", 57, 310, 201, 690, 499),
    (german.German(), "age", 56, 190, 110, 810, 590),
    (bank.Bank(), "age", 49, 1997, 709, 43214, 4580),
    (bank.Bank(), "marital", 47, 17997, 2534, 27214, 2755),
    (bank.Bank(duration=True), "age", 50, 1997, 709, 43214, 4580),
    (student.Student(), "sex", 54, 208, 133, 187, 132),
    (student.Student(), "age", 55, 111, 61, 284, 204),
    (student.Student(earlier_grades=True), "sex", 56, 208, 133, 187, 132),
    (student.Student(course="portuguese"), "sex", 54, 266, 216, 383, 333),
    (student.Student(course="portuguese"), "age", 55, 181, 143, 468, 406),
    (law_school.LawSchool(), "race", 10, 1201, 742, 17491, 16114),
    (law_school.LawSchool(), "sex", 10, 8142, 7245, 10550, 9611),
    (dutch.Dutch(), "sex", 59, 30273, 9903, 30147, 18860),
    (ricci.Ricci(), "race", 4, 50, 15, 68, 41),
    (ricci.Ricci(combine=True), "race", 5, 50, 15, 68, 41),
    (credit_default.CreditDefault(), "sex", 31, 18112, 3763, 11888, 2873),
]


@pytest.mark.parametrize(("spec", "group", "columns", "n1", "positive1", "n0", "positive0"), COUNTS, ids=str)
def test_groups_labels_and_encoded_columns_have_the_known_counts(
    load, spec, group, columns, n1, positive1, n0, positive0
):
    dataset = load(spec)
    protected = (dataset.sensitive_features[group] == dataset.protected_group[group]).to_numpy()
    assert (protected.sum(), dataset.y[protected].sum()) == (n1, positive1)
    assert ((~protected).sum(), dataset.y[~protected].sum()) == (n0, positive0)
    assert encoded(dataset, group).shape == (n1 + n0, columns)


@pytest.mark.long
@pytest.mark.parametrize("cls", SPECS)
def test_declared_attributes_are_those_of_the_table(load, cls):
    dataset = load(cls())
    assert dataset.name == cls.name
    assert tuple(dataset.sensitive_features.columns) == cls.sensitive_features
    assert set(dataset.protected_group) == set(cls.sensitive_features)
    groups = {attribute: dataset.sensitive_features[attribute].nunique() for attribute in cls.sensitive_features}
    assert all(number == 2 for attribute, number in groups.items() if attribute != MANY_VALUED)
    assert groups.get(MANY_VALUED, 3) > 2
    assert list(dataset.X.index) == list(range(len(dataset.X)))


@pytest.mark.parametrize("cls", SPECS)
def test_group_leaves_the_features(load, cls):
    dataset = load(cls())
    for attribute, columns in dataset.sensitive_columns.items():
        assert attribute in cls.sensitive_features
        assert set(columns) <= set(dataset.X.columns)
    for attribute in cls.sensitive_features:
        # a column of two values that split the rows as the group does would be the group under another name
        group = dataset.sensitive_features[attribute].astype("category").cat.codes.to_numpy()
        table = encoded(dataset, attribute)
        for name, column in table.loc[:, table.nunique() > 1].items():
            assert abs(np.corrcoef(column.astype(float), group)[0, 1]) < 0.999, name


def test_task_keys_are_states_ages_and_countries(load):
    keys = {cls.name: load(cls()).keys for cls in (adult.Adult, communities.Communities, compas.Compas, german.German)}
    assert {name: list(table.columns) for name, table in keys.items()} == {
        "compas": ["age"],
        "adult": ["age", "country"],
        "communities": ["state"],
        "german": ["age"],
    }
    states = keys["communities"]["state"].value_counts()
    assert (len(states), states["NJ"], states["DC"], "MI" in states) == (46, 211, 1, False)
    assert (keys["adult"]["country"] == "United-States").sum() == 41292  # of the 45,222 rows without missing values
    for cls in (adult.Adult, compas.Compas, german.German):
        assert keys[cls.name]["age"].tolist() == load(cls()).X["age"].tolist()


def test_favorable_labels_are_what_is_good_for_the_person(load):
    labels = {cls.name: load(cls()).favorable_label for cls in SPECS}
    bad = {"communities", "compas", "credit_default", "diabetes"}
    assert labels == {cls.name: int(cls.name not in bad) for cls in SPECS}


@pytest.mark.parametrize("cls", SPECS)
def test_each_says_under_which_terms_it_may_be_used(cls):
    assert isinstance(cls.licence, str)
    assert cls.licence


ALL_RACES = {  # rows, and rows with y = 1
    compas.Compas(): {
        "African-American": (3175, 1661),
        "Asian": (31, 8),
        "Caucasian": (2103, 822),
        "Hispanic": (509, 189),
        "Native American": (11, 5),
        "Other": (343, 124),
    },
    adult.Adult(): {
        "Amer-Indian-Eskimo": (435, 53),
        "Asian-Pac-Islander": (1303, 369),
        "Black": (4228, 534),
        "Other": (353, 45),
        "White": (38903, 10207),
    },
    ricci.Ricci(): {"Black": (27, 9), "Hispanic": (23, 6), "White": (68, 41)},
}


@pytest.mark.parametrize("spec", ALL_RACES, ids=lambda spec: spec.name)
def test_race_with_all_its_values_divides_the_two_groups(load, spec):
    dataset = load(spec)
    table = pd.DataFrame({"race": dataset.sensitive_features["race_all"], "y": dataset.y})
    counted = {race: (len(rows), rows["y"].sum()) for race, rows in table.groupby("race")}
    assert counted == ALL_RACES[spec]
    two, every = (dataset.sensitive_features[name] for name in ("race", "race_all"))
    assert all(two[every == race].nunique() == 1 for race in ALL_RACES[spec])


def test_compas_columns_are_the_published_seven_with_their_sums(load):
    table = encoded(load(compas.Compas()), "race")
    sums = {name: int(total) for name, total in table.sum().items()}
    assert list(sums.items()) == [
        ("age", 213147),
        ("priors_count", 20037),
        ("length_of_stay", 90252),
        ("c_charge_degree_F", 3970),
        ("c_charge_degree_M", 2202),
        ("sex_Female", 1175),
        ("sex_Male", 4997),
    ]
    stay = table["length_of_stay"]
    assert (stay.min(), stay.max(), (stay == -1).sum(), (stay == 0).sum()) == (-1, 799, 183, 2017)


def test_compas_groups_are_named_for_who_is_in_them(load):
    assert set(load(compas.Compas()).sensitive_features["race"]) == {"African-American", "Other"}
    assert set(load(compas.Compas(races="two")).sensitive_features["race"]) == {"African-American", "Caucasian"}


@pytest.mark.parametrize(("cls", "share"), [(compas.Compas, "36%"), (adult.Adult, "20%")])
def test_rows_that_repeat_are_measured(load, cls, share):
    dataset = load(cls())
    attribute = dataset.sensitive_features.columns[0]
    repeated = dataset.X.assign(group=dataset.sensitive_features[attribute]).duplicated().sum()
    (note,) = measured_notes(dataset)
    assert note.startswith(
        f"{share} of the test rows of a split equal a training row in every feature and in {attribute} "
        f"({repeated:,} of all {len(dataset.y):,} rows repeat an earlier one)"
    )


def test_german_and_communities_repeat_no_row_and_no_feature_gives_a_group_away(load):
    assert [measured_notes(load(cls())) for cls in (german.German, communities.Communities)] == [(), ()]


def test_compas_notes_count_late_rows(load):
    dataset = load(compas.Compas())
    assert dataset.notes[-1].startswith("868 rows were screened after 2014-04-01")
    # all of the late rows are y = 1: without them that many labels of 1 are gone, and no other
    kept = load(compas.Compas(drop_late_screenings=True))
    assert (len(kept.y), kept.y.sum()) == (6172 - 868, dataset.y.sum() - 868)
    assert not any("screened after" in note for note in kept.notes)


def test_adult_joins_the_files_in_order(load):
    dataset = load(adult.Adult(missing="category"))
    female = (dataset.sensitive_features["sex"] == "Female").to_numpy()
    train = np.arange(len(female)) < 32561
    counts = [
        (rows.sum(), dataset.y[rows].sum())
        for rows in (train & female, train & ~female, ~train & female, ~train & ~female)
    ]
    assert counts == [(10771, 1179), (21790, 6662), (5421, 590), (10860, 3256)]


def test_adult_keeps_unknown_values_as_a_category_on_request(load):
    unknown = (load(adult.Adult(missing="category")).X == "?").sum()
    known = {"workclass": 2799, "occupation": 2809, "native-country": 857}
    assert unknown[unknown > 0].to_dict() == known
    assert not (load(adult.Adult()).X == "?").any(axis=None)


@pytest.mark.parametrize("missing", ["drop", "category"])
def test_adult_values_are_read_without_blanks(load, missing):
    X = load(adult.Adult(missing=missing)).X
    assert X["native-country"].replace("?", np.nan).nunique() == 41
    assert (X["native-country"] == "Holand-Netherlands").sum() == 1
    assert set(X["education"]) >= {"Bachelors", "HS-grad"}
    assert not any(value != value.strip() for value in X["occupation"].unique())


def test_adult_holds_the_known_duplicates_and_capped_gains(load):
    dataset = load(adult.Adult(missing="category", education="both", fnlwgt=True))
    assert dataset.X.assign(y=dataset.y, race=dataset.sensitive_features["race"]).shape[1] == 15
    assert (dataset.X["capital-gain"] == 99999).sum() == 244
    assert dataset.X.assign(y=dataset.y).duplicated().sum() == 52


def test_communities_group_by_rank_with_ties_in_favour(load):
    dataset = load(communities.Communities(race_shares=True))
    black, white, asian, hispanic = (dataset.X[name] for name in communities.RACE_SHARES)
    protected = dataset.sensitive_features["race"] == "Black in top two"
    largest = (black >= white) & (black >= asian) & (black >= hispanic)
    assert ((protected & largest).sum(), (protected & ~largest).sum()) == (63, 792)
    # the published code of fair-MAML misses two communities with ties
    strict = (black > white) | ((white > black) & (black > asian) & (black > hispanic))
    assert strict.sum() == 853
    assert (protected & strict).sum() == 853
    assert any("determine the group" in note for note in dataset.notes)


def test_communities_features_hold_no_outcome_identifier_or_police_column(load):
    names = set(load(communities.Communities()).X.columns)
    assert not names & {*communities.OUTCOMES, *communities.IDENTIFIERS, *communities.RACE_SHARES}
    missing = set(communities.PREDICTORS) - names - set(communities.RACE_SHARES)
    police = communities.PREDICTORS[communities.PREDICTORS.index("LemasSwornFT") :]
    complete = {"LandArea", "PopDens", "PctUsePubTrans", "LemasPctOfficDrugUn"}
    assert missing == {"OtherPerCap", *police} - complete
    assert len(missing) == 23


def test_communities_columns_are_named_right(load):
    X = load(communities.Communities(race_shares=True)).X
    # identities between columns that hold only if no name is shifted (the quartile ranges were inserted by hand)
    assert (X["OwnOccQrange"] == X["OwnOccHiQuart"] - X["OwnOccLowQuart"]).all()
    assert (X["RentQrange"] == X["RentHighQ"] - X["RentLowQ"]).all()
    assert X["PctForeignBorn"].between(0, 100).all()
    assert np.corrcoef(X["population"], X["LandArea"] * X["PopDens"])[0, 1] > 0.99  # rounding apart, they are equal
    assert len(communities.IDENTIFIERS + communities.PREDICTORS + communities.OUTCOMES) == 147


def test_german_columns_and_values_are_those_of_the_codebook(load):
    X = load(german.German()).X
    numeric = X.select_dtypes("number")
    assert list(numeric.columns) == [
        "duration",
        "amount",
        "installment_rate",
        "residence_since",
        "age",
        "existing_credits",
        "dependents",
    ]
    codes = X.drop(columns=numeric.columns)
    assert codes.nunique().sum() == 54 - 4  # the four codes of personal status are left out
    assert (X["age"].min(), X["age"].max(), round(X["age"].mean(), 3)) == (19, 75, 35.546)
    assert (X["amount"].min(), X["amount"].max(), round(X["amount"].mean(), 3)) == (250, 18424, 3271.258)
    assert "personal_status_sex" not in X


def test_german_says_beside_every_result_that_sex_is_unreliable(load):
    assert any("Groemping" in note and "single men" in note for note in load(german.German()).notes)
