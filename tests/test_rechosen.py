"""Another rule that chooses from stored points: it finds what a run with that rule finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from fairbench_scenarios.selected import Selected
from fairbench_scenarios.sweep import Sweep, granted
from fairbench_scenarios.tuned import Tuned
from fairbench_scenarios.tuned_together import TunedTogether
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_runs import PARTS, noisy, people

from fairbench import load
from fairbench.analysis.optimism import rule_of
from fairbench.analysis.rechosen import chosen_by, rechosen_notes, seen_on_validation
from fairbench.api import Fitted, Judged, NotApplicable, Predictions, Range, Split, SuiteError
from fairbench.cells import Cell, Choice
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, Record, Results
from fairbench.running.outcomes import checked, measured
from fairbench.running.packing import Measured as Stored
from fairbench.running.store import FILE_NAME, Store

RULES = (
    "max accuracy",
    "max accuracy subject to dp <= 0.05",
    "max accuracy subject to eo <= 0.1",
    "max accuracy subject to dp <= 0.2 (upper)",
    "max accuracy subject to dp ratio >= 0.8",
    "min dp",
    "min eo",
)
KNEES = ("knee dp", "knee eo")
METRICS = [
    load_plugins()[0].metric(name)
    for name in ("accuracy", "demographic_parity_difference", "equalized_odds_difference")
]


@dataclass(frozen=True)
class Noisy:
    """Fits whose points decide at random, some with chances, some alike, so that ties occur."""

    name = "noisy"
    ranges: ClassVar = {"level": Range(0.0, 0.5)}
    grid: ClassVar = ({"level": 0.1}, {"level": 0.3})
    level: float = 0.2
    seed: int = 0
    points: int = 3

    def fit(self, train, validation, *, seed):
        def point(number):
            draw = np.random.default_rng([self.seed, round(1000 * self.level), number])
            chances = draw.choice([0.0, 0.25, 1.0], size=300)
            signal = draw.random() < 0.7

            def predict(inputs):
                decision = chances[: len(inputs.X)].copy()
                if signal:
                    decision[: len(decision) // 2] = inputs.X[: len(decision) // 2, 0]
                return Predictions.from_decision(decision, seed=1)

            return predict

        made = {f"p{number}": point(number) for number in range(self.points)}
        return Fitted({**made, "same": made["p0"]}, "p0")


def split_of(seed: int, groups: int = 2) -> Split:
    """Return three parts of 60 rows whose only feature is nearly the label."""
    parts = []
    for part in range(3):
        rows = people([0.3, 0.6, 0.5][:groups], [60 // groups] * groups, seed=3 * seed + part)
        x = noisy(rows, flips=0.2, seed=seed).y_pred[:, None].astype(np.float32)
        parts.append(replace(rows, X=x, schema=replace(rows.schema, feature_names=("x",))))
    return Split(*parts)


def ran(scenario, split, method=None) -> Results:
    """Return the results of one cell as a run's store returns them: values sorted by point, group and metric."""
    (outcome,) = scenario.run(split, method or Noisy(), lambda purpose: len(purpose))
    params = {name: getattr(scenario, name) for name in ("rule", "also") if hasattr(scenario, name)}
    cell = Cell(Choice("d"), Choice("noisy"), "sex", 0, scenario=Choice(scenario.name, params))
    record = measured(Record(cell, DONE, parts=PARTS), checked(outcome, "noisy", None), METRICS)
    values = tuple(sorted(record.values, key=lambda value: value[:4]))
    return Results([replace(record, values=values)], {}, 1, {})


def told(results: Results):
    """Return the values at the chosen point, and whether the rule was satisfied."""
    (record,) = results.records
    chosen = [value[2:] for value in record.values if value.point == record.chosen]
    return chosen, record.diagnostics["infeasible"]


@settings(max_examples=60)
@given(
    rule=st.sampled_from([*RULES, *KNEES]),
    kind=st.sampled_from([Sweep, Selected, Tuned, TunedTogether]),
    seed=st.integers(0, 50),
    groups=st.sampled_from([2, 3]),
)
def test_choosing_by_the_run_s_own_rule_changes_nothing(rule, kind, seed, groups):
    scenario = kind(rule=rule, **({"points": "all"} if issubclass(kind, Tuned) else {}))
    found = ran(scenario, split_of(seed, groups), Noisy(seed=seed))
    (record,), (again,) = found.records, chosen_by(found, rule).records
    assert again == replace(record, rule=rule, diagnostics=again.diagnostics)
    assert dict(again.diagnostics) == dict(record.diagnostics)
    assert again.cell.key == record.cell.key


@settings(max_examples=80)
@given(
    first=st.sampled_from(RULES),
    second=st.sampled_from(RULES),
    seed=st.integers(0, 50),
    trials=st.integers(1, 5),
    groups=st.sampled_from([2, 3]),
)
def test_a_run_by_one_rule_chosen_by_another_is_the_run_by_the_other(first, second, seed, trials, groups):
    split, method = split_of(seed, groups), Noisy(seed=seed)
    alone = ran(Sweep(trials=trials, rule=second), split, method)
    shared = ran(Sweep(trials=trials, rule=first, also=second), split, method)
    assert told(chosen_by(shared, second)) == told(alone)
    assert told(shared) == told(ran(Sweep(trials=trials, rule=first), split, method))


