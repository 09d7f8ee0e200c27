"""The metrics against fairlearn, scikit-learn and AIF360, numbers worked out by hand, and what has no value."""

from __future__ import annotations

import warnings
from random import Random

import numpy as np
import pandas as pd
import pytest
from fairbench_metrics import accuracy, balanced_accuracy, demographic_parity, equalized_odds, rates, roc_auc
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from fairbench.api import Predictions, Samples, Schema, Undefined

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing AIF360 warns about optional libraries that are not installed
    import fairlearn.metrics as fairlearn_metrics
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric

MODULES = (accuracy, balanced_accuracy, demographic_parity, equalized_odds, rates, roc_auc)
METRICS = {metric.name: metric for module in MODULES for metric in module.fairbench_metrics()}
DECISION = sorted(set(METRICS) - {"roc_auc", "n"})
LIBRARY = {
    "demographic_parity_difference": fairlearn_metrics.demographic_parity_difference,
    "demographic_parity_ratio": fairlearn_metrics.demographic_parity_ratio,
    "equalized_odds_difference": fairlearn_metrics.equalized_odds_difference,
    "equalized_odds_ratio": fairlearn_metrics.equalized_odds_ratio,
    "equal_opportunity_difference": fairlearn_metrics.equal_opportunity_difference,
}
TWO_TO_FIVE = st.integers(2, 5)
ROUNDING = 1e-12  # both sides are a few divisions and sums of float64, in another order


def samples_of(group: object, y: object, names: tuple[str, ...] = ("a", "b", "c", "d", "e")) -> Samples:
    """Build samples with one idle feature."""
    group = np.asarray(group)
    return Samples(np.zeros((len(group), 1), np.float32), group, Schema(("x",), names, protected=0), np.asarray(y))


@st.composite
def scored(draw: st.DrawFn, groups: st.SearchStrategy[int] = TWO_TO_FIVE) -> tuple[Samples, Predictions]:
    """Draw rows of 2-5 groups, each with both labels; scores repeat, so that ties occur, and rates lie anywhere."""
    g = draw(groups)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, 60))
    group = np.concatenate([np.arange(g), np.arange(g), rng.integers(0, g, n)])
    y = np.concatenate([np.zeros(g, int), np.ones(g, int), rng.random(n) < rng.random()]).astype(int)
    score = np.round(rng.random(len(y)), 1)
    threshold = draw(st.sampled_from([0.2, 0.5, 0.8]))
    order = rng.permutation(len(y))
    return samples_of(group[order], y[order]), Predictions.from_score(score[order], threshold)


@settings(max_examples=40)  # fairlearn takes some 10 ms for each value
@given(scored())
def test_group_metrics_equal_fairlearns(rows: tuple[Samples, Predictions]) -> None:
    samples, predictions = rows
    for name, theirs in LIBRARY.items():
        expected = theirs(samples.y, predictions.y_pred, sensitive_features=samples.group)
        if np.isnan(expected):
            with pytest.raises(Undefined, match="0/0"):
                METRICS[name](samples, predictions)
        elif name == "equalized_odds_ratio" and not predictions.y_pred[samples.y == 0].any():
            with pytest.raises(Undefined, match="y = 0 is selected"):  # where fairlearn returns the TPR ratio
                METRICS[name](samples, predictions)
        else:
            assert METRICS[name](samples, predictions) == pytest.approx(expected, abs=ROUNDING)


@settings(max_examples=50)
@given(scored())
def test_rates_equal_fairlearns_overall_and_within_each_group(rows: tuple[Samples, Predictions]) -> None:
    samples, predictions = rows
    for mask in [np.full(len(samples), True), *(samples.group == code for code in np.unique(samples.group))]:
        part, chosen = samples.select(mask), predictions.select(mask)
        assert METRICS["n"](part, chosen) == mask.sum()
        for name in ("selection_rate", "true_positive_rate", "false_positive_rate"):
            expected = getattr(fairlearn_metrics, name)(part.y, chosen.y_pred)
            assert METRICS[name](part, chosen) == pytest.approx(expected, abs=ROUNDING)
        expected = sklearn_metrics.accuracy_score(part.y, chosen.y_pred)
        assert METRICS["accuracy"](part, chosen) == pytest.approx(expected, abs=ROUNDING)


