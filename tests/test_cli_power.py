"""The command ``fairbench power``: what it prints, and what it says about input that makes no sense."""

from __future__ import annotations

import json
import re

import pytest

from fairbench.analysis.power import detectable

PLUGIN = '''"""Datasets whose groups are small, or whose test part is that of every repeat."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairbench.api import Dataset, hookimpl


def made(name, **more):
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 600)
    group = draw.choice(["a", "b", "c"], 600, p=[0.6, 0.38, 0.02])
    X = pd.DataFrame({"x": draw.normal(size=600)})
    return Dataset(name, X, y, pd.DataFrame({"letter": group}), {"letter": "a"}, **more)


@dataclass(frozen=True)
class Letters:
    """Three groups, one of them of a dozen rows."""

    name = "letters"
    files = ()
    sensitive_features = ("letter",)

    def load(self, paths):
        return made(self.name)


@dataclass(frozen=True)
class Published:
    """The same with a published test part."""

    name = "published"
    files = ()
    sensitive_features = ("letter",)

    def load(self, paths):
        return made(self.name, partition=lambda seed: [np.arange(400), np.arange(400, 450), np.arange(450, 600)])


@hookimpl
def fairbench_datasets():
    return [Letters, Published]
'''
SYNTHETIC = "synthetic[rows=1000]"


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    return ["--plugin", "own.py"]


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_table_says_what_a_dataset_can_show(fairbench):
    status, out, err = fairbench("power", SYNTHETIC)
    assert (status, err) == (0, "")
    assert out.startswith("synthetic[rows=1000] by group: test parts of 150 rows, training parts of 700; protected ")
    line = next(line for line in out.splitlines() if line.startswith("demographic parity"))
    first, second, rate, floor, one, five, ten = re.findall(r"[\d.]+", line)
    smallest = detectable(float(rate), float(first), float(second)).value
    assert int(first) + int(second) == 150
    assert float(one) == pytest.approx(smallest, abs=0.002)
    assert float(five) == pytest.approx(0.644 * smallest, abs=0.002)
    assert float(ten) == pytest.approx(0.561 * smallest, abs=0.002)
    assert float(floor) < float(one)
    assert "decide 10% of the rows differently: 0.072 in one test part, 0.047 over 5 repeats" in out
    assert "A rate that is not given is the share of y = 1" in out


def test_json_rows_have_every_number(fairbench):
    status, out, _ = fairbench(
        "power", SYNTHETIC, "--json", "--repeats", "1,5,5", "--rate", "0.9", "--different", "0.2"
    )
    found = rows(out)
    assert status == 0
    assert {row["repeats"] for row in found} == {1, 5}
    parity = [row for row in found if row["metric"] == "demographic_parity_difference"]
    assert [row["repeats"] for row in parity] == [1, 5]
    expected = detectable(0.9, *parity[0]["rows"])
    assert parity[0]["pooled"] == 0.9
    assert parity[0]["smallest"] == pytest.approx(expected.value)
    assert (parity[0]["first_higher"], parity[0]["second_higher"]) == pytest.approx((expected.up, expected.down))
    assert parity[1]["smallest"] == pytest.approx(0.644 * expected.value, rel=0.002)
    odds = [row["rate"] for row in found if row["metric"] == "equalized_odds_difference"]
    assert odds == ["true_positive_rate"] * 2 + ["false_positive_rate"] * 2
    accuracy = next(row for row in found if row["metric"] == "accuracy")
    assert accuracy["smallest"] == pytest.approx(2.80 * (0.2 / 150) ** 0.5, rel=0.001)


def test_numbers_of_repeats_that_are_repeated_add_up(fairbench):
    _, out, _ = fairbench("power", SYNTHETIC, "--json", "--repeats", "20", "--repeats", "3,20")
    assert list(dict.fromkeys(row["repeats"] for row in rows(out))) == [20, 3]


def test_rates_can_be_given_by_name(fairbench):
    given = ["--rate", "0.5", "--rate", "true_positive_rate = 0.8"]
    found = rows(fairbench("power", SYNTHETIC, "--json", *given)[1])
    pooled = {row["rate"]: row["pooled"] for row in found if "rate" in row}
    assert pooled == {"selection_rate": 0.5, "true_positive_rate": 0.8, "false_positive_rate": 0.5}
    assert rows(fairbench("power", SYNTHETIC, "--json", *given[2:], *given[:2])[1]) == found
    assert "A rate that is not given" not in fairbench("power", SYNTHETIC, "--rate", "0.5")[1]


