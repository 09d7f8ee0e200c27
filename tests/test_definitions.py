"""Other libraries' measures from stored predictions: by hand on eight rows, and against the libraries themselves."""

from __future__ import annotations

import csv
import io
import warnings

import numpy as np
import pandas as pd
import pytest

from fairbench.analysis.definitions import VIEWS, measure_view, viewed
from fairbench.api import Predictions, Samples, Schema
from fairbench.cells import Cell, Choice
from fairbench.errors import NotApplicable, UnknownName
from fairbench.records import DONE, SKIPPED, Record, Results, Value
from fairbench.running.store import FILE_NAME, Measured, Store
from fairbench.running.truth import Truth

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing AIF360 warns about optional libraries that are not installed
    import fairlearn.metrics as fairlearn
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric

ROUNDING = 1e-12  # both sides are a few divisions and sums of float64, in another order
EIGHT = {  # group 1 1 1 1 0 0 0 0, y 1 1 1 0 1 1 0 0, decisions 1 0 0 0 1 1 1 0; group 1 is protected
    "fairlearn": [1 / 2, 1 / 3, 2 / 3, 7 / 12, 0, 1 / 6, 2 / 3, 1 / 4],
    "aif360": [-1 / 2, 1 / 3, -2 / 3, -7 / 12, 7 / 12, 2 / 3],
    "ffb": [50, 200 / 3, 350 / 3, 100 / 3],
    "ffml": [1 / 4, 0],
    "fair-maml": [1 / 3, 1 / 2],
    "boundary-covariance": [1 / 8],
}
FAIRLEARN = [
    fairlearn.demographic_parity_difference,
    fairlearn.demographic_parity_ratio,
    fairlearn.equalized_odds_difference,
    lambda *rows, **more: fairlearn.equalized_odds_difference(*rows, agg="mean", **more),
    fairlearn.equalized_odds_ratio,
    lambda *rows, **more: fairlearn.equalized_odds_ratio(*rows, agg="mean", **more),
    fairlearn.equal_opportunity_difference,
    lambda *rows, **more: fairlearn.demographic_parity_difference(*rows, method="to_overall", **more),
]


def rows(group, y, names=("other", "protected"), protected=1):
    """Return what is stored of a test part."""
    group = np.asarray(group)
    schema = Schema(("x",), names, protected)
    return Truth.of(Samples(np.zeros((len(group), 1), np.float32), group, schema, np.asarray(y)))


def values(view, truth, predictions):
    return [value for value, _ in measure_view(VIEWS[view], truth, predictions).values()]


def reasons(view, truth, predictions):
    return {name: reason for name, (_, reason) in measure_view(VIEWS[view], truth, predictions).items() if reason}


def drawn(seed, groups):
    """Return 40 rows with both labels in every group, and decisions that select some of each label and group."""
    random = np.random.default_rng(seed)
    group = np.concatenate([np.repeat(np.arange(groups), 4), random.integers(0, groups, 40 - 4 * groups)])
    y = np.concatenate([np.tile([0, 0, 1, 1], groups), random.integers(0, 2, 40 - 4 * groups)])
    decided = np.concatenate([np.tile([0, 1, 0, 1], groups), random.integers(0, 2, 40 - 4 * groups)])
    return rows(group, y, tuple("abcde"[:groups]), protected=int(random.integers(groups))), Predictions(decided)


@pytest.mark.parametrize("view", VIEWS)
def test_eight_rows_by_hand(view, eight_rows, eight_predictions):
    assert values(view, Truth.of(eight_rows), eight_predictions) == pytest.approx(EIGHT[view], abs=ROUNDING)


def test_every_view_has_the_names_of_its_library():
    assert {view.name: [one.name for one in view.definitions] for view in VIEWS.values()} == {
        "fairlearn": [
            "demographic_parity_difference",
            "demographic_parity_ratio",
            "equalized_odds_difference",
            "equalized_odds_difference(agg=mean)",
            "equalized_odds_ratio",
            "equalized_odds_ratio(agg=mean)",
            "equal_opportunity_difference",
            "demographic_parity_difference(method=to_overall)",
        ],
        "aif360": [
            "statistical_parity_difference",
            "disparate_impact",
            "equal_opportunity_difference",
            "average_odds_difference",
            "average_abs_odds_difference",
            "equalized_odds_difference",
        ],
        "ffb": ["dp", "eopp", "eodd", "prule"],
        "ffml": ["dp", "eop"],
        "fair-maml": ["dp", "eo"],
        "boundary-covariance": ["boundary_covariance"],
    }


