"""The test of the theorem's claim, against numbers worked out by hand, and the script that prints it."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from fairbench_bilevel._claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Comparison,
    Run,
    at_equal_eta,
    at_equal_gap,
    chosen_front,
    front,
    hypervolume,
    mean_by_eta,
    verdict,
)

from fairbench.cells import Cell, Choice, Record, Value
from fairbench.choices import parse_choices
from fairbench.plugins import load_plugins
from fairbench.results import Results
from fairbench.suite import default_parameters, plan, read_suite, tomllib, tune

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPT = BENCHMARKS / "fairbinn_theorem.py"


def make(eta: float = 1.0, repeat: int = 0, bce: float = 0.3, score_gap: float = 0.1, **others) -> Run:
    """Return a run, the training loss being its only interesting one."""
    fields = {"test_bce": 0.4, "gap": score_gap, "accuracy": 0.8, "positive_rate": 0.2, "validation": (0.8, score_gap)}
    return Run(eta, repeat, bce, score_gap=score_gap, epoch_seconds=0.1, **{**fields, **others})


def loss(run: Run) -> float:
    return run.training_bce


def test_equal_eta_compares_shared_weights_within_each_repeat() -> None:
    mine = [make(1, 0, 0.30), make(3, 0, 0.34), make(1, 1, 0.31), make(9, 1, 7.0)]
    theirs = [make(1, 0, 0.28), make(3, 0, 0.30), make(1, 1, 0.33), make(5, 1, 7.0), make(1, 2, 7.0)]
    np.testing.assert_allclose(at_equal_eta(mine, theirs, loss).differences, [0.03, -0.02])


def test_equal_gap_interpolates_within_what_both_span() -> None:
    # straight lines 0.4 - 2 g and 0.5 - 2 g, sampled at other gaps; repeat 1 of one side spans the target .05 alone
    mine = [make(repeat=r, score_gap=g, bce=0.4 - 2 * g) for r in (0, 1) for g in (0.12, 0.01)]
    theirs = [make(repeat=0, score_gap=g, bce=0.5 - 2 * g) for g in (0.15, 0.06, 0.0)]
    theirs += [make(repeat=1, score_gap=g, bce=0.7 - 2 * g) for g in (0.07, 0.03)]
    np.testing.assert_allclose(at_equal_gap(mine, theirs, loss).differences, [-0.1, -0.3])
    assert at_equal_gap(mine, [make(repeat=0, score_gap=0.3)], loss).differences == ()


def test_trivial_runs_do_not_stand_for_a_gap() -> None:
    curve = [make(score_gap=g, bce=0.4) for g in (0.06, 0.12)]
    nobody = make(score_gap=0.0, bce=0.6, positive_rate=0.002)
    assert nobody.trivial
    assert make(positive_rate=0.995).trivial
    assert not make(positive_rate=0.01).trivial
    assert at_equal_gap([*curve, nobody], curve, loss, targets=(0.02,)).differences == ()


@pytest.mark.parametrize(
    ("differences", "less", "greater"),
    [((-1, -2, -3, -1, -1), 1 / 32, 1.0), ((-1, 2, 3, 1, 1), 31 / 32, 6 / 32), ((0, 0), 1.0, 1.0), ((-1, 0), 0.5, 1.0)],
)
def test_sign_tests_are_the_binomial_sums(differences, less: float, greater: float) -> None:
    comparison = Comparison(tuple(map(float, differences)))
    assert comparison.chance("less") == pytest.approx(less)
    assert comparison.chance("greater") == pytest.approx(greater)
    assert comparison.mean == pytest.approx(np.mean(differences))
    assert math.isnan(Comparison(()).mean)


@pytest.mark.parametrize(
    ("equal_eta", "equal_gap", "expected"),
    [
        ([-1.0] * 5, [-1.0] * 5, SUPPORTED),
        ([-1.0] * 5, [-1.0] * 4 + [1.0], INCONCLUSIVE),
        ([-1.0] * 5, [1.0] * 5, NOT_SUPPORTED),  # lower because less fair
        ([1.0] * 5, [-1.0] * 5, NOT_SUPPORTED),
        ([-1.0] * 4, [-1.0] * 4, INCONCLUSIVE),  # four repeats cannot decide
        ([-1.0] * 5, [], INCONCLUSIVE),
    ],
)
def test_verdicts(equal_eta: list[float], equal_gap: list[float], expected: str) -> None:
    assert verdict(Comparison(tuple(equal_eta)), Comparison(tuple(equal_gap))) == expected


def test_front_keeps_what_nothing_dominates() -> None:
    points = {
        1.0: (0.85, 0.20),
        2.0: (0.84, 0.05),
        3.0: (0.83, 0.06),
        4.0: (0.80, 0.01),
        5.0: (0.85, 0.20),
        6.0: (0.7, 0.01),
    }
    assert front(points) == [1.0, 5.0, 2.0, 4.0]
    assert front({}) == []


def test_hypervolume_is_the_area_of_the_union_of_rectangles() -> None:
    # from the reference (.75, .25): .15 x .05 and above it .05 x .05; the third is inside, the fourth outside
    points = [(0.80, 0.10), (0.85, 0.20), (0.78, 0.15), (0.90, 0.30)]
    assert hypervolume(points, 0.75, 0.25) == pytest.approx(0.15 * 0.05 + 0.05 * 0.05)
    assert hypervolume([], 0.75, 0.25) == 0.0


def test_front_is_chosen_on_validation_and_read_off_the_test_part() -> None:
    runs = [
        make(1, 0, score_gap=0.2, accuracy=0.84, gap=0.19, validation=(0.86, 0.18)),
        make(1, 1, score_gap=0.2, accuracy=0.86, gap=0.21, validation=(0.84, 0.18)),
        make(3, 0, accuracy=0.99, gap=0.0, validation=(0.80, 0.19)),  # better on test, dominated on validation
        make(9, 0, accuracy=0.82, gap=0.05, validation=(0.82, 0.04)),
        make(99, 0, accuracy=0.75, gap=0.0, validation=(0.75, 0.0), positive_rate=0.0),
    ]
    np.testing.assert_allclose(chosen_front(runs), [(0.85, 0.20), (0.82, 0.05)])
    assert mean_by_eta(runs[:3], lambda run: run.accuracy) == {1: pytest.approx(0.85), 3: 0.99}


# --- The script ---


@pytest.fixture(scope="module")
def script():
    """Return the module of the script."""
    spec = importlib.util.spec_from_file_location("fairbinn_theorem", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(method: str, repeat: int, bce: float, eta: float = 1.0, **params) -> Record:
    """Return what a store holds of a fit."""
    measured = {"accuracy": 0.8, "log_loss": bce + 0.1, "demographic_parity_difference": 0.1}
    measured |= {"mean_score_difference": 0.1 / eta, "selection_rate": 0.2}
    diagnostics = {"final_training_bce": (bce,), "training_bce": (0.5, bce)}
    diagnostics |= {"validation_accuracy": (0.7, 0.81), "validation_gap": (0.3, 0.11)}
    cell = Cell(Choice("adult"), Choice(method, {"eta": [eta], **params}), "sex", repeat)
    values = [Value(0, "", "", name, value) for name, value in measured.items()]
    values.append(Value(0, "", "Female", "accuracy", 0.1))  # of a group: not what is meant
    return Record(cell, "done", values=tuple(values), diagnostics=diagnostics, seconds=4.0)


def results(records: list[Record]) -> Results:
    constant = [
        Record(
            Cell(Choice("adult"), Choice("constant"), "sex", repeat),
            "done",
            values=(Value(0, "", "", "accuracy", 0.75),),
        )
        for repeat in range(5)
    ]
    return Results([*constant, *records], {}, 0, {})


def test_script_compares_each_bilevel_series_with_the_baseline(script) -> None:
    records = [
        record(method, repeat, bce, eta, **params)
        for repeat in range(5)
        for eta in (1.0, 10.0)
        for method, bce, params in (
            ("lagrangian_dp", 0.30, {}),
            ("fairbinn_coupled", 0.33, {}),
            ("fairbinn", 0.28, {"fair_lr": 1e-5}),
            ("fairbinn", 0.29, {"fair_lr": 1e-3}),
        )
    ]
    text = script.report(results(records))
    assert "Accuracy of the constant prediction: 0.750." in text
    assert "| fairbinn_coupled | 10 | 0.800 | 0.010 | 0.100 | 0.330 | 0.430 | 0 of 5 |" in text
    shown = "+0.0300 (lower in 0 of 5, p = 0.031)"
    assert f"| fairbinn_coupled | training | {shown} | {shown} | not supported |" in text
    shown = "-0.0200 (lower in 5 of 5, p = 0.031)"
    assert f"| fairbinn[fair_lr=1e-05] | training | {shown} | {shown} | supported |" in text
    assert "| fairbinn[fair_lr=0.001] | test |" in text
    # one point on the front, since all are alike: .05 above the constant, and a gap .15 below the reference
    assert "| lagrangian_dp | 0.0075 | 2 | 2.000 |" in text


def test_script_refuses_a_run_without_what_it_compares_with(script) -> None:
    with pytest.raises(SystemExit, match="needs one series of lagrangian_dp"):
        script.report(results([record("fairbinn", 0, 0.3)]))
    with pytest.raises(SystemExit, match="no constant prediction on adult; add 'constant'"):
        script.report(Results([record("lagrangian_dp", 0, 0.3)], {}, 0, {}))


# --- Suites and published numbers ---


@pytest.mark.parametrize("name", ["adult", "health", "pareto"])
def test_suites_can_be_planned(name: str) -> None:
    cells = plan(read_suite(BENCHMARKS / f"fairbinn-{name}.toml"), load_plugins()[0])
    assert {"fairbinn", "fairbinn_coupled", "lagrangian_dp"} < {cell.method.name for cell in cells}


@pytest.mark.parametrize("name", ["fairbinn", "fairbinn_coupled", "lagrangian_dp"])
@pytest.mark.parametrize(
    ("dataset", "hidden", "block"), [("adult", [64, 32], [32, 32]), ("health", [256, 128], [128, 128, 128, 128])]
)
def test_the_default_suite_holds_the_papers_layers(name: str, dataset: str, hidden, block) -> None:
    params = tune(default_parameters(), dataset, Choice(name)).params
    layers = {"hidden": hidden, "fair_layers": block, "position": 3, "batch_size": 100, "epochs": 50}
    assert {key: params[key] for key in layers} == layers


def test_published_rows_and_claims_name_methods_and_datasets_that_exist() -> None:
    registry, _ = load_plugins()
    published = tomllib.loads((BENCHMARKS / "published" / "fairbinn.toml").read_text(encoding="utf-8"))
    rows = [row for table in published["tables"].values() for row in table["rows"]]
    for row in rows:
        registry.complete("methods", parse_choices(row["method"])[0])
        registry.shorten("datasets", parse_choices(row["dataset"])[0])
    for column in published["columns"].values():
        registry.metric(column)
    planned = {
        str(Choice(cell.method.name, {"eta": cell.method.params["eta"]}))
        for cell in plan(read_suite(BENCHMARKS / "fairbinn-pareto.toml"), registry)
        if "eta" in cell.method.params
    }
    pairs = [pair for claim in published["claims"].values() for pair in claim["compare"]]
    claimed = [registry.complete("methods", choice) for pair in pairs for choice in parse_choices(pair["method"])]
    assert {str(Choice(choice.name, {"eta": choice.params["eta"]})) for choice in claimed} <= planned
