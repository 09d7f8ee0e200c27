"""What the adapters of AIF360 refuse, what they leave alone, and where they are unavailable."""

from __future__ import annotations

import importlib
import logging
import random
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from aif360_helpers import two_group_split
from fairbench_aif360._library import at_work, check_optimiser

from fairbench.api import Fitted, NotApplicable
from fairbench.data.examples import example_images
from fairbench.plugins import loading
from fairbench.plugins.loading import EntryPoint, load_plugins
from fairbench.plugins.registry import BUILT_IN

pytest.importorskip("aif360")
REGISTRY, _ = load_plugins()
METHODS = [name for name in REGISTRY.names("methods") if name.startswith("aif360_")]
POST = ["aif360_calibrated_eq_odds", "aif360_eq_odds", "aif360_reject_option"]
TABLES = [name for name in METHODS if name not in (*POST, "aif360_reweighing")]
TWO_GROUPS = [name for name in METHODS if name != "aif360_gerryfair"]


def fit(name, split, **parameters):
    return REGISTRY.get("methods", name)(**parameters).fit(split.train, split.validation, seed=1)


def test_all_that_can_run_here_are_found():
    unavailable = {
        problem.name.split(".")[1]: problem for problem in REGISTRY.problems if "fairbench_aif360" in problem.name
    }
    assert set(unavailable) <= {"disparate_impact_remover", "lfr"}
    assert all(problem.unavailable for problem in unavailable.values())
    assert len(METHODS) + len(unavailable) == 9


@pytest.mark.parametrize("name", TWO_GROUPS)
def test_three_groups_are_not_applicable(name):
    words = rf"^{name} compares two groups, and there are 3: group 0, group 1, group 2$"
    with pytest.raises(NotApplicable, match=words):
        fit(name, two_group_split(groups=3))


@pytest.mark.parametrize("name", TWO_GROUPS)
def test_a_group_without_a_label_is_not_applicable(name):
    split = two_group_split()
    part = "validation" if name in POST else "train"
    rows = getattr(split, part)
    lacking = rows.select(rows.group * 2 + rows.y != 3)
    words = (
        f"^{name} needs rows with both labels in both groups; the "
        f"{'validation' if name in POST else 'training'} part has no row of 'group 1' with y = 1$"
    )
    with pytest.raises(NotApplicable, match=words):
        fit(name, replace(split, **{part: lacking}))


@pytest.mark.parametrize("what", ["label", "group"])
def test_gerryfair_needs_two_labels_and_two_groups(what):
    split = two_group_split()
    train = split.train.select((split.train.y if what == "label" else split.train.group) == 1)
    with pytest.raises(NotApplicable, match=f"aif360_gerryfair: the {len(train)} training rows have only one {what}"):
        fit("aif360_gerryfair", replace(split, train=train))


@pytest.mark.parametrize("name", TABLES)
def test_images_are_not_applicable(name):
    with pytest.raises(NotApplicable, match=f"method {name} works on tables"):
        fit(name, example_images())


@pytest.mark.parametrize("name", POST)
def test_post_processing_of_a_model_that_saw_one_label_is_not_applicable(name):
    split = two_group_split()
    train = split.train.select(split.train.y == 1)
    with pytest.raises(
        NotApplicable, match=f"a base model needs both labels; all {len(train)} training rows have y = 1"
    ):
        fit(name, replace(split, train=train))


def with_all_categories(part):
    """Return rows with a feature's sign as two columns, of which one follows from the other."""
    sign = (part.X[:, :1] > 0).astype(np.float32)
    X = np.hstack([part.X, sign, 1 - sign])
    return replace(part, X=X, schema=replace(part.schema, feature_names=(*part.schema.feature_names, "high", "low")))


def test_meta_fair_is_given_independent_columns():
    independent = importlib.import_module("fairbench_aif360.meta_fair").independent
    split = two_group_split()
    parts = [with_all_categories(part) for part in (split.train, split.validation, split.test)]
    assert independent(split.train.X).tolist() == [0, 1, 2, 3, 4]
    kept = independent(parts[0].X).tolist()
    assert kept[:5] == [0, 1, 2, 3, 4]
    assert len(kept) == 6
    made = fit("aif360_meta_fair", replace(split, train=parts[0], validation=parts[1]), tau=0.1)(parts[2].inputs)
    assert set(made.y_pred) == {0, 1}
    assert (made.y_pred == split.test.y).mean() > 0.6


@pytest.mark.long
def test_rows_to_predict_need_not_have_both_groups():
    split = two_group_split()
    for name in METHODS:
        predict = Fitted.of(fit(name, split)).points[""]
        whole = predict(split.test.inputs)
        for group in (0, 1):
            rows = split.test.group == group
            alone = predict(split.test.inputs.select(rows))
            if not getattr(predict, "whole_batch", False):
                assert alone.decision == pytest.approx(whole.decision[rows]), name


def test_the_library_leaves_no_trace(capfd):
    random.seed(1)
    np.random.seed(1)
    before, handlers = (random.getstate(), repr(np.random.get_state())), list(logging.root.handlers)
    drawn = []
    for _ in range(2):
        with at_work(5):
            drawn.append((random.random(), np.random.random()))
            print("progress")
            warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
            logging.warning("not installed")
    assert drawn[0] == drawn[1]
    assert (random.getstate(), repr(np.random.get_state())) == before
    assert logging.root.handlers == handlers
    assert capfd.readouterr() == ("", "")


def test_loading_the_plugins_imports_nothing_of_the_library():
    code = (
        "from fairbench.plugins.loading import load_plugins; import sys; load_plugins(); print('aif360' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "False"


def test_a_library_that_is_missing_makes_an_adapter_unavailable(monkeypatch, tmp_path):
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "__init__.py").write_text("")
    (tmp_path / "adapters" / "one.py").write_text(
        "from fairbench.api import needs\nneeds('aif360')\nneeds('a_library_nobody_has')\n"
    )
    (tmp_path / "adapters" / "two.py").write_text(
        "from fairbench.api import NotApplicable\nraise NotApplicable('AIF360 0.6 is too old; install 0.7')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    for distribution, told in (("acme", 2), (BUILT_IN, 0)):
        point = EntryPoint("adapters", "adapters", distribution, "1.0")
        monkeypatch.setattr(loading, "entry_points", lambda places, point=point: [point])
        registry = loading._load.__wrapped__((), ())
        assert [(problem.problem, problem.state) for problem in registry.problems] == [
            ("needs 'a_library_nobody_has', which is not installed", "unavailable"),
            ("AIF360 0.6 is too old; install 0.7", "unavailable"),
        ]
        assert len(registry.warnings) == told
    for name in [name for name in sys.modules if name.split(".")[0] == "adapters"]:
        del sys.modules[name]


@pytest.mark.parametrize(("aif360", "scipy"), [("0.6.1", "1.17.1"), ("0.7.0", "1.18.1"), ("0.6.1", "1.13.1rc1")])
def test_versions_that_fit_each_other_are_taken(aif360, scipy):
    check_optimiser(aif360, scipy)


def test_an_argument_that_scipy_dropped_makes_lfr_unavailable():
    words = "AIF360 0.6.1 calls an optimiser of scipy with an argument that scipy dropped in 1.18, and 1.18.1 is"
    with pytest.raises(NotApplicable, match=words):
        check_optimiser("0.6.1", "1.18.1")