def test_what_is_stored_is_what_the_rule_saw():
    split = split_of(4)
    (record,) = ran(Selected(), split).records
    seen = seen_on_validation(record)
    fitted = Noisy().fit(split.train, split.validation, seed=0)
    assert list(seen) == list(fitted.points)
    for label, point in fitted.points.items():
        now = Judged.of(split.validation, point(split.validation.inputs))
        for name, rates in vars(now.rates).items():
            np.testing.assert_array_equal(getattr(seen[label].rates, name), rates, err_msg=name)
        assert (seen[label].accuracy, seen[label].gap("eo")) == (now.accuracy, now.gap("eo"))


def test_counts_find_their_points_in_a_store_which_sorts_them(tmp_path):
    """'as given' comes first in the run and last in the store, and its counts are equal to nobody else's."""
    found = ran(Sweep(trials=4, rule="max accuracy"), split_of(2))
    with Store(tmp_path / FILE_NAME, create=True) as store:
        store.add(Stored(found.records[0], {}))
        (record,) = store.records()
    points = list(dict.fromkeys(value.point for value in record.values))
    assert points == sorted(points) != list(seen_on_validation(record))
    assert next(iter(seen_on_validation(record))) == "as given"
    accuracies = [point.accuracy for point in seen_on_validation(record).values()]
    assert accuracies == list(record.diagnostics["validation_accuracy"])
    unknown = {**record.diagnostics, "validation_order": ()}
    assert seen_on_validation(replace(record, diagnostics=unknown)) is None


def test_without_further_rules_a_fit_keeps_one_point():
    (record,) = ran(Sweep(trials=3), split_of(1)).records
    assert len({value.point for value in record.values}) == 3
    (both,) = ran(Sweep(trials=3, also="min eo; max accuracy"), split_of(1)).records
    assert len({value.point for value in both.values}) > 3
    assert both.diagnostics["fits"] == (3.0,)


def test_cells_without_counts_stay_and_are_listed():
    found = ran(Sweep(trials=2), split_of(0))
    (record,) = found.records
    old = replace(record, cell=replace(record.cell, method=Choice("old")), diagnostics={})
    both = chosen_by(replace(found, records=[record, old]), "min eo")
    assert both.records[1] == old
    assert rule_of(both.records[0]) == rule_of(replace(record, rule="min eo"))
    assert both.run["rechosen"] == {"rule": "min eo", "kept": ["old"]}
    assert list(rechosen_notes(both))[1] == "as the run chose them, for lack of stored validation counts: old"
    with pytest.raises(SuiteError, match="no cell keeps what a rule saw on validation, so none can be chosen anew"):
        chosen_by(replace(found, records=[old]), "min eo")
    with pytest.raises(SuiteError, match="'min ep' is not a selection rule"):
        chosen_by(found, "min ep")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"also": "min dp; knee"}, "'knee dp' compares points with the most accurate of those beside it"),
        ({"rule": "knee", "also": "min dp"}, "'knee dp' compares points with the most accurate of those beside it"),
        ({"also": "min pd"}, "'min pd' is not a selection rule"),
        ({"costly": "laftr 1"}, "'laftr 1' is not a list of methods, a colon and a number of trials"),
        ({"costly": "laftr: 1; hsic laftr: 2"}, "which names laftr twice"),
    ],
)
def test_rules_and_grants_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(SuiteError, match=message):
        Sweep(**wrong)


def test_costly_methods_have_fewer_trials_on_large_data_only():
    assert granted("a b: 1; c: 0") == {"a": 1, "b": 1, "c": 0}
    split = split_of(0)
    fewer = {large: ran(Sweep(trials=4, costly="noisy: 2", large=large), split) for large in (60, 61)}
    assert {large: found.records[0].diagnostics["trials"] for large, found in fewer.items()} == {60: (2.0,), 61: (4.0,)}
    with pytest.raises(NotApplicable, match="grants noisy no trial on 60 or more training rows"):
        ran(Sweep(costly="noisy: 0", large=60), split)
    assert ran(Sweep(trials=2, costly="noisy: 9", large=1), split).records[0].diagnostics["trials"] == (2.0,)


@pytest.mark.long
def test_the_command_and_python_choose_by_another_rule(fairbench):
    scenario = "sweep[trials=3,rule=max accuracy,also=max accuracy subject to eo <= 0.05]"
    grid = ("--methods", "threshold", "--datasets", "synthetic[rows=300]", "--repeats", "2", "--workers", "1")
    assert fairbench("run", *grid, "--scenarios", scenario, "--out", "a")[0] == 0
    other = "max accuracy subject to eo <= 0.05"
    assert fairbench("run", *grid, "--scenarios", f"sweep[trials=3,rule={other}]", "--out", "b")[0] == 0
    before = sorted((load("a").path).glob("report.*"))
    status, out, err = fairbench("report", "a", "--rule", other, "--format", "markdown")
    assert status == 0, err
    assert f"points chosen by '{other}' instead".replace("<", "&lt;") in out
    assert f"operating points are those that the rule '{other}' chooses".replace("<", "&lt;") in out
    anew, alone = load("a").by_rule(other), load("b")
    columns = ["metric", "mean", "std"]
    assert anew.means[columns].equals(alone.means[columns])
    assert not anew.means[columns].equals(load("a").means[columns])
    status, out, _ = fairbench("report", "a", "--rule", other)
    assert status == 0
    assert sorted((load("a").path).glob("report.*")) == before
    status, _, err = fairbench("report", "a", "--rule", "min ep")
    assert status == 2
    assert "'min ep' is not a selection rule" in err
