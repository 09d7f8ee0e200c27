"""``fairbench show dataset``: rows, features, groups, licence, files and the smallest gap that can be shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

PLUGIN = '''"""Datasets whose groups are small, whose loader fails, or that cannot be split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairbench.api import DataFile, Dataset, NotApplicable, hookimpl, parameter


def made(name, rows=600, **more):
    draw = np.random.default_rng(0)
    y = np.arange(rows) // 2 % 2
    group = np.resize(["a", "b"] * 23 + ["a", "a", "c", "c"], rows)
    X = pd.DataFrame({"x": draw.integers(0, 3, rows), "word": draw.choice(["u", "v"], rows)})
    return Dataset(name, X, y, pd.DataFrame({"letter": group}), {"letter": "a"}, favorable_label=0, **more)


@dataclass(frozen=True)
class Letters:
    """Three groups, one of them of two dozen rows."""

    name = "letters"
    files = ()
    licence = "for tests"
    sensitive_features = ("letter",)
    rows: int = parameter(600, "their number", minimum=3)

    def load(self, files):
        return made(self.name, self.rows, notes=("Letters are not people.",))


@dataclass(frozen=True)
class Published(Letters):
    """The same with a published test part."""

    name = "published"

    def load(self, files):
        return made(self.name, partition=lambda seed: [np.arange(400), np.arange(400, 450), np.arange(450, 600)])


@dataclass(frozen=True)
class Broken(Letters):
    """Its loader has a bug."""

    name = "broken_loader"
    licence = ""

    def load(self, files):
        return {}["column"]


@dataclass(frozen=True)
class Far(Letters):
    """Its file is somewhere else."""

    name = "far"
    only_by_name = True
    files = (DataFile("far/far.csv", "0" * 64, ("https://example.org/far.csv",), bytes=1234),)


@dataclass(frozen=True)
class Wanting:
    """It needs a path."""

    path: str
    name = "wanting"
    files = ()
    sensitive_features = ("letter",)

    def load(self, files):
        raise NotApplicable(f"{self.path} is not here")


@hookimpl
def fairbench_datasets():
    return [Letters, Published, Broken, Far, Wanting]