def by_fairlearn(truth, predictions):
    return [function(truth.y, predictions.y_pred, sensitive_features=truth.group) for function in FAIRLEARN]


def by_aif360(truth, predictions):
    frame = pd.DataFrame({"group": truth.group.astype(float), "y": truth.y.astype(float)})
    true = BinaryLabelDataset(df=frame, label_names=["y"], protected_attribute_names=["group"])
    decided = true.copy()
    decided.labels = predictions.y_pred.reshape(-1, 1).astype(float)
    ours, others = [{"group": truth.protected}], [{"group": 1 - truth.protected}]
    metric = ClassificationMetric(true, decided, unprivileged_groups=ours, privileged_groups=others)
    return [getattr(metric, one.name)() for one in VIEWS["aif360"].definitions]


def test_eight_rows_by_the_libraries_themselves(eight_rows, eight_predictions):
    truth = Truth.of(eight_rows)
    assert by_fairlearn(truth, eight_predictions) == pytest.approx(EIGHT["fairlearn"], abs=ROUNDING)
    assert by_aif360(truth, eight_predictions) == pytest.approx(EIGHT["aif360"], abs=ROUNDING)


@pytest.mark.parametrize("seed", range(20))
def test_fairlearn_agrees_for_two_to_five_groups(seed):
    truth, predictions = drawn(seed, 2 + seed % 4)
    assert values("fairlearn", truth, predictions) == pytest.approx(by_fairlearn(truth, predictions), abs=ROUNDING)


@pytest.mark.parametrize("seed", range(10))
def test_aif360_agrees_whichever_group_is_protected(seed):
    truth, predictions = drawn(seed, 2)
    assert values("aif360", truth, predictions) == pytest.approx(by_aif360(truth, predictions), abs=ROUNDING)


def test_signed_odds_cancel_where_the_gaps_do_not():
    # of five rows each: the protected group has t = .6 and f = .2, the other t = .4 and f = .4
    truth = rows(np.repeat([1, 0], 10), np.tile(np.repeat([1, 0], 5), 2))
    decided = Predictions(np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0]))
    found = {view: measure_view(VIEWS[view], truth, decided) for view in ("aif360", "fairlearn", "ffb")}
    assert found["aif360"]["average_odds_difference"][0] == pytest.approx(0, abs=ROUNDING)
    assert found["aif360"]["average_abs_odds_difference"][0] == pytest.approx(0.2)
    assert found["fairlearn"]["equalized_odds_difference"][0] == pytest.approx(0.2)
    assert found["ffb"]["eodd"][0] == pytest.approx(40)


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (
            0,
            {
                "fairlearn": [0, None, 0, 0, None, None, 0, 0],
                "aif360": [0, None, 0, 0, 0, 0],
                "ffb": [0, 0, 0, None],
                "ffml": [1, 1],
                "fair-maml": [None, None],
                "boundary-covariance": [0],
            },
        ),
        (
            1,
            {
                "fairlearn": [0, 1, 0, 0, 1, 1, 0, 0],
                "aif360": [0, 1, 0, 0, 0, 0],
                "ffb": [0, 0, 0, 100],
                "ffml": [0, 0],
                "fair-maml": [1, 3 / 2],
                "boundary-covariance": [0],
            },
        ),
    ],
)
def test_the_same_decision_for_everybody(eight_rows, decision, expected):
    truth, predictions = Truth.of(eight_rows), Predictions(np.full(8, decision))
    assert {view: values(view, truth, predictions) for view in VIEWS} == expected
    if not decision:
        assert reasons("aif360", truth, predictions) == {
            "disparate_impact": "no group has anybody who is selected, so the ratio is 0/0"
        }


