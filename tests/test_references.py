"""Points that are known without a run reach run.json and the foot of tables; so do the methods to compare with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fairbench_datasets.synthetic import Synthetic
from fairbench_reports.markdown import fairbench_reports

from fairbench.api import Reference
from fairbench.errors import DataError
from fairbench.running.references import known_references
from fairbench.running.rundir import load_results

GRID = ("run", "--methods", "constant,logistic", "--repeats", "1", "--workers", "1")


def test_a_run_keeps_them_and_tables_show_those_of_its_metrics(fairbench):
    metrics = ("--metrics", "accuracy,roc_auc")
    status, out, err = fairbench(*GRID, *metrics, "--datasets", "synthetic[rows=300]", "--out", "out")
    assert status == 0, err
    run = json.loads(Path("out/run.json").read_text())
    assert run["reference_methods"] == ["constant"]
    points = run["references"]["synthetic[rows=300]"]
    assert [point["values"]["accuracy"] for point in points] == pytest.approx([0.7937, 0.7819, 0.7436], abs=5e-5)
    results = load_results(Path("out"))
    assert results.run["references"] == run["references"]
    (markdown,) = fairbench_reports()
    sentence = "the Bayes-optimal classifier that sees x and the group has accuracy 0.794 (exact values"
    assert sentence in " ".join(out.split())
    assert sentence in markdown.render(results)


def test_a_dataset_that_knows_none_adds_nothing(fairbench, tmp_path):
    status, _, err = fairbench(*GRID, "--datasets", "gauss_loop", "--out", "out")
    assert status == 0, err
    assert json.loads(Path("out/run.json").read_text())["references"] == {}


def test_those_of_synthetic_are_its_truth():
    spec = Synthetic(setting="small")
    truth = spec.truth()
    aware, blind, parity = spec.references()
    assert aware.values["accuracy"] == truth.aware.accuracy
    assert blind.values["equalized_odds_difference"] == truth.blind.equalized_odds_difference
    assert parity.values["demographic_parity_difference"] == pytest.approx(0, abs=1e-12)  # a root that is bracketed
    assert parity.values["accuracy"] < aware.values["accuracy"]


class Knows:
    """A dataset with references of all kinds."""

    def __init__(self, found):
        self.found = found

    def references(self):
        return self.found


@pytest.mark.parametrize("found", [None, [("best", {"accuracy": 1.0})], Reference("best", {"accuracy": 1.0})])
def test_what_is_no_list_of_references_is_refused(found):
    with pytest.raises(DataError, match=r"mine: references\(\) returned .* list of fairbench.api.Reference"):
        known_references(Knows(found), "mine")


def test_they_become_plain_numbers():
    assert known_references(Knows((Reference("best", {"accuracy": 1}),)), "mine") == [
        {"name": "best", "values": {"accuracy": 1.0}, "note": ""}
    ]
    assert known_references(object(), "mine") == []


@pytest.mark.parametrize(
    ("name", "values"),
    [(" ", {"accuracy": 1.0}), ("best", {}), ("best", {"accuracy": float("nan")}), ("best", {"accuracy": "high"})],
)
def test_a_reference_without_name_or_number_is_refused(name, values):
    with pytest.raises(ValueError, match="reference "):
        Reference(name, values)