'''


@pytest.fixture
def show(fairbench, tmp_path, monkeypatch):
    """Return a function that shows a dataset of the plugin, as JSON or as text with single blanks."""
    (tmp_path / "own.py").write_text(PLUGIN)
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)

    def shown(name, *more):
        status, out, err = fairbench("show", "dataset", name, "--plugin", "own.py", *more)
        assert status == 0, err
        return json.loads(out) if "--json" in more else " ".join(out.split())

    return shown


def test_a_dataset_tells_what_it_holds(show):
    found = show("letters", "--json")
    assert found["licence"] == "for tests"
    assert (found["rows"], found["positives"], found["favorable_label"]) == (600, 300, 0)
    assert (found["numeric_features"], found["categorical_features"]) == (1, 1)
    assert found["repeated_rows"] == 600 - 18  # of three numbers, two words and three letters
    assert found["files"] == []
    assert found["unavailable"] == ""
    (letter,) = found["attributes"]
    groups = [(group["name"], group["rows"], group["protected"]) for group in letter["groups"]]
    assert groups == [("a", 300, True), ("b", 276, False), ("c", 24, False)]
    assert sum(group["positives"] for group in letter["groups"]) == 300
    assert [row["name"] for row in found["parameters"]] == ["rows"]


def test_the_smallest_gap_is_that_of_the_command_power(show, fairbench):
    (letter,) = show("letters", "--json")["attributes"]
    _, out, _ = fairbench("power", "letters", "--plugin", "own.py", "--repeats", "1,10", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    told = [row for row in rows if row["metric"] == "demographic_parity_difference"]
    expected = [(row["groups"], row["rows"], str(row["repeats"]), row["smallest"]) for row in told]
    assert [
        (gap["between"], gap["test_rows"], repeats, value)
        for gap in letter["smallest_gaps"]
        for repeats, value in gap["smallest"].items()
    ] == expected
    assert len(expected) == 4


def test_the_text_says_it_in_words(show):
    text = show("letters")
    assert "rows: 600, of which 300 have y = 1 (unfavourable)" in text
    assert "features: 2 (1 numeric, 1 categorical)" in text
    assert "duplicates: 582 (rows that equal an earlier one in every feature and in letter)" in text
    assert "licence: for tests" in text
    assert "files: none" in text
    assert "letter a (protected) 300" in text
    assert "'fairbench power letters'" in text
    assert "between those that need the largest." in text
    assert "letter: fewer than 10 rows in a test part: 'c' has" in text
    assert "- Letters are not people." in text
    assert "parameter default meaning source rows 600 their number (at least 3)" in text


def test_parameters_are_those_that_were_typed(show):
    assert show("letters[rows=300]", "--json")["rows"] == 300
    assert "'fairbench power letters[rows=300]'" in show("letters[rows=300]")


def test_a_published_test_part_has_no_gap_over_repeats(show):
    (letter,) = show("published", "--json")["attributes"]
    assert all(gap["smallest"]["10"] is None for gap in letter["smallest_gaps"])
    assert letter["reason"]
    assert f"letter: {letter['reason']}" in show("published")


def test_rows_that_cannot_be_split_are_counted_all_the_same(show):
    found = show("letters[rows=3]", "--json")
    assert found["attributes"][0]["smallest_gaps"] == []
    assert "3 rows cannot be split" in found["attributes"][0]["reason"]
    assert "3 rows cannot be split" in show("letters[rows=3]")


def test_a_missing_file_is_told_with_where_it_comes_from_and_nothing_is_downloaded(show):
    found = show("far", "--json")
    (file,) = found["files"]
    assert (file["state"], file["urls"], file["bytes"]) == ("missing", ["https://example.org/far.csv"], 1234)
    assert "rows" not in found
    text = show("far")
    assert "far/far.csv, 1,234 bytes (missing) from https://example.org/far.csv sha256 000" in text
    assert "'all' leaves it out: it must be named" in text
    assert "no numbers: far/far.csv: not found in" in text
    assert "'fairbench data fetch far --plugin own.py'" in text


def test_a_damaged_file_is_told(show, tmp_path):
    (tmp_path / "raw" / "far").mkdir(parents=True)
    (tmp_path / "raw" / "far" / "far.csv").write_text("something else")
    text = show("far", "--data-dir", tmp_path / "raw")
    assert "(damaged at " in text
    assert "the file is damaged or another version" in text


def test_a_loader_that_fails_or_wants_a_parameter_is_told(show):
    assert "no numbers: broken_loader: its loader failed (KeyError: 'column')" in show("broken_loader")
    assert "licence: not stated" in show("broken_loader")
    assert "wanting[path=...]" in show("wanting", "--json")["unavailable"]
    assert "nowhere is not here" in show("wanting[path=nowhere]")


def test_wrong_names_and_several_datasets_are_refused(fairbench):
    status, _, err = fairbench("show", "dataset", "synthetik")
    assert status == 2
    assert "did you mean 'synthetic'?" in err
    status, _, err = fairbench("show", "dataset", "synthetic[rowz=3]")
    assert status == 2
    assert "'rowz'" in err
    status, _, err = fairbench("show", "dataset", "synthetic[rows=300|400]")
    assert status == 2
    assert "stands for 2 datasets; show one at a time" in " ".join(err.split())


def test_images_are_told_by_their_shape(show):
    assert "features: images of 8 x 8 pixels with 3 channels" in show("colored_digits")


def test_adult_is_told_with_three_attributes_and_its_archive(fairbench):
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with the raw files (adult/adult.data and so on)")
    found = json.loads(fairbench("show", "dataset", "adult", "--json")[1])
    assert (found["rows"], found["positives"], found["licence"]) == (45222, 11208, "CC BY 4.0")
    counts = {part["attribute"]: [group["rows"] for group in part["groups"]] for part in found["attributes"]}
    assert counts["sex"] == [14695, 30527]
    assert sum(counts["race_all"]) == 45222
    assert [file["state"] for file in found["files"]] == ["sound", "sound"]
    assert found["files"][0]["archive"]["member"] == "adult.data"
    assert Path(found["files"][0]["path"]).name == "adult.data"
