"""The test of FairBiNN's claim about losses, against numbers worked out by hand, and its paper's files."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from fairbench_papers._fairbinn_claim import (
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
from fairbench_papers._fairbinn_epochs import epoch_cost
from fairbench_papers._fairbinn_evidence import lower_loss

from fairbench.api import Undefined
from fairbench.cells import Cell, Choice
from fairbench.papers.grids import plan_reproduction
from fairbench.plugins.loading import load_plugins
from fairbench.records import Record, Value
from fairbench.running.hyperparameters import default_parameters
from fairbench.running.suite import plan, read_suite, tune

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def make(eta: float = 1.0, repeat: int = 0, bce: float = 0.3, score_gap: float = 0.1, **others) -> Run:
    """Return a run, the training loss being its only interesting one."""
    fields = {"test_bce": 0.4, "gap": score_gap, "accuracy": 0.8, "trivial": False, "validation": (0.8, score_gap)}
    return Run(eta, repeat, bce, 0.01, score_gap=score_gap, epoch_seconds=0.1, **{**fields, **others})


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
    # and lines that are not parallel, 0.1 - 3 g apart, so that each of the targets .02, .05 and .10 counts
    steeper = [make(score_gap=g, bce=0.3 + g) for g in (0.12, 0.01)]
    np.testing.assert_allclose(at_equal_gap(mine[:2], steeper, loss).differences, [0.1 - 3 * (0.02 + 0.05 + 0.10) / 3])
    assert at_equal_gap(mine, [make(repeat=0, score_gap=0.3)], loss).differences == ()


def test_trivial_runs_do_not_stand_for_a_gap() -> None:
    curve = [make(score_gap=g, bce=0.4) for g in (0.06, 0.12)]
    nobody = make(score_gap=0.0, bce=0.6, trivial=True)
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
        make(99, 0, accuracy=0.75, gap=0.0, validation=(0.75, 0.0), trivial=True),
    ]
    np.testing.assert_allclose(chosen_front(runs), [(0.85, 0.20), (0.82, 0.05)])
    assert mean_by_eta(runs[:3], lambda run: run.accuracy) == {1: pytest.approx(0.85), 3: 0.99}


# --- Evidence from records ---


def record(method: str, repeat: int, bce: Optional[float], eta: float = 1.0, **params) -> Record:
    """Return what a store holds of a fit; at the end of training an eta above 1 is worse in all on validation."""
    measured = {"accuracy": 0.8, "log_loss": (bce or 0) + 0.1, "demographic_parity_difference": 0.1}
    measured |= {"mean_score_difference": 0.1 / eta, "selection_rate": 0.2}
    diagnostics = {"final_training_bce": (bce,), "training_bce": (0.5, bce), "validation_loss": (0.6, 0.5)}
    penalty = {"fairbinn_coupled": 0.04, "fairbinn": 0.25}.get(method, 0.09 if eta == 1 else 0.01)
    better, worse = ((0.7, 0.81), (0.2, 0.11)), ((0.72, 0.80), (0.1, 0.12))
    accuracy, gap = better if eta == 1 else worse
    diagnostics |= {"validation_accuracy": accuracy, "validation_gap": gap, "final_training_penalty": (penalty,)}
    rates = {"lr": 1e-3} if method == "lagrangian_dp" else {"lr": 1e-3, "fair_lr": 1e-5}
    cell = Cell(Choice("adult"), Choice(method, {"eta": [eta], **rates, **params}), "sex", repeat)
    values = [Value(0, "", "", name, value) for name, value in measured.items()]
    values.append(Value(0, "", "Female", "accuracy", 0.1))  # of a group: not what is meant
    return Record(cell, "done", values=tuple(values), diagnostics=diagnostics, seconds=9.0, cpu_seconds=4.0)


def sweep(*told: tuple[str, float]) -> list[Record]:
    """Return five repeats at two weights of methods with these training losses, and the constant prediction's."""
    values = (Value(0, "", "", "accuracy", 0.75),)
    constant = [Record(Cell(Choice("adult"), Choice("constant"), "sex", n), "done", values=values) for n in range(5)]
    fitted = [record(method, n, bce, eta) for n in range(5) for eta in (1.0, 10.0) for method, bce in told]
    return [*constant, *fitted]


