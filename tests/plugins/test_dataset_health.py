"""The Heritage Health loader on tables made here, against sums taken row by row in plain Python."""

from __future__ import annotations

import statistics
import zipfile
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fairbench_datasets.health import LABELS, Health
from health_files import CLAIM_COLUMNS, make_tables, pinned, write

from fairbench.api import DataError, Dataset
from fairbench.cells import Preparation
from fairbench.cli.data import data
from fairbench.data.digest import dataset_digest
from fairbench.data.files import DataSource
from fairbench.data.preparation import split_dataset
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import Workbench
from fairbench.running.suite import Suite, plan

FAIRBINN = Health(variant="fairbinn", label="charlson_positive")
DAYS = {
    "1 day": 1,
    "2 days": 2,
    "3 days": 3,
    "4 days": 4,
    "5 days": 5,
    "6 days": 6,
    "1- 2 weeks": 11,
    "2- 4 weeks": 21,
    "4- 8 weeks": 42,
    "26+ weeks": 180,
}
INDEX = {"0": 0, "1-2": 1, "3-4": 2, "5+": 3}


@dataclass
class Made:
    """Tables, the files they were written to, and their claims and monthly counts by member and year."""

    tables: dict
    files: dict

    def rows(self, name: str) -> dict[tuple[int, str], list[dict]]:
        found = defaultdict(list)
        for row in self.tables[name]:
            found[row["MemberID"], row["Year"]].append(row)
        return found

    def load(self, spec: Health) -> Dataset:
        return spec.load(self.files)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    tables = make_tables()
    return Made(tables, write(tables, tmp_path_factory.mktemp("health")))


def plus(text: str) -> int:
    return int(text.rstrip("+"))


def statistics_of(values: list[float], n: int) -> dict[str, float]:
    """Return what the derived table holds of known values, of n claims."""
    if not values:
        return {"max": 0, "min": 0, "ave": 0, "range": -1, "stdev": 0 if n == 1 else -1}
    spread = statistics.stdev(values) if len(values) > 1 else (0 if n == 1 else -1)
    low, high = min(values), max(values)
    return {"max": high, "min": low, "ave": statistics.mean(values), "range": high - low, "stdev": spread}


def expected_claims(claims: list[dict]) -> dict[str, float]:
    """Return a few columns of each kind of both variants, by hand."""
    days = [DAYS[claim["LengthOfStay"]] for claim in claims if claim["LengthOfStay"]]
    months = [int(claim["DSFS"].split("-")[1].split()[0]) for claim in claims if claim["DSFS"]]
    delays = [plus(claim["PayDelay"]) for claim in claims]
    unknown = [claim for claim in claims if not claim["LengthOfStay"]]
    found = {
        "no_Claims": len(claims),
        "no_Providers": len({claim["ProviderID"] for claim in claims} - {""}),
        "no_Vendors": len({claim["Vendor"] for claim in claims} - {""}),
        "no_PCPs": len({claim["PCP"] for claim in claims} - {""}),
        "no_PlaceSvcs": len({claim["PlaceSvc"] for claim in claims} - {""}),
        "no_Specialities": len({claim["Specialty"] for claim in claims} - {""}),
        "no_ProcedureGroups": len({claim["ProcedureGroup"] for claim in claims} - {""}),
        "no_PrimaryConditionGroups": len({claim["PrimaryConditionGroup"] for claim in claims} - {""}),
        "PayDelay_total": sum(delays),
        "LOS_TOT_KNOWN": len(days),
        "LOS_TOT_SUPRESSED": sum(claim["SupLOS"] for claim in unknown),
        "LOS_TOT_UNKNOWN": sum(1 - claim["SupLOS"] for claim in unknown),
    }
    for column, values in (
        ("Specialty", ["Internal", "Surgery", "Laboratory"]),
        ("ProcedureGroup", ["EM", "SUS", "ANES", "MED", "RAD", "SCS"]),
        ("PlaceSvc", ["Urgent Care", "Office"]),
        ("PrimaryConditionGroup", ["AMI", "MSC2a3", "UTI"]),
    ):
        found.update({f"{column}={value}": sum(claim[column] == value for claim in claims) for value in values})
        found[f"{column}=?"] = sum(claim[column] == "" for claim in claims)
    for name, values in (("PayDelay", delays), ("LOS", days), ("dsfs", months)):
        found.update({f"{name}_{ending}": value for ending, value in statistics_of(values, len(claims)).items()})
    return found


def expected_counts(rows: list[dict], name: str) -> dict[str, float]:
    values = [plus(row[name]) for row in rows]
    return {
        f"{name}_total": sum(values),
        f"{name}_max": max(values, default=0),
        f"{name}_min": min(values, default=0),
        f"{name}_ave": statistics.mean(values) if values else 0,
        f"{name}_months": len(values),
    }


