"""Which method the others of a section are compared with."""

from __future__ import annotations

import pytest

from fairbench.analysis.baselines import baseline_of
from fairbench.cells import Cell, Choice
from fairbench.errors import SuiteError
from fairbench.records import DONE, FAILED, Record, Results, Value


def record(method, accuracy=0.5, *, repeat=0, status=DONE, **params):
    cell = Cell(Choice("adult"), Choice(method, params), "sex", repeat)
    values = (Value(0, "", "", "accuracy", accuracy),) if status == DONE else ()
    return Record(cell, status, values=values)


def results(records, baseline=None, references=()):
    suite = {} if baseline is None else {"baseline": baseline}
    return Results(records, {"suite": suite, "reference_methods": list(references)}, len(records), {})


def test_the_suites_baseline_wins_even_over_mlp_and_the_most_accurate():
    ran = [record("mlp", 0.8), record("tree", 0.9), record("logistic", 0.7), record("logistic", 0.6, repeat=1)]
    found = baseline_of(ran, results(ran, "logistic"))
    assert (found.name, [r.cell.repeat for r in found.records], found.why) == ("logistic", [0, 1], "named by the suite")


def test_a_named_baselines_parameters_pick_the_variant_and_defaults_may_be_left_out():
    ran = [record("mlp", epochs=1, width=8), record("mlp", epochs=5, width=8)]
    assert baseline_of(ran, results(ran, "mlp[epochs=5]")).records == (ran[1],)
    assert baseline_of(ran, results(ran, "mlp")).records == (ran[0],)


def test_a_reference_method_is_the_baseline_only_if_it_is_named():
    ran = [record("constant", 0.9), record("tree", 0.6), record("ours", 0.7)]
    assert baseline_of(ran, results(ran, references=["constant"])).name == "ours"
    assert baseline_of(ran, results(ran, "constant", references=["constant"])).name == "constant"


def test_without_a_named_one_mlp_and_else_the_most_accurate_is_taken():
    ran = [record("tree", 0.9), record("mlp", 0.6)]
    found = baseline_of(ran, results(ran))
    assert (found.name, found.why) == ("mlp", "none is named; the usual baseline")
    ran = [record("ours", 0.6), record("tree", 0.9), record("tree", 0.3, repeat=1), record("mlp", status=FAILED)]
    found = baseline_of(ran, results(ran))
    assert (found.name, found.why) == ("ours", "none is named, and mlp did not run; the most accurate method")


def test_a_named_baseline_that_failed_is_replaced_and_that_is_said():
    ran = [record("logistic", status=FAILED), record("tree", 0.9)]
    found = baseline_of(ran, results(ran, "logistic"))
    assert found.name == "tree"
    assert found.why == "the suite's baseline logistic has no finished repeat here; instead the most accurate method"


@pytest.mark.parametrize("ran", [[], [record("ours", status=FAILED)], [record("constant")]])
def test_there_may_be_none(ran):
    found = baseline_of(ran, results(ran, references=["constant"]))
    assert (found.records, found.name) == ((), "")
    assert found.why == "no method but reference methods has a finished repeat with an accuracy"


def test_a_malformed_name_is_refused():
    with pytest.raises(SuiteError, match="leaves 1 bracket open"):
        baseline_of([record("mlp")], results([record("mlp")], "mlp[epochs=1"))
