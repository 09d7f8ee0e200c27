"""What a cell's key and seeds hang on, and what they leave out."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from fairbench.cells import Cell, Choice, Preparation, canonical
from fairbench.errors import SuiteError

CELL = Cell(Choice("compas"), Choice("mlp", {"epochs": 3}), "race", 1, metrics=("accuracy",))
OTHERS = {
    "dataset": Choice("adult"),
    "dataset's parameters": Choice("compas", {"rows": 3}),
    "method": Choice("logistic"),
    "method's parameters": Choice("mlp", {"epochs": 4}),
    "group": "sex",
    "repeat": 2,
    "preparation": Preparation(scale="none"),
    "scenario": Choice("tuned"),
    "tuning": 1,
    "fit": 1,
}


def with_other(what):
    return replace(CELL, **{what.split("'")[0]: OTHERS[what]})


@pytest.mark.parametrize("what", OTHERS)
def test_key_hangs_on_all_that_can_change_a_number(what):
    assert with_other(what).key != CELL.key


def test_key_leaves_the_metrics_out_so_that_a_finished_cell_can_be_given_more():
    assert replace(CELL, metrics=("accuracy", "roc_auc")).key == CELL.key


@pytest.mark.parametrize("what", ["dataset", "group", "repeat"])
def test_seeds_hang_on_dataset_group_and_repeat(what):
    assert with_other(what).seed("split") != CELL.seed("split")


@pytest.mark.parametrize("what", ["method", "method's parameters", "preparation", "scenario"])
def test_seeds_are_shared_by_all_that_must_see_the_same_split(what):
    assert with_other(what).seed("split") == CELL.seed("split")


def test_purposes_have_seeds_of_their_own():
    assert CELL.seed("split") != CELL.seed("fit")


@pytest.mark.parametrize("what", ["dataset", "dataset's parameters", "group", "repeat", "preparation"])
def test_split_key_hangs_on_all_that_makes_the_split(what):
    assert with_other(what).split_key != CELL.split_key


@pytest.mark.parametrize("what", ["tuning", "fit"])
def test_every_seed_but_the_splits_hangs_on_tuning_and_fit(what):
    other = with_other(what)
    assert other.seed("split") == CELL.seed("split")
    assert {other.seed(purpose) == CELL.seed(purpose) for purpose in ("fit", "global", "tasks")} == {False}


def test_fits_of_one_tuning_share_the_seed_of_a_search():
    seeds = {(t, f): replace(CELL, tuning=t, fit=f).seed("search") for t in (0, 1, 2) for f in (0, 1)}
    assert {seeds[t, 0] == seeds[t, 1] for t in (0, 1, 2)} == {True}
    assert len(set(seeds.values())) == 3


def test_tunings_divide_the_rows_again_and_fits_do_not():
    assert (CELL.validation_seed, with_other("fit").validation_seed) == (None, None)
    seeds = {replace(CELL, tuning=tuning, fit=fit).validation_seed for tuning in (1, 2) for fit in (0, 1)}
    assert len(seeds) == 2
    assert with_other("tuning").split_key != CELL.split_key
    assert with_other("fit").split_key == CELL.split_key


@pytest.mark.parametrize("what", ["method", "method's parameters", "scenario"])
def test_split_key_is_the_same_for_every_method_and_scenario(what):
    assert with_other(what).split_key == CELL.split_key


def test_keys_and_seeds_are_those_of_runs_that_were_made_before():
    cell = Cell(Choice("compas", {"rows": 3}), Choice("mlp", {"hidden": [8], "lr": 0.1}), "race", 1)
    assert cell.key == "c69b4a58b86979c909b5e50022107ecf"
    assert cell.split_key == "2389f40c14301bafcaf7e615f1c9c3ff"
    assert (cell.seed("split"), cell.seed("fit")) == (1468224235, 2731630041)


def test_every_component_of_a_cell_is_told_by_its_kind():
    cell = replace(CELL, metrics=("accuracy", "roc_auc"))
    assert cell.components == [
        ("datasets", "compas"),
        ("methods", "mlp"),
        ("scenarios", "holdout"),
        ("metrics", "accuracy"),
        ("metrics", "roc_auc"),
    ]


def test_a_scale_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(SuiteError, match=r"scale is 'log'; it must be one of standard, none$"):
        Preparation(scale="log")


def test_a_cell_comes_back_from_json_whole():
    assert Cell.from_json(CELL.to_json()) == CELL
    assert Cell.from_json(CELL.to_json()).metrics == ("accuracy",)


def test_a_cells_text_holds_every_field_of_it_and_of_its_parts():
    assumed = replace(CELL.preparation, group_known=0.5, group_at_prediction=False)
    cell = replace(CELL, tuning=1, fit=2, preparation=assumed)
    assert json.loads(cell.to_json()) == json.loads(json.dumps(asdict(cell)))
    assert {*asdict(CELL)} - {*json.loads(CELL.to_json())} == {"tuning", "fit"}, "the first of each goes without saying"
    known = {*asdict(CELL)["preparation"]} - {*json.loads(CELL.to_json())["preparation"]}
    assert known == {"group_known", "group_at_prediction"}, "so does a group that is known everywhere"
    assert cell.to_json() == canonical(json.loads(cell.to_json()))
    assert Cell.from_json(cell.to_json()) == cell
