"""Every registered component passes the checks of fairbench.testing, whoever brought it."""

from __future__ import annotations

from functools import partial

import pytest

from fairbench.plugins.kinds import KINDS
from fairbench.plugins.loading import load_plugins
from fairbench.testing import CHECKS
from fairbench.testing.components import executor_maps_every_item, parameters_survive_json
from fairbench.testing.group_use import method_uses_the_group_as_declared

REGISTRY, _ = load_plugins()
SHORTER = {  # these would learn for seconds, in up to two fits a check, and no check asks how well
    "aif360_lfr": {"evaluations": 300},
    "aif360_meta_fair": {"tau": 0.1},
    "aif360_reject_option": {"thresholds": 10, "margins": 5},
    "attainable": {"folds": 2, "rounds": 4},
    "boosting": {"rounds": 10},
    "cnn": {"epochs": 4},
    "fairlearn_exponentiated_gradient": {"max_iter": 3},
    "fair_maml": {"iterations": 30},
    "ffml": {"meta_steps": 15},
    "m_ftml": {"meta_steps": 15},
    "pdfm": {"iterations": 30},
}
QUICK = {
    name: partial(REGISTRY.get("methods", name), **fewer)
    for name, fewer in SHORTER.items()
    if name in REGISTRY.names("methods")  # a library may be too new for one
}
HERE = {"slurm": {"cluster": "local", "jobs": 1}}  # how an executor runs without the cluster that it is for
CASES = [
    pytest.param(kind, name, check, id=f"{kind}-{name}-{check.__name__}")
    for kind in KINDS
    for name in REGISTRY.names(kind)
    for check in CHECKS[kind]
]


@pytest.mark.parametrize(("kind", "name", "check"), CASES)
def test_component_conforms(kind, name, check):
    if check is executor_maps_every_item:
        check(partial(REGISTRY.get(kind, name), **HERE.get(name, {})))
        return
    as_class = kind != "methods" or check is parameters_survive_json  # which looks at the class, and fits nothing
    component = REGISTRY.get(kind, name)
    note = check(component if as_class else QUICK.get(name, component))
    assert not (check is method_uses_the_group_as_declared and note), note  # it would be declared, or too much


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_something_to_check(kind):
    assert REGISTRY.names(kind)
