"""Settings of the meta-learners trained together against single fits."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_meta.pdfm import PrimalDualFairMeta
from fairbench_scenarios.tuned import Tuned
from fairbench_scenarios.tuned_together import TunedTogether

from fairbench.api import NotApplicable, Samples, Schema, Split, Stackable

# float32 rounds to 6e-8 of a value; a dozen steps of Adam, whose first ones have the size of the rate whatever the
# gradient's, leave 1e-5 at most in scores and losses of order one.
ROUNDING = 1e-4

CASES = {
    "fair_maml": (
        FairMAML(iterations=12, evaluate_every=4),
        [{"gamma": 0.0}, {"gamma": 2.0, "inner_lr": 0.4}, {"outer_lr": 0.01}],
    ),
    "fair_maml as the code": (
        FairMAML(
            iterations=8,
            evaluate_every=3,
            first_order=True,
            double_softmax=True,
            batch_mean_reg=True,
            second_step_reg_only=True,
            label_flip=True,
            prediction="pooled",
        ),
        [{"gamma": 1.0, "inner_lr": 0.4}, {"gamma": 5.0}],
    ),
    "fair_maml of few shots": (FairMAML(iterations=4, support="kshot", draws=2), [{"gamma": 1.0}, {"gamma": 0.1}]),
    "m_ftml": (MaskedFTML(meta_steps=3), [{"inner_lr": 0.01}, {"outer_lr": 0.01}]),
    "m_ftml as the code": (MaskedFTML(meta_steps=3, variant="code"), [{"inner_lr": 30.0}, {"outer_lr": 0.5}]),
    "ffml": (
        FFML(meta_steps=3, dual_rounds=2, inner_steps=2),
        [
            {"bound": 0.01, "dual_lr": 5.0, "outer_dual_lr": 5.0, "first_multiplier": 2.0},
            {"dual_lr": 0.0, "first_multiplier": 0.5, "dual_decay": 0.5},
            {"norm_weight": 0.1, "radius": 0.5, "inner_lr": 0.3},
        ],
    ),
    "ffml of odds": (
        FFML(meta_steps=2, criterion="equalized_odds"),
        [{"first_multiplier": 3.0, "dual_lr": 9.0}, {"inner_lr": 0.4}],
    ),
    "pdfm": (
        PrimalDualFairMeta(iterations=8, evaluate_every=4, dual_rounds=3),
        [{"inner_lr": 0.3, "dual_lr": 5.0}, {"bound": 0.2}, {"first_multiplier": 0.0, "outer_dual_lr": 0.5}],
    ),
}


def samples(n: int, seed: int) -> Samples:
    """Return n rows at three sites whose label follows two features and leans on the group."""
    random = np.random.default_rng(seed)
    site, group = random.choice(list("abc"), n), random.integers(0, 2, n)
    X = random.normal(size=(n, 4)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] - 0.8 * group + random.normal(size=n) > 0).astype(int)
    schema = Schema(("a", "b", "c", "d"), ("other", "protected"), protected=1)
    return Samples(X, group, schema, y, {"site": site})


TRAIN, VALIDATION, TEST = (samples(n, seed) for n, seed in ((240, 0), (60, 1), (80, 2)))


def assert_equal_up_to_rounding(stacked, alone) -> None:
    """Fail unless two fits have the same curves and predictions, up to rounding."""
    assert alone.diagnostics.keys() == stacked.diagnostics.keys()
    for name, curve in alone.diagnostics.items():
        np.testing.assert_allclose(stacked.diagnostics[name], curve, atol=ROUNDING, rtol=0, err_msg=name)
    assert alone.chosen == stacked.chosen
    one, other = (fit.points[fit.chosen](TEST.inputs) for fit in (alone, stacked))
    np.testing.assert_allclose(other.y_score, one.y_score, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(("method", "others"), CASES.values(), ids=CASES)
def test_settings_trained_together_equal_single_fits_up_to_rounding(method, others) -> None:
    assert isinstance(method, Stackable)
    settings = [method, *(replace(method, **each) for each in others)]
    together = method.fit_together(settings, TRAIN, VALIDATION, seed=3)
    alone = [one.fit(TRAIN, VALIDATION, seed=3) for one in settings]
    for stacked, single in zip(together, alone):
        assert_equal_up_to_rounding(stacked, single)
    first, second = (fit.points[fit.chosen](TEST.inputs).y_score for fit in alone[:2])
    assert np.abs(first - second).max() > 10 * ROUNDING  # so that a mix-up of settings would be seen


def test_a_setting_that_stops_keeps_its_best_weights_while_others_train_on() -> None:
    method = FairMAML(iterations=40, evaluate_every=1, patience=2)
    settings = [replace(method, outer_lr=lr) for lr in (0.8, 1e-4, 0.3)]
    together = method.fit_together(settings, TRAIN, VALIDATION, seed=0)
    lengths = [len(fitted.diagnostics["validation_loss"]) for fitted in together]
    assert lengths[1] == 40
    assert max(lengths[0], lengths[2]) < 40
    for stacked, one in zip(together, settings):
        assert_equal_up_to_rounding(stacked, one.fit(TRAIN, VALIDATION, seed=0))


def test_settings_of_other_shapes_are_separated_and_come_back_in_order() -> None:
    method = FairMAML(iterations=4)
    shapes = [replace(method, hidden=(3,)), replace(method, inner_loop="higher"), method]
    settings = [replace(shape, gamma=gamma) for gamma in (0.1, 3.0) for shape in shapes]
    together = method.fit_together(settings, TRAIN, VALIDATION, seed=0)
    for stacked, one in zip(together, settings):
        assert_equal_up_to_rounding(stacked, one.fit(TRAIN, VALIDATION, seed=0))


def test_a_setting_that_diverges_is_named_and_leaves_the_others_alone() -> None:
    method = MaskedFTML(meta_steps=2)
    wild = replace(method, inner_lr=1e38)
    with pytest.raises(ArithmeticError, match=r"setting 2 of 2, with inner_lr=1e\+38, outer_lr=0.001, was never"):
        method.fit_together([method, wild], TRAIN, VALIDATION, seed=0)


def test_one_group_is_refused_together_as_alone() -> None:
    pair = [FFML(bound=bound) for bound in (0.1, 0.2)]
    with pytest.raises(NotApplicable, match="all training rows are on one side of the protected group"):
        pair[0].fit_together(pair, TRAIN.select(TRAIN.protected), VALIDATION, seed=0)


def test_the_random_state_stays_as_it_is() -> None:
    before = torch.random.get_rng_state()
    pair = [FairMAML(iterations=2, gamma=gamma) for gamma in (0.0, 1.0)]
    pair[0].fit_together(pair, TRAIN, VALIDATION, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_tuning_together_chooses_as_tuning_one_after_another_does() -> None:
    method = FairMAML(iterations=10)
    split = Split(train=TRAIN, validation=VALIDATION, test=TEST)
    (alone,), (together,) = (
        scenario(rule="max accuracy").run(split, method, lambda purpose: len(purpose))
        for scenario in (Tuned, TunedTogether)
    )
    assert list(alone.predictions) == list(together.predictions)
    assert len(alone.predictions) == 12
    assert alone.chosen == together.chosen
    assert alone.diagnostics.keys() == together.diagnostics.keys()
    for label, made in alone.predictions.items():
        np.testing.assert_allclose(together.predictions[label].y_score, made.y_score, atol=ROUNDING, rtol=0)


@pytest.mark.long
def test_a_run_stores_the_same_values_tuned_together_or_one_after_another(fairbench) -> None:
    status, _, err = fairbench(
        *("run", "--methods", "fair_maml[iterations=10],constant,logistic", "--datasets", "synthetic"),
        *("--scenarios", "tuned,tuned_together", "--repeats", "1", "--executor", "serial", "--out", "r"),
    )
    assert status == 0, err
    _, out, _ = fairbench("export", "r")
    found: dict[str, dict[tuple[str, ...], str]] = {"tuned": {}, "tuned_together": {}}
    for row in csv.DictReader(io.StringIO(out)):
        place = tuple(row[name] for name in ("method", "point", "group", "metric"))
        found[row["scenario"].partition("[")[0]][place] = row["value"]
    assert found["tuned"].keys() == found["tuned_together"].keys()
    alike = [value == found["tuned_together"][place] for place, value in found["tuned"].items()]
    assert np.mean(alike) > 0.9  # the others are of scores, or of a row whose score is near the threshold
    assert {place[0] for place in found["tuned"]} >= {"fair_maml"}
