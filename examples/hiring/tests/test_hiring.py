"""The dataset keeps fairbench's rules, and holds what is said of it."""

from __future__ import annotations

import pytest

from fairbench.api import DataError
from fairbench.testing import CHECKS
from hiring import dataset
from hiring.dataset import Hiring


@pytest.mark.parametrize("check", CHECKS["datasets"])
def test_it_keeps_the_rules(check):
    check(Hiring)


def test_rows_labels_and_groups_are_those_of_the_table():
    loaded = Hiring().load({})
    assert (len(loaded.X), int(loaded.y.sum())) == (800, 307)
    assert loaded.sensitive_features["sex"].value_counts().to_dict() == {"male": 454, "female": 346}
    assert loaded.sensitive_features["age_group"].value_counts().to_dict() == {"younger": 434, "45 and older": 366}
    assert int(loaded.X["test"].isna().sum()) == 37


def test_applicants_without_a_test_result_can_be_dropped():
    loaded = Hiring(missing="drop").load({})
    assert len(loaded.X) == 800 - 37
    assert not loaded.X.isna().any(axis=None)


def test_another_table_is_refused(tmp_path, monkeypatch):
    other = tmp_path / "applicants.csv"
    other.write_bytes(dataset.TABLE.read_bytes() + b"30,none,1,50,male,0\n")
    monkeypatch.setattr(dataset, "TABLE", other)
    with pytest.raises(DataError, match="install the package again"):
        Hiring().load({})