@settings(max_examples=50)
@given(scored())
def test_auc_and_balanced_accuracy_equal_scikit_learns(rows: tuple[Samples, Predictions]) -> None:
    samples, predictions = rows
    auc = sklearn_metrics.roc_auc_score(samples.y, predictions.y_score)
    assert METRICS["roc_auc"](samples, predictions) == pytest.approx(auc, abs=ROUNDING)
    balanced = sklearn_metrics.balanced_accuracy_score(samples.y, predictions.y_pred)
    assert METRICS["balanced_accuracy"](samples, predictions) == pytest.approx(balanced, abs=ROUNDING)


def test_auc_counts_pairs_in_the_right_order_and_half_of_the_ties() -> None:
    samples = samples_of([0, 1, 0, 1], [0, 0, 1, 1])
    predictions = Predictions(np.zeros(4, int), np.array([0.1, 0.4, 0.4, 0.8]))
    assert METRICS["roc_auc"](samples, predictions) == (1 + 0.5 + 1 + 1) / 4


@settings(max_examples=20)  # AIF360 builds two data frames for each
@given(scored(groups=st.just(2)))
def test_two_group_metrics_equal_aif360s(rows: tuple[Samples, Predictions]) -> None:
    samples, predictions = rows
    frame = pd.DataFrame({"group": samples.group.astype(float), "y": samples.y.astype(float)})
    truth = BinaryLabelDataset(df=frame, label_names=["y"], protected_attribute_names=["group"])
    decided = truth.copy()
    decided.labels = predictions.y_pred.reshape(-1, 1).astype(float)
    theirs = ClassificationMetric(truth, decided, [{"group": 1}], [{"group": 0}])
    expected = {
        "accuracy": theirs.accuracy(),
        "demographic_parity_difference": abs(theirs.statistical_parity_difference()),
        "equal_opportunity_difference": abs(theirs.equal_opportunity_difference()),
        "equalized_odds_difference": theirs.equalized_odds_difference(),
        "true_positive_rate": theirs.true_positive_rate(),
        "false_positive_rate": theirs.false_positive_rate(),
    }
    if theirs.selection_rate(privileged=True) > 0 and theirs.selection_rate(privileged=False) > 0:
        impact = theirs.disparate_impact()  # the protected group's rate over the other's, above 1 or below
        expected["demographic_parity_ratio"] = min(impact, 1 / impact)
    assert {name: METRICS[name](samples, predictions) for name in expected} == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 0.625),
        ("balanced_accuracy", (3 / 5 + 2 / 3) / 2),
        ("demographic_parity_difference", 0.5),
        ("demographic_parity_ratio", 1 / 3),
        ("equalized_odds_difference", 2 / 3),
        ("equalized_odds_ratio", 0.0),
        ("equal_opportunity_difference", 2 / 3),
        ("n", 8),
        ("selection_rate", 0.5),
        ("true_positive_rate", 0.6),
        ("false_positive_rate", 1 / 3),
    ],
)
def test_eight_rows_give_the_values_worked_out_by_hand(
    eight_rows: Samples, eight_predictions: Predictions, name: str, expected: float
) -> None:
    assert METRICS[name](eight_rows, eight_predictions) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("constant", [0, 1])
def test_constant_predictions_have_differences_of_zero(eight_rows: Samples, constant: int) -> None:
    predictions = Predictions(np.full(8, constant))
    for name in ("demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"):
        assert METRICS[name](eight_rows, predictions) == 0
    assert METRICS["selection_rate"](eight_rows, predictions) == constant
    assert METRICS["balanced_accuracy"](eight_rows, predictions) == 0.5
    assert METRICS["accuracy"](eight_rows, predictions) == pytest.approx(0.625 if constant else 0.375, abs=ROUNDING)


def test_ratios_are_one_if_everybody_is_selected(eight_rows: Samples) -> None:
    everybody = Predictions(np.ones(8, int))
    assert METRICS["demographic_parity_ratio"](eight_rows, everybody) == 1
    assert METRICS["equalized_odds_ratio"](eight_rows, everybody) == 1