def test_evidence_compares_each_form_of_fairbinn_with_the_baseline() -> None:
    evidence = lower_loss(sweep(("lagrangian_dp", 0.30), ("fairbinn_coupled", 0.33), ("fairbinn", 0.28)))
    released, printed = "not supported as released (fairbinn_coupled)", "supported as printed (fairbinn)"
    assert evidence.verdict == f"training loss: {released}, {printed}; test loss: {released}, {printed}"
    losses, differences, by_eta, fronts = evidence.tables.values()
    told = {"training loss": "0.3300", "test loss": "0.4300", "fairness loss": "0.04", "score gap": "0.010"}
    assert {"method": "fairbinn_coupled", "eta": "10", **told, "trivial": "0 of 5"} in losses
    both = "+0.0300 (lower in 0 of 5, p = 0.031)"
    assert list(differences[0].values()) == ["fairbinn_coupled", "training", both, both, "not supported"]
    assert differences[2]["at equal eta"] == "-0.0200 (lower in 5 of 5, p = 0.031)"
    # the fairness loss is lower at eta 1 and higher at eta 10, which a mean over both would hide
    assert [row["fairness loss"] for row in by_eta[:2]] == [
        "-0.05 (lower in 5 of 5, p = 0.031)",
        "+0.03 (lower in 0 of 5, p = 0.031)",
    ]
    assert list(by_eta[3].values())[:3] == ["fairbinn", "10", "-0.0200 (lower in 5 of 5, p = 0.031)"]
    # the eta of the front: .05 above the constant, and a gap .15 below the reference; 4 CPU seconds for 2 epochs
    assert list(fronts[-1].values()) == ["lagrangian_dp", "0.0075", "1", "2.000"]
    assert fronts[-1]["CPU seconds per epoch"] == "2.000"
    reading = " ".join(evidence.reading)
    assert "the constant prediction's 0.750" in reading
    assert "These are 0.02, 0.05, 0.1, interpolated" in reading


def test_runs_that_decide_alike_for_everybody_are_trivial() -> None:
    records = sweep(("lagrangian_dp", 0.30), ("fairbinn_coupled", 0.33))
    alike = [
        dataclasses.replace(found, alike=((0, ""),))
        if found.cell.repeat < 2 and "eta" in found.cell.method.params
        else found
        for found in records
    ]
    losses = lower_loss(alike).tables["Means over repeats"]
    assert {row["trivial"] for row in losses} == {"2 of 5"}


def test_losses_may_have_different_verdicts() -> None:
    records = sweep(("lagrangian_dp", 0.30), ("fairbinn_coupled", 0.33))
    for number, found in enumerate(records):
        if found.cell.method.name == "fairbinn_coupled":
            values = tuple(value._replace(value=0.2) if value.metric == "log_loss" else value for value in found.values)
            records[number] = dataclasses.replace(found, values=values)
    told = "training loss: not supported as released (fairbinn_coupled); test loss: supported as released"
    assert lower_loss(records).verdict.startswith(told)


def test_learning_rates_of_the_fairness_block_are_told_as_they_are() -> None:
    (told,) = lower_loss(sweep(("lagrangian_dp", 0.3), ("fairbinn", 0.3))).reading[-1:]
    assert "fairbinn 0.001 and 1e-05; lagrangian_dp 0.001 and 0.001" in told
    assert "confounds" in told
    same = [record("fairbinn", n, 0.3, fair_lr=1e-3) for n in range(5)]
    (told,) = lower_loss([*sweep(("lagrangian_dp", 0.3)), *same]).reading[-1:]
    assert "fairbinn 0.001 and 0.001; lagrangian_dp 0.001 and 0.001" in told
    assert "confounds" not in told


def test_an_epoch_is_measured_by_the_baselines_within_repeats() -> None:
    paces = {"fairbinn_coupled": (3.0, 8.0), "lagrangian_dp": (2.0, 4.0)}
    records = [
        dataclasses.replace(record(name, n, 0.3), cpu_seconds=pace)
        for name, told in paces.items()
        for n, pace in enumerate(told)
    ]
    evidence = epoch_cost([*records, record("lagrangian_dp", 7, 0.3), record("fairbinn", 0, 0.3)])
    assert evidence.verdict == "1.75 ± 0.35 by CPU time"
    (rows,) = evidence.tables.values()
    assert list(rows[0].values()) == ["1", "1.500", "1.000", "1.50"]
    assert epoch_cost(records[::2]).verdict == "1.50 by CPU time"
    with pytest.raises(Undefined, match="fairbinn_coupled and lagrangian_dp have no repeat in common"):
        epoch_cost(records[1:3])


def test_evidence_says_what_it_lacks() -> None:
    whole = sweep(("lagrangian_dp", 0.30), ("fairbinn", 0.28))
    with pytest.raises(Undefined, match="lagrangian_dp and fairbinn_coupled or fairbinn are needed"):
        lower_loss([record for record in whole if record.cell.method.name != "lagrangian_dp"])
    with pytest.raises(Undefined, match="no constant prediction was run"):
        lower_loss(whole[5:])
    with pytest.raises(Undefined, match=r"fairbinn was run in several variants with eta = 1; it needs exactly one"):
        lower_loss([*whole, record("fairbinn", 0, 0.28, fair_lr=1e-3)])
    with pytest.raises(Undefined, match=r"a loss of fairbinn.* is not finite"):
        lower_loss([*whole, record("fairbinn", 9, None)])


