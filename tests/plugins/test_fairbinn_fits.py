"""What comes of FairBiNN's methods: gaps, collapse, many groups, operating points, records, determinism."""

from __future__ import annotations

import dataclasses

import fairlearn.metrics
import numpy as np
import pytest
import torch
from bilevel_helpers import make_samples
from fairbench_bilevel._penalties import PENALTIES
from fairbench_bilevel._players import Player
from fairbench_bilevel._training import FALLS_EVERY, decision_gap
from fairbench_bilevel.fairbinn import FairBiNN
from fairbench_bilevel.fairbinn_coupled import FairBiNNCoupled
from fairbench_bilevel.lagrangian_dp import LagrangianDP

from fairbench.api import Fitted, NotApplicable, Samples, Schema

FAST = {"hidden": (16, 8), "batch_size": 64, "epochs": 4}
KINDS = (FairBiNN, FairBiNNCoupled, LagrangianDP)
TRAIN, VALIDATION = make_samples(600, seed=0), make_samples(400, seed=1)


def curves(method) -> dict[str, list[float]]:
    """Return what a fit records."""
    return method.fit(TRAIN, VALIDATION, seed=3).diagnostics


# --- What comes of it ---


def test_coupled_and_lagrangian_lower_the_gap_as_eta_grows_and_strict_does_not() -> None:
    soft = {}
    for kind in KINDS:
        method = kind(hidden=(16, 8), batch_size=64, epochs=12, lr=5e-3, eta=(0.0, 3.0, 30.0))
        points = method.fit(TRAIN, VALIDATION, seed=0).points
        scores = [predict(VALIDATION.inputs).y_score for predict in points.values()]
        soft[kind] = [abs(s[VALIDATION.group == 1].mean() - s[VALIDATION.group == 0].mean()) for s in scores]
    for kind in (FairBiNNCoupled, LagrangianDP):
        assert soft[kind][0] > 0.25
        assert soft[kind][0] > soft[kind][1] > soft[kind][2]
        assert soft[kind][2] < 0.06
    assert max(soft[FairBiNN]) - min(soft[FairBiNN]) < 0.02
    np.testing.assert_allclose(soft[LagrangianDP], soft[FairBiNNCoupled], atol=0.05)


def test_a_strong_strict_follower_switches_the_signal_off() -> None:
    # The follower's loss knows nothing of accuracy: its best response is to make everybody's score the same.
    method = FairBiNN(hidden=(16, 8), batch_size=64, epochs=20, fair_lr=3e-2, follower_steps=3)
    fitted = method.fit(TRAIN, VALIDATION, seed=0)
    assert fitted.points[""](VALIDATION.inputs).y_score.std() < 0.02
    assert fitted.diagnostics["validation_positive_rate"][-1] in (0.0, 1.0)
    assert fitted.diagnostics["follower_displacement"][-1] > 0.1


