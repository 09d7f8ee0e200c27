"""Former names work until the version that their warnings give, and say what the new ones are."""

from __future__ import annotations

import sys

import pytest

from fairbench.data import preparation


def test_the_former_place_of_split_dataset_warns_whoever_imports_it_and_works(monkeypatch):
    monkeypatch.delitem(sys.modules, "fairbench.preparation", raising=False)
    with pytest.warns(DeprecationWarning, match=r"0\.2; use fairbench\.data\.preparation instead") as caught:
        from fairbench.preparation import split_dataset
    assert split_dataset is preparation.split_dataset
    assert [warning.filename for warning in caught] == [__file__]
