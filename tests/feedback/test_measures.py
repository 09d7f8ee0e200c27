"""Compositions and rates of a generation against tables worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairbench_feedback._measures import composition, confidence, decorrelated, rates, shares, stratum_names

from fairbench.api import Predictions, Samples, Schema

SCHEMA = Schema(("x",), ("major", "minor"), protected=1)


def table(cells):
    """Return samples and predictions from counts by (group, y, y_pred)."""
    rows = [cell for cell, count in cells.items() for _ in range(count)]
    group, y, y_pred = (np.array(column) for column in zip(*rows))
    return Samples(np.zeros((len(rows), 1)), group, SCHEMA, y), Predictions(y_pred)


# major: TPR 3/4, FPR 1/2, accuracy 5/8 of 8; minor: TPR 1/2, FPR 0, accuracy 5/6 of 6 (2 with y = 1)
CELLS = {(0, 1, 1): 3, (0, 1, 0): 1, (0, 0, 1): 2, (0, 0, 0): 2, (1, 1, 1): 1, (1, 1, 0): 1, (1, 0, 0): 4}


def test_rates_by_hand():
    assert rates("test", *table(CELLS)) == pytest.approx(
        {
            "test_accuracy": 10 / 14,
            "test_worst_group_accuracy": 5 / 8,
            "test_accuracy_difference": 5 / 6 - 5 / 8,
            "test_demographic_parity_difference": 5 / 8 - 1 / 6,
            "test_equalized_odds_difference": 1 / 2,  # the worse of 1/4 and 1/2
        }
    )


def test_decorrelated_rates_weight_groups_alike_within_each_label():
    samples, predictions = table(CELLS)
    share = 6 / 14  # of y = 1
    major, minor = (share * t + (1 - share) * f for t, f in ((3 / 4, 1 / 2), (1 / 2, 0)))
    right = [share * t + (1 - share) * (1 - f) for t, f in ((3 / 4, 1 / 2), (1 / 2, 0))]
    assert decorrelated(samples, predictions) == pytest.approx(
        {
            "decorrelated_accuracy": sum(right) / 2,
            "decorrelated_demographic_parity_difference": major - minor,
        }
    )
    # a classifier that is the group has no more than chance
    assert decorrelated(samples, Predictions(1 - samples.group))["decorrelated_accuracy"] == pytest.approx(0.5)


def test_empty_cells_are_not_a_number_and_not_zero():
    samples, predictions = table({(0, 1, 1): 2, (0, 0, 0): 2, (1, 0, 0): 3})
    found = {**rates("t", samples, predictions), **decorrelated(samples, predictions)}
    assert math.isnan(found["t_equalized_odds_difference"])
    assert math.isnan(found["decorrelated_accuracy"])
    assert found["t_accuracy"] == 1


def test_composition_names_every_stratum_and_measures_the_distance_from_the_ideal():
    assert stratum_names(("major", "minor")) == ["y=0,major", "y=0,minor", "y=1,major", "y=1,minor"]
    y, group = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    assert shares(y, group, 2).tolist() == [0.5, 0, 0.5, 0]
    found = composition("training", y, group, SCHEMA, (0.25,) * 4)
    assert found["training_kl"] == pytest.approx(math.log(2))
    assert found["training_share[y=1,major]"] == 0.5
    assert found["training_share[y=1,minor]"] == 0


def test_confidence_is_the_lead_of_those_that_lead_clearly():
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.1, 0.9]])
    assert confidence(chances, ("major", "minor")) == pytest.approx(
        {"annotator_confidence[major]": 0.7, "annotator_confidence[minor]": 0.8}
    )
    assert math.isnan(confidence(chances[:3], ("major", "minor"))["annotator_confidence[minor]"])
