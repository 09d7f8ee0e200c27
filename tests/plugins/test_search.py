"""The search scenario: as many trials for every method, the same whenever it runs, and resumed where it stopped."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from added_components import added
from fairbench_baselines.constant import Constant
from fairbench_scenarios import search
from fairbench_scenarios.search import GIVEN, Search, propose

from fairbench.api import Cell, Choice, Fitted, NotApplicable, Options, Predictions, Range, Samples, Schema, Split
from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILED
from fairbench.running.cell import CellRunner, run_cell

pytest.importorskip("optuna", reason="the search needs the extra tune")

FITS: list[float] = []


@dataclass(frozen=True)
class Dial:
    """Select rows from ``cut`` on; the best cut is 0.3. With ``stop``, the fit of that number fails once."""

    name = "dial"
    ranges: ClassVar = {"cut": Range(0.0, 1.0), "flip": Options(False, True)}
    cut: float = 0.9
    flip: bool = False
    stop: int = 0

    def fit(self, train, validation, *, seed):
        FITS.append(self.cut)
        if len(FITS) == self.stop:
            raise RuntimeError("out of luck")

        def predict(inputs):
            chance = (inputs.X[:, 0] >= self.cut) == (not self.flip)
            return Predictions.from_decision(np.where(chance, 0.9, 0.1), seed=0)

        return predict


@pytest.fixture(autouse=True)
def _no_fits():
    FITS.clear()


def rows(n=200, seed=0):
    """Return rows with a feature in [0, 1] and y = 1 from 0.3 on, in two groups."""
    x = np.random.default_rng(seed).uniform(size=n).astype(np.float32)
    schema = Schema(("x",), ("a", "b"), 1)
    return Samples(x[:, None], np.arange(n) % 2, schema, (x >= 0.3).astype(int))


def split():
    return Split(rows(), rows(seed=1), rows(seed=2))


def seed(purpose):
    return {"fit": 7, "search": 11}[purpose]


def steps(method=Dial(), **parameters):
    return list(Search(**parameters).run(split(), method, seed))


def shown(outcome):
    made = {point: (p.y_pred.tobytes(), p.decision.tobytes()) for point, p in outcome.predictions.items()}
    return outcome.step, outcome.chosen, made, outcome.diagnostics


def test_every_trial_is_an_operating_point_and_the_given_configuration_is_the_first():
    *saves, last = steps(trials=8, rule="max accuracy")
    assert [bool(step.predictions) for step in saves] == [False] * 7
    assert next(iter(last.predictions)) == GIVEN
    assert FITS[0] == 0.9
    assert len(last.predictions) == len(FITS) == 8
    assert last.diagnostics["trials"] == last.diagnostics["fits"] == [8.0]
    accuracies = last.diagnostics["validation_accuracy"]
    assert len(accuracies) == 8
    assert accuracies[list(last.predictions).index(last.chosen)] == max(accuracies)
    assert "validation_gap" not in last.diagnostics  # the rule is about none


def test_more_trials_find_what_is_best():
    *_, last = steps(trials=30, rule="max accuracy")
    assert "flip=False" in last.chosen
    assert float(last.chosen.split("cut=")[1].split(",")[0]) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("rule", ["max accuracy", "max accuracy subject to dp <= 0.1", "min eo", "knee"])
def test_a_search_is_the_same_whenever_it_runs_and_whatever_the_global_generator(rule):
    first = [shown(outcome) for outcome in steps(trials=6, rule=rule)]
    np.random.seed(5)
    assert [shown(outcome) for outcome in steps(trials=6, rule=rule)] == first


def test_it_goes_on_after_any_trial_as_if_nothing_had_happened():
    whole = steps(trials=6)
    for number, save in enumerate(whole[:-1]):
        FITS.clear()
        state = {name: np.array(array) for name, array in save.state.items()}
        rest = list(Search(trials=6).resume(split(), Dial(), seed, save.step, state))
        assert [shown(outcome) for outcome in rest] == [shown(outcome) for outcome in whole[number + 1 :]]
        assert len(FITS) == 5 - number  # what was finished is not fitted again


@pytest.fixture
def registry():
    with added(methods=[Dial]) as registry:
        yield registry


def test_a_cell_that_stops_goes_on_with_its_next_trial(registry, tmp_path):
    bench = CellRunner(DataSource(None, offline=True), partial=tmp_path / "partial")
    scenario = registry.complete("scenarios", Choice("search", {"trials": 5}))
    cell = Cell(
        Choice("synthetic", {"rows": 300}), Choice("dial"), "group", 0, scenario=scenario, metrics=("accuracy",)
    )
    undisturbed = run_cell(cell, bench.workbench).record
    FITS.clear()
    stopping = replace(cell, method=Choice("dial", {"stop": 4}))
    checkpoint = bench.checkpoint(stopping)
    assert run_cell(stopping, bench.workbench, checkpoint).record.status == FAILED
    grown = replace(stopping, metrics=("accuracy", "selection_rate"))  # nothing was measured that would lack a metric
    record = run_cell(grown, bench.workbench, bench.checkpoint(grown)).record
    assert record.status == DONE
    assert len(FITS) == 4 + 2  # the fourth again, and the fifth
    assert record.diagnostics == undisturbed.diagnostics
    assert record.chosen == undisturbed.chosen
    assert [v for v in record.values if v.metric == "accuracy"] == list(undisturbed.values)
    assert {value.step for value in record.values} == {0}


def test_a_configuration_that_is_proposed_again_is_a_trial_but_no_fit():
    @dataclass(frozen=True)
    class Switch(Dial):
        name = "switch"
        ranges: ClassVar = {"flip": Options(False, True)}

    *_, last = steps(Switch(), trials=12)
    assert last.diagnostics["trials"] == [12.0]
    assert last.diagnostics["fits"] == [float(len(FITS))]
    assert set(last.predictions) == {GIVEN, "flip=False", "flip=True"}


def test_a_method_without_ranges_is_fitted_as_it_is_and_needs_no_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    (only,) = steps(Constant())
    assert (list(only.predictions), only.diagnostics["trials"]) == ([GIVEN], [1.0])


def test_without_optuna_a_search_says_what_to_install_before_it_fits(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(NotApplicable, match=r"pip install 'fairbench-harness\[tune\]'"):
        steps()
    assert FITS == []


def test_a_rule_that_no_trial_satisfies_is_marked():
    rule = "max accuracy subject to dp <= 0 (upper)"
    *_, last = steps(trials=3, rule=rule)
    assert last.diagnostics["infeasible"] == [1.0]


def test_of_a_fit_with_several_points_the_rule_takes_the_one_it_prefers():
    @dataclass(frozen=True)
    class Several(Dial):
        name = "several"

        def fit(self, train, validation, *, seed):
            cuts = {"bad": 1.0, "good": 0.3}
            return Fitted({name: Dial(cut).fit(train, validation, seed=seed) for name, cut in cuts.items()}, "bad")

    *_, last = steps(Several(), trials=2, rule="max accuracy")
    assert last.diagnostics["validation_accuracy"] == pytest.approx([0.9, 0.9])


def test_a_method_given_outside_its_ranges_is_tried_all_the_same():
    *_, last = steps(Dial(cut=5.0), trials=3)
    assert (FITS[0], len(last.predictions)) == (5.0, 3)


def test_every_built_in_method_that_learns_declares_ranges_with_their_sources():
    registry, _ = load_plugins()
    methods = {name: registry.get("methods", name) for name in registry.names("methods")}
    ours = {name: each for name, each in methods.items() if each.__module__.startswith("fairbench_")}
    without = [name for name, each in ours.items() if not hasattr(each, "ranges")]
    assert all(ours[name].is_reference for name in without)
    assert len(without) < len(ours) - 15
    assert all(space.source for each in ours.values() for space in getattr(each, "ranges", {}).values())


@pytest.mark.parametrize("space", [Range(1, 9), Range(1, 1000, log=True), Range(1e-5, 1e-2, log=True), Range(0.1, 0.3)])
def test_proposals_lie_within_the_range_and_have_few_digits(space):
    history = [({"x": space.low}, (0.5,)), ({"x": space.high}, (0.4,))]
    for number in range(20):
        (value,) = propose({"x": space}, history, number).values()
        assert space.low <= value <= space.high
        assert isinstance(value, int) == space.whole
        assert space.whole or float(f"{value:.4g}") == value


def test_rounding_does_not_leave_the_range():
    space = Range(0.123456, 0.123461)
    assert search._rounded(space, 0.1234605) == 0.123461  # 0.1235 to four digits


def test_the_study_says_nothing_and_leaves_the_verbosity(capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    propose({"x": Range(0, 5)}, [], 0)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_on_the_command_line_each_method_has_as_many_trials_and_the_report_shows_them(fairbench):
    command = ["run", "--methods", "logistic,tree,constant", "--datasets", "synthetic[rows=400]", "--repeats", "2"]
    scenario = "search[trials=4,rule=max accuracy subject to dp <= 0.01]"
    code, out, err = fairbench(*command, "--scenarios", scenario, "--metrics", "accuracy", "--out", "r")
    assert code == 0, err
    assert "study" not in err
    assert "put back" not in out + err  # nothing of the process was changed
    code, out, err = fairbench("report", "r", "--format", "selection")
    assert code == 0, err
    assert "chosen on validation by the rule: max accuracy subject to dp <= 0.01" in out
    table = {line.split()[0]: line.split() for line in out[out.index("budget") :].splitlines() if line[:1].isalpha()}
    assert table["logistic"][1:3] == table["tree"][1:3] == ["4.0", "4.0"]
    assert table["constant"][1:4] == ["reference", "1.0", "1.0"]
    assert "infeasible: no point satisfies the rule on validation" in out


@pytest.mark.parametrize("trials", ["0", "-1", "many"])
def test_a_number_of_trials_that_makes_no_sense_is_refused(fairbench, trials):
    command = ["run", "--methods", "logistic", "--datasets", "synthetic", "--scenarios", f"search[trials={trials}]"]
    code, _, err = fairbench(*command)
    assert code == 2
    assert f"scenario search: trials is {trials}" in err.replace("'", "")