# --- Suites and published numbers ---


@pytest.mark.parametrize("name", ["adult", "health"])
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


def test_the_papers_cells_are_planned() -> None:
    whole = plan_reproduction("fairbinn", load_plugins()[0])
    assert {grid.table.name: len(grid.table.rows) for grid in whole.grids} == {"eta": 2, "training": 4, "pareto": 22}
    assert {len(row) for grid in whole.grids for row in grid.cells.values()} == {5}
    assert all(cell.preparation.sensitive_as_feature for cell in whole.cells)
    told = {row.label: [number.mean for number in row.numbers] for row in whole.published.tables["training"].rows[:2]}
    assert told == {"FairBiNN as released": [0.23, None, 0.62], "Lagrangian": [0.26, None, 0.60]}


@pytest.fixture
def small(tmp_path, monkeypatch) -> str:
    """Return the path of a plugin file with the same paper on made-up data, one repeat of few epochs."""
    origin = Path(load_plugins()[0].paper("fairbinn").directory)
    for file in origin.glob("*.toml"):
        text = file.read_text(encoding="utf-8").replace("adult[education=both]", "synthetic[rows=300]")
        text = re.sub(r"epochs = \d+", "epochs = 2", text.replace("parameters.adult", "parameters.synthetic"))
        text = text.replace("runs = 5", "runs = 1")
        text = text.replace("hidden = [64, 32, 32]", "epochs = 2, hidden = [64, 32, 32]")
        if file.name == "eta-adult.toml":
            text += "".join(
                f"{name} = {{ epochs = 2 }}\n" for name in ("fairbinn", "fairbinn_coupled", "lagrangian_dp")
            )
        (tmp_path / "small").mkdir(exist_ok=True)
        (tmp_path / "small" / file.name).write_text(text, encoding="utf-8")
    (tmp_path / "small.py").write_text(
        "from pathlib import Path\nfrom fairbench.api import Paper, hookimpl\n"
        "from fairbench_papers._fairbinn_evidence import lower_loss\n"
        "from fairbench_papers._fairbinn_epochs import epoch_cost\n"
        "@hookimpl\ndef fairbench_papers():\n"
        "    directory = Path(__file__).with_name('small')\n"
        "    tests = {'lower_loss': lower_loss, 'epoch_cost': epoch_cost}\n"
        "    return [Paper('small', 'Small', 'Nobody', directory, tests)]\n",
        encoding="utf-8",
    )
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    return str(tmp_path / "small.py")


def test_the_document_holds_the_test_of_the_theorem_and_says_what_is_wrong(fairbench, small, tmp_path) -> None:
    options = ("--plugin", small, "--offline", "--data-dir", str(tmp_path), "--workers", "1", "--out", "r")
    status, out, _ = fairbench("reproduce", "small:eta,training,scores", *options)
    assert status == 0
    assert (
        "harness: training loss: inconclusive as released (fairbinn_coupled), inconclusive as printed (fairbinn)" in out
    )
    text = (tmp_path / "r" / "reproduction.md").read_text(encoding="utf-8")
    for expected in (
        "Cross-entropy minus that of lagrangian\\_dp:",
        "| method | area | points on the front | CPU seconds per epoch |",
        "| FairBiNN as released | cross-entropy, training part | 0.23 | ",
        "Nothing was measured. skipped: ",
        "it does not clear gradients between its two backward passes",
        "![Accuracy against the gap in mean score, over eta]",
        "the last epoch counts, except for mlp",
        "|  | CPU seconds per epoch | 0.62 | ",
        "### Adult: the predecessor's front",
        "| 0.8434 (?) | 0.1003 (?) |",
        "| Adult | 0.411 | 0.404 | 0.349 |",
        "| synthetic\\[rows=300\\] | the predecessor's front (?) | 0.1003 (?) | 0.8434 (?) | ",
    ):
        assert expected in text, expected
    pace = next(line for line in text.splitlines() if line.startswith("|  | CPU seconds per epoch | 0.62 |"))
    assert pace.endswith("| not judged |")
    assert re.search(r"Ratio of seconds per epoch, FairBiNN to Lagrangian: 1.03 .*: \d+\.\d\d by CPU time", text)
    mlp = text.partition("| mlp | cross-entropy, training part |")[2].splitlines()[2]
    assert re.match(r"\|  \| CPU seconds per epoch \| - \| \d\.\d+", mlp)
