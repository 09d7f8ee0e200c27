"""An audit of predictions as people ask for it: its numbers are those of a run, and of whoever recomputes them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from audited_tables import asked, values

from fairbench.analysis.audit import WITHOUT_LABELS, metric_plugins
from fairbench.analysis.counts import stored_rows
from fairbench.analysis.standings import section_standings
from fairbench.analysis.values import Measured
from fairbench.api import Predictions
from fairbench.errors import Undefined
from fairbench.running.rundir import load_results
from fairbench.running.truth import Truth

verdict = import_module("fairbench.testing.audit.verdict")  # fairbench.testing has a function named audit

USED = ("baselines", "datasets", "metrics", "scenarios", "executors", "reports")
METRIC = '''
from fairbench.api import Metric, hookimpl

def women(samples, predictions):
    """Return the selection rate of the protected group."""
    return float(predictions.decision[samples.protected].mean())

def features(samples, predictions):
    """Return what nobody knows here."""
    return float(samples.X.mean())

def fails(samples, predictions):
    """Return nothing."""
    print("chatter")
    return 1 / 0

def a_writer(samples, predictions):
    """Write to what others read."""
    samples.__dict__["y"] = samples.y[::-1]
    return 0.0

@hookimpl
def fairbench_metrics():
    return [Metric(made.__name__, made) for made in (women, features, fails, a_writer)]
'''


def test_an_audit_says_what_a_run_says_of_the_same_predictions(fairbench, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRBENCH_PLUGINS", ",".join(f"fairbench_{name}" for name in USED))
    grid = (
        "--methods",
        "logistic,tree",
        "--datasets",
        "synthetic[rows=1500]",
        "--repeats",
        "1",
        "--executor",
        "serial",
    )
    assert fairbench("run", *grid, "--baseline", "logistic", "--out", "r")[0] == 0
    results = load_results(Path("r"))
    (standings,) = section_standings(results)
    records = {record.cell.method.name: record for record in results.records}
    with stored_rows(results) as rows:
        (truth, tree), (_, logistic) = (rows.predictions(records[name]) for name in ("tree", "logistic"))
    table = {"group": np.array(truth.group_names)[truth.group], "y": truth.y, "p": tree.y_pred, "q": logistic.y_pred}
    pd.DataFrame({**table, "s": tree.y_score}).to_csv(tmp_path / "p.csv", index=False)
    columns = ("--label", "y", "--prediction", "p", "--score", "s", "--baseline", "q", "--group", "group")
    found = asked(fairbench, *columns)

    measured = Measured(records["tree"])
    mine = values(found)
    assert len(mine) > 20
    for (_, category, metric), value in mine.items():
        assert value == pytest.approx(measured.value(metric, category).value), metric
    ((_, theirs),) = standings.methods
    gaps = {row["metric"]: row for row in found["gaps"]}
    for metric, standing in theirs.items():
        row, above = gaps[metric], standing.verdict.above
        assert (row["verdict"], row["notes"]) == (standing.verdict.reading, "; ".join(standing.verdict.notes))
        assert (row["above_coin"], row["above_coin_low"], row["above_coin_high"]) == pytest.approx(
            (above.value, above.low, above.high)
        )
        if standing.within:
            assert (row["low"], row["high"]) == pytest.approx((standing.within.low, standing.within.high))
            assert (row["floor"], row["reading"]) == (pytest.approx(standing.floor.mean), standing.floor.reading)


@pytest.mark.parametrize("favorable", [0, 1])
def test_accuracy_is_set_against_the_better_constant(fairbench, table, favorable):
    columns = ("--label", "y", "--prediction", "p", "--group", "sex", "--favorable", favorable)
    (row,) = [row for row in asked(fairbench, *columns)["gaps"] if row["metric"] == "accuracy"]
    table.y, table.p = (table[name] == favorable for name in ("y", "p"))
    right, ones = (table.p == table.y).to_numpy(int), table.y.mean()
    assert (row["value"], row["constant"]) == (pytest.approx(right.mean()), int(ones >= 0.5))
    gain = right - (table.y == row["constant"]).to_numpy(int)
    assert row["above_constant"] == pytest.approx(right.mean() - max(ones, 1 - ones))
    width = 1.96 * gain.std() / np.sqrt(len(table))  # of the normal approximation, where theirs are percentiles
    assert row["above_constant_low"] == pytest.approx(gain.mean() - width, abs=0.1 * width)
    assert row["above_constant_high"] == pytest.approx(gain.mean() + width, abs=0.1 * width)


@pytest.mark.parametrize("by", ["sex", "race"])
def test_metrics_are_fairlearns(fairbench, table, by):
    found = values(asked(fairbench, "--label", "y", "--prediction", "p", "--group", by))
    for metric in (
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equalized_odds_ratio",
        "equal_opportunity_difference",
    ):
        theirs = getattr(fairlearn.metrics, metric)(table.y, table.p, sensitive_features=table[by])
        assert found[by, "", metric] == pytest.approx(theirs), metric
    rates = {"selection_rate": "selection_rate", "true_positive_rate": "TPR"}
    frame = fairlearn.metrics.MetricFrame(
        metrics={name: getattr(fairlearn.metrics, name) for name in rates},
        y_true=table.y,
        y_pred=table.p,
        sensitive_features=table[by],
    )
    for category, row in frame.by_group.iterrows():
        for metric in rates:
            assert found[by, category, metric] == pytest.approx(row[metric])


def test_rates_and_impact_ratios_are_counted_for_each_attribute_and_for_both(fairbench, table):
    rows = asked(fairbench, "--prediction", "p", "--group", "sex,race")["categories"]
    assert {row["by"] for row in rows} == {"sex", "race", "sex,race"}
    for row in rows:
        here = table[[", ".join(texts) == row["category"] for texts in table[row["by"].split(",")].to_numpy()]]
        assert (row["rows"], row["selected"]) == (len(here), here.p.sum())
        others = [other["rate"] for other in rows if other["by"] == row["by"]]
        assert row["ratio"] == pytest.approx(here.p.mean() / max(others))
        assert row["low"] <= row["ratio"] <= row["high"]


def test_small_categories_are_left_out_of_every_comparison_and_listed_with_their_rate(fairbench, table):
    found = asked(fairbench, "--label", "y", "--prediction", "p", "--group", "race", "--exclude-small")
    few, most = table[table.race == "c"], table[table.race != "c"]
    assert 0 < len(few) < 18
    (entry,) = found["excluded"]
    assert (entry["where"], entry["category"], entry["rows"]) == ("race", "c", len(few))
    assert entry["rate"] == pytest.approx(few.p.mean())
    rates = most.groupby("race").p.mean()
    assert values(found)["race", "", "demographic_parity_difference"] == pytest.approx(abs(rates["a"] - rates["b"]))
    assert {row["category"]: row["ratio"] is None for row in found["categories"]} == {"a": False, "b": False, "c": True}
    status, out, _ = fairbench("audit", "p.csv", "--prediction", "p", "--group", "race", "--exclude-small")
    assert status == 0
    assert f"{len(table)} rows in 3 categories; {len(most)} of them count below the table" in out
    assert "fewer than 2% of the rows: left out of every" in out


def test_without_labels_only_selection_is_compared(fairbench, table):
    found = asked(fairbench, "--prediction", "p", "--group", "sex")
    whole = {metric for _, category, metric in values(found) if not category}
    assert whole == {*WITHOUT_LABELS}
    assert [row["metric"] for row in found["gaps"]] == ["demographic_parity_difference"]
    rates = table.groupby("sex").p.mean()
    assert found["gaps"][0]["value"] == pytest.approx(rates["m"] - rates["f"])
    assert "Without --label nobody knows which decisions were right" in found["about"][0]["notes"][0]


def test_the_metrics_that_need_no_labels_do_not_read_them(table):
    registry, group = metric_plugins(), (table.sex == "m").to_numpy().astype(int)
    predictions = Predictions(table.p.to_numpy(), table.s.to_numpy())
    labels = [np.zeros(len(table), int), np.ones(len(table), int), table.p.to_numpy(), table.y.to_numpy()]

    def independent(name):
        try:
            found = {
                round(registry.metric(name)(Truth(y, group, ("f", "m")).samples(), predictions), 9) for y in labels
            }
        except Undefined:
            return False
        return len(found) == 1

    assert {name for name in registry.names("metrics") if independent(name)} == {*WITHOUT_LABELS}


def test_scoring_rates_are_shares_above_the_median(fairbench, table):
    found = asked(fairbench, "--score", "s", "--group", "sex")
    above = table.s > table.s.median()
    for row in found["categories"]:
        assert row["rate"] == pytest.approx(above[table.sex == row["category"]].mean())
    assert "scoring rates" in found["about"][0]["notes"][0]


def test_a_threshold_makes_decisions_of_scores(fairbench, table):
    by_score = asked(fairbench, "--label", "y", "--score", "s", "--threshold", "0.50005", "--group", "sex")
    given = asked(fairbench, "--label", "y", "--prediction", "p", "--score", "s", "--group", "sex")
    for name in ("metrics", "gaps", "categories"):
        assert by_score[name] == given[name]


def test_scores_that_are_no_chances_have_no_metrics_and_it_is_said(fairbench, table, tmp_path):
    table.assign(s=600 - 300 * table.s).to_csv(tmp_path / "p.csv", index=False)
    found = asked(fairbench, "--label", "y", "--prediction", "p", "--score", "s", "--group", "sex")
    assert values(found)["sex", "", "roc_auc"] is None
    assert any("metrics of scores need [0, 1]" in note for note in found["about"][0]["notes"])
    table.assign(s=0.9 - 0.8 * table.y).to_csv(tmp_path / "p.csv", index=False)
    found = asked(fairbench, "--label", "y", "--prediction", "p", "--score", "s", "--group", "sex")
    assert any("order the rows against the label" in note for note in found["about"][0]["notes"])


def test_the_signed_gap_is_that_of_the_protected_category(fairbench, table):
    rates = table.groupby("sex").p.mean()
    for protected, other in (("f", "m"), ("m", "f")):
        arguments = ("--label", "y", "--prediction", "p", "--group", "sex", "--protected", f"sex={protected}")
        row = asked(fairbench, *arguments)["gaps"][0]
        assert row["signed"] == pytest.approx(rates[protected] - rates[other])
        assert row["signed_low"] < row["signed"] < row["signed_high"]
        assert (
            f"demographic parity, {protected} minus {other}: {row['signed']:+.3f}"
            in fairbench("audit", "p.csv", *arguments)[1]
        )


def test_without_a_baseline_the_tables_say_why_there_is_no_verdict(fairbench, table):
    status, out, _ = fairbench("audit", "p.csv", "--label", "y", "--prediction", "p", "--group", "sex")
    assert status == 0
    assert "No verdict against a coin" in out
    assert "points above that of always predicting" in out
    status, out, _ = fairbench(
        "audit", "p.csv", "--label", "y", "--prediction", "p", "--group", "sex", "--baseline", "q"
    )
    assert "No verdict" not in out
    assert "the coin" in out


def test_predictions_that_a_constant_beats_are_below_every_coin(fairbench, table, tmp_path):
    table.assign(p=1 - table.p).to_csv(tmp_path / "p.csv", index=False)
    arguments = ("--label", "y", "--prediction", "p", "--group", "sex")
    out = " ".join(fairbench("audit", "p.csv", *arguments)[1].split())
    assert "which has no gap either: these predictions lie below every coin" in out
    table.assign(p=table.y.mode()[0]).to_csv(tmp_path / "p.csv", index=False)
    out = " ".join(fairbench("audit", "p.csv", *arguments)[1].split())
    assert "not told apart from it" in out
    assert "nearly everybody is decided alike" in out


def test_a_category_without_positives_is_left_out_of_rates_and_named(fairbench, table, tmp_path):
    table.assign(y=np.where(table.race == "c", 0, table.y)).to_csv(tmp_path / "p.csv", index=False)
    status, out, _ = fairbench(
        "audit", "p.csv", "--label", "y", "--prediction", "p", "--group", "race", "--baseline", "q"
    )
    assert status == 0
    assert "equal opportunity: group 'c' has no row with y = 1" in out
    assert "nan" not in out.lower().split()
    rows = asked(fairbench, "--label", "y", "--prediction", "p", "--group", "race", "--baseline", "q")["gaps"]
    (row,) = [row for row in rows if row["metric"] == "equal_opportunity_difference"]
    assert row["verdict"] == "no verdict: some category lacks the rows for it"
    assert row["value"] is not None


def test_missing_values_are_counted_in_the_register(fairbench, table, tmp_path):
    made = table.astype(object)
    made.loc[0:4, "sex"] = None
    made.loc[5:11, "y"] = None
    made.loc[12:13, "p"] = None
    made.to_csv(tmp_path / "p.csv", index=False)
    found = asked(fairbench, "--label", "y", "--prediction", "p", "--group", "sex")
    assert [(row["where"], row["rows"]) for row in found["excluded"]] == [("p", 2), ("y", 7), ("sex", 5)]
    assert sum(row["rows"] for row in found["categories"]) == 900 - 5 - 2
    assert sum(row["labelled_rows"] for row in found["categories"]) == 900 - 5 - 2 - 7
    assert (found["about"][0]["data"]["rows"], found["about"][0]["data"]["audited_rows"]) == (900, 898)


def test_metrics_of_local_plugins_count_too(fairbench, table, tmp_path):
    (tmp_path / "mine.py").write_text(METRIC)
    arguments = ("--label", "y", "--prediction", "p", "--group", "sex", "--plugin", "mine.py")
    found = {row["metric"]: row for row in asked(fairbench, *arguments)["metrics"] if not row["category"]}
    assert "nobody has said which group is protected" in found["women"]["reason"]
    assert "an audit has no features" in found["features"]["reason"]
    assert found["fails"]["reason"] == "the metric failed: ZeroDivisionError: division by zero"
    assert found["a_writer"]["reason"].startswith("the metric failed: a metric wrote to the samples that it measured")
    assert found["accuracy"]["value"] == (table.p == table.y).mean()
    found = values(asked(fairbench, *arguments, "--protected", "sex=f"))
    assert found["sex", "", "women"] == pytest.approx(table[table.sex == "f"].p.mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--group", "sex,"), "--group has an empty name; leave it out"),
        (("--group", "sex", "--protected", "sex=f,sex=m"), "--protected names 'sex' twice"),
    ],
)
def test_lists_that_do_not_fit_are_refused(fairbench, table, options, message):
    status, _, err = fairbench("audit", "p.csv", "--prediction", "p", *options)
    assert (status, message in " ".join(err.split())) == (2, True)


def test_a_category_with_few_rows_is_doubtful_unless_it_is_left_out(fairbench, tmp_path):
    rows = [*["a,1", "b,0"] * 150, "a,0", "b,1", "c,1"]
    (tmp_path / "p.csv").write_text("g,p\n" + "\n".join(rows))
    arguments = ("p.csv", "--prediction", "p", "--group", "g")
    assert "fewer than 10 rows: 'c' has 1; any statement" in fairbench("audit", *arguments)[1]
    assert "fewer than 10 rows" not in fairbench("audit", *arguments, "--exclude-small")[1]


def test_options_must_belong_to_the_kind_of_target(fairbench, table, tmp_path):
    status, _, err = fairbench("audit", "mlp", "--exclude-small")
    assert status == 2
    assert "--exclude-small belongs to an audit of predictions, and 'mlp' is taken for a method" in " ".join(
        err.split()
    )
    status, _, err = fairbench("audit", "folder/no.csv", "--prediction", "p", "--group", "sex")
    assert (status, "folder/no.csv: cannot be read (No such file or directory)" in err) == (2, True)
    status, _, err = fairbench("audit", "p.csv", "--prediction", "p", "--group", "sex", "--protected", "f")
    assert (status, "--protected 'f': write COLUMN=VALUE" in err) == (2, True)
    status, _, err = fairbench("audit", "p.csv")
    assert (status, "name a column with --group" in err) == (2, True)


def test_an_audit_of_a_method_goes_on_as_before(fairbench, monkeypatch):
    asked_for = []
    monkeypatch.setattr(verdict, "audit", lambda target, plugins: asked_for.append((target, plugins)) or [])
    assert fairbench("audit", "mlp[lr=.1]", "--plugin", "a.py")[::2] == (0, "none\n")
    assert asked_for == [("mlp[lr=.1]", ("a.py",))]


def test_an_audit_of_predictions_imports_no_torch(table, tmp_path):
    code = (
        "import sys; sys.argv = ['fairbench', 'audit', 'p.csv', '--label', 'y', '--prediction', 'p', '--score', 's', "
        "'--baseline', 'q', '--group', 'sex']\n"
        "from fairbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