def test_rates_can_be_those_of_a_run(fairbench):
    run = ("--methods", "logistic", "--datasets", SYNTHETIC, "--repeats", "2", "--workers", "1", "--out", "r")
    assert fairbench("run", *run)[0] == 0
    measured = ("--measured", "r", "--method", "logistic")
    found = rows(fairbench("power", SYNTHETIC, *measured, "--json")[1])
    predictions = rows(fairbench("export", "r", "--predictions", "--format", "jsonl")[1])
    selected = [row["y_pred"] for row in predictions]
    correct = [row["y_pred"] for row in predictions if row["y"] == 1]
    pooled = {row["rate"]: row["pooled"] for row in found if "rate" in row}
    assert pooled["selection_rate"] == pytest.approx(sum(selected) / len(selected))
    assert pooled["true_positive_rate"] == pytest.approx(sum(correct) / len(correct))
    status, _, err = fairbench("power", SYNTHETIC, "--measured", "r", "--method", "mlp")
    assert status == 2
    assert "r has no predictions of method 'mlp' on synthetic[rows=1000] by group; it has: logistic" in err
    status, _, err = fairbench("power", "synthetic", *measured)
    assert status == 2
    assert "has no predictions of method 'logistic' on synthetic by group; it has no finished cell there" in err


def test_more_than_two_groups_are_given_by_two_pairs(fairbench, plugin):
    status, out, _ = fairbench("power", "letters", *plugin)
    assert status == 0
    assert "Two lines for a gap" in out
    assert "a (" in out
    assert "c (" in out
    few = next(line for line in out.splitlines() if line.startswith("Fewer than 10 rows in a test part"))
    assert re.search(r"'c' has \d\b", few)
    assert re.search(r"^none: no gap is large enough", out, re.MULTILINE) or "Not reachable" in out


def test_a_direction_that_cannot_be_reached_is_marked(fairbench):
    _, out, _ = fairbench("power", "synthetic[rows=400,group_share=0.2]", "--rate", "0.95", "--repeats", "1")
    assert re.search(r"\d\*", out)
    assert "* Not reachable upward: shown only if the second group has the higher rate." in out
    _, out, _ = fairbench("power", "synthetic[rows=400,group_share=0.2]", "--rate", "0.05", "--repeats", "1")
    assert re.search(r"\d\^", out)
    assert "^ Not reachable downward: shown only if the first group has the higher rate." in out


def test_repeats_of_one_published_test_part_have_no_interval(fairbench, plugin):
    status, out, _ = fairbench("power", "published", *plugin)
    assert status == 0
    assert "-: no interval over repeats is valid; the splits of the repeats overlap in a way" in out
    found = rows(fairbench("power", "published", "--json", *plugin)[1])
    assert all((row["smallest"] is None) or row["repeats"] == 1 for row in found)
    assert all(row["reason"] for row in found if row["repeats"] > 1)


def test_a_dataset_that_cannot_be_used_is_named_and_the_others_are_shown(fairbench, monkeypatch):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    status, out, err = fairbench("power", "german", SYNTHETIC, "--offline")
    assert status == 0
    assert "german is left out: " in err
    assert out.startswith("synthetic")
    status, out, err = fairbench("power", "german", "--offline")
    assert (status, out) == (1, "")
    assert "german is left out: " in err


def test_a_dataset_without_the_attribute_is_named(fairbench, plugin):
    status, out, err = fairbench("power", SYNTHETIC, "letters", "--group", "letter", *plugin)
    assert status == 0
    assert "synthetic[rows=1000] by letter is left out: synthetic has no sensitive attribute 'letter'" in err
    assert out.startswith("letters by letter")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name at least one of the DATASETS, or give a table of your own with --data"),
        (["germn"], "no dataset is named 'germn'; did you mean 'german'?"),
        (
            ["synthetic", "--group", "race"],
            "no sensitive attribute of the chosen datasets is named 'race' (there is group)",
        ),
        (["synthetic", "--repeats", "0,5"], "'0,5' is not a list of whole numbers, each at least 1, such as 1,5,10"),
        (["synthetic", "--repeats", "5,"], "'5,' is not a list of whole numbers"),
        (["synthetic", "--rate", "1"], "'1' is not a number between 0 and 1, such as 0.3"),
        (["synthetic", "--rate", ".3", "--rate", ".4"], "'.4': the rate of all three is given twice; give it once"),
        (["synthetic", *["--rate", "selection_rate=.3"] * 2], "'selection_rate=.3': selection_rate is given twice"),
        (["synthetic", "--rate", "nan"], "'nan' is not a number between 0 and 1"),
        (["synthetic", "--rate", "selection=.3"], "no rate is named 'selection'; did you mean 'selection_rate'?"),
        (["synthetic", "--different", "0"], "0.0 is not in the range 0<x<=1"),
        (["synthetic", "--method", "mlp"], "Give --measured and --method together"),
        (["synthetic", "--measured", "nowhere", "--method", "mlp"], "nowhere is not a run directory"),
    ],
)
def test_input_that_makes_no_sense_is_refused_in_words(fairbench, arguments, message):
    status, out, err = fairbench("power", *arguments)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())


def test_the_help_has_examples(fairbench):
    status, out, _ = fairbench("power", "--help")
    assert status == 0
    assert "Examples:\n  fairbench power german adult\n" in re.sub(r"^ {2}", "", out, flags=re.MULTILINE)
    assert "power" in fairbench("--help")[1]
