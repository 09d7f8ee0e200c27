"""Where one rule ends and the next begins: intervals, lines, alike decisions, splits and encoders at their edges."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn.model_selection import train_test_split

from fairbench.analysis.intervals import corrected_t
from fairbench.analysis.lines import AboveLine, Vertex, best_constant, coin, published_above_coin
from fairbench.cells import Choice, Preparation, canonical
from fairbench.data.alike import common_chance, side_of_rates
from fairbench.data.preparation import encode, part_rows, split_dataset
from fairbench.data.rows import Dataset, Predictions
from fairbench.errors import NotApplicable
from fairbench.records import compares_groups, no_rows

RATIO = 0.25


def above_coin(accuracy, gap, baseline_accuracy, baseline_gap, constant_accuracy, ratio, level=0.95) -> AboveLine:
    """Return how far a method lies above the coin, from sequences over the same repeats."""
    line = coin(Vertex(np.array(baseline_gap), np.array(baseline_accuracy)), np.array(constant_accuracy))
    return line.above(np.array(gap), np.array(accuracy), ratio, level)


def test_no_json_of_ours_holds_a_number_that_is_none():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical([math.nan])


def test_a_choice_is_shown_with_its_parameters_or_without_brackets():
    assert str(Choice("mlp")) == "mlp"
    assert str(Choice("mlp", {"epochs": 3})) == "mlp[epochs=3]"


@pytest.mark.parametrize("name", ["x_difference", "x_ratio", "x_gap", "worst_group_accuracy"])
def test_metrics_that_compare_groups_are_known_by_their_names(name):
    assert compares_groups(name)
    assert not compares_groups(f"{name}_of_all"[:3] + "accuracy")


def test_groups_without_rows_are_named_in_a_sentence():
    assert no_rows(["a"]) == "group 'a' has no row in the test part"
    assert no_rows(["a", "b"]) == "groups 'a' and 'b' have no row in the test part"


# ------------------------------------------------------------ intervals and lines


def test_two_repeats_have_an_interval_and_one_has_none():
    one = corrected_t([0.5], RATIO)
    assert (one.n, one.sd, one.low, one.high) == (1, 0.0, None, None)
    two = corrected_t([0.5, 0.7], RATIO)
    assert two.low < two.mean < two.high


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_level_decides_the_width_everywhere(level):
    values = [0.2, 0.4, 0.9]
    sd, scale = np.std(values, ddof=1), math.sqrt(1 / 3 + RATIO)
    width = student.ppf(0.5 + level / 2, 2) * sd * scale
    found = corrected_t(values, RATIO, level)
    assert found.high - found.mean == pytest.approx(width)
    flat = above_coin(values, [0.1] * 3, [0.1] * 3, [0.3] * 3, [0.5] * 3, RATIO, level)  # no better than the constant
    assert flat.high - flat.value == pytest.approx(width)
    assert flat.value - flat.low == pytest.approx(width)
    published = published_above_coin((0.6, sd), (0.5, 0.0), (0.7, 0.3), 0.5, 3, RATIO, level)
    assert published.high - published.value == pytest.approx(width)
    assert published.value - published.low == pytest.approx(width)
    assert (flat.n, published.n) == (3, 3)


def test_a_point_of_one_repeat_says_how_many_there_are():
    assert above_coin([0.5], [0.1], [0.7], [0.3], [0.5], RATIO).n == 1
    assert published_above_coin((0.5, None), (0.1, None), (0.7, 0.3), 0.5, 4, RATIO).n == 4


def test_two_repeats_are_enough_for_points_above_the_coin():
    assert above_coin([0.5, 0.6], [0.1, 0.2], [0.7, 0.8], [0.3, 0.4], [0.5, 0.5], RATIO).low is not None
    assert published_above_coin((0.5, 0.1), (0.1, 0.1), (0.7, 0.3), 0.5, 2, RATIO).low is not None


def test_the_line_is_flat_from_the_baselines_gap_on_and_under_a_baseline_no_better_than_the_constant():
    spread = {"accuracy": [0.6, 0.8], "gap": [0.2, 0.4], "baseline_gap": [0.3, 0.3], "constant_accuracy": [0.5, 0.5]}
    alone = corrected_t([0.6, 0.8], RATIO)
    beyond = above_coin(**{**spread, "gap": [0.6, 0.61]}, baseline_accuracy=[0.7, 0.7], ratio=RATIO)
    assert beyond.high - beyond.value == pytest.approx(alone.high - alone.mean)  # the gap's spread is out
    level_with_it = above_coin(**{**spread, "gap": [0.1, 0.3]}, baseline_accuracy=[0.5, 0.5], ratio=RATIO)
    assert level_with_it.high - level_with_it.value == pytest.approx(alone.high - alone.mean)


@pytest.mark.parametrize(
    ("gap", "baseline", "slope"),
    [
        (0.1, (0.7, 0.4), 0.5),  # the line rises: (0.7 - 0.5) / 0.4
        (0.4, (0.7, 0.4), 0.0),  # at the baseline's own gap it has become flat
        (0.6, (0.7, 0.4), 0.0),
        (0.1, (0.5, 0.4), 0.0),  # a baseline no better than the constant
        (0.1, (0.4, 0.4), 0.0),
    ],
)
def test_the_spread_of_a_published_gap_counts_where_the_line_rises(gap, baseline, slope):
    found = published_above_coin((0.6, 0.03), (gap, 0.02), baseline, 0.5, 5, RATIO)
    quantile = student.ppf(0.975, 4) * math.sqrt(1 / 5 + RATIO)
    assert found.high - found.value == pytest.approx(quantile * math.hypot(0.03, slope * 0.02))


def test_the_better_constant_is_chosen_over_all_repeats():
    np.testing.assert_allclose(best_constant([0.9, 0.3]), [0.9, 0.3])
    np.testing.assert_allclose(best_constant([0.2, 0.6]), [0.8, 0.4])


# ------------------------------------------------------------------- alike


def test_a_chance_at_the_edge_of_the_band_belongs_to_it():
    y = np.arange(40) % 2
    chance = np.full(40, 0.5)
    chance[:8] = 0.55  # within the band, although .55 - .5 is a little more than .05 in binary
    assert common_chance(y, Predictions.from_decision(chance, seed=1)) == 0.5
    chance[:8] = 0.5502
    assert common_chance(y, Predictions.from_decision(chance, seed=1)) is None


def test_exactly_one_in_twenty_may_be_decided_otherwise():
    y = np.arange(40) % 2
    few = np.zeros(40, dtype=int)
    few[:2] = 1  # one of each label: 5% of both
    assert common_chance(y, Predictions(few)) == 0.0
    few[2] = 1
    assert common_chance(y, Predictions(few)) is None


@pytest.mark.parametrize(("mean", "side"), [(0.95, 1), (0.94, None), (0.05, 0), (0.06, None), (1.0, 1), (0.0, 0)])
def test_rates_are_on_a_side_up_to_its_edge(mean, side):
    assert side_of_rates(np.array([mean, mean])) == side


# ------------------------------------------------------------------- splits


def made(n, **changes):
    group = np.array(["a", "b", "c"])[np.arange(n) % 3]
    fields = {
        "name": "made",
        "X": pd.DataFrame({"row": np.arange(n, dtype=float)}),
        "y": (np.arange(n) // 3) % 2,
        "sensitive_features": pd.DataFrame({"g": group}),
        "protected_group": {"g": "a"},
    }
    return Dataset(**{**fields, **changes})


@pytest.mark.parametrize("seed", range(4))
def test_stratified_parts_hold_the_share_of_every_label_in_every_group(seed):
    data = made(600)
    parts = split_dataset(data, group="g", seed=seed, preparation=Preparation(stratify=True))
    for part, each in ((parts.train, 70), (parts.validation, 15), (parts.test, 15)):
        assert set(np.bincount(part.group * 2 + part.y).tolist()) == {each}


def test_strata_stand_in_the_order_of_runs_that_were_made_before():
    data = made(300, y=np.arange(300) % 7 % 2)
    strata = (np.arange(300) % 3) * 2 + data.y  # another order of the same strata draws other rows
    train, held = train_test_split(np.arange(300), test_size=0.3, random_state=5, stratify=strata)
    validation, test = train_test_split(held, test_size=0.5, random_state=5, stratify=strata[held])
    parts = split_dataset(data, group="g", seed=5, preparation=Preparation("none", stratify=True))
    for part, rows in ((parts.train, train), (parts.validation, validation), (parts.test, test)):
        assert part.X[:, 0].tolist() == sorted(rows.tolist())


def test_rows_that_cannot_be_stratified_are_refused_in_words():
    lonely = made(60, y=(np.arange(60) == 0).astype(int) + (np.arange(60) == 1))
    with pytest.raises(NotApplicable, match="the rows cannot be stratified by label and group: The least populated"):
        split_dataset(lonely, group="g", seed=0, preparation=Preparation(stratify=True))


def test_four_rows_are_enough_for_three_parts():
    parts = part_rows(made(4, y=[0, 1, 0, 1]), 0, None)
    assert [len(rows) for rows in parts] == [2, 1, 1]
    with pytest.raises(NotApplicable, match="3 rows cannot be split"):
        part_rows(made(3, y=[0, 1, 0]), 0, None)


def test_a_protected_combination_without_rows_is_named():
    table = pd.DataFrame({"g": ["a", "b"] * 30, "h": ["x", "y"] * 30})
    data = made(60, sensitive_features=table, protected_group={"g": "a", "h": "y"})
    with pytest.raises(NotApplicable, match="made: no row belongs to the protected combination a, y"):
        split_dataset(data, group="g,h", seed=0, preparation=Preparation())


def test_images_carry_keys_and_places():
    pixels = (np.arange(200 * 4) % 256).reshape(200, 4).astype(np.uint8)
    keys = pd.DataFrame({"batch": np.arange(200) // 10})
    parts = split_dataset(
        made(200, X=pixels, image_shape=(1, 2, 2), keys=keys), group="g", seed=0, preparation=Preparation()
    )
    np.testing.assert_array_equal(parts.test.keys["batch"], parts.test.rows // 10)
    assert parts.test.X.dtype == np.float32
    np.testing.assert_array_equal(parts.test.X, pixels[parts.test.rows].astype(np.float32) / np.float32(255))


# ----------------------------------------------------------------- encoders


def test_missing_numbers_become_the_median_and_an_empty_column_stays():
    table = pd.DataFrame({"x": [0.0, 1.0, 8.0, np.nan], "none": [np.nan] * 4, "c": ["u", "v", "u", "v"]})
    X, names = encode(table, np.array([0, 1, 2]), "none")
    assert names == ("x", "none", "c_u", "c_v")
    np.testing.assert_array_equal(X[:, 0], [0, 1, 8, 1])  # the median, not the mean of 3
    np.testing.assert_array_equal(X[:, 1], [0, 0, 0, 0])
    assert X.dtype == np.float32


def test_no_columns_are_no_features_of_the_usual_type():
    X, names = encode(pd.DataFrame(index=range(3)), np.array([0, 1]), "standard")
    assert (X.shape, X.dtype, names) == ((3, 0), np.float32, ())