def test_a_ratio_over_a_group_that_nobody_is_selected_of_is_undefined_and_the_capped_one_is_0(eight_rows):
    truth, predictions = Truth.of(eight_rows), Predictions(np.array([1, 1, 0, 0, 0, 0, 0, 0]))
    assert measure_view(VIEWS["aif360"], truth, predictions)["disparate_impact"] == (
        None,
        "a group has nobody who is selected, so the ratio is 0.5/0",
    )
    assert measure_view(VIEWS["ffb"], truth, predictions)["prule"] == (0, "")
    assert measure_view(VIEWS["fairlearn"], truth, predictions)["demographic_parity_ratio"] == (0, "")


@pytest.mark.parametrize("view", [name for name, view in VIEWS.items() if view.two_groups])
def test_three_groups_are_refused_with_the_two_that_are_needed(view):
    truth = rows([0, 1, 2], [0, 1, 1], ("Black", "Other", "White"), protected=0)
    words = (
        rf"the definitions of {view} compare two groups, the protected one \('Black'\) and one other; there are 3 "
        "here: 'Black', 'Other', 'White'; choose an attribute of two groups, or the definitions of fairlearn"
    )
    with pytest.raises(NotApplicable, match=words):
        measure_view(VIEWS[view], truth, Predictions(np.array([0, 1, 1])))


def test_an_older_run_does_not_say_who_is_protected():
    truth = Truth(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), ("a", "b"))
    predictions = Predictions(np.array([0, 1, 1, 1]))
    assert values("fairlearn", truth, predictions)[0] == 0.5
    with pytest.raises(NotApplicable, match="stored by an older fairbench, which kept neither the protected group"):
        measure_view(VIEWS["aif360"], truth, predictions)


