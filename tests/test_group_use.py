"""What methods declare about the group, and what they are given."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fairbench.api import Fitted, GroupWithheld, Inputs, Predictions, from_estimator
from fairbench.api.networks import Network
from fairbench.api.torch import as_batch, parity_gap, predictor
from fairbench.cells import Choice
from fairbench.data.examples import example_split
from fairbench.data.withheld import withheld
from fairbench.errors import PluginError
from fairbench.plugins.group_use import check_group_use, group_use, shown_use, withholding
from fairbench.plugins.loading import load_plugins
from fairbench.running.rundir import load_results
from fairbench.testing import Nonconforming
from fairbench.testing.group_use import method_uses_the_group_as_declared

MISDECLARED = Path(__file__).parent / "broken" / "misdeclared.py"
WHY = "no group here"
EVERY_OTHER = np.arange(168) % 2 == 0


@pytest.fixture(scope="module")
def registry():
    return load_plugins((str(MISDECLARED),))[0]


@pytest.fixture(scope="module")
def split():
    return example_split()


# ------------------------------------------------------------------- rows


@pytest.mark.parametrize(
    "made",
    [
        lambda rows: rows,
        lambda rows: rows.inputs,
        lambda rows: rows.select(EVERY_OTHER),
        lambda rows: rows.select(EVERY_OTHER).inputs.select(np.array([3, 3])),
        lambda rows: replace(rows, X=rows.X * 2),
        lambda rows: replace(rows.inputs, keys={"age": np.arange(len(rows))}).select(EVERY_OTHER),
        lambda rows: pickle.loads(pickle.dumps(rows)),
        lambda rows: withheld(rows, "another reason"),
        as_batch,
        lambda rows: as_batch(rows).part(as_batch(rows).X[:5], as_batch(rows).y[:5]),
    ],
)
def test_nothing_made_of_groupless_rows_has_a_group(split, made):
    rows = made(withheld(split.train, WHY))
    for ask in (lambda: rows.group, lambda: rows.protected):
        with pytest.raises(GroupWithheld, match=WHY):
            ask()


def test_everything_else_of_groupless_rows_is_there(split):
    rows, whole = withheld(split.train, WHY), split.train
    assert len(rows) == len(whole) == 168
    half = rows.select(EVERY_OTHER)
    assert np.array_equal(half.X, whole.X[EVERY_OTHER])
    assert np.array_equal(half.y, whole.y[EVERY_OTHER])
    assert rows.schema is whole.schema
    assert rows.group_names == ("group 0", "group 1")
    assert rows.X is whole.X  # nothing is copied
    assert WHY not in repr(np.asarray(replace(rows, X=2 * rows.X).X))
    with pytest.raises(Exception, match="NaN or infinite"):
        replace(rows, X=rows.X * np.nan)


# ------------------------------------------------------------ declarations


def declaring(uses):
    @dataclass(frozen=True)
    class Declaring:
        """Keeps what it is given."""

        name = "declaring"
        uses_group = uses
        scale: int = 1

        def fit(self, train, validation, *, seed):
            def predict(inputs):
                predict.seen.append(inputs)
                return Predictions(np.zeros(len(inputs), dtype=int))

            predict.seen = [self, train, validation]
            return predict

    return Declaring


def knows(rows):
    try:
        return len(rows.group) == len(rows)
    except GroupWithheld:
        return False


@pytest.mark.parametrize("uses", [None, (), ("training",), ["prediction"], ("prediction", "training")])
@pytest.mark.parametrize(
    "way", [withholding, lambda m: replace(withholding(m), scale=2), lambda m: withholding(withholding(m))]
)
def test_a_method_is_given_what_it_declares(split, uses, way):
    fitted = Fitted.of(way(declaring(uses)()).fit(split.train, split.validation, seed=1))
    fitted.points[""](split.test.inputs)
    _, train, validation, inputs = fitted.points[""].seen
    at_training, at_prediction = (uses is None or use in uses for use in ("training", "prediction"))
    assert (knows(train), knows(validation), knows(inputs)) == (at_training, at_training, at_prediction)
    assert isinstance(inputs, Inputs)


def test_a_method_that_withholds_is_still_itself(registry):
    method = registry.method(Choice("mlp", {"epochs": 3}))
    again = pickle.loads(pickle.dumps(method))
    for one in (method, again):
        assert repr(one) == repr(registry.get("methods", "mlp")(epochs=3))
        assert isinstance(one, registry.get("methods", "mlp"))
        assert type(one) is type(method)


def test_what_a_predictor_begins_is_given_no_group_either(split):
    """As the scenario ``stream`` does with a predictor that remembers what came before."""

    class Remembers:
        before = 5

        def __call__(self, inputs):
            return Predictions(inputs.group % 2)

        def stream(self):
            return Remembers()

    base = declaring(())

    class Streaming(base):
        def fit(self, train, validation, *, seed):
            return Remembers()

    fitted = withholding(Streaming()).fit(split.train, split.validation, seed=1)
    begun = fitted.points[""].stream()
    assert begun.before == 5
    with pytest.raises(GroupWithheld, match="asked for the group of rows at prediction"):
        begun(split.test.inputs)
    assert not hasattr(fitted.points[""], "whole_batch")


@pytest.mark.parametrize("wrong", ["training", ("fit",), 3, {"training": True, "later": False}, (["training"],)])
def test_a_wrong_declaration_is_refused(wrong):
    with pytest.raises(PluginError, match=r"uses_group is .*; it must be \(\), \('training',\)"):
        check_group_use(declaring(wrong))


def test_a_declaration_that_cannot_be_read_is_not_taken_for_none(split):
    class Broken(declaring(())):
        @property
        def uses_group(self):
            return self.no_such_thing

    with pytest.raises(PluginError, match=r"uses_group cannot be read: .*no_such_thing"):
        withholding(Broken())


def test_a_plugin_with_a_wrong_declaration_says_so(fairbench, tmp_path):
    text = MISDECLARED.read_text(encoding="utf-8").replace('("prediction",)', '"prediction"')
    (tmp_path / "wrong.py").write_text(text, encoding="utf-8")
    status, _, err = fairbench("run", "--methods", "reads_in_fit", "--datasets", "synthetic", "--plugin", "wrong.py")
    assert status == 2
    assert "method reads_in_fit: uses_group is 'prediction'; it must be ()" in err


def test_a_network_with_an_objective_needs_no_group(split):
    @dataclass(frozen=True)
    class Own(Network):
        """Trains with an objective of its own."""

        name = "own"
        uses_group = ()
        gap: bool = False

        def fit(self, train, validation, *, seed):
            def objective(model, batch):
                logit = model(batch.X)
                return (logit * (1 - 2 * batch.y)).mean() + (parity_gap(logit, batch.group) if self.gap else 0)

            return predictor(self.minimise(objective, train, validation, seed=seed)[0])

    withholding(Own(epochs=2)).fit(split.train, split.validation, seed=1)
    with pytest.raises(GroupWithheld, match="method own asked for the group of rows at training"):
        withholding(Own(epochs=2, gap=True)).fit(split.train, split.validation, seed=1)


class FitsByGroup:
    """An estimator whose ``fit`` takes the group."""

    def fit(self, X, y, *, sensitive_features=None):
        self.groups = None if sensitive_features is None else set(sensitive_features)

    def predict(self, X):
        return np.ones(len(X), dtype=int)


class PredictsByGroup:
    """An estimator whose ``predict`` takes the group."""

    def fit(self, X, y):
        pass

    def predict(self, X, *, sensitive_features):
        return (sensitive_features == "group 1").astype(int)


@pytest.mark.parametrize(
    ("estimator", "routes", "uses"),
    [
        (FitsByGroup, None, ("training",)),
        (FitsByGroup, (), ()),
        (PredictsByGroup, None, ("prediction",)),
        (PredictsByGroup, ("predict",), ("prediction",)),
        ("sklearn.linear_model:LogisticRegression", None, ()),
        ("fairlearn.postprocessing:ThresholdOptimizer", ("fit", "predict"), ("training", "prediction")),
    ],
)
def test_an_estimators_uses_follow_from_its_signatures(split, estimator, routes, uses):
    method = from_estimator("estimator", estimator, sensitive_features=routes)
    assert group_use(method()) == uses
    if not isinstance(estimator, str):
        fitted = Fitted.of(withholding(method()).fit(split.train, split.validation, seed=1))
        fitted.points[""](split.test.inputs)


# ---------------------------------------------------------- enforcing it


@pytest.mark.long
def test_misdeclared_methods_fail_and_say_why(fairbench, tmp_path):
    names = "reads_in_fit,reads_validation,reads_in_predict,silent,declares_too_much,mlp[epochs=2]"
    arguments = ("--datasets", "synthetic", "--scenarios", "holdout,tuned,selected", "--repeats", "1", "--workers", "2")
    status, _, _ = fairbench("run", "--methods", names, *arguments, "--plugin", MISDECLARED, "--out", "out")
    assert status == 1
    records = {
        (record.cell.method.name, record.cell.scenario.name): record for record in load_results(Path("out")).records
    }
    assert len(records) == 6 * 3
    for (name, scenario), record in records.items():
        if not name.startswith("reads"):
            assert record.status == "done", (name, scenario)
            continue
        asked = "prediction" if name == "reads_in_predict" else "training"
        declares = {"reads_in_fit": "('prediction',)", "reads_validation": "()", "reads_in_predict": "('training',)"}[
            name
        ]
        why = f"method {name} asked for the group of rows at {asked}, but declares uses_group = {declares}; declare"
        assert record.status == "failed"
        assert why in record.reason.splitlines()[-1]
        assert "misdeclared.py" in record.reason
    assert "asked for the group of rows at prediction" in " ".join(fairbench("report", "out")[1].split())


def test_the_check_finds_what_is_declared_wrongly(fairbench, monkeypatch):
    monkeypatch.setattr("fairbench.testing.audit", lambda methods, plugins: [])  # it runs processes of its own
    status, out, _ = fairbench("check", MISDECLARED, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    found = {row["component"]: row for row in rows if row["check"] == "method_uses_the_group_as_declared"}
    assert status == 1
    for name, line in {
        "reads_in_fit": "base_rate(train.select(train.group == 0))",
        "reads_validation": "base_rate(some.select(some.protected))",
        "reads_in_predict": "return Predictions((copied.group == 0).astype(int))",
    }.items():
        assert found[name]["result"] == "failed"
        assert "misdeclared.py, line " in found[name]["detail"]
        assert found[name]["detail"].endswith(f": {line})")
    assert {found[name]["result"] for name in ("declares_too_much", "silent")} == {"passed"}
    assert found["declares_too_much"]["detail"].startswith(
        "warning: uses_group declares training and prediction, where the group made no difference"
    )
    assert "for what it does with the example it would be ('prediction',)" in found["silent"]["detail"]


def test_the_check_warns_only_of_what_makes_no_difference():
    @dataclass(frozen=True)
    class ByBaseRate:
        """Selects the group with the higher base rate."""

        name = "by_base_rate"
        uses_group = ("training", "prediction")

        def fit(self, train, validation, *, seed):
            best = max((0, 1), key=lambda code: train.y[train.group == code].mean())
            return lambda inputs: Predictions.from_score((inputs.group == best) * train.y[train.group == best].mean())

    assert method_uses_the_group_as_declared(ByBaseRate) == ""

    @dataclass(frozen=True)
    class Looks(ByBaseRate):
        """Asks for the group of what it predicts in vain."""

        def fit(self, train, validation, *, seed):
            share = train.y[train.group == 0].mean()
            return lambda inputs: Predictions.from_score(np.full(len(inputs.group), share))

    assert "declares prediction, where" in method_uses_the_group_as_declared(Looks)
    assert "declare uses_group = ('training',) if" in method_uses_the_group_as_declared(Looks)

    class AlsoLooks(Looks):
        uses_group = ("training",)

    with pytest.raises(Nonconforming, match=r"asked for the group of rows at prediction.*test_group_use.py, line"):
        method_uses_the_group_as_declared(AlsoLooks)


def test_every_built_in_method_declares_its_use(registry):
    built_in = [
        name for name in registry.names("methods") if registry.origin("methods", name).distribution != "local file"
    ]
    uses = {name: shown_use(registry.get("methods", name)) for name in built_in}
    assert set(uses.values()) == {"neither", "training", "training, prediction"}
    assert {name for name, use in uses.items() if use == "neither"} == {
        *("always_0", "always_1", "boosting", "cnn", "coin", "constant", "logistic", "mlp", "tree"),
    }
    assert uses["attainable"] == uses["threshold"] == "training, prediction"


def test_list_and_show_tell_where_the_group_is_used(fairbench):
    _, out, _ = fairbench("list", "methods", "--plugin", MISDECLARED, "--json")
    groups = {row["name"]: row["group"] for row in map(json.loads, out.splitlines())}
    assert (groups["mlp"], groups["hsic"], groups["silent"]) == ("neither", "training", "not declared")
    assert "group" not in json.loads(fairbench("list", "metrics", "--json")[1].splitlines()[0])
    assert "uses_group: training, prediction\n" in fairbench("show", "method", "threshold")[1]
    assert json.loads(fairbench("show", "method", "silent", "--plugin", MISDECLARED, "--json")[1])["uses_group"] == (
        "not declared"
    )


def test_a_use_that_depends_on_parameters_is_read_from_an_instance(split):
    @dataclass(frozen=True)
    class Depends:
        """Looks at the group of what it predicts if it is told to."""

        name = "depends"
        looks: bool = False

        @property
        def uses_group(self):
            return ("training", "prediction") if self.looks else ()

        def fit(self, train, validation, *, seed):
            return lambda inputs: Predictions((inputs.group == 0).astype(int))

    check_group_use(Depends)
    assert shown_use(Depends) == "neither"
    for looks in (False, True, False):
        points = Fitted.of(
            replace(withholding(Depends(not looks)), looks=looks).fit(split.train, split.validation, seed=1)
        ).points
        if looks:
            points[""](split.test.inputs)
        else:
            with pytest.raises(
                GroupWithheld, match="declares uses_group = \\(\\); declare uses_group = \\('prediction',\\)"
            ):
                points[""](split.test.inputs)
