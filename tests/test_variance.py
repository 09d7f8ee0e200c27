"""Which share of a metric's variance comes from test rows, training data, tuning rows and the model's seed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairbench.analysis.counts import Counts
from fairbench.analysis.variance import MODEL, NEGATIVE, ROWS, TRAINING, TUNING, Shares, shares, variance_shares
from fairbench.cells import Cell, Choice, Preparation
from fairbench.data.preparation import split_of
from fairbench.data.rows import Dataset
from fairbench.errors import NotApplicable
from fairbench.records import DONE, Record, Results, Value
from fairbench.running.session import suite_of


def variances(found):
    return {name: source.variance for name, source in found.items()}


def test_a_small_design_by_hand():
    # split means 2 and 5; fits differ by 2 in the first split and by 4 in the second: variances 2 and 8
    values = np.array([[[1.0, 3.0]], [[3.0, 7.0]]])
    found = shares(values, within=1.0)
    assert variances(found) == {MODEL: 5.0, TUNING: None, ROWS: 1.0, TRAINING: pytest.approx(4.5 - 5 / 2 - 1)}
    assert found[TUNING].note == "not told apart from the training data's: there is one tuning of each"


def test_rows_are_at_most_what_differs_between_splits():
    values = np.array([[[1.0]], [[3.0]]])
    assert variances(shares(values, within=9.0)) == {MODEL: None, TUNING: None, ROWS: 2.0, TRAINING: 0.0}
    assert variances(shares(values, within=0.5))[TRAINING] == 1.5


def test_a_negative_estimate_is_0_and_says_so():
    values = np.array([[[1.0, 9.0]], [[9.0, 1.0]]])  # equal split means, fits far apart
    found = shares(values, within=1.0)
    assert variances(found) == {MODEL: 32.0, TUNING: None, ROWS: 0.0, TRAINING: 0.0}
    assert (found[ROWS].note, found[TRAINING].note) == (NEGATIVE, NEGATIVE)
    tunings = np.array([[[1.0, 9.0], [9.0, 1.0]], [[2.0, 8.0], [8.0, 2.0]]])
    assert (variances(shares(tunings, 0.0))[TUNING], shares(tunings, 0.0)[TUNING].note) == (0.0, NEGATIVE)


def test_one_repeat_has_no_spread_between_splits_but_may_have_one_between_fits():
    found = shares(np.array([[[1.0, 3.0, 2.0]]]), within=0.25)
    assert variances(found) == {MODEL: 1.0, TUNING: None, ROWS: 0.25, TRAINING: None}
    assert found[TRAINING].note == found[TUNING].note == "no spread: one repeat"
    assert Shares(2.0, 1, 1, 3, found).total is None
    assert Shares(2.0, 1, 1, 3, found).share(MODEL) is None


def test_known_variances_are_found_again():
    random = np.random.default_rng(0)
    d, t, m = 400, 3, 4
    values = random.normal(0, 2, (d, 1, 1)) + random.normal(0, 1, (d, t, 1)) + random.normal(0, 3, (d, t, m)) + 10
    found = variances(shares(values, within=1.0))
    # standard errors of these variances: .19, .28 and .37
    assert found[MODEL] == pytest.approx(9, abs=0.6)
    assert found[TUNING] == pytest.approx(1, abs=0.9)
    assert (found[ROWS], found[TRAINING]) == (1.0, pytest.approx(3, abs=1.2))


def test_estimates_are_unbiased_for_few_splits():
    random = np.random.default_rng(1)
    found = []
    for _ in range(3000):
        values = random.normal(0, 2, (3, 1, 1)) + random.normal(0, 1, (3, 2, 1)) + random.normal(0, 3, (3, 2, 2))
        by_tuning = values.mean(axis=2)
        model, between = values.var(axis=2, ddof=1).mean(), by_tuning.var(axis=1, ddof=1).mean()
        ours = variances(shares(values, within=None))
        assert ours[MODEL] == pytest.approx(model)
        assert ours[TUNING] == pytest.approx(max(between - model / 2, 0))
        found.append((values.mean(axis=(1, 2)).var(ddof=1) - between / 2, ours[TRAINING]))
    raw, shown = np.array(found).T
    assert shown == pytest.approx(np.maximum(raw, 0))
    assert raw.mean() == pytest.approx(4, abs=0.5)  # 3 standard errors; showing negative ones as 0 adds to it
    assert shown.mean() > raw.mean()


class Stored:
    """Counts of every test part: 100 rows with 75 right decisions."""

    def counts(self, record):
        return Counts(("a", "b"), np.array([[25.0, 25.0], [25.0, 25.0]]), np.array([[0.0, 25.0], [0.0, 0.0]]))


def record(repeat, fit, accuracy):
    cell = Cell(Choice("adult"), Choice("mlp"), "sex", repeat, fit=fit)
    values = () if accuracy is None else (Value(0, "", "", "accuracy", accuracy),)
    return Record(cell, DONE, values=values)


def test_a_split_in_which_a_fit_has_no_value_is_left_out_and_that_is_said():
    numbers = [(0, 0, 0.7), (0, 1, 0.8), (1, 0, 0.6), (1, 1, None), (2, 0, 0.5), (2, 1, 0.4)]
    found = variance_shares(Stored(), [record(*one) for one in numbers], "accuracy")
    assert (found.splits, found.tunings, found.fits, found.mean) == (2, 1, 2, pytest.approx(0.6))
    assert found.notes == ("1 of 3 repeats left out, in which a run has no value",)
    assert found.sources[MODEL].variance == pytest.approx(0.005)
    assert found.sources[ROWS].variance == pytest.approx(0.75 * 0.25 / 100)
    assert sum(found.share(name) for name in (ROWS, TRAINING, MODEL)) == pytest.approx(1)

    nothing = variance_shares(Stored(), [record(0, 0, None)], "accuracy")
    assert (nothing.mean, nothing.total, nothing.sources[ROWS].note) == (None, None, "no value in any repeat")


# ---------------------------------------------------------------- what varies


def made(partition=None):
    import pandas as pd

    random = np.random.default_rng(0)
    n = 200
    group = np.where(random.random(n) < 0.5, "a", "b")
    return Dataset(
        name="made",
        X=pd.DataFrame({"x": random.normal(size=n)}),
        y=random.integers(0, 2, n),
        sensitive_features=pd.DataFrame({"g": group}),
        protected_group={"g": "a"},
        partition=partition,
    )


def cell(tuning=0, fit=0, **preparation):
    return Cell(Choice("made"), Choice("mlp"), "g", 0, Preparation("none", **preparation), tuning=tuning, fit=fit)


@pytest.mark.parametrize("stratify", [False, True])
def test_a_tuning_divides_training_and_validation_part_anew_and_leaves_the_test_part(stratify):
    data = made()
    first, second, third = (split_of(cell(tuning, stratify=stratify), data) for tuning in range(3))
    fitted = split_of(cell(0, 1, stratify=stratify), data)
    assert second.test.rows.tolist() == third.test.rows.tolist() == first.test.rows.tolist()
    assert [len(part) for part in (second.train, second.validation)] == [len(first.train), len(first.validation)]
    for part in ("train", "validation"):
        numbers = [getattr(split, part).X.ravel().tolist() for split in (first, second, third, fitted)]
        assert numbers[0] != numbers[1] != numbers[2]
        assert numbers[0] == numbers[3]
    rest = [sorted([*split.train.X.ravel(), *split.validation.X.ravel()]) for split in (first, second, third)]
    assert rest[0] == rest[1] == rest[2]
    if stratify:
        shares_of_ones = [split.validation.y.mean() for split in (first, second, third)]
        assert max(shares_of_ones) - min(shares_of_ones) <= 2 / len(first.validation)


def test_a_datasets_own_validation_part_is_not_drawn_again():
    parts = [np.arange(120), np.arange(120, 160), np.arange(160, 200)]
    data = made(lambda seed: parts)
    assert len(split_of(cell(), data).validation) == 40
    with pytest.raises(NotApplicable, match="made has its own partition, whose validation part stays; use tunings = 1"):
        split_of(cell(tuning=1), data)


@pytest.mark.parametrize("kept", [True, [True], [False, True]])
def test_the_suite_of_an_older_run_had_one_stratification(kept):
    run = {"suite": {"name": "x", "datasets": ["synthetic"], "methods": ["logistic"], "stratify": kept}}
    suite = suite_of(Results([], run, 0, {}))
    assert suite.stratify == (tuple(kept) if isinstance(kept, list) else (kept,))
    assert suite.runs == 5


RUN = ["run", "--datasets", "synthetic[rows=300]", "--workers", "1", "--no-reference", "--out", "r"]


def test_a_run_grows_by_fits_and_tunings_and_its_report_tells_the_sources_apart(fairbench):
    command = [*RUN, "--methods", "mlp[hidden=(4,)],always_0", "--repeats", "2"]
    assert fairbench(*command)[0] == 0
    before = fairbench("export", "r")[1].splitlines()
    status, _, err = fairbench(*command, "--fits", "2", "--tunings", "2")
    assert status == 0
    assert "16 cells" in err
    after = fairbench("export", "r")[1].splitlines()
    names = [name for name in before[0].split(",") if name not in ("seconds", "cpu_seconds")]
    assert {"tuning", "fit"} <= {*names}
    assert {*before} <= {*after}, "what was finished has stayed, to the second"
    assert len(after) - 1 == 4 * (len(before) - 1)

    status, out, _ = fairbench("report", "r", "--format", "variance")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    mlp = next(line for line in lines if line[:2] == ["mlp", "accuracy"])
    always = next(line for line in lines if line[:2] == ["always_0", "accuracy"])
    assert float(mlp[-2]) > 0, "the seed moves an MLP"
    assert always[-4:] == ["0.000", "0%", "0.000", "0%"], "neither tuning rows nor the seed move a constant"
    assert "every split has 2 tunings with 2 fits each" in out
    assert "nan" not in out.lower()

    status, out, _ = fairbench("report", "r")
    assert "8 repeats" in out
    assert "--format variance" in " ".join(out.split())


def test_the_report_on_one_repeat_says_that_there_is_no_spread(fairbench):
    assert fairbench(*RUN, "--methods", "logistic", "--repeats", "1")[0] == 0
    out = fairbench("report", "r", "--format", "variance")[1]
    assert "training data: no spread: one repeat" in out
    out = fairbench("report", "r", "--format", "variance", "--definitions", "ffb")[1]
    assert "neither accuracy nor a gap between groups was measured" in out
    assert "nan" not in out.lower()


def test_the_plan_shows_tunings_and_fits_and_its_cells_survive_json(fairbench):
    command = [*RUN, "--methods", "logistic", "--repeats", "1", "--tunings", "2", "--fits", "2", "--dry-run"]
    out = fairbench(*command)[1]
    assert [line.split("repeat 0")[1].split("logistic")[0].split() for line in out.splitlines()] == [
        [],
        ["fit", "1"],
        ["tuning", "1"],
        ["tuning", "1", "fit", "1"],
    ]
    cells = [Cell.from_json(line) for line in fairbench(*command, "--json")[1].splitlines()]
    assert [(cell.tuning, cell.fit) for cell in cells] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({cell.key for cell in cells}) == 4
    assert "fit" not in json.loads(cells[0].to_json())


@pytest.mark.parametrize("what", ["tunings", "fits"])
def test_fewer_than_one_is_refused(fairbench, tmp_path, what):
    status, _, err = fairbench(*RUN, "--methods", "logistic", f"--{what}", "0")
    assert status == 2
    assert f"'--{what}': 0 is not in the range x>=1" in err
    (tmp_path / "s.toml").write_text(f"datasets = ['synthetic']\nmethods = ['logistic']\n{what} = 0\n")
    status, _, err = fairbench("run", "s.toml")
    assert status == 2
    assert f"suite s: {what} is 0; at least 1 is needed" in err