def stored(folder, *groups):
    """Return the results of a cell for each list of group names, whose predictions are stored in the folder."""
    records = []
    with Store(folder / FILE_NAME, create=True) as store:
        for number, names in enumerate(groups):
            cell = Cell(Choice("made"), Choice("mlp"), ",".join(names), number)
            record = Record(cell, DONE, values=(Value(0, "", "", "accuracy", 0.5),))
            n = 2 * len(names)
            truth = rows(np.arange(n) % len(names), np.arange(n) // len(names), names, 0)
            store.add(Measured(record, {(0, ""): (truth, Predictions(np.ones(n, int)))}))
            records.append(record)
    return Results(records, {}, len(records), {}, folder)


def test_cells_with_three_groups_are_skipped_with_the_reason_and_a_run_of_such_alone_is_refused(tmp_path):
    some = viewed(stored(tmp_path, ("a", "b"), ("a", "b", "c")), "aif360")
    assert [record.status for record in some.records] == [DONE, SKIPPED]
    assert "there are 3 here: 'a', 'b', 'c'" in some.records[1].reason
    assert {value.metric: value.value for value in some.records[0].values}["disparate_impact"] == 1
    (tmp_path / "x").mkdir()
    with pytest.raises(NotApplicable, match="the definitions of ffb compare two groups"):
        viewed(stored(tmp_path / "x", ("a", "b", "c")), "ffb")


def test_a_group_without_positives_has_no_odds_and_one_without_rows_is_left_out_and_named():
    truth = rows([0, 0, 1, 1], [0, 1, 0, 0])
    found = reasons("aif360", truth, Predictions(np.array([0, 1, 1, 0])))
    assert found["average_odds_difference"] == "group 'protected' has no row with y = 1 in the test part"
    assert "statistical_parity_difference" not in found

    truth = rows([0, 0, 1, 1], [0, 1, 0, 1], ("a", "b", "c"), protected=0)
    found = measure_view(VIEWS["fairlearn"], truth, Predictions(np.array([0, 1, 1, 1])))
    assert found["demographic_parity_difference"] == (0.5, "group 'c' has no row in the test part")

    alone = rows([0, 0], [0, 1])
    assert reasons("ffb", alone, Predictions(np.array([0, 1])))["dp"] == (
        "group 'protected' has no row in the test part"
    )


def test_of_many_groups_one_without_a_label_is_left_out_of_that_rate_and_named():
    truth = rows([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 0], ("a", "b", "c"))
    found = measure_view(VIEWS["fairlearn"], truth, Predictions(np.array([0, 1, 0, 0, 1, 1])))
    lacks = "group 'c' has no row with y = 1 in the test part"
    assert found["demographic_parity_difference"] == (1.0, "")
    assert found["equal_opportunity_difference"] == (1.0, lacks)
    assert found["equalized_odds_difference(agg=mean)"] == (1.0, lacks)
    assert found["equalized_odds_ratio"] == (0.0, lacks)


def test_ffb_selects_above_one_half_and_not_at_it(eight_rows):
    score = np.array([0.5, 0.2, 0.2, 0.2, 0.51, 0.9, 0.5, 0.1])
    predictions = Predictions.from_score(score)  # fairbench selects at 0.5: rows 0, 4, 5 and 6
    truth = Truth.of(eight_rows)
    assert values("ffb", truth, predictions)[0] == pytest.approx(50)  # 0 of 4 against 2 of 4
    assert values("aif360", truth, predictions)[0] == pytest.approx(-0.5)  # 1 of 4 against 3 of 4
    assert values("ffb", truth, predictions)[1] == pytest.approx(100)  # 0 of 3 against 2 of 2


def test_randomised_decisions_count_in_expectation(eight_rows):
    decision = np.array([0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25])
    predictions = Predictions.from_decision(decision, seed=0)
    assert values("aif360", Truth.of(eight_rows), predictions)[:2] == pytest.approx([0.25, 2.0])


def test_results_without_stored_predictions_and_unknown_names_are_refused():
    with pytest.raises(NotApplicable, match="need stored predictions, and these results have none"):
        viewed(Results([], {}, 0, {}), "ffb")
    with pytest.raises(UnknownName, match="no set of definitions is named 'aif'; did you mean 'aif360'"):
        viewed(Results([], {}, 0, {}), "aif")


RUN = ["run", "--methods", "logistic,constant", "--datasets", "synthetic[rows=400]", "--repeats", "2", "--workers", "1"]


def test_the_command_shows_means_and_spreads_in_the_order_of_the_library(fairbench, tmp_path):
    assert fairbench(*RUN, "--out", "r")[0] == 0
    before = sorted(path.name for path in (tmp_path / "r").iterdir())
    (tmp_path / "r" / "report.md").unlink()

    status, out, _ = fairbench("report", "r", "--definitions", "aif360")
    assert status == 0
    assert "statistical" in out
    assert "definitions of aif360: the protected (unprivileged) group minus" in out
    assert "disparate impact undefined in 2 of 2 repeats (constant): no group has anybody who is selected" in out
    assert "coin" not in out, "verdicts are about the run's own metrics"
    assert not (tmp_path / "r" / "report.md").exists(), "the run's own reports must not be overwritten"
    assert len(before) > len(list((tmp_path / "r").iterdir()))

    status, out, _ = fairbench("report", "r", "--definitions", "aif360", "--format", "csv")
    lines = [line for line in csv.DictReader(io.StringIO(out)) if line["method"] == "logistic"]
    assert [line["metric"] for line in lines] == [one.name for one in VIEWS["aif360"].definitions]
    status, out, _ = fairbench("report", "r", "--definitions", "fairlearn", "--format", "csv")
    theirs = {line["metric"]: line for line in csv.DictReader(io.StringIO(out)) if line["method"] == "logistic"}
    ours = {
        line["metric"]: line
        for line in csv.DictReader(io.StringIO(fairbench("report", "r", "--format", "csv")[1]))
        if line["method"] == "logistic"
    }
    for metric in ("demographic_parity_difference", "equalized_odds_ratio", "equal_opportunity_difference"):
        shown = [float(theirs[metric][column]) for column in ("mean", "std")]
        assert shown == pytest.approx([float(ours[metric][column]) for column in ("mean", "std")])
    signed = next(line for line in lines if line["metric"] == "statistical_parity_difference")
    assert abs(float(signed["mean"])) == pytest.approx(float(ours["demographic_parity_difference"]["mean"]))


def test_the_command_refuses_what_it_cannot_show_in_one_line(fairbench):
    status, _, err = fairbench("report", "r", "--definitions", "aif")
    assert status == 2
    assert "no set of definitions is named 'aif'; did you mean 'aif360'" in err

    status, out, _ = fairbench("report", "--help")
    assert all(name in " ".join(out.split()) for name in VIEWS)