def test_ratios_are_undefined_if_nobody_is_selected(eight_rows: Samples) -> None:
    nobody = Predictions(np.zeros(8, int))
    with pytest.raises(Undefined, match=r"nobody is selected in 2 groups \(0 of 8\), so the ratio is 0/0"):
        METRICS["demographic_parity_ratio"](eight_rows, nobody)
    message = r"y = 1 is selected \(0 of 5\) and nobody with y = 0 is selected \(0 of 3\), so both ratios are 0/0"
    with pytest.raises(Undefined, match=message):
        METRICS["equalized_odds_ratio"](eight_rows, nobody)


@pytest.mark.parametrize("label", [0, 1])
def test_equalized_odds_ratio_is_undefined_if_one_of_its_ratios_is(eight_rows: Samples, label: int) -> None:
    only_other_label = Predictions((eight_rows.y != label).astype(int))
    with pytest.raises(Undefined, match=rf"nobody with y = {label} is selected .* one of the two ratios is 0/0"):
        METRICS["equalized_odds_ratio"](eight_rows, only_other_label)
    theirs = fairlearn_metrics.equalized_odds_ratio(
        eight_rows.y, only_other_label.y_pred, sensitive_features=eight_rows.group
    )
    assert np.isnan(theirs) if label else theirs == 1  # min() over (TPR ratio, FPR ratio) with a NaN among them


def test_gaps_of_opposite_sign_do_not_cancel() -> None:
    # five rows of each label and group; TPR .6 and .4, FPR .4 and .6
    group, y = np.repeat([0, 0, 1, 1], 5), np.repeat([1, 0, 1, 0], 5)
    y_pred = np.concatenate([np.arange(5) < selected for selected in (3, 2, 2, 3)]).astype(int)
    samples, predictions = samples_of(group, y), Predictions(y_pred)
    assert METRICS["equalized_odds_difference"](samples, predictions) == pytest.approx(0.2, abs=ROUNDING)
    assert METRICS["equalized_odds_ratio"](samples, predictions) == pytest.approx(2 / 3, abs=ROUNDING)
    assert METRICS["demographic_parity_difference"](samples, predictions) == 0


def test_single_group_is_undefined() -> None:
    samples, predictions = samples_of([1, 1, 1], [0, 1, 1]), Predictions(np.array([0, 1, 0]))
    for name in LIBRARY:
        with pytest.raises(Undefined, match=r"only group 'b' has rows \(3 of 3\)"):
            METRICS[name](samples, predictions)


def test_no_rows_are_undefined_and_counted_as_zero() -> None:
    samples, predictions = samples_of(np.zeros(0, int), np.zeros(0, int)), Predictions(np.zeros(0, int), np.zeros(0))
    for name in set(METRICS) - {"n"}:
        with pytest.raises(Undefined):
            METRICS[name](samples, predictions)
    assert METRICS["n"](samples, predictions) == 0


def test_groups_without_rows_are_left_out(eight_rows: Samples, eight_predictions: Predictions) -> None:
    schema = Schema(("x",), ("nobody", "other", "protected", "nobody else"), protected=2)
    wider = Samples(eight_rows.X, eight_rows.group + 1, schema, eight_rows.y)
    for name in DECISION:
        assert METRICS[name](wider, eight_predictions) == METRICS[name](eight_rows, eight_predictions)


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (1, ["equalized_odds_difference", "equalized_odds_ratio", "equal_opportunity_difference"]),
        (0, ["equalized_odds_difference", "equalized_odds_ratio"]),
    ],
)
def test_group_without_a_label_is_undefined_and_named_with_its_count(label: int, names: list[str]) -> None:
    group, y = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1 - label, 1 - label, 1 - label])
    samples, predictions = samples_of(group, y, names=("male", "female")), Predictions(np.array([1, 1, 1, 0, 1]))
    for name in names:
        with pytest.raises(Undefined) as undefined:
            METRICS[name](samples, predictions)
        assert str(undefined.value) == f"group 'female' has no row with y = {label} (0 of 3)"
    assert METRICS["demographic_parity_difference"](samples, predictions) == pytest.approx(1 / 3, abs=ROUNDING)


def test_equal_opportunity_needs_no_row_with_label_zero() -> None:
    samples, predictions = samples_of([0, 0, 1, 1], [1, 0, 1, 1]), Predictions(np.array([1, 1, 1, 0]))
    assert METRICS["equal_opportunity_difference"](samples, predictions) == 0.5