def test_odds_loss_lowers_the_gap_of_scores_within_labels() -> None:
    def within_labels(eta: float) -> float:
        method = FairBiNNCoupled(hidden=(16, 8), batch_size=64, epochs=15, lr=5e-3, eta=(eta,), loss="eo_sq")
        return method.fit(TRAIN, VALIDATION, seed=0).diagnostics["final_training_penalty"][0]

    assert within_labels(20.0) < 0.3 * within_labels(0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", PENALTIES)
def test_nine_groups_some_of_them_rare_train_to_finite_weights(kind, loss: str) -> None:
    random = np.random.default_rng(0)
    base = make_samples(500, seed=5, n_groups=9, protected=8)
    group = np.where(random.random(500) < 0.7, 0, base.group)
    group[:18], y = np.repeat(np.arange(9), 2), base.y.copy()
    y[:18] = np.tile([0, 1], 9)
    train = Samples(base.X, group, base.schema, y)
    fitted = kind(hidden=(8,), batch_size=64, epochs=2, eta=(5.0,), loss=loss).fit(train, train, seed=0)
    assert np.isfinite(fitted.points[""](train.inputs).y_score).all()
    assert all(np.isfinite(curve).all() for curve in fitted.diagnostics.values())


@pytest.mark.parametrize("kind", KINDS)
def test_odds_without_rows_to_compare_are_not_applicable(kind) -> None:
    y = np.where(TRAIN.group == 1, 0, TRAIN.y)
    train = Samples(TRAIN.X, TRAIN.group, TRAIN.schema, y)
    with pytest.raises(NotApplicable, match="'g1' has no training row with y = 1"):
        kind(**FAST, loss="eo_sq").fit(train, VALIDATION, seed=0)


# --- What the harness sees ---


@pytest.mark.parametrize("kind", KINDS)
def test_curves_are_recorded_for_every_epoch(kind) -> None:
    found = curves(kind(**FAST, eta=(2.0,)))
    final = {"final_training_bce", "final_training_penalty"}
    follower = set() if kind is LagrangianDP else {"follower_displacement"}
    seen = {"training_bce", "training_penalty", "validation_loss", "validation_bce", "validation_penalty"}
    seen |= {"validation_accuracy", "validation_gap", "validation_positive_rate"}
    assert set(found) == seen | final | follower
    assert {name: len(curve) for name, curve in found.items()} == {name: 1 if name in final else 4 for name in found}
    expected = np.array(found["validation_bce"]) + 2.0 * np.array(found["validation_penalty"])
    np.testing.assert_allclose(found["validation_loss"], expected, rtol=1e-6)  # float32 sums


def test_the_last_epoch_is_what_predicts_and_what_the_curves_end_with() -> None:
    fitted = FairBiNNCoupled(**FAST).fit(TRAIN, VALIDATION, seed=0)
    predictions = fitted.points[""](VALIDATION.inputs)
    last = {name: curve[-1] for name, curve in fitted.diagnostics.items()}
    assert last["validation_accuracy"] == pytest.approx((predictions.y_pred == VALIDATION.y).mean())
    assert last["validation_positive_rate"] == pytest.approx(predictions.y_pred.mean())
    theirs = fairlearn.metrics.demographic_parity_difference(
        VALIDATION.y, predictions.y_pred, sensitive_features=VALIDATION.group
    )
    assert last["validation_gap"] == pytest.approx(theirs)
    means = [predictions.y_score[VALIDATION.group == code].mean() for code in range(2)]
    assert last["validation_penalty"] == pytest.approx((means[1] - means[0]) ** 2, abs=1e-6)  # float32 in training


def test_with_patience_the_best_validation_loss_is_kept() -> None:
    method = LagrangianDP(hidden=(32,), batch_size=32, lr=0.05, epochs=60, patience=3, eta=(0.5,))
    fitted = method.fit(TRAIN.select(np.arange(100)), VALIDATION, seed=0)
    curve = fitted.diagnostics["validation_loss"]
    assert len(curve) == int(np.argmin(curve)) + 4 < 60
    score = fitted.points[""](VALIDATION.inputs).y_score
    bce = -np.log(np.where(VALIDATION.y == 1, score, 1 - score)).mean()
    soft = score[VALIDATION.group == 1].mean() - score[VALIDATION.group == 0].mean()
    assert bce + 0.5 * soft**2 == pytest.approx(min(curve), abs=1e-5)  # the curve is float32


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (FairBiNN, [1e-3, 1e-5], [0.5e-3, 0.9e-5]),
        (FairBiNNCoupled, [1e-5, 1e-3], [0.9e-5, 0.5e-3]),
        (LagrangianDP, [1e-3], [0.5e-3]),
    ],
)
def test_learning_rates_fall_as_in_the_released_code(kind, before, after, monkeypatch) -> None:
    rates = []
    monkeypatch.setattr(Player, "step", lambda self, _: rates.append(self.rate))
    kind(hidden=(4,), batch_size=0, epochs=FALLS_EVERY + 1).fit(TRAIN, VALIDATION, seed=0)
    assert rates == [*before * FALLS_EVERY, *after]


def test_several_etas_are_operating_points_each_as_if_alone() -> None:
    method = FairBiNNCoupled(**FAST, eta=(0.5, 20.0))
    fitted = method.fit(TRAIN, VALIDATION, seed=0)
    assert list(fitted.points) == ["eta=0.5", "eta=20"]
    for eta, name in ((0.5, "eta=0.5"), (20.0, "eta=20")):
        alone = dataclasses.replace(method, eta=(eta,)).fit(TRAIN, VALIDATION, seed=0)
        scores = [f(VALIDATION.inputs).y_score.tobytes() for f in (alone.points[""], fitted.points[name])]
        assert scores[0] == scores[1]
        assert fitted.diagnostics[f"{name} training_bce"] == alone.diagnostics["training_bce"]


class Scripted(FairBiNNCoupled):
    """Offers decisions that the test has written down."""

    def choose(self, decisions: dict[str, list[int]], validation: Samples) -> str:
        """Return the point chosen among these decisions."""

        class Made:
            def __init__(self, y_pred: list[int]) -> None:
                self.y_pred = np.array(y_pred)

        return self._choose({name: lambda _, made=made: Made(made) for name, made in decisions.items()}, validation)


