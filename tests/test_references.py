"""Points that are known without a run reach run.json and the foot of tables; so do the methods to compare with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fairbench_datasets.synthetic import Synthetic
from fairbench_reports.markdown import fairbench_reports

from fairbench.api import Reference
from fairbench.cells import Choice
from fairbench.plugins.loading import load_plugins
from fairbench.running.references import added_methods, known_references
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


def test_a_run_keeps_the_base_rate_of_whole_datasets(fairbench):
    from sklearn.datasets import load_diabetes

    target = load_diabetes().target
    status, _, err = fairbench(*GRID, "--datasets", "sklearn-diabetes", "--out", "out")
    assert status == 0, err
    (share,) = json.loads(Path("out/run.json").read_text())["base_rates"].values()
    assert share == pytest.approx((target > np.median(target)).mean())


def test_a_base_rate_that_is_no_share_is_refused(fairbench):
    fairbench(*GRID, "--datasets", "sklearn-diabetes", "--out", "out")
    run = json.loads(Path("out/run.json").read_text())
    Path("out/run.json").write_text(json.dumps({**run, "base_rates": {"sklearn-diabetes": 1.5}}))
    status, _, err = fairbench("report", "out")
    assert status == 2
    assert "base_rates.'sklearn-diabetes' is 1.5; it must be a share from 0 to 1" in err


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
def test_what_is_no_list_of_references_is_said_and_left_out(found):
    points, (doubt,) = known_references(Knows(found))
    assert points == []
    assert re.search(r"references\(\) returned .* list of fairbench.api.Reference", doubt)


def test_references_that_raise_cost_no_dataset(fairbench, tmp_path):
    Path("own.py").write_text(
        "from dataclasses import dataclass\n"
        "from fairbench_datasets.gauss_loop import GaussLoop\n"
        "from fairbench.api import hookimpl\n"
        "@dataclass(frozen=True)\n"
        "class Own(GaussLoop):\n"
        "    name = 'own'\n"
        "    def references(self):\n"
        "        raise SystemExit('none today')\n"
        "@hookimpl\n"
        "def fairbench_datasets():\n"
        "    return [Own]\n"
    )
    status, out, err = fairbench(*GRID, "--datasets", "own", "--plugin", "own.py", "--out", "out")
    assert status == 0, err
    assert "own: Its reference points cannot be shown: SystemExit: none today" in " ".join(out.split())


def test_they_become_plain_numbers():
    points, doubts = known_references(Knows((Reference("best", {"accuracy": 1}),)))
    assert (points, doubts) == ([{"name": "best", "values": {"accuracy": 1.0}, "note": ""}], ())
    assert known_references(object()) == ([], ())


@pytest.mark.parametrize(
    ("name", "values"),
    [(" ", {"accuracy": 1.0}), ("best", {}), ("best", {"accuracy": float("nan")}), ("best", {"accuracy": "high"})],
)
def test_a_reference_without_name_or_number_is_refused(name, values):
    with pytest.raises(ValueError, match="reference "):
        Reference(name, values)


def test_what_lines_need_is_added_once():
    registry, _ = load_plugins()

    def added(baseline, *named):
        return [str(choice) for choice in added_methods(baseline, [Choice(name) for name in named], registry)]

    assert added("", "threshold") == ["mlp", "attainable"]
    assert added("", "mlp", "attainable") == []
    assert added("logistic", "mlp", "attainable") == ["logistic"]
    assert added("logistic", "logistic") == ["attainable"]