def expected_rows(made: Made, keys: list[tuple[int, str]]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return features by hand, a row for each key, and the highest Charlson index as coded 0 to 3."""
    claims, drugs, labs = (made.rows(name) for name in ("Claims", "DrugCount", "LabCount"))
    features, index = [], []
    for key in keys:
        counted = {**expected_counts(drugs[key], "DrugCount"), **expected_counts(labs[key], "LabCount")}
        none = dict.fromkeys(expected_claims([{**dict.fromkeys(CLAIM_COLUMNS, ""), "PayDelay": "0", "SupLOS": 0}]), 0)
        features.append({**(expected_claims(claims[key]) if claims[key] else none), **counted})
        index.append(max((INDEX[claim["CharlsonIndex"]] for claim in claims[key]), default=0))
    return pd.DataFrame(features), np.array(index)


def assert_columns_agree(X: pd.DataFrame, expected: pd.DataFrame, at_least: int) -> None:
    shared = [column for column in expected.columns if column in X.columns]
    assert len(shared) >= at_least
    for column in shared:
        np.testing.assert_allclose(X[column].to_numpy(float), expected[column].to_numpy(float), err_msg=column)


def test_member_years_are_summed_up_as_by_hand(made: Made) -> None:
    keys = sorted({key for name in ("Claims", "DrugCount", "LabCount") for key in made.rows(name)})
    expected, index = expected_rows(made, keys)
    dataset = made.load(Health())
    assert any(not made.rows("Claims")[key] for key in keys)  # a year with drugs or tests alone is a row as well
    assert_columns_agree(dataset.X, expected, at_least=29)
    np.testing.assert_array_equal(dataset.y, index == 0)
    person = {row["MemberID"]: row for row in made.tables["Members"]}
    ages = [person[member]["AgeAtFirstClaim"] or "unknown" for member, _ in keys]
    assert dataset.sensitive_features["age_band"].tolist() == ages
    assert dataset.sensitive_features["sex"].tolist() == [person[member]["Sex"] or "unknown" for member, _ in keys]
    over = ["60 and over" if age in ("60-69", "70-79", "80+") else "under 60" for age in ages]
    assert dataset.sensitive_features["age"].tolist() == over


def test_fairbinns_rows_are_the_third_year_of_known_members_in_file_order(made: Made) -> None:
    person = {row["MemberID"]: row for row in made.tables["Members"]}
    known = [
        row
        for row in made.tables["Target"]
        if person[row["MemberID"]]["AgeAtFirstClaim"] and person[row["MemberID"]]["Sex"]
    ]
    expected, index = expected_rows(made, [(row["MemberID"], "Y3") for row in known])
    dataset = made.load(FAIRBINN)
    assert_columns_agree(dataset.X, expected, at_least=49)
    np.testing.assert_array_equal(dataset.y, index > 0)
    assert dataset.X["ClaimsTruncated"].tolist() == [row["ClaimsTruncated"] for row in known]
    bands = [person[row["MemberID"]]["AgeAtFirstClaim"] for row in known]
    assert dataset.X["age"].tolist() == [8 if band == "80+" else int(band.split("-")[0]) // 10 for band in bands]
    assert dataset.X["sex"].tolist() == [int(person[row["MemberID"]]["Sex"] == "F") for row in known]
    np.testing.assert_array_equal(dataset.X["drugNull"], expected["DrugCount_months"] == 0)
    np.testing.assert_array_equal(dataset.X["labNull"], expected["LabCount_months"] == 0)


def test_the_variants_have_the_papers_numbers_of_features(made: Made) -> None:
    # Ruoss et al. have 100 without age; FairBiNN's 125 include flags of unknown age and sex, which are all 0.
    split = split_dataset(made.load(Health()), group="age", seed=0, preparation=Preparation())
    assert len(split.train.schema.feature_names) == 100
    assert made.load(FAIRBINN).X.shape[1] == 123
    assert not any("Charlson" in column or "DaysInHospital" in column for column in made.load(FAIRBINN).X)


@pytest.mark.parametrize("group", ["age", "age_band", "sex"])
@pytest.mark.parametrize("spec", [Health(), FAIRBINN], ids=["member_years", "fairbinn"])
def test_the_group_leaves_the_features(made: Made, spec: Health, group: str) -> None:
    split = split_dataset(made.load(spec), group=group, seed=0, preparation=Preparation())
    stem = "sex" if group == "sex" else "age"
    assert not any(name == stem or name.startswith(f"{stem}_") for name in split.train.schema.feature_names)


def test_nine_age_bands_stand_in_order_of_age(made: Made) -> None:
    dataset = made.load(FAIRBINN)
    assert sorted(set(dataset.sensitive_features["age_band"]))[0] == "0-9"
    assert set(dataset.sensitive_features["age_band"]) == {*(f"{n}0-{n}9" for n in range(1, 8)), "0-9", "80+"}
    assert dataset.protected_group == {"age": "60 and over", "age_band": "80+", "sex": "F"}


def test_the_three_labels_read_the_index_as_they_say(made: Made) -> None:
    assert {name: [int(label(np.array(m))) for m in range(4)] for name, label in LABELS.items()} == {
        "charlson_zero": [1, 0, 0, 0],
        "charlson_program": [1, 0, 1, 1],
        "charlson_positive": [0, 1, 1, 1],
    }
    favourable = {name: made.load(Health(label=name)).favorable_label for name in LABELS}
    assert favourable == {"charlson_zero": 1, "charlson_program": 1, "charlson_positive": 0}
    assert any("by mistake" in note for note in made.load(Health(label="charlson_program")).notes)


def test_unknown_ages_are_counted_in_a_note(made: Made) -> None:
    dataset = made.load(Health())
    unknown = (dataset.sensitive_features["age_band"] == "unknown").sum()
    assert any(f"The age of {unknown} of {len(dataset.y)} rows is unknown" in note for note in dataset.notes)
    assert not any("unknown" in note for note in made.load(FAIRBINN).notes)


def test_loading_twice_gives_the_same(made: Made) -> None:
    assert dataset_digest(made.load(FAIRBINN)) == dataset_digest(made.load(replace(FAIRBINN)))


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        (
            "Claims",
            "LengthOfStay",
            "3 weeks",
            "Claims.csv, line 2: LengthOfStay is '3 weeks'; it must be one of 1 day, 2 days",
        ),
        ("Claims", "PlaceSvc", "Moon", "Claims.csv, line 2: PlaceSvc is 'Moon'; it must be one of Ambulance"),
        ("Claims", "PayDelay", "late", "Claims.csv, line 2: PayDelay is 'late'; it must be a whole number"),
        ("Claims", "Year", "Y4", "Claims.csv, line 2: Year is 'Y4'; it must be one of Y1, Y2, Y3"),
        ("LabCount", "MemberID", "", "LabCount.csv, line 2: the row lacks its member or year"),
        ("Members", "AgeAtFirstClaim", "90+", "Members.csv, line 2: AgeAtFirstClaim is '90\\+'"),
    ],
)
def test_a_value_that_the_files_do_not_hold_is_refused(tmp_path, table, column, value, message) -> None:
    tables = make_tables(5)
    tables[table][0][column] = value
    with pytest.raises(DataError, match=message):
        Health().load(write(tables, tmp_path))


def test_a_member_of_two_rows_or_of_none_is_refused(tmp_path) -> None:
    tables = make_tables(5)
    tables["Members"].append(dict(tables["Members"][1]))
    with pytest.raises(DataError, match=r"Members.csv, line 7: the row repeats a member"):
        Health().load(write(tables, tmp_path))
    tables["Members"][3]["MemberID"] = ""
    with pytest.raises(DataError, match=r"Members.csv, line 5: the row lacks its member"):
        Health().load(write(tables, tmp_path))


def test_a_file_without_a_column_is_refused(tmp_path) -> None:
    tables = make_tables(5)
    for row in tables["Claims"]:
        del row["SupLOS"]
    with pytest.raises(DataError, match=r"Claims.csv, line 1: no column SupLOS"):
        Health().load(write(tables, tmp_path))


def test_files_are_pinned_never_served_and_say_how_to_get_them() -> None:
    assert len({file.sha256 for file in Health.files}) == 5
    for file in Health.files:
        assert not file.urls
        assert file.archive is None
        assert "Kaggle" in file.obtain
        assert "fairbench data add health" in file.obtain


def test_how_to_get_the_files_is_told_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    said = CliRunner().invoke(data, ["path", "health"]).output
    assert said.count(" is missing") == len(Health.files)
    assert said.count("accept the rules") == 1


def test_a_file_of_another_digest_is_refused_with_the_doubt_about_the_digest(made: Made) -> None:
    result = CliRunner().invoke(data, ["add", "health", str(next(iter(made.files.values())).parent)])
    assert isinstance(result.exception, DataError)
    assert "Target.csv: sha256 is " in str(result.exception)
    assert str(result.exception).count("not confirmed against the competition's own") == len(Health.files)


def test_from_a_users_zip_to_a_fit_by_age_bands(made: Made, tmp_path, monkeypatch) -> None:
    source = next(iter(made.files.values())).parent
    monkeypatch.setattr(Health, "files", pinned(source))
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    with zipfile.ZipFile(tmp_path / "HHP_release3.zip", "w") as archive:
        for path in source.glob("*.csv"):
            archive.write(path, path.name)
    result = CliRunner().invoke(data, ["add", "health", str(tmp_path / "HHP_release3.zip")])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == len(Health.files)
    registry, _ = load_plugins()
    methods = ("fairbinn_coupled[epochs=1,hidden=(4)]",)
    suite = Suite("x", ("health[variant=fairbinn,label=charlson_positive]",), methods, group=("age_band",), repeats=1)
    [cell] = plan(suite, registry)
    split = Workbench(registry, DataSource(offline=True)).split(cell)
    fitted = registry.method(cell.method).fit(split.train, split.validation, seed=0)
    assert len(fitted.points[""](split.test.inputs).y_pred) == len(split.test)
