"""The baselines against numbers worked out by hand, fairlearn and scikit-learn."""

from __future__ import annotations

import dataclasses

import fairlearn.metrics
import numpy as np
import pytest
import torch
from fairbench_baselines.always import AlwaysOne, AlwaysZero
from fairbench_baselines.constant import Constant
from fairbench_baselines.mba_dp import BalancedGroups, balance_sides
from fairbench_baselines.mba_eod import BalancedErrors, equalized_odds_gap, missing_rows
from fairbench_baselines.mlp import MLP
from fairbench_baselines.threshold import GroupThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from fairbench.api import NotApplicable, Predictions, Samples, Schema, group_rates

QUICK = {"hidden": (8,), "lr": 0.02, "batch_size": 64, "epochs": 8}
NETWORKS = (MLP, BalancedGroups, BalancedErrors, GroupThreshold)


def make_samples(n: int, *, seed: int, n_groups: int = 2) -> Samples:
    """Return n rows whose label follows the features, rarer in the protected group, which has fewer rows."""
    random = np.random.default_rng(seed)
    group = (random.random(n) < 0.3).astype(int) + (n_groups - 2) * (random.random(n) < 0.2)
    features = random.normal(size=(n, 3)) - 0.7 * (group == 1)[:, None] * [1, 0, 0]
    y = (features @ [2.0, -2.0, 0.5] + random.normal(size=n) > 0).astype(int)
    names = tuple(f"g{code}" for code in range(n_groups))
    return Samples(features.astype(np.float32), group, Schema(("a", "b", "c"), names, protected=1), y)


def tiny(group: list[int], y: list[int]) -> Samples:
    """Return rows whose only feature is their number."""
    number = np.arange(len(y), dtype=np.float32).reshape(-1, 1)
    return Samples(number, np.array(group), Schema(("number",), ("other", "protected"), protected=1), np.array(y))


@pytest.mark.parametrize(
    ("y", "label", "share"), [([0, 0, 1], 0, 1 / 3), ([1, 1, 0, 1], 1, 3 / 4), ([1, 0], 1, 1 / 2), ([0, 0], 0, 0.0)]
)
def test_constant_is_the_majority_class_of_the_training_part(y: list[int], label: int, share: float) -> None:
    train, validation = tiny([0] * len(y), y), tiny([0, 1, 1], [1 - label] * 3)
    predictions = Constant().fit(train, validation, seed=0)(validation.inputs)
    assert predictions.y_pred.tolist() == [label] * 3
    assert predictions.y_score.tolist() == [share] * 3


@pytest.mark.parametrize(("method", "label"), [(AlwaysZero(), 0), (AlwaysOne(), 1)])
def test_always_predicts_its_label_for_everybody(method: AlwaysZero | AlwaysOne, label: int) -> None:
    train = tiny([0, 1, 1], [1 - label] * 3)
    predictions = method.fit(train, train, seed=0)(train.inputs)
    assert predictions.y_pred.tolist() == [label] * 3
    assert predictions.y_score is None


def test_mlp_beats_logistic_regression_where_the_truth_is_not_linear() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(1500, 3)).astype(np.float32)
    y = (features[:, 0] * features[:, 1] > 0).astype(int)
    samples = Samples(features, random.integers(0, 2, 1500), make_samples(9, seed=0).schema, y)
    train, validation = samples.select(np.arange(1000)), samples.select(np.arange(1000, 1500))
    predictions = MLP(lr=1e-2).fit(train, validation, seed=0).points[""](validation.inputs)
    linear = LogisticRegression().fit(train.X, train.y).score(validation.X, validation.y)
    assert linear < 0.6
    assert (predictions.y_pred == validation.y).mean() > 0.9


@pytest.mark.parametrize("batch_size", [0, 64])
def test_mlp_keeps_the_epoch_of_the_smallest_validation_loss_and_stops_early(batch_size: int) -> None:
    train, validation = make_samples(120, seed=0), make_samples(200, seed=1)
    method = MLP(lr=0.05, batch_size=batch_size, patience=4, epochs=200)  # overfits 120 noisy rows quickly
    fitted = method.fit(train, validation, seed=0)
    curve = fitted.diagnostics["validation_loss"]
    assert len(curve) == int(np.argmin(curve)) + 1 + 4 < 200
    kept = log_loss(validation.y, fitted.points[""](validation.inputs).y_score)
    assert kept == pytest.approx(min(curve), abs=1e-6)  # the curve is float32
    assert curve[-1] > min(curve)
    assert fitted.diagnostics["training_loss"][-1] < fitted.diagnostics["training_loss"][0]