def test_the_fairest_point_that_is_accurate_enough_is_chosen_on_validation() -> None:
    schema = Schema(("x",), ("a", "b"), 0)
    y = np.array([1, 1, 1, 0, 0, 0, 0, 1, 0, 0])
    validation = Samples(np.zeros((10, 1), dtype=np.float32), np.array([0] * 5 + [1] * 5), schema, y)
    decisions = {
        "right": [1, 1, 1, 0, 0, 0, 0, 1, 0, 0],  # gap 0.4, accuracy 1
        "fair": [1, 1, 0, 0, 0, 0, 1, 1, 0, 0],  # gap 0, accuracy 0.8
        "closer": [1, 1, 0, 0, 0, 0, 0, 1, 0, 0],  # gap 0.2, accuracy 0.9
        "wasteful": [1, 0, 1, 0, 0, 1, 1, 1, 0, 0],  # gap 0.2, accuracy 0.7
        "nobody": [0] * 10,  # gap 0, accuracy 0.6
    }
    chosen = {slack: Scripted(accuracy_slack=slack).choose(decisions, validation) for slack in (0.0, 0.15, 0.25, 1.0)}
    assert chosen == {0.0: "right", 0.15: "closer", 0.25: "fair", 1.0: "fair"}
    # by odds a perfect decision has no gap at all
    assert Scripted(accuracy_slack=0.15, loss="eo_sq").choose(decisions, validation) == "right"


def test_a_point_that_selects_nobody_or_everybody_is_chosen_only_among_such() -> None:
    random = np.random.default_rng(0)
    schema, group = Schema(("x",), ("a", "b"), 0), np.arange(1000) % 2
    y = (random.random(1000) < 0.1 + 0.1 * group).astype(int)
    validation = Samples(np.zeros((1000, 1), dtype=np.float32), group, schema, y)
    few, most = np.zeros(1000, dtype=int), np.ones(1000, dtype=int)
    few[:9], most[-9:] = 1, 0
    trivial = {"nobody": [0] * 1000, "few": few, "most": most, "everybody": [1] * 1000}
    ten = np.r_[np.ones(10, dtype=int), np.zeros(990, dtype=int)]  # one per cent exactly
    method = Scripted(accuracy_slack=1.0)
    assert method.choose({**trivial, "right": y}, validation) == "right"
    assert method.choose({**trivial, "right": y, "ten": ten}, validation) == "ten"
    assert method.choose({"right": y, "wrong": 1 - y, **trivial}, validation) == "right"
    assert method.choose(trivial, validation) == "nobody"
    # the slack is counted from the best of those that are left: "wrong" is near no other
    assert Scripted(accuracy_slack=0.0).choose({**trivial, "wrong": 1 - y}, validation) == "wrong"


def test_decision_gaps_are_fairlearns_and_skip_what_has_no_rows() -> None:
    samples = make_samples(200, seed=4, n_groups=3)
    y_pred = np.random.default_rng(0).integers(0, 2, 200)
    given = {"y_true": samples.y, "y_pred": y_pred, "sensitive_features": samples.group}
    parity, odds = fairlearn.metrics.demographic_parity_difference, fairlearn.metrics.equalized_odds_difference
    assert decision_gap(samples, y_pred, by_label=False) == pytest.approx(parity(**given), abs=1e-12)
    assert decision_gap(samples, y_pred, by_label=True) == pytest.approx(odds(**given), abs=1e-12)
    negatives = samples.select(samples.y == 0)
    rates = [y_pred[samples.y == 0][negatives.group == code].mean() for code in range(3)]
    expected = max(rates) - min(rates)
    assert decision_gap(negatives, y_pred[samples.y == 0], by_label=True) == pytest.approx(expected)


@pytest.mark.parametrize(
    "method", [*(kind() for kind in KINDS), FairBiNN(unroll_steps=1)], ids=lambda method: type(method).__name__
)
def test_same_seed_gives_the_same_bytes_whatever_the_global_state(method) -> None:
    method = dataclasses.replace(method, **{**FAST, "epochs": 2})
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first = method.fit(TRAIN, VALIDATION, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    try:
        torch.manual_seed(1)
        torch.set_num_threads(2)
        second = method.fit(TRAIN, VALIDATION, seed=5)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    other = method.fit(TRAIN, VALIDATION, seed=6)
    scores = [fitted.points[""](VALIDATION.inputs).y_score.tobytes() for fitted in (first, second, other)]
    assert scores[0] == scores[1] != scores[2]
    assert first.diagnostics == second.diagnostics


def test_all_three_methods_start_from_the_same_weights_and_see_the_same_batches() -> None:
    still = {"hidden": (8,), "batch_size": 64, "epochs": 2, "lr": 0.0}
    fits: list[Fitted] = [kind(**still).fit(TRAIN, VALIDATION, seed=0) for kind in (FairBiNNCoupled, LagrangianDP)]
    fits.append(FairBiNN(**still, fair_lr=0.0).fit(TRAIN, VALIDATION, seed=0))
    bce = [fitted.diagnostics["training_bce"][0] for fitted in fits]
    assert bce[0] == pytest.approx(bce[1], abs=1e-4)  # the coupled block moves at its rate of 1e-5
    assert bce[1] == bce[2]