@pytest.mark.parametrize("label", [0, 1])
def test_single_label_has_no_auc_balanced_accuracy_or_missing_rate(label: int) -> None:
    samples = samples_of([0, 1, 1], [label] * 3)
    predictions = Predictions.from_score([0.1, 0.6, 0.7])
    missing = {0: "true_positive_rate", 1: "false_positive_rate"}[label]
    for name in ("roc_auc", "balanced_accuracy", missing):
        with pytest.raises(Undefined, match=rf"no row has y = {1 - label} \(0 of 3\)"):
            METRICS[name](samples, predictions)


def test_auc_without_a_score_is_undefined(eight_rows: Samples, eight_predictions: Predictions) -> None:
    with pytest.raises(Undefined, match="no score"):
        METRICS["roc_auc"](eight_rows, eight_predictions)


@pytest.mark.parametrize("groups", [2, 3, 5])
@settings(max_examples=20)
@given(data=st.data(), share=st.floats(0, 1), constant=st.floats(0, 1))
def test_mixing_with_a_constant_scales_the_differences(
    groups: int, data: st.DataObject, share: float, constant: float
) -> None:
    samples, sharp = data.draw(scored(groups=st.just(groups)))
    mixed = Predictions.from_decision(share * sharp.y_pred + (1 - share) * constant, seed=0)
    for name in ("demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"):
        expected = share * METRICS[name](samples, sharp)
        assert METRICS[name](samples, mixed) == pytest.approx(expected, abs=ROUNDING)
    expected = share * METRICS["accuracy"](samples, sharp) + (1 - share) * np.mean(
        np.where(samples.y == 1, constant, 1 - constant)
    )
    assert METRICS["accuracy"](samples, mixed) == pytest.approx(expected, abs=ROUNDING)


def test_randomised_decisions_are_measured_as_the_mean_over_many_draws(eight_rows: Samples) -> None:
    decision = np.array([0.9, 0.2, 0.5, 0.1, 1.0, 0.7, 0.3, 0.0])
    draws = [Predictions.from_decision(decision, seed=seed).y_pred for seed in range(4000)]
    expected = METRICS["accuracy"](eight_rows, Predictions(draws[0], decision=decision))
    # one decision spreads by at most 1/2, the mean of 32000 of them by 0.5 / sqrt(32000) = 0.003; five times that
    assert np.mean([(drawn == eight_rows.y).mean() for drawn in draws]) == pytest.approx(expected, abs=0.014)


@settings(max_examples=30)
@given(scored(), st.randoms(use_true_random=False))
def test_renaming_groups_or_reordering_rows_changes_nothing(rows: tuple[Samples, Predictions], random: Random) -> None:
    samples, predictions = rows
    codes = list(range(5))
    random.shuffle(codes)
    order = np.argsort(predictions.y_score, kind="stable")[::-1]
    renamed = samples_of(np.array(codes)[samples.group][order], samples.y[order])
    for name in [*DECISION, "roc_auc"]:
        try:
            expected = METRICS[name](samples, predictions)
        except Undefined:
            with pytest.raises(Undefined):
                METRICS[name](renamed, predictions.select(order))
        else:
            assert METRICS[name](renamed, predictions.select(order)) == pytest.approx(expected, abs=ROUNDING)


@settings(max_examples=50)
@given(scored())
def test_values_stay_within_the_declared_range(rows: tuple[Samples, Predictions]) -> None:
    for metric in METRICS.values():
        try:
            value = metric(*rows)
        except Undefined:
            continue
        assert isinstance(value, float)
        assert metric.range[0] <= value <= metric.range[1]


def test_each_metric_says_what_tables_need() -> None:
    assert {name for name, metric in METRICS.items() if metric.by_group} == {
        "accuracy",
        "n",
        "selection_rate",
        "true_positive_rate",
        "false_positive_rate",
    }
    assert all(0 < len(metric.label) <= 10 and metric.reference for metric in METRICS.values() if metric.name != "n")
    directions = {name: metric.better for name, metric in METRICS.items()}
    assert {name for name, better in directions.items() if better == "lower"} == {
        "demographic_parity_difference",
        "equal_opportunity_difference",
        "equalized_odds_difference",
    }
    assert {name for name, better in directions.items() if better == "neither"} == {
        "n",
        "selection_rate",
        "true_positive_rate",
        "false_positive_rate",
    }