def test_full_batch_training_of_a_linear_model_reaches_the_maximum_likelihood() -> None:
    train = make_samples(400, seed=0)
    method = MLP(hidden=(), lr=0.05, batch_size=0, epochs=600, patience=600)
    fitted = method.fit(train, train, seed=0)
    best = LogisticRegression(C=1e9, tol=1e-10).fit(train.X.astype(float), train.y)
    optimum = log_loss(train.y, best.predict_proba(train.X.astype(float)))
    assert min(fitted.diagnostics["validation_loss"]) == pytest.approx(optimum, abs=1e-4)


def test_weight_decay_shrinks_the_scores_towards_one_half() -> None:
    train, validation = make_samples(300, seed=0), make_samples(100, seed=1)
    spread = [
        MLP(**QUICK, weight_decay=decay).fit(train, validation, seed=0).points[""](validation.inputs).y_score.std()
        for decay in (0.0, 5.0)
    ]
    assert spread[1] < 0.8 * spread[0]


@pytest.mark.parametrize("group", [[1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0], [1, 0, 1, 0]])
def test_balanced_rows_are_all_rows_and_copies_from_the_smaller_side(group: list[int]) -> None:
    train = tiny(group, [0, 1] * (len(group) // 2) + [1] * (len(group) % 2))
    balanced = balance_sides(train, seed=3)
    assert balanced.protected.sum() == (~balanced.protected).sum() == max(group.count(0), group.count(1))
    n = len(train)
    np.testing.assert_array_equal(balanced.X[:n], train.X)
    copies = balanced.X[n:, 0].astype(int)
    assert all(group[row] == (0 if group.count(0) < group.count(1) else 1) for row in copies)
    np.testing.assert_array_equal(balanced.y[n:], train.y[copies])
    np.testing.assert_array_equal(balance_sides(train, seed=3).X, balanced.X)


def test_balancing_draws_every_row_of_the_smaller_side_equally_often() -> None:
    train = tiny([1] * 4 + [0] * 4004, [0, 1] * 2004)
    copies = balance_sides(train, seed=0).X[len(train) :, 0].astype(int)
    counts = np.bincount(copies, minlength=4)
    assert counts.sum() == 4000
    np.testing.assert_allclose(counts, 1000, atol=140)  # five standard deviations of a binomial count, 27.4 each


def test_balancing_needs_rows_on_both_sides() -> None:
    with pytest.raises(NotApplicable, match="training rows: 0 protected, 3 others"):
        balance_sides(tiny([0, 0, 0], [0, 1, 1]), seed=0)


def test_missing_rows_by_hand_would_equalise_both_error_rates() -> None:
    # other: TPR 4/4, FPR 2/4; protected: TPR 1/4, FPR 1/4. So the protected group lacks 3 true positives of its 3 false
    # negatives, and the others have one false positive too many among their 2.
    group = [0] * 8 + [1] * 8
    y = [1, 1, 1, 1, 0, 0, 0, 0] * 2
    y_pred = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    train, predictions = tiny(group, y), Predictions(np.array(y_pred))
    drawn = missing_rows(train, predictions, seed=0)
    assert sorted(row for row in drawn if y[row] == 1) == [9, 10, 11]
    assert [row for row in drawn if y[row] == 0] in ([4], [5])
    mended = np.array(y_pred)
    mended[drawn] = np.array(y)[drawn]
    rates = group_rates(train, Predictions(mended))
    np.testing.assert_allclose(rates.true_positive, 1)
    np.testing.assert_allclose(rates.false_positive, 1 / 4)


def test_no_row_is_missing_where_rates_are_equal() -> None:
    train = tiny([0, 0, 1, 1], [0, 1, 0, 1])
    assert len(missing_rows(train, Predictions(np.array([1, 0, 1, 0])), seed=0)) == 0


@pytest.mark.parametrize("n_groups", [2, 3])
def test_equalized_odds_gap_is_fairlearns(n_groups: int) -> None:
    samples = make_samples(200, seed=2, n_groups=n_groups)
    y_pred = np.random.default_rng(0).integers(0, 2, 200)
    theirs = fairlearn.metrics.equalized_odds_difference(samples.y, y_pred, sensitive_features=samples.group)
    assert equalized_odds_gap(samples, Predictions(y_pred)) == pytest.approx(theirs, abs=1e-12)


def test_equalized_odds_need_both_labels_in_every_group_with_rows() -> None:
    predictions = Predictions(np.array([1, 0, 1, 0]))
    with pytest.raises(NotApplicable, match="'protected' has no row with y = 1"):
        equalized_odds_gap(tiny([0, 0, 1, 1], [0, 1, 0, 0]), predictions)
    assert equalized_odds_gap(tiny([0, 0, 0, 0], [0, 1, 0, 1]), predictions) == 0.0  # a group without rows is absent
    with pytest.raises(NotApplicable, match="'other' has no row with y = 0"):
        BalancedErrors(**QUICK).fit(tiny([0, 0, 1, 1], [1, 1, 0, 1]), tiny([0, 0, 1, 1], [0, 1, 0, 1]), seed=0)


def test_mba_eod_keeps_the_round_with_the_smallest_validation_gap() -> None:
    train, validation = make_samples(400, seed=0), make_samples(300, seed=1)
    fitted = BalancedErrors(**QUICK, rounds=3).fit(train, validation, seed=0)
    gaps = fitted.diagnostics["validation_equalized_odds_difference"]
    assert len(gaps) == 4
    chosen = fitted.points[""](validation.inputs).y_pred
    theirs = fairlearn.metrics.equalized_odds_difference(validation.y, chosen, sensitive_features=validation.group)
    assert theirs == pytest.approx(min(gaps), abs=1e-12)
    assert min(gaps) < gaps[0]  # rebalancing gained something on these data


def test_mba_eod_keeps_the_earliest_of_the_best_rounds_and_adds_rows_after_each() -> None:
    # Scores cut at c: the others (logits -2, 2 with y = 0, 1) are always right for c in (-2, 2); of the protected rows
    # (logits -1, 1, 1, 3 with y = 0, 0, 1, 1) c = 0 gets one negative wrong, c = -3/2 both, c = 3/2 one positive.
    cuts, sizes = iter([-1.5, 0.0, 1.5, -1.5]), []

    class Scripted(BalancedErrors):
        def train(self, train: Samples, validation: Samples, *, seed: int) -> tuple[torch.nn.Module, dict]:
            sizes.append(len(train))
            model = torch.nn.Linear(1, 1)
            torch.nn.utils.vector_to_parameters(torch.tensor([1.0, -next(cuts)]), model.parameters())
            return model, {"round": [len(sizes) - 1]}

    logit = np.array([-2, 2, -1, 1, 1, 3], dtype=np.float32).reshape(-1, 1)
    schema = Schema(("logit",), ("other", "protected"), protected=1)
    samples = Samples(logit, np.array([0, 0, 1, 1, 1, 1]), schema, np.array([0, 1, 0, 0, 1, 1]))
    fitted = Scripted(rounds=3).fit(samples, samples, seed=0)
    assert fitted.diagnostics == {"round": [1], "validation_equalized_odds_difference": [1.0, 0.5, 0.5, 1.0]}
    assert sizes == [6, 8, 9, 10]  # two, one and one misclassified protected rows come again
    assert fitted.points[""](samples.inputs).y_pred.tolist() == [0, 1, 0, 1, 1, 1]


def test_mba_eod_without_rounds_and_threshold_one_half_are_the_plain_network() -> None:
    train, validation = make_samples(300, seed=0), make_samples(100, seed=1)
    plain = MLP(**QUICK).fit(train, validation, seed=0).points[""](validation.inputs)
    no_rounds = BalancedErrors(**QUICK, rounds=0).fit(train, validation, seed=0).points[""](validation.inputs)
    half = GroupThreshold(**QUICK).fit(train, validation, seed=0).points["threshold=0.5"](validation.inputs)
    for other in (no_rounds, half):
        assert other.y_score.tobytes() == plain.y_score.tobytes()
        assert other.y_pred.tobytes() == plain.y_pred.tobytes()


def test_threshold_moves_the_protected_group_alone_and_chooses_on_validation() -> None:
    train, validation = make_samples(400, seed=0), make_samples(300, seed=1)
    fitted = GroupThreshold(**QUICK).fit(train, validation, seed=0)
    assert list(fitted.points) == [f"threshold={tenth / 10:.1f}" for tenth in range(1, 11)]
    ranks = {}
    for tenth, (point, predict) in enumerate(fitted.points.items(), start=1):
        predictions = predict(validation.inputs)
        score, protected = predictions.y_score, validation.protected
        np.testing.assert_array_equal(predictions.y_pred[~protected], score[~protected] >= 0.5)
        np.testing.assert_array_equal(predictions.y_pred[protected], score[protected] >= tenth / 10)
        gap = fairlearn.metrics.demographic_parity_difference(
            validation.y, predictions.y_pred, sensitive_features=validation.group
        )
        ranks[point] = (round(gap, 12), -(predictions.y_pred == validation.y).mean())
    assert fitted.chosen == min(ranks, key=ranks.__getitem__)
    assert ranks[fitted.chosen][0] < ranks["threshold=0.5"][0]


class Fixed(GroupThreshold):
    """A sweep over scores that are the only feature itself."""

    def train(self, train: Samples, validation: Samples, *, seed: int) -> tuple[torch.nn.Module, dict]:
        """Return the logit of the feature."""
        return torch.nn.Identity(), {}


def test_threshold_prefers_the_more_accurate_of_points_with_equal_gaps() -> None:
    # One half of the others is selected; of the protected rows 3/4 up to threshold 0.5 and 1/4 from 0.6 to 0.8.
    score = np.array([0.9, 0.2, 0.85, 0.55, 0.55, 0.05])
    y = np.array([1, 0, 1, 0, 0, 0])
    logit = np.log(score / (1 - score)).astype(np.float32).reshape(-1, 1)
    schema = Schema(("logit",), ("other", "protected"), protected=1)
    samples = Samples(logit, np.array([0, 0, 1, 1, 1, 1]), schema, y)
    fitted = Fixed().fit(samples, samples, seed=0)
    rates = [predict(samples.inputs).y_pred[2:].mean() for predict in fitted.points.values()]
    assert rates == [0.75] * 5 + [0.25] * 3 + [0, 0]
    assert fitted.chosen == "threshold=0.6"  # the gap of 1/4 again, and both wrongly selected rows right


def test_threshold_takes_the_lowest_of_points_with_equal_gap_and_accuracy() -> None:
    # Features without information give every row the same score, about 0.25, the share of y = 1: the others are never
    # selected, and from 0.3 on the protected rows are not either.
    y = [0, 0, 0, 1] * 50
    train = Samples(
        np.zeros((200, 1), dtype=np.float32),
        np.array([0, 0, 1, 1] * 50),
        Schema(("idle",), ("other", "protected"), protected=1),
        np.array(y),
    )
    fitted = GroupThreshold(hidden=(), lr=0.05, epochs=60).fit(train, train, seed=0)
    gaps = [
        abs(p.y_pred[train.protected].mean() - p.y_pred[~train.protected].mean())
        for p in (predict(train.inputs) for predict in fitted.points.values())
    ]
    assert gaps == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert fitted.chosen == "threshold=0.3"


@pytest.mark.parametrize("kind", NETWORKS)
def test_same_seed_gives_the_same_bytes_whatever_the_global_state(kind: type) -> None:
    train, validation = make_samples(200, seed=0), make_samples(100, seed=1)
    method = kind(**{**QUICK, "epochs": 3})
    if kind is BalancedErrors:
        method = dataclasses.replace(method, rounds=1)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    before = [array.copy() for part in (train, validation) for array in (part.X, part.y, part.group)]
    first = method.fit(train, validation, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    try:
        torch.manual_seed(1)
        torch.set_num_threads(2)
        np.random.seed(1)  # the global state is what must not matter
        second = method.fit(train, validation, seed=5)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    other = method.fit(train, validation, seed=6)
    scores = [fitted.points[fitted.chosen](validation.inputs).y_score.tobytes() for fitted in (first, second, other)]
    assert scores[0] == scores[1] != scores[2]
    assert first.diagnostics == second.diagnostics
    after = [array for part in (train, validation) for array in (part.X, part.y, part.group)]
    for kept, now in zip(before, after):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize("kind", NETWORKS)
def test_three_groups_work(kind: type) -> None:
    train, validation = make_samples(300, seed=0, n_groups=3), make_samples(200, seed=1, n_groups=3)
    assert set(train.group) == {0, 1, 2}
    fitted = kind(**{**QUICK, "epochs": 2}).fit(train, validation, seed=0)
    assert len(fitted.points[fitted.chosen](validation.inputs).y_pred) == 200
